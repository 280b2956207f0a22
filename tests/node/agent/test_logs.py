"""Reading logs: tails, times, limits, following."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from roadstead.kinds.times import SECOND
from roadstead.node.agent.logs import LogRequest, Times, format_nanoseconds, read_log
from tests.cluster.loop import in_loop

T0 = 1_800_000_000 * SECOND


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Four lines that came one a second; of the last, half a second late, nobody has noted the time yet."""
    path = tmp_path / "log"
    path.write_text("one\ntwo\nthree\nfour")
    (tmp_path / "log.times").write_text(f"{T0} 4\n{T0 + SECOND} 8\n{T0 + 2 * SECOND} 14\n")
    return str(path)


def read(path: str, **options: object) -> str:
    async def collect() -> bytes:
        request = LogRequest(**options)  # type: ignore[arg-type]
        return b"".join([part async for part in read_log(path, request, lambda: T0 + 9 * SECOND, lambda: True)])

    return asyncio.run(collect()).decode()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "one\ntwo\nthree\nfour"),
        ({"tail_lines": 0}, ""),
        ({"tail_lines": 1}, "four"),
        ({"tail_lines": 2}, "three\nfour"),
        ({"tail_lines": 4}, "one\ntwo\nthree\nfour"),
        ({"tail_lines": 99}, "one\ntwo\nthree\nfour"),
        ({"limit_bytes": 5}, "one\nt"),
        ({"tail_lines": 2, "limit_bytes": 3}, "thr"),
        ({"since": T0 - 1}, "one\ntwo\nthree\nfour"),
        ({"since": T0 + 1}, "two\nthree\nfour"),
        ({"since": T0 + SECOND}, "two\nthree\nfour"),
        ({"since": T0 + 2 * SECOND + 1}, "four"),
        ({"since": T0 + SECOND, "tail_lines": 1}, "four"),
        ({"follow": True}, "one\ntwo\nthree\nfour"),
    ],
)
def test_which_part(log: str, options: dict[str, object], expected: str) -> None:
    assert read(log, **options) == expected


def test_lines_with_times(log: str) -> None:
    assert read(log, timestamps=True).splitlines() == [
        f"{format_nanoseconds(T0)} one",
        f"{format_nanoseconds(T0 + SECOND)} two",
        f"{format_nanoseconds(T0 + 2 * SECOND)} three",
        f"{format_nanoseconds(T0 + 9 * SECOND)} four",
    ]
    assert format_nanoseconds(T0 + 5) == "2027-01-15T08:00:00.000000005Z"


def test_a_log_without_times_or_without_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x\n")
    assert read(str(tmp_path / "log"), since=T0) == "x\n"
    assert read(str(tmp_path / "missing")) == ""


@given(some.lists(some.text("ab", max_size=6), max_size=30), some.integers(0, 35), some.booleans())
def test_tails_are_what_splitting_gives(lines: list[str], count: int, ends: bool) -> None:
    import tempfile

    text = "\n".join(lines) + ("\n" if ends and lines else "")
    with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
        file.write(text)
        file.flush()
        expected = "".join(text.splitlines(keepends=True)[-count:]) if count else ""
        assert read(file.name, tail_lines=count) == expected


def test_tails_of_long_lines_are_found_across_blocks(tmp_path: Path) -> None:
    lines = [f"{index} " + "x" * 50_000 for index in range(6)]
    (tmp_path / "log").write_text("\n".join(lines) + "\n")
    assert read(str(tmp_path / "log"), tail_lines=3) == "\n".join(lines[3:]) + "\n"


@in_loop
async def test_following_brings_what_is_written_later_and_ends_with_the_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_text("first\n")
    over = False
    request = LogRequest(follow=True)
    pieces = read_log(str(path), request, lambda: T0, lambda: over)
    assert await anext(pieces) == b"first\n"
    with path.open("a") as file:
        file.write("second\n")
    assert await anext(pieces) == b"second\n"
    with path.open("a") as file:
        file.write("last")
    over = True
    assert [piece async for piece in pieces] == [b"last"]


def test_times_are_read_as_they_grow(tmp_path: Path) -> None:
    path = tmp_path / "times"
    times = Times(str(path))
    times.refresh()
    path.write_text(f"{T0} 4\n{T0 + 1}")
    times.refresh()
    assert times.moments == [T0]
    path.write_text(f"{T0} 4\n{T0 + 1} 9\n")
    times.refresh()
    assert (times.of(3, 0), times.of(4, 0), times.of(9, 7)) == (T0, T0 + 1, 7)
