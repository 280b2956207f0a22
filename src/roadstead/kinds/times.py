"""Times as the API writes them, to and from integer nanoseconds since the epoch.

`metav1.Time` is RFC 3339 in UTC with whole seconds; `metav1.MicroTime` has exactly six digits after the point (the real
server refuses other counts on input).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_MICRO: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d\.\d{6}(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


@lru_cache(maxsize=4096)
def _format_seconds(seconds: int) -> str:
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"


def format_time(ns: int) -> str:
    """`2026-01-01T00:00:00Z`: whole seconds, rounded down."""
    return _format_seconds(ns // SECOND) + "Z"


def format_micro_time(ns: int) -> str:
    """`2026-01-01T00:00:00.000000Z`: microseconds, rounded down."""
    return f"{_format_seconds(ns // SECOND)}.{ns % SECOND // 1000:06d}Z"


@lru_cache(maxsize=16384)
def parse_time(text: str) -> int:
    """RFC 3339 (either kind, any offset, digits beyond nanoseconds cut off) to nanoseconds. ValueError if it is not a
    time."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" is not an RFC 3339 time; write it as 2026-01-01T00:00:00Z')
    year, month, day, hour, minute, second = (int(part) for part in found.group(1, 2, 3, 4, 5, 6))
    try:
        since = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _EPOCH
    except ValueError as error:
        raise ValueError(f'"{text}" is not an RFC 3339 time: {error}') from error
    seconds = since.days * 86400 + since.seconds
    fraction, sign, offset_hours, offset_minutes = found.group(7, 8, 9, 10)
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            raise ValueError(f'"{text}" is not an RFC 3339 time: the zone offset is out of range')
        offset = int(offset_hours) * 3600 + int(offset_minutes) * 60
        seconds += -offset if sign == "+" else offset
    return seconds * SECOND + int(((fraction or "") + "000000000")[:9])


def is_time(text: str) -> bool:
    """True if `parse_time` would accept the text."""
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


def is_micro_time(text: str) -> bool:
    """True if the text is a MicroTime as the server accepts it: exactly six digits after the point."""
    return _MICRO.fullmatch(text) is not None and is_time(text)
