"""The pending workloads of one ClusterQueue: a heap of active ones and a set of parked ones (kueue.md 3.2).

Moving a workload costs O(log n); the head is found in O(1) amortised. Entries of the heap are never searched for: one that
moved on leaves a stale ticket behind, dropped when it surfaces.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from roadstead.core.memory import Place
from roadstead.core.queueing.standing import HeapOrder, Standing
from roadstead.core.undo import UndoLog
from roadstead.model.queues import QueueingStrategy
from roadstead.model.workload import WorkloadKey


class PendingQueue:
    """Active heap, parked set, bulk-parked classes and sticky head of one ClusterQueue."""

    __slots__ = (
        "_classes",
        "_heap",
        "_ticket",
        "_undo",
        "active",
        "bulk_parked",
        "name",
        "parked",
        "sticky",
        "strategy",
    )

    def __init__(self, name: str, undo: UndoLog) -> None:
        self.name = name
        self.strategy = QueueingStrategy.BEST_EFFORT_FIFO
        self.active: dict[WorkloadKey, Standing] = {}
        self.parked: dict[WorkloadKey, Standing] = {}
        self.bulk_parked: set[int] = set()
        self.sticky: tuple[WorkloadKey, int] | None = None  # (workload, generation)
        self._classes: dict[int, dict[WorkloadKey, Standing]] = {}
        self._heap: list[tuple[HeapOrder, int, Standing]] = []
        self._ticket = 0
        self._undo = undo

    @property
    def is_strict(self) -> bool:
        return self.strategy is QueueingStrategy.STRICT_FIFO

    def head(self) -> Standing | None:
        """The workload whose turn it is: the sticky one, else first by priority, queue time, uid."""
        if self.sticky is not None and not self.is_strict:
            key, generation = self.sticky
            standing = self.active.get(key)
            if standing is not None and standing.fact.generation == generation:
                return standing
        heap = self._heap
        while heap:
            _, ticket, standing = heap[0]
            if standing.ticket == ticket and self.active.get(standing.key) is standing:
                return standing
            heapq.heappop(heap)
        return None

    def ordered(self) -> list[Standing]:
        """Active workloads in the order of their turns. O(n log n): for explanations and reports."""
        head = self.head()
        rest = sorted(self.active.values(), key=lambda s: s.heap_order)
        if head is not None and rest[0] is not head:
            rest.remove(head)
            rest.insert(0, head)
        return rest

    def of_class(self, shape: int) -> Iterator[Standing]:
        """Active workloads of one equivalence class."""
        return iter(list(self._classes.get(shape, {}).values()))

    def put(self, standing: Standing, place: Place) -> None:
        """Move a workload of this queue to another place. Undoable."""
        before = standing.place
        self._put(standing, place)
        if self._undo.is_recording:
            self._undo.record(lambda: self._put(standing, before))

    def _put(self, standing: Standing, place: Place) -> None:
        key = standing.key
        if standing.place is Place.HEAP:
            self.active.pop(key, None)
            members = self._classes[standing.shape]
            members.pop(key, None)
            if not members:
                del self._classes[standing.shape]
        elif standing.place is Place.PARKED:
            self.parked.pop(key, None)
        standing.place = place
        if place is Place.HEAP:
            self._ticket += 1
            standing.ticket = self._ticket
            self.active[key] = standing
            self._classes.setdefault(standing.shape, {})[key] = standing
            heapq.heappush(self._heap, (standing.heap_order, self._ticket, standing))
        elif place is Place.PARKED:
            self.parked[key] = standing

    def set_strategy(self, strategy: QueueingStrategy) -> None:
        before = self.strategy
        self.strategy = strategy

        def back() -> None:
            self.strategy = before

        self._undo.record(back)

    def set_sticky(self, sticky: tuple[WorkloadKey, int] | None) -> None:
        before = self.sticky
        if before == sticky:
            return
        self.sticky = sticky

        def back() -> None:
            self.sticky = before

        self._undo.record(back)

    def park_class(self, shape: int) -> None:
        """Park every active workload of a class, and remember to park newcomers of it until the next un-park."""
        for standing in self.of_class(shape):
            self.put(standing, Place.PARKED)
        if shape not in self.bulk_parked:
            self.bulk_parked.add(shape)
            self._undo.record(lambda: self.bulk_parked.discard(shape))

    def forget_classes(self) -> None:
        if self.bulk_parked:
            before = self.bulk_parked
            self.bulk_parked = set()

            def back() -> None:
                self.bulk_parked = before

            self._undo.record(back)
