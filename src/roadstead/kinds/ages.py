"""Durations for people, as `kubectl get` prints them (apimachinery `duration.HumanDuration`)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import times

UNKNOWN: Final = "<unknown>"


def human(seconds: float) -> str:
    """`5s`, `2m30s`, `5h`, `2d3h`, `400d`, `2y10d`: two units at most, fewer as they stop mattering."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 60 * 2:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 60 * 3:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years = days // 365
    if hours < 24 * 365 * 8:
        return _two(years, "y", days % 365, "d")
    return f"{years}y"


def _two(major: int, major_unit: str, minor: int, minor_unit: str) -> str:
    return f"{major}{major_unit}{minor}{minor_unit}" if minor else f"{major}{major_unit}"


def age(timestamp: Any, now: float) -> str:
    """How long ago an API time was, `now` in seconds since the epoch; `<unknown>` if unset."""
    if not timestamp:
        return UNKNOWN
    try:
        return human(now - times.parse_time(timestamp) / times.SECOND)
    except ValueError:
        return UNKNOWN


def created(obj: dict[str, Any], now: float) -> str:
    """The Age cell of an object."""
    return age(obj["metadata"].get("creationTimestamp"), now)
