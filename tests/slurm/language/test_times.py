from __future__ import annotations

from datetime import datetime

import pytest

from roadstead.slurm.language.numbers import amount, mebibytes, spelled
from roadstead.slurm.language.times import UNLIMITED, MomentError, SignalWish, minutes, moment, signal_wish

NOW = datetime(2026, 11, 24, 15, 30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("0:30", 1), ("1:01", 2), ("60:00", 60), ("2:00:00", 120), ("1-1", 1500), ("1-12:30", 2190), ("1-01:02:03", 1503),
     ("0", 0), ("1-", 1440), ("infinite", UNLIMITED), ("-2", UNLIMITED), ("", None), ("1d", None), ("1:", None), (":1", None),
     ("1-:", None), ("1:2:3:4", None), ("1.5", None), (" 1", None)],
)  # fmt: skip
def test_time_limits(text: str, expected: int | None) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("NOW+1hours", datetime(2026, 11, 24, 16, 30)),
        ("now-60", datetime(2026, 11, 24, 15, 29)),
        ("16:00", datetime(2026, 11, 24, 16, 0)),
        ("4:00pm", datetime(2026, 11, 24, 16, 0)),
        ("12:00AM", datetime(2026, 11, 25, 0, 0)),
        ("14:00", datetime(2026, 11, 25, 14, 0)),
        ("tomorrow", datetime(2026, 11, 25)),
        ("noon tomorrow", datetime(2026, 11, 25, 12)),
        ("010230", datetime(2030, 1, 2)),
        ("01/02/30", datetime(2030, 1, 2)),
        ("0102", datetime(2026, 1, 2)),
        ("2030-01-02T12:34:56", datetime(2030, 1, 2, 12, 34, 56)),
        ("elevenses", datetime(2026, 11, 25, 11)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "position"),
    [("now+1month", 4), ("now+", 3), ("now+x", 3), ("4pm", 1), ("25:00", 0), ("2030-13-02", 5), ("2030-01-32", 8), ("tomorrow+1", 8),
     ("x", 0), ("", -1)],
)  # fmt: skip
def test_what_is_no_moment(text: str, position: int) -> None:
    with pytest.raises(MomentError) as refused:
        moment(text, NOW)
    assert refused.value.position == position


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("usr1", SignalWish("USR1")),
        ("SIGTERM@300", SignalWish("TERM", 300)),
        ("B:USR1@60", SignalWish("USR1", 60, True)),
        ("RB:10", SignalWish("10", 60, True, True)),
        ("FOO", None),
        ("0", None),
        ("B:", None),
        ("USR1@x", None),
        ("USR1@65536", None),
        ("X:USR1", None),
    ],
)
def test_signals(text: str, expected: SignalWish | None) -> None:
    assert signal_wish(text) == expected


@pytest.mark.parametrize(
    ("text", "memory", "gres"),
    [("4", 4, 4), ("1025K", 2, 1025 * 1024), ("2G", 2048, 2 << 30), ("1T", 1 << 20, 1 << 40), ("1MB", 1, 1 << 20), ("k", None, 0),
     ("1kx", None, None), ("-1", None, None), ("2.5", None, None), ("", None, None), ("99999999999999999999", None, None)],
)  # fmt: skip
def test_amounts(text: str, memory: int | None, gres: int | None) -> None:
    assert (mebibytes(text), amount(text)) == (memory, gres)


def test_amounts_are_spelled_in_the_largest_unit_that_divides() -> None:
    assert [spelled(value) for value in (0, 1000, 1024, 4 << 30, (4 << 30) + 1)] == [
        "0",
        "1000",
        "1K",
        "4G",
        "4294967297",
    ]
