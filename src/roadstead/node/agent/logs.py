"""Reading a run's log the way `kubectl logs` asks for it (how it is kept: keeper/output.py).

The log is what the process wrote, byte for byte; `log.times` says "by then, that many bytes", so a line's time is that
of the first entry that reaches beyond its beginning: when its first bytes came, to about a millisecond. What no entry
reaches was written by the time that the log was last changed. `log.begin` says how much of the beginning is given up.
Runs of format 1 have no `log.begin`, and entries about a second apart; they are read the same way.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from roadstead.kinds.times import SECOND
from roadstead.node.keeper.output import read_begin

_CHUNK = 256 * 1024
_POLL_SECONDS = (0.02, 0.25)
_DATING_SECONDS = (0.002, 0.02)  # between looks for the time of what just came, and how long that is worth waiting for


@dataclass(frozen=True, slots=True)
class LogRequest:
    """`since`: nanoseconds since the epoch; None = from the beginning. `tail_lines` None = all. `from_byte`: what came
    before it is known already (our own: who was cut off goes on there)."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: int | None = None
    limit_bytes: int | None = None
    from_byte: int = 0


class Times:
    """The log's time index; `refresh` reads what was added."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._read = 0
        self.moments: list[int] = []
        self.sizes: list[int] = []

    def refresh(self) -> None:
        try:
            with open(self._path, "rb") as file:
                if self._read == 0:
                    self._read = _first_data(file.fileno())
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            moment, _, size = line.lstrip(b"\0").partition(b" ")
            if moment.isdigit() and size.isdigit():  # else half of it was just given up
                at = int(moment)
                self.moments.append(max(at, self.moments[-1]) if self.moments else at)  # a clock may be set back
                self.sizes.append(int(size))

    @property
    def size(self) -> int:
        """How much of the log has times."""
        return self.sizes[-1] if self.sizes else 0

    def of(self, offset: int, fallback: int) -> int:
        """When the byte at `offset` was there; `fallback` (or the last time known) if nobody has noted it yet."""
        at = bisect_right(self.sizes, offset)
        if at < len(self.moments):
            return self.moments[at]
        return max(fallback, self.moments[-1]) if self.moments else fallback

    def first_offset_since(self, since: int) -> int:
        """Bytes that were there before `since`."""
        at = bisect_left(self.moments, since)
        return self.sizes[at - 1] if at else 0


def _first_data(fd: int) -> int:
    """Where a file begins whose beginning was given up."""
    try:
        return os.lseek(fd, 0, os.SEEK_DATA)
    except OSError:
        return 0  # an empty file, or no holes here


def format_nanoseconds(ns: int) -> str:
    """RFC3339Nano as kubelets prefix lines with it."""
    return f"{datetime.fromtimestamp(ns // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{ns % SECOND:09d}Z"


async def read_log(path: str, request: LogRequest, is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log in pieces. When following, ends after the run is over and all was sent. O(bytes sent), plus the tail
    sought.

    A follower that is behind by more than is kept goes on with the first line that there still is.
    """
    left = request.limit_bytes
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        async for piece in _Reading(path, fd, request, is_over).pieces():
            if left is None:
                yield piece
                continue
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return
    finally:
        os.close(fd)


class _Reading:
    def __init__(self, path: str, fd: int, request: LogRequest, is_over: Callable[[], bool]) -> None:
        self.path, self.fd, self.request, self.is_over = path, fd, request, is_over
        self.times = Times(f"{path}.times")
        self.times.refresh()
        self.begins_line = True
        self.offset = self._beginning()

    def _beginning(self) -> int:
        """The offset of the first line wanted."""
        size, start = os.fstat(self.fd).st_size, read_begin(self.path)
        request = self.request
        start = max(start, min(size, request.from_byte))
        if request.since is not None:
            start = max(start, _line_start(self.fd, min(size, self.times.first_offset_since(request.since))))
        if request.tail_lines is not None:
            start = max(start, _tail_start(self.fd, start, size, request.tail_lines))
        return start

    async def pieces(self) -> AsyncIterator[bytes]:
        pause = _POLL_SECONDS[0]
        while True:
            over = self.is_over()  # asked before reading: what is written later than this look belongs to the next
            data = os.pread(self.fd, _CHUNK, self.offset)
            begin = read_begin(self.path)  # asked after reading: then what was read before it may be zeros
            if self.offset < begin:
                if not self.begins_line:
                    yield b"\n"
                self.offset, self.begins_line = begin, True
            elif data:
                pause = _POLL_SECONDS[0]
                if self.request.timestamps:
                    await self._date(self.offset + len(data), over)
                    yield self._stamped(data)
                else:
                    yield data
                self.offset += len(data)
                self.begins_line = data.endswith(b"\n")
            elif not self.request.follow or over:
                return
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _POLL_SECONDS[1])

    async def _date(self, size: int, over: bool) -> None:
        """Learn the times of the first `size` bytes, which may be noted a moment after they came."""
        self.times.refresh()
        for _ in range(int(_DATING_SECONDS[1] / _DATING_SECONDS[0])):
            if over or self.times.size >= size:
                return
            await asyncio.sleep(_DATING_SECONDS[0])
            self.times.refresh()

    def _stamped(self, data: bytes) -> bytes:
        """`data`, read at `offset`, with each line that begins in it stamped."""
        changed = os.fstat(self.fd).st_mtime_ns
        offset, lines = self.offset, []
        for line in data.splitlines(keepends=True) if b"\r" not in data else _lines(data):
            if self.begins_line or offset > self.offset:
                lines.append(format_nanoseconds(self.times.of(offset, changed)).encode() + b" ")
            lines.append(line)
            offset += len(line)
        return b"".join(lines)


def _lines(data: bytes) -> list[bytes]:
    """Lines that end with \\n only: a progress bar's \\r begins no line."""
    parts = data.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def _line_start(fd: int, offset: int) -> int:
    """`offset` if a line begins there, else the beginning of the next line."""
    if offset == 0 or os.pread(fd, 1, offset - 1) == b"\n":
        return offset
    while chunk := os.pread(fd, 4096, offset):
        found = chunk.find(b"\n")
        if found >= 0:
            return offset + found + 1
        offset += len(chunk)
    return offset


def _tail_start(fd: int, start: int, size: int, lines: int) -> int:
    """Where the last `lines` lines of what lies between `start` and `size` begin; a last line without a newline
    counts."""
    if lines <= 0:
        return size
    end = size
    if size and os.pread(fd, 1, size - 1) == b"\n":
        end -= 1
    wanted = lines
    while end > start:
        begin = max(start, end - 65536)
        block = os.pread(fd, end - begin, begin)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            wanted -= 1
            if wanted == 0:
                return begin + at + 1
        end = begin
    return start
