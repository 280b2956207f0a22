"""The pending workloads of one ClusterQueue: active ones by turn, and parked ones (kueue.md 3.2, 3.12).

Workloads stand in line by equivalence class: members of one class differ only in time, so a class is parked and brought
back as a whole, in O(1) however many wait. Moving one workload costs O(log n), finding the head O(1) amortised. Entries
of the heaps are never searched for: one that moved on leaves a stale ticket behind, dropped when it surfaces.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from functools import partial

from roadstead.core.facts import FactKey
from roadstead.core.memory import Place
from roadstead.core.queueing.standing import HeapOrder, Standing, WaitingClass
from roadstead.core.undo import UndoLog
from roadstead.model.queues import QueueingStrategy
from roadstead.model.workload import WorkloadKey


class PendingQueue:
    """Line, parked workloads, parked classes and sticky head of one ClusterQueue."""

    __slots__ = (
        "_classes",
        "_heap",
        "_ticket",
        "_undo",
        "_waiting",
        "active_count",
        "bulk_parked",
        "name",
        "parked",
        "sticky",
        "strategy",
    )

    def __init__(self, name: str, undo: UndoLog) -> None:
        self.name = name
        self.strategy = QueueingStrategy.BEST_EFFORT_FIFO
        self.active_count = 0
        self.parked: dict[WorkloadKey, Standing] = {}  # one by one; members of parked classes are not in it
        self.bulk_parked: set[int] = set()  # shapes
        self.sticky: tuple[WorkloadKey, int] | None = None  # (workload, generation)
        self._classes: dict[int, dict[FactKey, WaitingClass]] = {}  # shape -> (namespace, LocalQueue) -> class
        self._waiting: dict[WorkloadKey, Standing] = {}
        self._heap: list[tuple[HeapOrder, int, WaitingClass]] = []
        self._ticket = 0
        self._undo = undo

    @property
    def is_strict(self) -> bool:
        return self.strategy is QueueingStrategy.STRICT_FIFO

    def is_active(self, key: WorkloadKey) -> bool:
        standing = self._waiting.get(key)
        return standing is not None and standing.place is Place.HEAP

    def head(self) -> Standing | None:
        """The workload whose turn it is: the sticky one, else first by priority, queue time, uid."""
        if self.sticky is not None and not self.is_strict:
            key, generation = self.sticky
            standing = self._waiting.get(key)
            if standing is not None and standing.fact.generation == generation and standing.place is Place.HEAP:
                return standing
        heap = self._heap
        while heap:
            order, ticket, line = heap[0]
            first = None if line.is_parked or line.ticket != ticket else line.head()
            if first is None:
                heapq.heappop(heap)
            elif first.heap_order == order:
                return first
            else:
                heapq.heapreplace(heap, (first.heap_order, ticket, line))
        return None

    def _line_up(self, line: WaitingClass, order: HeapOrder) -> None:
        """Enter a class among the others by its head; its former entry is stale from now on."""
        self._ticket += 1
        line.ticket = self._ticket
        heapq.heappush(self._heap, (order, self._ticket, line))

    def ordered(self) -> list[Standing]:
        """Active workloads in the order of their turns. O(n log n): for explanations and reports."""
        head = self.head()
        active = (s for line in self._lines() if not line.is_parked for s in line.members.values())
        rest = sorted(active, key=lambda s: s.heap_order)
        if head is not None and rest[0] is not head:
            rest.remove(head)
            rest.insert(0, head)
        return rest

    def heads(self) -> Iterator[Standing]:
        """The first of each class of each LocalQueue that is not parked. O(such classes)."""
        for line in self._lines():
            first = None if line.is_parked else line.head()
            if first is not None:
                yield first

    def is_sticky(self, standing: Standing) -> bool:
        """Its preemptions are in progress: who arrives later does not overtake it."""
        return not self.is_strict and self.sticky == (standing.key, standing.fact.generation)

    def everyone(self) -> list[Standing]:
        """All that wait, active and parked, in the order of their turns if all were tried (Kueue KEP-168). O(n log
        n)."""
        waiting = [*self._waiting.values(), *self.parked.values()]
        return sorted(waiting, key=lambda standing: (not self.is_sticky(standing), standing.heap_order))

    def members(self, shape: int) -> Iterator[WorkloadKey]:
        """All that wait in the lines of a class. O(their number)."""
        for line in self._classes.get(shape, {}).values():
            yield from line.members

    def _lines(self) -> Iterator[WaitingClass]:
        for lines in self._classes.values():
            yield from lines.values()

    # --- one workload

    def put(self, standing: Standing, place: Place) -> None:
        """Move a workload of this queue. HEAP means its class's line, which may be parked as a whole. Undoable."""
        before = standing.own_place
        if before is place:
            return
        self._put(standing, place)
        if self._undo.is_recording:
            self._undo.record(lambda: self._put(standing, before))

    def _put(self, standing: Standing, place: Place) -> None:
        if standing.own_place is Place.HEAP:
            self._leave(standing)
        elif standing.own_place is Place.PARKED:
            self.parked.pop(standing.key, None)
        standing.own_place = place
        if place is Place.HEAP:
            self._join(standing)
        elif place is Place.PARKED:
            self.parked[standing.key] = standing

    def _join(self, standing: Standing) -> None:
        lines = self._classes.setdefault(standing.shape, {})
        local = (standing.fact.namespace, standing.fact.queue)
        line = lines.get(local)
        if line is None:
            line = lines[local] = WaitingClass(standing.shape, local, standing.shape in self.bulk_parked)
        self._ticket += 1
        standing.ticket = self._ticket
        standing.line = line
        line.members[standing.key] = standing
        self._waiting[standing.key] = standing
        heapq.heappush(line.heap, (standing.heap_order, self._ticket, standing))
        if not line.is_parked:
            self.active_count += 1
            if line.heap[0][2] is standing:
                self._line_up(line, standing.heap_order)

    def _leave(self, standing: Standing) -> None:
        line = standing.line
        assert line is not None
        standing.line = None
        del line.members[standing.key]
        del self._waiting[standing.key]
        if not line.is_parked:
            self.active_count -= 1
        if not line.members:
            lines = self._classes[line.shape]
            del lines[line.local_queue]
            if not lines:
                del self._classes[line.shape]

    # --- classes

    def park_class(self, shape: int) -> None:
        """Park every active workload of a class, and newcomers of it until the next un-park. Undoable."""
        if shape not in self.bulk_parked:
            self._set_parked(shape, True)
            self._undo.record(lambda: self._set_parked(shape, False))

    def _set_parked(self, shape: int, parked: bool) -> None:
        (self.bulk_parked.add if parked else self.bulk_parked.discard)(shape)
        for line in self._classes.get(shape, {}).values():
            line.is_parked = parked
            self.active_count += -len(line.members) if parked else len(line.members)
            first = line.head()
            if not parked and first is not None:
                self._line_up(line, first.heap_order)

    def unpark(self, accepts: Callable[[str], bool], is_backing_off: Callable[[Standing], bool]) -> int:
        """Bring back whoever's namespace is accepted and whose back-off is over; how many. Undoable.

        O(parked classes + workloads parked one by one).
        """
        moved = 0
        for shape in sorted(self.bulk_parked):
            for line in list(self._classes.get(shape, {}).values()):
                if accepts(line.local_queue[0]):
                    moved += len(line.members)
                else:
                    for standing in list(line.members.values()):
                        self.put(standing, Place.PARKED)
            self._set_parked(shape, False)
            self._undo.record(partial(self._set_parked, shape, True))
        for standing in list(self.parked.values()):
            if not is_backing_off(standing) and accepts(standing.fact.namespace):
                self.put(standing, Place.HEAP)
                moved += 1
        return moved

    # --- the queue

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
