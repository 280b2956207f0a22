"""Memory: what the core remembers beyond facts. All of it may be lost; decisions then get slower, never wrong.

The whole list:

* where each pending workload stands in its queue (active heap or parked), and which classes are parked in bulk;
* the sticky head of each ClusterQueue: a workload whose preemptions are in progress;
* ClusterQueues in which somebody is parked because the fleet lacked room;
* where each workload's scan of flavors stopped;
* commands assumed but not yet seen as facts (held by `World`), with the time of the cycle that made them;
* who displaced whom by preemption, and how often (`preemption/feuds.py`);
* who was let in since its LocalQueue was last sampled, where usage decides (`fairness/usage.py`);
* requests to un-park a cohort's workloads that were not carried out yet; the number of the last cycle.

`cycle` writes these values into `Plan.memory`; only `World.assume` reads them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from roadstead.model.workload import WorkloadKey


class Place(StrEnum):
    """Where a workload stands with its ClusterQueue; a pending one is in exactly one of heap, parked, held."""

    NOWHERE = "nowhere"  # finished, inactive, or its LocalQueue is missing or stopped
    HEAP = "heap"
    PARKED = "parked"
    HELD = "held"  # holds quota: reserved, or admission assumed ("in flight")


class Tried(msgspec.Struct, frozen=True):
    """Where a scan of flavors stopped: per pod set, resource -> index of the flavor (-1: the list was exhausted).

    kueue.md 3.5.5. `generation` is the cohort tree's when it was computed, `shape` the workload's equivalence class.
    """

    cycle: int
    generation: int
    shape: int
    pod_sets: tuple[tuple[tuple[str, int], ...], ...]

    @property
    def is_pending(self) -> bool:
        """Some resource has flavors left to try."""
        return any(index != -1 for pod_set in self.pod_sets for _, index in pod_set)


class Ran(msgspec.Struct, frozen=True):
    """A cycle took place. First in `Plan.memory`: its time is the reservation time of the plan's admissions."""

    cycle: int
    now: int


class Moved(msgspec.Struct, frozen=True):
    """A head goes back to the heap or is parked; with `whole_class`, every active workload of its class in the queue
    too. `for_fleet`: the fleet, which all queues share, lacked room: whoever gives nodes or devices back may let it
    in."""

    workload: WorkloadKey
    uid: str
    place: Place
    whole_class: bool = False
    for_fleet: bool = False


class Stuck(msgspec.Struct, frozen=True):
    """This workload is the sticky head of its ClusterQueue now."""

    cluster_queue: str
    workload: WorkloadKey
    generation: int


class Scanned(msgspec.Struct, frozen=True):
    """What to remember of a workload's scan of flavors (as in `Tried`); None: start from the first flavor next time."""

    workload: WorkloadKey
    pod_sets: tuple[tuple[tuple[str, int], ...], ...] | None


class Unparked(msgspec.Struct, frozen=True):
    """Requests to un-park were carried out, and back-offs that ended by `now` were ended."""

    now: int


Memory: TypeAlias = Ran | Moved | Stuck | Scanned | Unparked
