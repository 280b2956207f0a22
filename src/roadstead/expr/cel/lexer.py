"""Text to tokens, by the CEL language definition's grammar."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from roadstead.expr.cel.errors import CompileError
from roadstead.expr.cel.values import INT_MAX, INT_MIN, UINT_MAX, Uint


class Token(NamedTuple):
    kind: str
    """`ident`, `literal`, `end`, or the symbol itself (`in`, `true`, `false` and `null` included)."""
    value: Any
    at: int


_STRING: Final = r"""(?:[rR][bB]?|[bB][rR]?)?(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')"""
_RAW: Final = r"""[rR][bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n\r]*"|'[^'\n\r]*')|[bB][rR](?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n\r]*"|'[^'\n\r]*')"""
_TOKEN: Final = re.compile(
    rf"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
    |(?P<raw>{_RAW})
    |(?P<string>{_STRING})
    |(?P<double>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<int>0x[0-9a-fA-F]+[uU]?|[0-9]+[uU]?)
    |(?P<ident>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol>==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]{{}}])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_WORDS: Final = {"true": True, "false": False, "null": None}
RESERVED: Final = frozenset(
    {
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
        "namespace", "return", "var", "void", "while",
    }
)  # fmt: skip
_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.?))", re.DOTALL
)


def tokens(text: str) -> list[Token]:
    """All tokens and a final `end`. CompileError at the first character that begins none. O(length)."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CompileError(f"Syntax error: token recognition error at: {text[at]!r}", at)
        kind, piece = match.lastgroup, match.group()
        if kind == "ident":
            if piece in _WORDS:
                found.append(Token("literal", _WORDS[piece], at))
            else:
                found.append(Token("in" if piece == "in" else "ident", piece, at))
        elif kind == "symbol":
            found.append(Token(piece, piece, at))
        elif kind == "int":
            found.append(Token("number", _integer(piece, at), at))
        elif kind == "double":
            found.append(Token("number", float(piece), at))
        elif kind in ("raw", "string"):
            found.append(Token("literal", _string(piece, at), at))
        at = match.end()
    found.append(Token("end", None, at))
    return found


def _integer(piece: str, at: int) -> int:
    unsigned = piece[-1] in "uU"
    digits = piece[:-1] if unsigned else piece
    value = int(digits, 16) if digits.startswith("0x") else int(digits)
    if unsigned:
        if value > UINT_MAX:
            raise CompileError("Syntax error: invalid uint literal", at)
        return Uint(value)
    if value > INT_MAX - INT_MIN:
        raise CompileError("Syntax error: invalid int literal", at)
    return value  # the parser knows the sign, so it checks the range


def _string(piece: str, at: int) -> str | bytes:
    start = min(i for i in (piece.find('"'), piece.find("'")) if i >= 0)
    prefix, quoted = piece[:start].lower(), piece[start:]
    edge = 3 if len(quoted) >= 6 and quoted[:3] in ('"""', "'''") else 1
    body = quoted[edge:-edge]
    if "b" in prefix:
        return body.encode() if "r" in prefix else _bytes(body, at)
    return body if "r" in prefix else _ESCAPE.sub(lambda m: _character(m, at), body)


def _character(match: re.Match[str], at: int) -> str:
    simple, hexadecimal, four, eight, octal, _ = match.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    digits = hexadecimal or four or eight
    if digits is None and octal is None:
        raise CompileError("Syntax error: invalid escape sequence in a string literal", at)
    code = int(digits, 16) if digits is not None else int(octal, 8)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise CompileError("Syntax error: invalid unicode code point in a string literal", at)
    return chr(code)


def _bytes(body: str, at: int) -> bytes:
    parts: list[bytes] = []
    last = 0
    for match in _ESCAPE.finditer(body):
        parts.append(body[last : match.start()].encode())
        _, hexadecimal, four, eight, octal, _ = match.groups()
        if four or eight:
            raise CompileError("Syntax error: unicode escape sequences are not supported in bytes literals", at)
        if hexadecimal or octal:
            parts.append(bytes([int(hexadecimal, 16) if hexadecimal else int(octal, 8)]))
        else:
            parts.append(_character(match, at).encode())
        last = match.end()
    parts.append(body[last:].encode())
    return b"".join(parts)
