"""The journal of a deciding process: all that its world was given, when it decided, and what; enough to decide it all
again.

`record` is the `Journal` of the admission decider. It costs an append: encoding, compressing and writing happen in a
thread, in batches, and without fsync, for a journal explains and is not needed to go on. Files are bounded: each begins
with a snapshot of the world and can be replayed alone, and the oldest go. Trouble (a full disk, a decision that cannot
be encoded) is said once, ends the file, and never reaches the decisions; a while later there is a new file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final, TypeAlias

from roadstead import __version__
from roadstead.core.dump import Snapshot, snapshot
from roadstead.core.encoding import encode
from roadstead.core.given import Given
from roadstead.core.plan import Plan
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.history.format import FORMAT, encoded_plans, file_name, files_in, line, number_of

log = logging.getLogger(__name__)

DEFAULT_SIZE: Final = 64 << 20
"""Bytes on the disk for all files together: some 100,000 jobs from submission to end."""

FILES: Final = 4
"""Into how many files the size is cut."""

PENDING_MAX: Final = 50_000
"""Decisions that may wait for the thread. Should the disk be slower than that, there is a gap, and then a new file."""

BATCH_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 60.0
BLOCK: Final = 1 << 20

Record: TypeAlias = tuple[Sequence[Given], int, Sequence[Plan]]


@dataclass(frozen=True, slots=True)
class _Start:
    """Begin a file here. `follows`: the file before ends where this one begins."""

    world: Snapshot
    follows: bool


class Journal:
    """Writes one process's decisions to files in `folder`. `size`: bytes for all files; they take more only where the
    newest two do, because a snapshot alone is larger than that."""

    def __init__(self, folder: Path, world: World, rules: Rules, size: int = DEFAULT_SIZE) -> None:
        """Begins with a snapshot of the world as it is. Call before the world is given anything that shall be
        journaled."""
        self._world = world
        self._pending: deque[Record | _Start] = deque([_Start(snapshot(world), follows=False)])
        self._wants_start = False
        self._has_gap = False
        self._wake = threading.Event()
        self._wake.set()
        self._stopping = threading.Event()
        self._writer = _Writer(folder, size, rules)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def record(self, given: Sequence[Given], now: int, plans: Sequence[Plan]) -> None:
        """Take one decision, just made and assumed. O(1), except that a new file begins with a snapshot now and then:
        O(world) references. Never raises."""
        pending = self._pending
        if self._has_gap and not pending:
            pending.append(_Start(snapshot(self._world), follows=False))
            self._has_gap = self._wants_start = False
        elif self._has_gap or len(pending) >= PENDING_MAX:
            self._has_gap = True
        else:
            pending.append((given, now, plans))
            if self._wants_start:
                self._wants_start = False
                pending.append(_Start(snapshot(self._world), follows=True))
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Write what is pending and end the thread."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            self._stopping.wait(BATCH_SECONDS)
            self._write_pending()
        self._write_pending()
        self._writer.close()

    def _write_pending(self) -> None:
        while self._pending:
            self._writer.take(self._pending.popleft())
            time.sleep(0)  # between any two, the deciding thread goes on if it wants to
        self._writer.flush()
        if self._writer.asks_for_start():
            self._wants_start = True


class _Writer:
    """The thread's half: the open file, how full it is, and what became of the disk."""

    def __init__(self, folder: Path, size: int, rules: Rules) -> None:
        self._folder = folder
        self._size = size
        self._rules = encode(rules)
        self._file: FileIO | None = None
        self._zip = zlib.compressobj(level=1, wbits=31)
        self._packed = bytearray()
        self._written = 0
        self._limit = 0
        self._has_asked = False
        self._is_cut_off = False  # decisions were lost since the last file
        self._retry_at = 0.0

    def take(self, item: Record | _Start) -> None:
        try:
            if isinstance(item, _Start):
                self._begin(item)
            elif self._file is not None:
                given, now, plans = item
                self._put({"now": now, "given": encode(given), "plans": encoded_plans(plans)})
            else:
                self._is_cut_off = True
        except Exception as error:
            self._give_up(error)

    def flush(self) -> None:
        """Whatever was taken is in the file, should the process die now."""
        if self._file is None:
            return
        try:
            self._write(zlib.Z_SYNC_FLUSH)
        except Exception as error:
            self._give_up(error)

    def asks_for_start(self) -> bool:
        """True, once, when a new file is due."""
        if self._has_asked:
            return False
        is_due = time.monotonic() >= self._retry_at if self._file is None else self._written >= self._limit
        self._has_asked = is_due
        return is_due

    def close(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            with file:
                self._packed += self._zip.flush(zlib.Z_FINISH)
                file.write(self._packed)
        except OSError as error:
            log.warning("the end of the journal could not be written: %s", error)

    def _begin(self, start: _Start) -> None:
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = files_in(self._folder)
        self._prune(files)
        name = file_name(number_of(files[-1]) + 1 if files else 1)
        self._file = FileIO(self._folder / name, "xb", opener=_private)
        self._zip = zlib.compressobj(level=1, wbits=31)
        self._packed = bytearray()
        self._written = 0
        follows = start.follows and not self._is_cut_off
        self._put({"journal": FORMAT, "program": __version__, "follows": follows, "rules": self._rules})
        self._put({"snapshot": {"facts": len(start.world.facts), "memory": encode(start.world.memory)}})
        for fact in start.world.facts:
            self._put(encode(fact))
            time.sleep(0)
        self._write(zlib.Z_SYNC_FLUSH)
        self._limit = self._written + max(self._size // FILES, self._written)
        self._has_asked = self._is_cut_off = False

    def _prune(self, files: Sequence[Path]) -> None:
        """Make room for one file more."""
        sizes = [path.stat().st_size for path in files]
        total = sum(sizes)
        for path, size in zip(files[:-1], sizes, strict=False):
            if total <= self._size - self._size // FILES:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _put(self, value: Any) -> None:
        self._packed += self._zip.compress(line(value))
        if len(self._packed) >= BLOCK:
            self._write(None)

    def _write(self, mode: int | None) -> None:
        if mode is not None:
            self._packed += self._zip.flush(mode)
        assert self._file is not None
        view = memoryview(self._packed)
        while view:
            done = self._file.write(view)
            self._written += done
            view = view[done:]
        self._packed = bytearray()

    def _give_up(self, error: Exception) -> None:
        """End this file. Whatever the error was, the thread goes on: nobody else would ever write again."""
        is_ours = not isinstance(error, OSError)
        log.warning(
            "the journal cannot be written (%r); decisions go on, and so will it in %.0f s",
            error,
            RETRY_SECONDS,
            exc_info=error if is_ours else None,
        )
        if is_ours and self._file is not None:
            with contextlib.suppress(Exception):
                self._write(zlib.Z_SYNC_FLUSH)  # the decisions before are what will be asked for
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
        self._is_cut_off, self._has_asked = True, False
        self._retry_at = time.monotonic() + RETRY_SECONDS


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
