"""The strings extension of the CEL project, version 2 (cel-go `ext/strings.go`). Positions count code points."""

from __future__ import annotations

import re
from typing import Any, Final

from roadstead.expr.cel.declarations import Library
from roadstead.expr.cel.errors import EvaluationError
from roadstead.expr.cel.library.standard import go_float, to_string
from roadstead.expr.cel.values import kind_of

_SPACE: Final = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def _in_range(at: int, most: int) -> None:
    if not 0 <= at <= most:
        raise EvaluationError(f"index out of range: {at}")


def char_at(text: str, at: int) -> str:
    """The character at a position; nothing at the very end."""
    _in_range(at, len(text))
    return text[at : at + 1]


def index_of(text: str, part: str, start: int = 0) -> int:
    """The first position of a part, -1 if there is none."""
    if part == "":
        return start
    if start:
        _in_range(start, len(text) - 1 if len(text) else 0)
    return text.find(part, start)


def last_index_of(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part)
    if part == "":
        return start
    _in_range(start, len(text) - 1 if len(text) else 0)
    return text.rfind(part, 0, start + len(part))


def substring(text: str, start: int, end: int | None = None) -> str:
    _in_range(start, len(text))
    if end is None:
        return text[start:]
    _in_range(end, len(text))
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, limit) if limit >= 0 else text.replace(old, new)


def split(text: str, separator: str, limit: int = -1) -> list[str]:
    """Go's strings.SplitN: an empty separator splits into characters, limit 0 gives nothing."""
    if limit == 0:
        return []
    if separator == "":
        parts = list(text)
        return parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
    return text.split(separator, limit - 1) if limit > 0 else text.split(separator)


def lower_ascii(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def upper_ascii(text: str) -> str:
    return "".join(char.upper() if char.isascii() else char for char in text)


_QUOTED: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
}  # fmt: skip


def quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(char, char) for char in text) + '"'


CLAUSE: Final = re.compile(r"%(?:%|(?:\.(\d*))?(.))", re.DOTALL)
"""One place in a format string: its precision and verb."""


def format_text(text: str, args: list[Any]) -> str:
    """`"%d of %s".format([1, "x"])`. EvaluationError for a verb that does not suit its argument."""
    at = 0

    def put(match: re.Match[str]) -> str:
        nonlocal at
        if match.group() == "%%":
            return "%"
        if at >= len(args):
            raise EvaluationError(f"index {at} out of range")
        at += 1
        return _clause(match.group(2), match.group(1), args[at - 1])

    if text.endswith("%") and not re.search(r"(?:^|[^%])(?:%%)+$", text):
        raise EvaluationError("unexpected end of string")
    return CLAUSE.sub(put, text)


def _clause(verb: str, precision: str | None, value: Any) -> str:
    kind = kind_of(value)
    digits = int(precision) if precision else 6
    match verb:
        case "s":
            return shown(value)
        case "d" if kind in ("int", "uint"):
            return str(int(value))
        case "f" if kind == "double":
            return f"{float(value):.{digits}f}"
        case "e" if kind == "double":
            return f"{float(value):.{digits}e}"
        case "b" if kind in ("int", "uint", "bool"):
            return f"{int(value):b}"
        case "o" if kind in ("int", "uint"):
            return f"{int(value):o}"
        case "x" | "X" if kind in ("int", "uint", "string", "bytes"):
            text = value.encode().hex() if kind == "string" else value.hex() if kind == "bytes" else f"{int(value):x}"
            return text.upper() if verb == "X" else text
    raise EvaluationError(f"error during formatting: unsuitable argument of type {kind} for %{verb}")


def shown(value: Any) -> str:
    """Any value as `%s` prints it."""
    match kind_of(value):
        case "list":
            return "[" + ", ".join(shown(each) for each in value) + "]"
        case "map":
            return "{" + ", ".join(sorted(f"{shown(key)}: {shown(each)}" for key, each in value.items())) + "}"
        case "null_type":
            return "null"
        case "double":
            return go_float(value)
        case "type":
            return str(value.name)
        case "bytes":
            return str(value, "utf-8", "replace")
        case "optional_type" | "object":
            raise EvaluationError("error during formatting: no text for this value")
    return to_string(value)


STRINGS: Final = Library(
    """
charAt: string.(int) -> string
indexOf: string.(string) -> int; string.(string, int) -> int
lastIndexOf: string.(string) -> int; string.(string, int) -> int
lowerAscii: string.() -> string
upperAscii: string.() -> string
replace: string.(string, string) -> string; string.(string, string, int) -> string
split: string.(string) -> list(string); string.(string, int) -> list(string)
substring: string.(int) -> string; string.(int, int) -> string
trim: string.() -> string
join: list(string).() -> string; list(string).(string) -> string
strings.quote: (string) -> string
format: string.(list(dyn)) -> string
""",
    {
        "charAt": char_at,
        "indexOf": index_of,
        "lastIndexOf": last_index_of,
        "lowerAscii": lower_ascii,
        "upperAscii": upper_ascii,
        "replace": replace,
        "split": split,
        "substring": substring,
        "trim": lambda text: text.strip(_SPACE),
        "join": lambda parts, separator="": separator.join(_strings(parts)),
        "strings.quote": quote,
        "format": format_text,
    },
)


def _strings(parts: list[Any]) -> list[str]:
    if any(not isinstance(part, str) for part in parts):
        raise EvaluationError("no such overload")
    return parts
