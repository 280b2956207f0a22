"""Messages to JSON: what Go's JSON encoder writes of an object that came as protobuf.

Names of fields are those of JSON, but for structs that Go embeds: the message has a field for them, JSON has their
fields in its place. Zero values are kept here: `Schema.check`, which every object passes, knows which of them the
server's types omit.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import orjson

from roadstead.kinds.facts.go import LOCAL_REFERENCES
from roadstead.kinds.object import Json
from roadstead.kinds.protobuf.descriptors import parse
from roadstead.kinds.times import SECOND, format_micro_time, format_time

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

EMBEDDED: Final = frozenset(
    {
        ("Volume", "volumeSource"),
        ("EphemeralContainer", "ephemeralContainerCommon"),
        ("Probe", "handler"),
        ("DeviceAllocationConfiguration", "deviceConfiguration"),
        ("DeviceClaimConfiguration", "deviceConfiguration"),
        ("DeviceClassConfiguration", "deviceConfiguration"),
    }
    | {(name, "localObjectReference") for name in LOCAL_REFERENCES}
)
"""(message, field) whose fields stand in JSON where the field would."""

YEAR_ONE: Final = -62_135_596_800
YEAR_10000: Final = 253_402_300_800
"""Seconds since the epoch between which RFC 3339 can write a time; Go's zero time is the first of them."""


def decode(component: str, raw: bytes) -> Json:
    """The JSON form of the message of `component` (`io.k8s.api.core.v1.Pod`) in `raw`, without apiVersion and kind.

    Linear in the size of the message, about 1 us per field. Raises ValueError if the bytes are no such message, or if
    the message holds something that JSON has no form for. KeyError if the component has no message.
    """
    return _struct(parse(component, raw))


def text(value: str | bytes) -> str:
    """A string field. The library hands out bytes if they are not UTF-8; Go writes a replacement character for each."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _struct(message: Any) -> Json:
    result: Json = {}
    name = message.DESCRIPTOR.name
    field: FieldDescriptor
    for field, value in message.ListFields():
        if (name, field.name) in EMBEDDED:
            result.update(_struct(value))
        else:
            result[field.name] = _field(field, value)
    return result


def _field(field: FieldDescriptor, value: Any) -> Any:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        one = _value(inner.fields_by_name["value"])
        try:
            return {key: one(element) for key, element in value.items()}
        except UnicodeDecodeError as err:  # only keys: the library hands them out as text or not at all
            why = f"{field.name} has a key that is not UTF-8: byte {err.start + 1} is {err.object[err.start]:#04x}"
            raise ValueError(f"{why}; send it as UTF-8") from err
    one = _value(field)
    return [one(element) for element in value] if field.is_repeated else one(value)


def _value(field: FieldDescriptor) -> Callable[[Any], Any]:
    """How one value of a field is written."""
    if field.message_type is not None:
        return SPECIAL.get(field.message_type.name, _struct)
    if field.type == field.TYPE_BYTES:
        return _base64
    return text if field.type == field.TYPE_STRING else _plain


def _plain(value: Any) -> Any:
    return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _quantity(value: Any) -> str:
    return text(value.string) if value.HasField("string") else "0"


def _int_or_string(value: Any) -> int | str:
    if value.type == 0:
        return int(value.intVal)
    if value.type == 1:
        return text(value.strVal)
    raise ValueError(f"impossible IntOrString.Type {value.type}: it is 0 for an integer, 1 for a string")


def _seconds(value: Any) -> int | None:
    """Seconds since the epoch; None for Go's zero time, which is null in JSON."""
    seconds = int(value.seconds)
    if not YEAR_ONE <= seconds < YEAR_10000:
        raise ValueError(
            f"a time of {seconds} seconds since 1970 is outside of the years 1 to 9999, which RFC 3339 can write"
        )
    return seconds if value.ListFields() and seconds != YEAR_ONE else None


def _time(value: Any) -> str | None:
    seconds = _seconds(value)
    return None if seconds is None else format_time(seconds * SECOND)


def _micro_time(value: Any) -> str | None:
    seconds = _seconds(value)
    if seconds is None:
        return None
    if not 0 <= value.nanos < SECOND:
        raise ValueError(f"a time has {value.nanos} nanoseconds within its second: they run from 0 to {SECOND - 1}")
    return format_micro_time(seconds * SECOND + value.nanos)


def _raw_json(value: Any) -> Any:
    """JSON that travels as bytes (the field of RawExtension is called `raw`, that of FieldsV1 `Raw`)."""
    field = value.DESCRIPTOR.fields[0].name
    raw = getattr(value, field)
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except ValueError as err:
        raise ValueError(f"the {len(raw)} bytes of {value.DESCRIPTOR.name} are not JSON: {err}") from err


SPECIAL: Final[dict[str, Callable[[Any], Any]]] = {
    "FieldsV1": _raw_json,
    "IntOrString": _int_or_string,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "RawExtension": _raw_json,
    "Time": _time,
}
"""Messages that are no JSON objects. Names are enough: they are unique among the packaged messages."""
