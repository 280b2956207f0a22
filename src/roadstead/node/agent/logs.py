"""Reading a run's log the way `kubectl logs` asks for it.

The log is what the process wrote, byte for byte; `log.times` says "until then, that many bytes", so a line's time is that of the
first entry that reaches beyond its beginning: exact to the shim's looks, at most about a second late.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from roadstead.kinds.times import SECOND

_CHUNK = 256 * 1024
_POLL_SECONDS = (0.02, 0.25)


@dataclass(frozen=True, slots=True)
class LogRequest:
    """`since`: nanoseconds since the epoch; None = from the beginning. `tail_lines` None = all."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: int | None = None
    limit_bytes: int | None = None


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
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            moment, _, size = line.partition(b" ")
            self.moments.append(int(moment))
            self.sizes.append(int(size))

    def of(self, offset: int, fallback: int) -> int:
        """When the byte at `offset` was there; `fallback` if nobody has noted it yet."""
        at = bisect_right(self.sizes, offset)
        return self.moments[at] if at < len(self.moments) else fallback

    def first_offset_since(self, since: int) -> int:
        """Bytes that were there before `since`."""
        at = 0
        while at < len(self.moments) and self.moments[at] < since:
            at += 1
        return self.sizes[at - 1] if at else 0


def format_nanoseconds(ns: int) -> str:
    """RFC3339Nano as kubelets prefix lines with it."""
    return f"{datetime.fromtimestamp(ns // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{ns % SECOND:09d}Z"


async def read_log(
    path: str, request: LogRequest, now: Callable[[], int], is_over: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The log in pieces. When following, ends after the run is over and all was sent. O(bytes sent), plus the tail sought."""
    times = Times(f"{path}.times")
    times.refresh()
    left = request.limit_bytes
    async for piece in _pieces(path, request, times, now, is_over):
        if left is None:
            yield piece
            continue
        if left <= 0:
            return
        yield piece[:left]
        left -= len(piece)


async def _pieces(
    path: str, request: LogRequest, times: Times, now: Callable[[], int], is_over: Callable[[], bool]
) -> AsyncIterator[bytes]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        offset = _beginning(fd, request, times)
        pause = _POLL_SECONDS[0]
        rest = b""
        while True:
            over = is_over()  # asked before reading: what is written later than this look belongs to the next
            data = os.pread(fd, _CHUNK, offset)
            if data:
                pause = _POLL_SECONDS[0]
                if request.timestamps:
                    times.refresh()
                    data = rest + data
                    begin, offset = offset - len(rest), offset + len(data) - len(rest)
                    cut = data.rfind(b"\n") + 1
                    rest = data[cut:]
                    if cut:
                        yield _stamped(data[:cut], begin, times, now())
                else:
                    offset += len(data)
                    yield data
                continue
            if not request.follow or over:
                if rest:
                    yield _stamped(rest, offset - len(rest), times, now())
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _POLL_SECONDS[1])
    finally:
        os.close(fd)


def _stamped(data: bytes, offset: int, times: Times, now: int) -> bytes:
    lines = []
    for line in data.splitlines(keepends=True):
        lines.append(format_nanoseconds(times.of(offset, now)).encode() + b" " + line)
        offset += len(line)
    return b"".join(lines)


def _beginning(fd: int, request: LogRequest, times: Times) -> int:
    """The offset of the first line wanted."""
    size = os.fstat(fd).st_size
    start = 0
    if request.since is not None:
        start = _line_start(fd, min(size, times.first_offset_since(request.since)))
    if request.tail_lines is not None:
        start = max(start, _tail_start(fd, size, request.tail_lines))
    return start


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


def _tail_start(fd: int, size: int, lines: int) -> int:
    """Where the last `lines` lines begin; a last line without a newline counts."""
    if lines <= 0:
        return size
    end = size
    if size and os.pread(fd, 1, size - 1) == b"\n":
        end -= 1
    wanted = lines
    while end > 0:
        begin = max(0, end - 65536)
        block = os.pread(fd, end - begin, begin)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            wanted -= 1
            if wanted == 0:
                return begin + at + 1
        end = begin
    return 0
