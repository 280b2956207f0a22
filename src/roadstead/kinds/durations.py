"""Durations as Go writes them (metav1.Duration): `1h30m`, `2.5s`, `100ms`, `0`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LONGEST: Final = 2**63 - 1


def parse_duration(text: str) -> int:
    """Nanoseconds, as Go's time.ParseDuration reads them. ValueError if the text is no duration or does not fit 64
    bits."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, at = Fraction(), 0
    while at < len(rest):
        found = _PART.match(rest, at)
        if found is None:
            break
        total += Fraction(found[1].rstrip(".")) * _UNITS[found[2]]
        at = found.end()
    if not rest or at < len(rest) or total > _LONGEST:
        raise ValueError(f'"{text}" is no duration; write it as 90s, 5m or 1h30m')
    return sign * int(total)
