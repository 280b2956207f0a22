"""Where a run's output goes: a pipe that the process writes to, and a log file that its shim moves the bytes into.

The process gets a fifo as stdout and stderr, as under container runtimes, and not the file: a script may then open
/dev/stderr again (with a file `echo x > /dev/stderr` would cut the log to nothing), and whoever moves the bytes knows
when they came. The bytes are moved by splice(2), inside the kernel, so the shim holds none that its death could lose;
what waits in the fifo when it dies stays there as long as anybody has the fifo open, which the keeper has, and the
keeper moves the rest (`rescue`). Both streams share one fifo: their order is the order of the writes, and they are not
told apart.

    log         what the process wrote, byte for byte; offsets never change
    log.times   lines `<nanoseconds> <size>`: by then the log had that many bytes
    log.begin   offset of the first line that is still kept (absent: 0)

A log beyond its limit loses its oldest part: `log.begin` is set, then the disk blocks before it are given back (a hole
is punched, fallocate(2)). No file is renamed, so readers and `tail -f` go on undisturbed, and no offset means two
things. Where a file system cannot do that the log keeps growing. A line that is not in `log.times` yet was written by
the time that the log was last changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import Final

from roadstead.node.keeper import linux

FIFO: Final = "output"
LOG: Final = "log"
TIMES: Final = "log.times"
BEGIN: Final = "log.begin"

LIMIT: Final = (10 << 20, 5)
"""(bytes of one part, parts kept): kubelet's containerLogMaxSize and containerLogMaxFiles."""

_CHUNK = 1 << 20
_ROUND_BYTES = 8 << 20  # moved before the shim looks at its other duties
_LINE_SEARCH = 64 * 1024
_NOTE_NS = 1_000_000  # between two entries of a small time index; doubled with each _INDEX_STEP of it
_INDEX_STEP = 1 << 20
_NOTE_NS_MOST = 1_000_000_000


class Output:
    """The shim's end: moves, dates and forgets. It is told when to (`drain`) and says when it wants to be asked
    again."""

    def __init__(self, path: str, limit: tuple[int, int] = LIMIT) -> None:
        self.path = path
        self.part, self.parts = limit
        # For writing as well: a fifo that its writers have closed would otherwise be "readable" without end.
        self.fifo = os.open(os.path.join(path, FIFO), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.log = os.open(os.path.join(path, LOG), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.times = os.open(os.path.join(path, TIMES), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self.log).st_size
        self.begin = 0
        self.is_stuck = False
        """The last attempt to write failed (a full disk): the process may block, nothing is lost; try again later."""
        self._noted = self.size
        self._noted_at = 0
        self._index_size = 0
        self._index_begin = 0
        self._entries: list[tuple[int, int]] = []  # (log size, index offset after) at each part's end
        self._can_forget = True

    def drain(self) -> int:
        """Move what waits in the fifo, at most some megabytes; bytes moved."""
        before = self.size
        self.is_stuck = False
        try:
            while self.size - before < _ROUND_BYTES:
                moved = move(self.fifo, self.log, self.size)
                if not moved:
                    break
                self.size += moved
        except OSError:
            self.is_stuck = True
        if self.size - self.begin > self.part * self.parts:
            self._forget()
        self.note()
        return self.size - before

    def note(self, *, now: bool = False) -> float | None:
        """Date what came since the last entry, unless that was a moment ago; seconds until there will be something to
        date."""
        if self.size == self._noted:
            return None
        at = time.time_ns()
        pause = min(_NOTE_NS << min(30, (self._index_size - self._index_begin) // _INDEX_STEP), _NOTE_NS_MOST)
        left = self._noted_at + pause - at
        if 0 < left <= _NOTE_NS_MOST and not now:
            return left / 1e9
        try:
            self._index_size += os.write(self.times, f"{at} {self.size}\n".encode())
        except OSError:
            self._noted_at = at  # a full disk costs times, not output
            return pause / 1e9
        self._noted, self._noted_at = self.size, at
        if not self._entries or self.size >= self._entries[-1][0] + self.part // 4:
            self._entries.append((self.size, self._index_size))
        return None

    def _forget(self) -> None:
        """Keep the newest parts but one (and what is to come of it), beginning with a whole line."""
        begin = self._line_after(self.size - self.part * (self.parts - 1))
        self.begin = begin
        if not self._can_forget:
            return
        try:
            _replace(os.path.join(self.path, BEGIN), f"{begin}\n".encode())
            linux.punch_hole(self.log, 0, begin)
            while self._entries and self._entries[0][0] <= begin:
                self._index_begin = self._entries.pop(0)[1]
            if self._index_begin:
                linux.punch_hole(self.times, 0, self._index_begin)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM):  # not known here: the log stays whole
                self._can_forget = False
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self.path, BEGIN))

    def _line_after(self, offset: int) -> int:
        """Where the first line at or after `offset` begins; `offset` itself in the middle of a very long one."""
        found = os.pread(self.log, _LINE_SEARCH, offset - 1).find(b"\n")
        return offset if found < 0 else offset + found

    def close(self) -> None:
        self.note(now=True)
        for fd in (self.fifo, self.log, self.times):
            os.close(fd)


def make_fifo(path: str) -> None:
    """The fifo of the run at `path`, unless it has one."""
    try:
        os.mkfifo(os.path.join(path, FIFO), 0o600)
    except FileExistsError:
        return


def open_fifo(path: str) -> int:
    """A descriptor that reads the fifo without waiting, and while it is open keeps what is in it."""
    return os.open(os.path.join(path, FIFO), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def open_for_process(path: str) -> int:
    """The process's end. There must be a reader already."""
    fd = os.open(os.path.join(path, FIFO), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(fd, True)
    return fd


def move(source: int, target: int, offset: int) -> int:
    """Move some bytes from a fifo to `offset` of a file without holding them; how many, 0 if there are none now."""
    try:
        return os.splice(source, target, _CHUNK, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
    except BlockingIOError:
        return 0
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    # A file system that cannot splice. Between these two lines a kill -9 could lose up to a page.
    try:
        data = os.read(source, 4096)
    except BlockingIOError:
        return 0
    written = 0
    while written < len(data):
        written += os.pwrite(target, data[written:], offset + written)
    return written


def rescue(path: str) -> None:
    """Move what a killed shim left in the fifo of its run to the log. The run's processes are dead, its lock is
    ours."""
    try:
        fifo = open_fifo(path)
    except OSError:
        return  # a run of the format before: its process wrote to the log itself
    try:
        log = os.open(os.path.join(path, LOG), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(log).st_size
            while moved := move(fifo, log, size):
                size += moved
        finally:
            os.close(log)
    except OSError:
        return  # a full disk
    finally:
        os.close(fifo)


def read_begin(path: str) -> int:
    """Offset of the first line that the log at `path` (the file `log` itself) still has."""
    try:
        with open(f"{path}.begin", "rb") as file:
            text = file.read(32).strip()
    except FileNotFoundError:
        return 0
    return int(text) if text.isdigit() else 0


def _replace(path: str, text: bytes) -> None:
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)
    os.rename(temporary, path)
