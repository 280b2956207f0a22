"""Ages as kubectl prints them."""

from __future__ import annotations

import pytest

from roadstead.kinds import ages

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 86400 * 365


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-1, "0s"),
        (-5, "<invalid>"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE + 5, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (8 * HOUR + 30 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (48 * HOUR, "2d"),
        (3 * DAY + 4 * HOUR, "3d4h"),
        (8 * DAY + 5 * HOUR, "8d"),
        (YEAR + 10 * DAY, "375d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + 328 * DAY, "2y328d"),
        (9 * YEAR, "9y"),
    ],
)
def test_human(seconds: float, text: str) -> None:
    assert ages.human(seconds) == text


def test_unset_and_broken_times_are_unknown() -> None:
    assert ages.age(None, 0) == "<unknown>"
    assert ages.age("soon", 0) == "<unknown>"
    assert ages.age("1970-01-01T00:00:00Z", 90) == "90s"
