"""The server's disk: what was committed stays, whatever becomes of the process that wrote it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roadstead.cluster.embedded.failures import CommitFailed, DiskFull
from roadstead.cluster.embedded.log import Contents, Row

Committed = Callable[[Sequence[Row]], None]


class Disk:
    """Rows by resourceVersion, as the SQLite log keeps them. Survives crashes of the server."""

    def __init__(self, committed: Committed) -> None:
        """`committed` is told every batch of rows, in order, as soon as it is safe."""
        self.rows: dict[int, Row] = {}
        self.floor = 0
        self.last_rv = 0
        self.is_full = False
        """While True, commits fail and nothing is stored."""
        self.breaks_next = 0
        """So many of the next commits fail for a reason that says nothing about what was stored."""
        self._committed = committed

    def open(self) -> DiskLog:
        """The log as a server process that starts now finds it."""
        return DiskLog(self)

    def append(self, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        if self.is_full:
            raise DiskFull(f"the disk is full on purpose: {len(rows)} writes were not stored")
        if self.breaks_next:
            self.breaks_next -= 1
            raise CommitFailed(f"the disk failed on purpose: {len(rows)} writes were not stored")
        for row in rows:
            self.rows[row.rv] = row
            self.last_rv = max(self.last_rv, row.rv)
        for rv in dead:
            self.rows.pop(rv, None)
        if dead:
            self.floor = floor
        self._committed(rows)


class DiskLog:
    """`cluster.embedded.log.Log` of one server process. Once that is dead it reaches the disk no more."""

    in_thread = True

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.is_dead = False

    def load(self) -> Contents:
        disk = self._disk
        return Contents("simulated", disk.last_rv, disk.floor, [disk.rows[rv] for rv in sorted(disk.rows)])

    def commit(self, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        if self.is_dead:
            raise CommitFailed("the process that wanted to write is dead")
        self._disk.append(rows, dead, floor)

    def close(self) -> None:
        self.is_dead = True
