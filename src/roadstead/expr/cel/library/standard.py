"""Operators, conversions and the other functions of the CEL language definition (standard library)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from roadstead.expr.cel.declarations import Library
from roadstead.expr.cel.errors import EvaluationError
from roadstead.expr.cel.library import regex, times
from roadstead.expr.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    Duration,
    Timestamp,
    TypeValue,
    Uint,
    checked_int,
    checked_uint,
    kind_of,
)  # fmt: skip

DECLARATIONS: Final = """
_==_: (A, A) -> bool
_!=_: (A, A) -> bool
_<_: (bool, bool) -> bool; (int, int) -> bool; (uint, uint) -> bool; (double, double) -> bool; (string, string) -> bool; (bytes, bytes) -> bool; (timestamp, timestamp) -> bool; (duration, duration) -> bool; (int, double) -> bool; (int, uint) -> bool; (uint, double) -> bool; (uint, int) -> bool; (double, int) -> bool; (double, uint) -> bool
_<=_: (bool, bool) -> bool; (int, int) -> bool; (uint, uint) -> bool; (double, double) -> bool; (string, string) -> bool; (bytes, bytes) -> bool; (timestamp, timestamp) -> bool; (duration, duration) -> bool; (int, double) -> bool; (int, uint) -> bool; (uint, double) -> bool; (uint, int) -> bool; (double, int) -> bool; (double, uint) -> bool
_>_: (bool, bool) -> bool; (int, int) -> bool; (uint, uint) -> bool; (double, double) -> bool; (string, string) -> bool; (bytes, bytes) -> bool; (timestamp, timestamp) -> bool; (duration, duration) -> bool; (int, double) -> bool; (int, uint) -> bool; (uint, double) -> bool; (uint, int) -> bool; (double, int) -> bool; (double, uint) -> bool
_>=_: (bool, bool) -> bool; (int, int) -> bool; (uint, uint) -> bool; (double, double) -> bool; (string, string) -> bool; (bytes, bytes) -> bool; (timestamp, timestamp) -> bool; (duration, duration) -> bool; (int, double) -> bool; (int, uint) -> bool; (uint, double) -> bool; (uint, int) -> bool; (double, int) -> bool; (double, uint) -> bool
_&&_: (bool, bool) -> bool
_||_: (bool, bool) -> bool
!_: (bool) -> bool
_?_:_: (bool, A, A) -> A
@in: (A, list(A)) -> bool; (A, map(A, B)) -> bool
_[_]: (list(A), int) -> A; (map(A, B), A) -> B; (optional(list(A)), int) -> optional(A); (optional(map(A, B)), A) -> optional(B)
_[?_]: (list(A), int) -> optional(A); (optional(list(A)), int) -> optional(A); (map(A, B), A) -> optional(B); (optional(map(A, B)), A) -> optional(B)
_+_: (int, int) -> int; (uint, uint) -> uint; (double, double) -> double; (string, string) -> string; (bytes, bytes) -> bytes; (list(A), list(A)) -> list(A); (timestamp, duration) -> timestamp; (duration, timestamp) -> timestamp; (duration, duration) -> duration
_-_: (int, int) -> int; (uint, uint) -> uint; (double, double) -> double; (timestamp, timestamp) -> duration; (timestamp, duration) -> timestamp; (duration, duration) -> duration
_*_: (int, int) -> int; (uint, uint) -> uint; (double, double) -> double
_/_: (int, int) -> int; (uint, uint) -> uint; (double, double) -> double
_%_: (int, int) -> int; (uint, uint) -> uint
-_: (int) -> int; (double) -> double
size: (string) -> int; (bytes) -> int; (list(A)) -> int; (map(A, B)) -> int; string.() -> int; bytes.() -> int; list(A).() -> int; map(A, B).() -> int
contains: string.(string) -> bool
startsWith: string.(string) -> bool
endsWith: string.(string) -> bool
matches: (string, string) -> bool; string.(string) -> bool
type: (A) -> type(A)
dyn: (A) -> dyn
int: (int) -> int; (uint) -> int; (double) -> int; (string) -> int; (timestamp) -> int; (duration) -> int
uint: (uint) -> uint; (int) -> uint; (double) -> uint; (string) -> uint
double: (double) -> double; (int) -> double; (uint) -> double; (string) -> double
bool: (bool) -> bool; (string) -> bool
string: (string) -> string; (bool) -> string; (int) -> string; (uint) -> string; (double) -> string; (bytes) -> string; (timestamp) -> string; (duration) -> string
bytes: (bytes) -> bytes; (string) -> bytes
duration: (duration) -> duration; (string) -> duration
timestamp: (timestamp) -> timestamp; (string) -> timestamp; (int) -> timestamp
getFullYear: timestamp.() -> int; timestamp.(string) -> int
getMonth: timestamp.() -> int; timestamp.(string) -> int
getDayOfYear: timestamp.() -> int; timestamp.(string) -> int
getDayOfMonth: timestamp.() -> int; timestamp.(string) -> int
getDate: timestamp.() -> int; timestamp.(string) -> int
getDayOfWeek: timestamp.() -> int; timestamp.(string) -> int
getHours: timestamp.() -> int; timestamp.(string) -> int; duration.() -> int
getMinutes: timestamp.() -> int; timestamp.(string) -> int; duration.() -> int
getSeconds: timestamp.() -> int; timestamp.(string) -> int; duration.() -> int
getMilliseconds: timestamp.() -> int; timestamp.(string) -> int; duration.() -> int
"""


def _never(*_: Any) -> Any:
    raise EvaluationError("no such overload")


def add(left: Any, right: Any) -> Any:
    match kind_of(left), kind_of(right):
        case "int", "int":
            return checked_int(left + right)
        case "uint", "uint":
            return checked_uint(int(left) + int(right))
        case ("double", "double") | ("string", "string") | ("bytes", "bytes") | ("list", "list"):
            return left + right
        case "google.protobuf.Timestamp", "google.protobuf.Duration":
            return times.moment(left.nano + right.nano)
        case "google.protobuf.Duration", "google.protobuf.Timestamp":
            return times.moment(left.nano + right.nano)
        case "google.protobuf.Duration", "google.protobuf.Duration":
            return Duration(checked_int(left.nano + right.nano))
    raise EvaluationError("no such overload")


def subtract(left: Any, right: Any) -> Any:
    match kind_of(left), kind_of(right):
        case "int", "int":
            return checked_int(left - right)
        case "uint", "uint":
            return checked_uint(int(left) - int(right))
        case "double", "double":
            return left - right
        case "google.protobuf.Timestamp", "google.protobuf.Timestamp":
            return Duration(checked_int(left.nano - right.nano))
        case "google.protobuf.Timestamp", "google.protobuf.Duration":
            return times.moment(left.nano - right.nano)
        case "google.protobuf.Duration", "google.protobuf.Duration":
            return Duration(checked_int(left.nano - right.nano))
    raise EvaluationError("no such overload")


def multiply(left: Any, right: Any) -> Any:
    match kind_of(left), kind_of(right):
        case "int", "int":
            return checked_int(left * right)
        case "uint", "uint":
            return checked_uint(int(left) * int(right))
        case "double", "double":
            return left * right
    raise EvaluationError("no such overload")


def divide(left: Any, right: Any) -> Any:
    """Whole numbers are cut towards zero; doubles follow IEEE 754 (x / 0.0 is infinite)."""
    match kind_of(left), kind_of(right):
        case ("int", "int") | ("uint", "uint"):
            if right == 0:
                raise EvaluationError("division by zero")
            whole = abs(int(left)) // abs(int(right))
            whole = -whole if (left < 0) != (right < 0) else whole
            return Uint(whole) if isinstance(left, Uint) else checked_int(whole)
        case "double", "double":
            if right == 0.0:
                if left != left or left == 0.0:
                    return float("nan")
                return float("inf") if (left > 0) == (str(right)[0] != "-") else float("-inf")
            return left / right
    raise EvaluationError("no such overload")


def modulo(left: Any, right: Any) -> Any:
    """The sign is the dividend's."""
    if kind_of(left) != kind_of(right) or kind_of(left) not in ("int", "uint"):
        raise EvaluationError("no such overload")
    if right == 0:
        raise EvaluationError("modulus by zero")
    rest = abs(int(left)) % abs(int(right))
    return Uint(rest) if isinstance(left, Uint) else checked_int(-rest if left < 0 else rest)


def negate(value: Any) -> Any:
    return checked_int(-value) if kind_of(value) == "int" else -value


def to_int(value: Any) -> int:
    match kind_of(value):
        case "int" | "uint":
            return checked_int(int(value))
        case "double":
            if not -(2.0**63) < value < 2.0**63:
                raise EvaluationError("integer overflow")
            return int(value)
        case "string":
            try:
                return _parsed_integer(value, INT_MIN, INT_MAX)
            except ValueError:
                raise EvaluationError(f"type conversion error from 'string' to 'int': \"{value}\"") from None
        case "google.protobuf.Timestamp":
            return int(value.nano // 1_000_000_000)
        case "google.protobuf.Duration":
            return int(value.nano)
    raise EvaluationError("no such overload")


def _parsed_integer(text: str, low: int, high: int) -> int:
    """Go's strconv: ASCII digits and a sign, nothing else."""
    digits = text[1:] if text[:1] in ("+", "-") and low < 0 else text
    if not digits or not digits.isascii() or not digits.isdigit():
        raise ValueError(text)
    value = int(text)
    if not low <= value <= high:
        raise ValueError(text)
    return value


def to_uint(value: Any) -> Uint:
    match kind_of(value):
        case "int" | "uint":
            return checked_uint(int(value))
        case "double":
            if not 0 <= value < 2.0**64:
                raise EvaluationError("unsigned integer overflow")
            return Uint(int(value))
        case "string":
            try:
                return Uint(_parsed_integer(value, 0, UINT_MAX))
            except ValueError:
                raise EvaluationError(f"type conversion error from 'string' to 'uint': \"{value}\"") from None
    raise EvaluationError("no such overload")


def to_double(value: Any) -> float:
    if kind_of(value) == "string":
        try:
            if "_" in value or value != value.strip():
                raise ValueError(value)
            return float(value)
        except ValueError:
            raise EvaluationError(f"type conversion error from 'string' to 'double': \"{value}\"") from None
    return float(value)


_BOOLS: Final = {
    "1": True, "t": True, "T": True, "true": True, "TRUE": True, "True": True,
    "0": False, "f": False, "F": False, "false": False, "FALSE": False, "False": False,
}  # fmt: skip


def to_bool(value: Any) -> bool:
    if isinstance(value, str):
        if value not in _BOOLS:
            raise EvaluationError(f"type conversion error from 'string' to 'bool': \"{value}\"")
        return _BOOLS[value]
    return bool(value)


def go_float(value: float) -> str:
    """A float as Go's shortest `%g` prints it: an exponent below 1e-4 and from 1e6 on."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    minus = "-" if sign else ""
    if value == 0:
        return minus + "0"
    point = len(digits) + exponent - 1
    text = "".join(map(str, digits))
    if point < -4 or point >= 6:
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        return f"{minus}{mantissa}e{'-' if point < 0 else '+'}{abs(point):02d}"
    if exponent >= 0:
        return minus + text + "0" * exponent
    if point < 0:
        return f"{minus}0.{'0' * (-point - 1)}{text}"
    return f"{minus}{text[: point + 1]}.{text[point + 1 :]}"


def to_string(value: Any) -> str:
    match kind_of(value):
        case "string":
            return str(value)
        case "bool":
            return "true" if value else "false"
        case "int" | "uint":
            return str(int(value))
        case "double":
            return go_float(value)
        case "bytes":
            try:
                return str(value, "utf-8")
            except UnicodeDecodeError:
                raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
        case "google.protobuf.Timestamp":
            return times.format_timestamp(value)
        case "google.protobuf.Duration":
            return times.format_duration(value)
    raise EvaluationError("no such overload")


def to_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def to_duration(value: Any) -> Duration:
    return value if isinstance(value, Duration) else times.parse_duration(value)


def to_timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    return times.moment(value * 1_000_000_000) if isinstance(value, int) else times.parse_timestamp(value)


STANDARD: Final = Library(
    DECLARATIONS,
    {
        **dict.fromkeys(
            ["_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "_?_:_", "@in", "_[_]", "_[?_]"], _never
        ),
        "!_": lambda value: not value,
        "_+_": add,
        "_-_": subtract,
        "_*_": multiply,
        "_/_": divide,
        "_%_": modulo,
        "-_": negate,
        "size": len,
        "contains": lambda text, part: part in text,
        "startsWith": lambda text, part: text.startswith(part),
        "endsWith": lambda text, part: text.endswith(part),
        "matches": regex.matches,
        "type": lambda value: TypeValue(kind_of(value)),
        "dyn": lambda value: value,
        "int": to_int,
        "uint": to_uint,
        "double": to_double,
        "bool": to_bool,
        "string": to_string,
        "bytes": to_bytes,
        "duration": to_duration,
        "timestamp": to_timestamp,
        **times.GETTERS,
    },
)
