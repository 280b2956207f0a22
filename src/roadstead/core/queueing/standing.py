"""How one workload stands: its facts, what was decided about it, and where it is in its queue."""

from __future__ import annotations

from heapq import heappop
from typing import TypeAlias

import msgspec

from roadstead.core.memory import Place, Tried
from roadstead.core.plan import Admit, Evict
from roadstead.core.quota.tree import Usage
from roadstead.model.workload import Admission, Placement, Workload, WorkloadKey

HeapOrder: TypeAlias = tuple[int, int, str, WorkloadKey]
"""(-priority, queue time, uid, key): smallest first is the head (kueue.md 3.2)."""

PreemptionOrder: TypeAlias = tuple[int, int, str, WorkloadKey]
"""(priority, -reservation time, uid, key): smallest first is asked first to go (kueue.md 3.7)."""


class Hold(msgspec.Struct, frozen=True):
    """What a workload holds: quota in a ClusterQueue, and nodes and devices where it was placed."""

    admission: Admission
    usage: Usage
    reserved_at: int
    placement: Placement | None


class WaitingClass:
    """Workloads of one equivalence class and LocalQueue in line for one ClusterQueue, first by priority, time, uid."""

    __slots__ = ("heap", "is_parked", "local_queue", "members", "shape", "ticket")

    def __init__(self, shape: int, local_queue: tuple[str, str], is_parked: bool) -> None:
        self.shape = shape
        self.local_queue = local_queue
        self.is_parked = is_parked
        self.members: dict[WorkloadKey, Standing] = {}
        self.heap: list[tuple[HeapOrder, int, Standing]] = []
        self.ticket = 0  # of its entry among the classes of the queue

    def head(self) -> Standing | None:
        heap = self.heap
        while heap:
            _, ticket, standing = heap[0]
            if standing.line is self and standing.ticket == ticket:
                return standing
            heappop(heap)
        return None


class Standing:
    """Mutable record of one workload. Changed only by the World and its queues, which also record how to undo it."""

    __slots__ = (
        "assumed",
        "assumed_at",
        "cluster_queue",
        "evicting",
        "fact",
        "heap_order",
        "hold",
        "key",
        "line",
        "own_place",
        "preemption_order",
        "shape",
        "ticket",
        "tried",
        "was_placed",
    )

    def __init__(self, fact: Workload, shape: int) -> None:
        self.fact = fact
        self.key = fact.key
        self.shape = shape
        self.cluster_queue = ""  # of its LocalQueue; "" while that is unknown
        self.own_place = Place.NOWHERE  # HEAP: in the line of its class
        self.line: WaitingClass | None = None
        self.ticket = 0
        self.heap_order: HeapOrder = (-fact.priority, fact.queued_at, fact.uid, fact.key)
        self.preemption_order: PreemptionOrder = (fact.priority, 0, fact.uid, fact.key)
        self.hold: Hold | None = None
        self.assumed: Admit | None = None
        self.assumed_at = 0
        self.evicting: Evict | None = None
        self.tried: Tried | None = None
        self.was_placed = False  # its facts named its place since it reserved

    @property
    def place(self) -> Place:
        """Where it stands; whoever is in the line of a parked class is parked."""
        if self.line is not None and self.line.is_parked:
            return Place.PARKED
        return self.own_place

    @property
    def is_leaving(self) -> bool:
        """It holds quota and was asked to give it up: taking it as a victim costs nothing more."""
        return self.hold is not None and (self.evicting is not None or bool(self.fact.evicted and self.assumed is None))
