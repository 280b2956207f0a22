"""What Go's encoding/json says about text that is not JSON, and about values of the wrong type. Used only to word a
refusal; people search for these sentences."""

from __future__ import annotations

from typing import Any, Final

MAX_DEPTH: Final = 10_000
_SPACE: Final = b" \t\r\n"
_END: Final = "unexpected end of JSON input"
_LITERALS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_DIGITS: Final = b"0123456789"
_HEX: Final = b"0123456789abcdefABCDEF"


class _Wrong(Exception):
    pass


def go_type(value: Any) -> str:
    """What Go calls a JSON value's type in its decoding errors."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if value is None:
        return "null"
    return "array" if isinstance(value, list) else "object"


def syntax_error(text: bytes) -> str | None:
    """The scanner's message about the first wrong byte, or None if `text` is JSON. O(len(text))."""
    try:
        _scan(text)
    except _Wrong as err:
        return str(err)
    return None


def _scan(text: bytes) -> None:
    """Walk the text once; `open_with` is the stack of brackets not closed yet."""
    open_with = bytearray()
    at = _value(text, _skip(text, 0), open_with)
    while open_with:
        at = _skip(text, at)
        byte = _byte(text, at)
        inside = open_with[-1]
        if inside == ord("{"):
            if byte == ord(","):
                at = _value(text, _key(text, _skip(text, at + 1)), open_with)
            elif byte == ord("}"):
                open_with.pop()
                at += 1
            else:
                raise _Wrong(_bad(byte, "after object key:value pair"))
        elif byte == ord(","):
            at = _value(text, _skip(text, at + 1), open_with)
        elif byte == ord("]"):
            open_with.pop()
            at += 1
        else:
            raise _Wrong(_bad(byte, "after array element"))
    at = _skip(text, at)
    if at < len(text):
        raise _Wrong(_bad(text[at], "after top-level value"))


def _value(text: bytes, at: int, open_with: bytearray) -> int:
    """Read one value that begins at `at`; an object or array with members is only opened (down to its first plain
    value)."""
    while True:
        byte = _byte(text, at)
        if byte == ord('"'):
            return _string(text, at)
        if byte in _LITERALS:
            return _literal(text, at, _LITERALS[byte])
        if byte == ord("-") or byte in _DIGITS:
            return _number(text, at)
        if byte not in b"{[":
            raise _Wrong(_bad(byte, "looking for beginning of value"))
        open_with.append(byte)
        if len(open_with) > MAX_DEPTH:
            raise _Wrong("exceeded max depth")
        at = _skip(text, at + 1)
        if byte == ord("{"):
            if _byte(text, at) == ord("}"):
                open_with.pop()
                return at + 1
            at = _key(text, at)
        elif _byte(text, at) == ord("]"):
            open_with.pop()
            return at + 1


def _key(text: bytes, at: int) -> int:
    """Read `"key":` and return where the value begins."""
    byte = _byte(text, at)
    if byte != ord('"'):
        raise _Wrong(_bad(byte, "looking for beginning of object key string"))
    at = _skip(text, _string(text, at))
    if _byte(text, at) != ord(":"):
        raise _Wrong(_bad(text[at], "after object key"))
    return _skip(text, at + 1)


def _string(text: bytes, at: int) -> int:
    at += 1
    while True:
        byte = _byte(text, at)
        if byte == ord('"'):
            return at + 1
        if byte == ord("\\"):
            at += 1
            escape = _byte(text, at)
            if escape == ord("u"):
                for _ in range(4):
                    at += 1
                    if _byte(text, at) not in _HEX:
                        raise _Wrong(_bad(text[at], "in \\u hexadecimal character escape"))
            elif escape not in b'bfnrt\\/"':
                raise _Wrong(_bad(escape, "in string escape code"))
        elif byte < 0x20:
            raise _Wrong(_bad(byte, "in string literal"))
        at += 1


def _literal(text: bytes, at: int, literal: bytes) -> int:
    for offset in range(1, len(literal)):
        byte = _byte(text, at + offset)
        if byte != literal[offset]:
            raise _Wrong(_bad(byte, f"in literal {literal.decode()} (expecting {_quote(literal[offset])})"))
    return at + len(literal)


def _number(text: bytes, at: int) -> int:
    if text[at] == ord("-"):
        at += 1
        if _byte(text, at) not in _DIGITS:
            raise _Wrong(_bad(text[at], "in numeric literal"))
    if text[at] == ord("0"):
        at += 1
    else:
        at = _digits(text, at)
    if text[at : at + 1] == b".":
        at += 1
        if _byte(text, at) not in _DIGITS:
            raise _Wrong(_bad(text[at], "after decimal point in numeric literal"))
        at = _digits(text, at)
    if text[at : at + 1] in (b"e", b"E"):
        at += 1
        if _byte(text, at) in b"+-":
            at += 1
        if _byte(text, at) not in _DIGITS:
            raise _Wrong(_bad(text[at], "in exponent of numeric literal"))
        at = _digits(text, at)
    return at


def _digits(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _DIGITS:
        at += 1
    return at


def _skip(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _byte(text: bytes, at: int) -> int:
    if at >= len(text):
        raise _Wrong(_END)
    return text[at]


def _bad(byte: int, context: str) -> str:
    return f"invalid character {_quote(byte)} {context}"


def _quote(byte: int) -> str:
    """A byte as Go's quoteChar prints it: as the rune of the same number, between single quotes."""
    if byte == ord("'"):
        return "'\\''"
    if byte == ord('"'):
        return "'\"'"
    known = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\"}
    if byte in known:
        return f"'{known[byte]}'"
    if byte < 0x20 or byte == 0x7F:
        return f"'\\x{byte:02x}'"
    if 0x80 <= byte < 0xA0 or byte == 0xAD:
        return f"'\\u{byte:04x}'"
    return f"'{chr(byte)}'"
