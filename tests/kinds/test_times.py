"""Times to nanoseconds and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds import times
from roadstead.kinds.times import SECOND, format_micro_time, format_time, parse_time

NEW_YEAR = 1767225600 * SECOND  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01T01:00:00+01:00", NEW_YEAR),
        ("2025-12-31T18:30:00-05:30", NEW_YEAR),
        ("2026-01-01T00:00:00.5Z", NEW_YEAR + SECOND // 2),
        ("2026-01-01T00:00:00.123456789Z", NEW_YEAR + 123456789),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_parsing(text: str, ns: int) -> None:
    assert parse_time(text) == ns


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an RFC 3339 time"):
        parse_time(text)


@given(st.integers(0, 4_000_000_000))
def test_whole_seconds_survive(seconds: int) -> None:
    assert parse_time(format_time(seconds * SECOND)) == seconds * SECOND


@given(st.integers(0, 4_000_000_000_000_000))
def test_microseconds_survive(micros: int) -> None:
    text = format_micro_time(micros * 1000)
    assert parse_time(text) == micros * 1000
    assert times.is_micro_time(text)


def test_micro_times_have_six_digits() -> None:
    assert format_micro_time(NEW_YEAR) == "2026-01-01T00:00:00.000000Z"
    assert not times.is_micro_time("2026-01-01T00:00:00.5Z")
    assert not times.is_micro_time("2026-01-01T00:00:00Z")
