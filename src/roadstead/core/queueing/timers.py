"""Back-offs: when which parked workload may be tried again."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial

from roadstead.core.undo import UndoLog
from roadstead.model.workload import WorkloadKey


class Timers:
    """A heap of (time, workload). Timers that mean nothing any more are dropped when they surface."""

    def __init__(self, undo: UndoLog, is_live: Callable[[int, WorkloadKey], bool]) -> None:
        self._undo = undo
        self._is_live = is_live
        self._heap: list[tuple[int, WorkloadKey]] = []

    def set(self, at: int, key: WorkloadKey) -> None:
        """Wake this workload at a time. A trial that sets one leaves it behind, where it means nothing."""
        heapq.heappush(self._heap, (at, key))

    @property
    def next(self) -> int | None:
        """When the next back-off ends, or None."""
        while self._heap and not self._is_live(*self._heap[0]):
            self._pop()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> WorkloadKey | None:
        """One workload whose back-off has ended, if there is one; its timer is spent."""
        at = self.next
        return self._pop() if at is not None and at <= now else None

    def _pop(self) -> WorkloadKey:
        at, key = heapq.heappop(self._heap)
        if self._undo.is_recording:
            self._undo.record(partial(heapq.heappush, self._heap, (at, key)))
        return key
