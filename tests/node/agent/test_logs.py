"""Reading logs: tails, times, limits, following."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from roadstead.kinds.times import SECOND
from roadstead.node.agent.logs import LogRequest, Times, format_nanoseconds, read_log
from roadstead.node.keeper.output import Output, make_fifo, open_for_process
from tests.cluster.loop import in_loop

T0 = 1_800_000_000 * SECOND


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Four lines that came one a second; of the last, half a second late, nobody has noted the time yet."""
    path = tmp_path / "log"
    path.write_text("one\ntwo\nthree\nfour")
    os.utime(path, ns=(T0 + 9 * SECOND, T0 + 9 * SECOND))
    (tmp_path / "log.times").write_text(f"{T0} 4\n{T0 + SECOND} 8\n{T0 + 2 * SECOND} 14\n")
    return str(path)


def read(path: str, **options: object) -> str:
    async def collect() -> bytes:
        request = LogRequest(**options)  # type: ignore[arg-type]
        return b"".join([part async for part in read_log(path, request, lambda: True)])

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
        ({"from_byte": 6}, "o\nthree\nfour"),
        ({"from_byte": 99}, ""),
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
    pieces = read_log(str(path), request, lambda: over)
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
    assert (times.of(3, 0), times.of(4, 0)) == (T0, T0 + 1)
    assert (times.of(9, 7), times.of(9, T0 + 5)) == (T0 + 1, T0 + 5), "no line is older than one before it"


class Kept:
    """A log as a shim keeps it: written, moved, dated, given up at the beginning; beside it all that was ever
    written."""

    def __init__(self, directory: Path, limit: tuple[int, int]) -> None:
        make_fifo(str(directory))
        self.path = str(directory / "log")
        self.output = Output(str(directory), limit)
        self.fifo = open_for_process(str(directory))
        self.written = b""

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), 4096):
            os.write(self.fifo, data[at : at + 4096])
            self.output.drain()
        self.output.note(now=True)
        self.written += data

    def close(self) -> None:
        os.close(self.fifo)
        self.output.close()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path, (16 * 1024, 4))
    yield made
    made.close()


def line(number: int) -> bytes:
    return b"%06d %s\n" % (number, b"x" * (number % 90))


def test_a_log_beyond_its_limit_loses_its_oldest_lines_and_its_blocks(kept: Kept) -> None:
    for number in range(8000):
        kept.write(line(number))
    text = read(kept.path).encode()
    assert kept.written.endswith(text)
    assert text.endswith(line(7999))
    assert 3 * 16 * 1024 - 200 <= len(text) <= 4 * 16 * 1024 + 4096
    assert text[6:7] == b" ", "it begins with a whole line"
    status = os.stat(kept.path)
    assert status.st_size == len(kept.written)
    assert status.st_blocks * 512 < 2 * 4 * 16 * 1024


@pytest.mark.parametrize("lines", [0, 1, 5, 700, 100_000])
def test_tails_reach_back_to_what_is_kept(kept: Kept, lines: int) -> None:
    for number in range(4000):
        kept.write(line(number))
    whole = read(kept.path).splitlines(keepends=True)
    assert read(kept.path, tail_lines=lines) == "".join(whole[-lines:] if lines else [])
    assert read(kept.path, tail_lines=lines, limit_bytes=30) == "".join(whole[-lines:] if lines else [])[:30]


def test_times_of_a_log_that_lost_its_beginning(kept: Kept) -> None:
    for number in range(4000):
        kept.write(line(number))
    middle = time.time_ns()
    kept.write(line(4000))
    stamped = read(kept.path, timestamps=True).splitlines()
    assert stamped[-1].split(" ", 1)[1] == line(4000).decode().rstrip("\n")
    moments = [one.split(" ", 1)[0] for one in stamped]
    assert moments == sorted(moments)
    assert read(kept.path, since=middle) == line(4000).decode()
    assert read(kept.path, since=middle, tail_lines=5) == line(4000).decode()
    assert read(kept.path, since=1) == read(kept.path)


def test_a_follower_sees_every_line_once_while_the_log_is_cut(kept: Kept) -> None:
    async def follow() -> bytes:
        over = False
        seen: list[bytes] = []

        async def collect() -> None:
            async for piece in read_log(kept.path, LogRequest(follow=True), lambda: over):
                seen.append(piece)

        reading = asyncio.ensure_future(collect())
        for number in range(6000):
            kept.write(line(number))
            if number % 200 == 0:
                await asyncio.sleep(0.03)  # longer than the reader's first pause: it is never more behind than is kept
        over = True
        await reading
        return b"".join(seen)

    assert asyncio.run(follow()) == kept.written


def test_a_follower_that_is_too_slow_goes_on_with_a_whole_line(kept: Kept) -> None:
    async def follow() -> list[bytes]:
        kept.write(b"half a line")
        over = False
        pieces = read_log(kept.path, LogRequest(follow=True), lambda: over)
        seen = [await anext(pieces)]
        for number in range(8000):
            kept.write(line(number))
        over = True
        return seen + [piece async for piece in pieces]

    first, *rest = asyncio.run(follow())
    text = b"".join(rest)
    assert (first, text[:1], text[7:8]) == (b"half a line", b"\n", b" ")
    assert kept.written.endswith(text[1:])


def test_a_line_that_comes_in_parts_has_the_time_of_its_beginning(kept: Kept) -> None:
    kept.write(b"one ")
    between = time.time_ns()
    kept.write(b"and the rest\nnext\n")
    first, second = read(kept.path, timestamps=True).splitlines()
    assert first.endswith("Z one and the rest")
    assert first[:30] <= format_nanoseconds(between) <= second[:30]


def test_a_carriage_return_begins_no_line(kept: Kept) -> None:
    kept.write(b"10%\r20%\r\ndone\n")
    assert [one[31:] for one in read(kept.path, timestamps=True).split("\n")] == ["10%\r20%\r", "done", ""]


@given(some.lists(some.integers(1, 5000), min_size=1, max_size=40), some.integers(0, 2**32))
def test_whatever_is_cut_the_rest_is_what_was_written(sizes: list[int], seed: int) -> None:
    """Of any output in any portions, what is kept is its end, it begins with a line, and it is no less than three
    parts."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory:
        kept = Kept(Path(directory), (4096, 4))
        for size in sizes:
            kept.write(bytes(dice.choice(b"abcdefg \n\0") for _ in range(size)))
        text = asyncio.run(whole(kept.path))
        assert kept.written.endswith(text)
        begin = len(kept.written) - len(text)
        assert begin == 0 or kept.written[begin - 1 : begin] == b"\n"
        assert len(text) >= min(len(kept.written), 3 * 4096 - 600)
        kept.close()


async def whole(path: str) -> bytes:
    return b"".join([piece async for piece in read_log(path, LogRequest(), lambda: True)])
