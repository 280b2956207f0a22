"""Placements that nothing stands behind, and Placements of ours that nobody has shown us: found, and dealt with in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from roadstead.controllers.admission.known import Known
from roadstead.kinds.names import PLACEMENTS
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.kinds.views.placement import PlacementView
from roadstead.runtime.cluster import Delete, Update
from roadstead.runtime.step import SECOND, Key, Step, in_order

ORPHAN_GRACE: Final = SECOND
"""A Placement without reservation is undone after so long: usually its deletion is on its way to our informer."""

UNSEEN_GRACE: Final = 10 * SECOND
"""A Placement of ours that no informer has shown for so long is asked after: somebody may have deleted it before a list."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Delete a Placement that no reservation stands behind."""

    key: Key
    uid: str


@dataclass(frozen=True, slots=True)
class Look:
    """Is the Placement that we created still there? Asked by writing it as it is, which changes nothing."""

    key: Key
    uid: str


Found = tuple[Undo | Look, Object, Step]


class Strays:
    """Both lists. Each operation is O(1), except `due`: O(orphans)."""

    def __init__(self, placements: Known, workloads: Known) -> None:
        self._placements = placements
        self._workloads = workloads
        self._orphans: dict[Key, int] = {}  # Placement -> when it was first seen without a reservation
        self._unseen: dict[Key, int] = {}  # created by us, not shown yet, oldest first -> since when

    def watch(self, key: Key, now: int, *, in_flight: bool) -> None:
        """The Placement or the Workload of this name changed. `in_flight`: an admission of ours is on its way."""
        if not in_flight and self._is_orphan(key):
            self._orphans.setdefault(key, now)
        else:
            self._orphans.pop(key, None)

    def forget(self, key: Key) -> None:
        """It is no orphan (any more)."""
        self._orphans.pop(key, None)

    def created(self, key: Key, now: int) -> None:
        """We created it, or have looked after it: an informer should show it soon."""
        self._unseen.pop(key, None)
        if self._placements.is_awaited(key):
            self._unseen[key] = now

    def _is_orphan(self, key: Key) -> bool:
        """A Placement whose Workload holds no reservation. A finished Workload's is kept as a record of where it ran; it goes with its
        Workload, by garbage collection."""
        placement, workload = self._placements.get(key), self._workloads.get(key)
        if placement is None or workload is None or placement.meta.deletion_timestamp:
            return False
        if placement.view(PlacementView).spec.workload.uid not in ("", workload.meta.uid):
            return True
        conditions = workload.view(WorkloadView).status.conditions
        return not has_condition(conditions, "QuotaReserved") and not has_condition(conditions, "Finished")

    def due(self, now: int, in_flight: set[Key]) -> Iterator[Found]:
        """What to write now: the subject, the object it is decided on, and the step."""
        yield from self._to_undo(now, in_flight)
        yield from self._to_look_after(now)

    def _to_undo(self, now: int, in_flight: set[Key]) -> Iterator[Found]:
        for key, since in list(self._orphans.items()):
            placement = self._placements.get(key)
            if placement is None or key in in_flight or not self._is_orphan(key):
                del self._orphans[key]
            elif since + ORPHAN_GRACE <= now:
                undo = Undo(key, placement.meta.uid)
                yield undo, placement, in_order(Delete(placement.ref, placement.meta.uid))

    def _to_look_after(self, now: int) -> Iterator[Found]:
        """A list may have missed its whole life. O(1) while nothing is overdue."""
        while self._unseen:
            key, since = next(iter(self._unseen.items()))
            placement = self._placements.get(key)
            is_awaited = placement is not None and self._placements.is_awaited(key)
            if is_awaited and since + UNSEEN_GRACE > now:
                break
            del self._unseen[key]
            if placement is not None and is_awaited:
                look = Look(key, placement.meta.uid)
                yield look, placement, in_order(Update(PLACEMENTS, placement.decode()))

    def next_times(self) -> Iterator[int]:
        """When something comes due, if nothing happens meanwhile."""
        yield from (since + ORPHAN_GRACE for since in self._orphans.values())
        yield from (since + UNSEEN_GRACE for since in islice(self._unseen.values(), 1))
