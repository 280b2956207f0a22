"""Durations and timestamps: Go's and RFC 3339's texts, and their parts. Whole nanoseconds, UTC unless a zone is
named."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from roadstead.expr.cel.errors import EvaluationError
from roadstead.expr.cel.values import Duration, Timestamp, checked_int

_SECOND: Final = 1_000_000_000
_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_EARLIEST: Final = -62_135_596_800 * _SECOND
_LATEST: Final = 253_402_300_800 * _SECOND
_STAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> Duration:
    """`1h30m`, `-1.5s`, `0`: Go's time.ParseDuration. EvaluationError otherwise."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None or not (match.group(1) or match.group(2)):
            break
        whole, fraction, unit = match.groups()
        total += int(whole or "0") * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        at = match.end()
    if not rest or at < len(rest):
        raise EvaluationError(f"type conversion error from 'string' to 'google.protobuf.Duration': \"{text}\"")
    return Duration(checked_int(sign * total))


def format_duration(value: Duration) -> str:
    """Seconds with an `s`, as CEL's string(duration) gives them."""
    from roadstead.expr.cel.library.standard import go_float

    return f"{go_float(value.nano / _SECOND)}s"


def moment(nano: int) -> Timestamp:
    """A timestamp between the years 1 and 9999. EvaluationError otherwise."""
    if not _EARLIEST <= nano < _LATEST:
        raise EvaluationError("timestamp overflow")
    return Timestamp(nano)


def parse_timestamp(text: str) -> Timestamp:
    match = _STAMP.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        parts = [int(part) for part in match.groups()[:6]]
        seconds = int((datetime(*parts, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1))  # type: ignore[arg-type,misc]  # six ints
    except ValueError:
        raise EvaluationError(
            f"type conversion error from 'string' to 'google.protobuf.Timestamp': \"{text}\""
        ) from None
    fraction = (match.group(7) or "")[:9].ljust(9, "0")
    if match.group(8):
        offset = int(match.group(9)) * 3600 + int(match.group(10)) * 60
        seconds += -offset if match.group(8) == "+" else offset
    return moment(seconds * _SECOND + int(fraction))


def format_timestamp(value: Timestamp) -> str:
    seconds, nano = divmod(value.nano, _SECOND)
    when = _EPOCH + timedelta(seconds=seconds)
    fraction = f".{nano:09d}".rstrip("0") if nano else ""
    return f"{when.year:04d}-{when:%m-%dT%H:%M:%S}{fraction}Z"


def _zone(name: str) -> tzinfo:
    offset = re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name)
    try:
        if offset is not None:
            minutes = int(offset.group(2)) * 60 + int(offset.group(3))
            return timezone(timedelta(minutes=-minutes if offset.group(1) == "-" else minutes))
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise EvaluationError(f"unknown time zone {name}") from None


def _part(of_time: Callable[[datetime], int], of_duration: Callable[[int], int] | None = None) -> Callable[..., int]:
    def get(value: Any, zone: str = "UTC") -> int:
        if isinstance(value, Duration):
            assert of_duration is not None
            return of_duration(value.nano)
        when = _EPOCH + timedelta(seconds=value.nano // _SECOND)
        return of_time(when.astimezone(_zone(zone)))

    return get


def _whole(unit: int) -> Callable[[int], int]:
    return lambda nano: int(abs(nano) // unit * (1 if nano >= 0 else -1))


def _milliseconds(value: Any, zone: str = "UTC") -> int:
    nano = value.nano
    return _whole(10**6)(nano) if isinstance(value, Duration) else int(nano % _SECOND // 10**6)


GETTERS: Final[dict[str, Callable[..., int]]] = {
    "getFullYear": _part(lambda when: when.year),
    "getMonth": _part(lambda when: when.month - 1),
    "getDayOfYear": _part(lambda when: when.timetuple().tm_yday - 1),
    "getDayOfMonth": _part(lambda when: when.day - 1),
    "getDate": _part(lambda when: when.day),
    "getDayOfWeek": _part(lambda when: when.isoweekday() % 7),
    "getHours": _part(lambda when: when.hour, _whole(3600 * _SECOND)),
    "getMinutes": _part(lambda when: when.minute, _whole(60 * _SECOND)),
    "getSeconds": _part(lambda when: when.second, _whole(_SECOND)),
    "getMilliseconds": _milliseconds,
}
