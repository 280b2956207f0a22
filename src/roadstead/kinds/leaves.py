"""The leaves of a built-in object on its way in: strings, numbers, times, quantities, bytes, as Go's decoder takes
them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, Final

from roadstead.expr import quantity
from roadstead.kinds import times
from roadstead.kinds.facts import go
from roadstead.kinds.object import Json

Shape = Callable[[Any, str, list[str]], Any]
"""(value, path, unknown) -> the value as stored. `path` is the value's own; unknown fields are appended."""


class Fault(Exception):
    """The first value that does not decode. `why` is complete; or `struct`, `go_type` and `value` make the sentence."""

    def __init__(self, path: str, *, why: str = "", struct: str = "", go_type: str = "", value: Any = None) -> None:
        super().__init__(path)
        self.path = path
        self.why = why
        self.struct = struct
        self.go_type = go_type
        self.value = value


class _Omit:
    """Marks a value that the server would not write."""


OMIT: Final = _Omit()


def go_kind(value: Any) -> str:
    """What Go's JSON decoder calls a value."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"


def _time_error(text: str, layout: str, elements: tuple[str, ...]) -> str:
    """Go's sentence for a time that does not parse (time.Parse)."""
    rest = text
    for element in elements:
        if element[0].isdigit() and len(element) in (2, 4):
            digits = re.match(rf"\d{{{len(element)}}}", rest, re.ASCII)
            found = digits.group() if digits else ""
        elif element[0] == ".":
            digits = re.match(rf"\.\d{{{len(element) - 1}}}(?!\d)", rest, re.ASCII)
            found = digits.group() if digits else ""
        elif element == "Z07:00":
            if layout.endswith("05Z07:00"):  # a fraction is accepted where the layout has none
                rest = re.sub(r"^\.\d+", "", rest, count=1, flags=re.ASCII)
            zone = re.match(r"Z|[+-]\d\d:\d\d", rest, re.ASCII)
            found = zone.group() if zone else ""
        else:
            found = element if rest.startswith(element) else ""
        if not found:
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{element}"'
        rest = rest[len(found) :]
    if rest:
        return f'parsing time "{text}": extra text: "{rest}"'
    for name, part, low, high in (
        ("month", text[5:7], 1, 12),
        ("day", text[8:10], 1, 31),
        ("hour", text[11:13], 0, 23),
    ):
        if not low <= int(part) <= high:
            return f'parsing time "{text}": {name} out of range'
    return f'parsing time "{text}": day out of range'


_DATE: Final = ("2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05")


def time(value: Any, path: str, unknown: list[str]) -> Any:
    if value.__class__ is not str:
        raise Fault(path, why=f"json: cannot unmarshal {go_kind(value)} into Go value of type string")
    if len(value) == 20 and times.is_time(value):
        return value
    if not times.is_time(value):
        raise Fault(path, why=_time_error(value, "2006-01-02T15:04:05Z07:00", (*_DATE, "Z07:00")))
    return times.format_time(times.parse_time(value))


def micro_time(value: Any, path: str, unknown: list[str]) -> Any:
    if value.__class__ is not str:
        raise Fault(path, why=f"json: cannot unmarshal {go_kind(value)} into Go value of type string")
    if not times.is_micro_time(value):
        raise Fault(path, why=_time_error(value, "2006-01-02T15:04:05.000000Z07:00", (*_DATE, ".000000", "Z07:00")))
    return times.format_micro_time(times.parse_time(value))


def amount(value: Any, path: str, unknown: list[str]) -> Any:
    if value is None:
        return "0"
    if value.__class__ not in (str, int, float):
        raise Fault(path, why=quantity.FORMAT_WRONG)
    try:
        return quantity.normalize(value)
    except quantity.QuantityError as error:
        raise Fault(path, why=str(error)) from None


def int_or_string(value: Any, path: str, unknown: list[str]) -> Any:
    if value.__class__ is str:
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**31) <= value < 2**31:
        what = f"number {value}" if value.__class__ in (int, float) else go_kind(value)
        raise Fault(path, why=f"json: cannot unmarshal {what} into Go value of type int32")
    return value


_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)


def base64_error(text: str) -> str:
    """Go's sentence for text that is not standard base64, or "" if it is."""
    text = text.replace("\r", "").replace("\n", "")
    if _BASE64.fullmatch(text):
        return ""
    bad = next((i for i, char in enumerate(text) if not re.match(r"[A-Za-z0-9+/]", char, re.ASCII)), len(text))
    at = bad if bad < len(text) else len(text) - len(text) % 4
    return f"illegal base64 data at input byte {at}"


def _bytes(struct: str, name: str) -> Shape:
    def shape(value: Any, path: str, unknown: list[str]) -> Any:
        if value is None:
            return ""
        if value.__class__ is not str:
            raise Fault(path, struct=struct, go_type="[]uint8", value=value)
        problem = base64_error(value)
        if problem:
            raise Fault(path, why=problem)
        return value if "\n" not in value and "\r" not in value else base64.b64encode(base64.b64decode(value)).decode()

    return shape


def anything(value: Any, path: str, unknown: list[str]) -> Any:
    return value


def _scalar(struct: str, go_type: str, accepted: type, *, zero: Any, keeps_zero: bool) -> Shape:
    def shape(value: Any, path: str, unknown: list[str]) -> Any:
        if value.__class__ is not accepted:
            if value is None:
                return zero
            if accepted is not float or value.__class__ is not int:
                raise Fault(path, struct=struct, go_type=go_type, value=value)
        return value if value or keeps_zero else OMIT

    return shape


def _integer(struct: str, go_type: str, *, keeps_zero: bool) -> Shape:
    low, high = _RANGES.get(go_type, _RANGES["int64"])

    def shape(value: Any, path: str, unknown: list[str]) -> Any:
        if value.__class__ is not int:
            if value is None:
                return 0
            raise Fault(path, struct=struct, go_type=go_type, value=value)
        if not low <= value <= high:
            raise Fault(path, struct=struct, go_type=go_type, value=value)
        return value if value or keeps_zero else OMIT

    return shape


_RANGES: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def leaf(schema: Json, struct: str, name: str, *, keeps_zero: bool) -> tuple[Shape, str]:
    kind, form = schema.get("type"), schema.get("format", "")
    if kind == "string" and form == "byte":
        return _bytes(struct, name), "[]uint8"
    go_type = go.NAMED_TYPES.get((struct, name), "")
    if kind == "string":
        go_type = go_type or "string"
        return _scalar(struct, go_type, str, zero="", keeps_zero=keeps_zero), go_type
    if kind == "boolean":
        return _scalar(struct, "bool", bool, zero=False, keeps_zero=keeps_zero), "bool"
    if kind == "integer":
        go_type = form or "int"
        return _integer(struct, go_type, keeps_zero=keeps_zero), go_type
    if kind == "number":
        return _scalar(struct, "float64", float, zero=0, keeps_zero=keeps_zero), "float64"
    return anything, "interface {}"
