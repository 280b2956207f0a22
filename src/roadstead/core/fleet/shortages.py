"""Why leaves hold not even one pod: counted by resource, for refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from roadstead.core.fleet.domain import Domain, Values
from roadstead.core.fleet.ledger import Requests, scarcest
from roadstead.model.amounts import ResourceName


class Shortages:
    """Leaves of one forest where not one pod fits, by the resource that is scarcest there.

    The forest reports leaves that changed; they are looked at only when somebody is refused, so that finding a place pays nothing.
    """

    __slots__ = ("_closest", "_count", "_of", "_requests", "_room", "_to_review")

    def __init__(self, requests: Requests, room: Callable[[Domain], Mapping[ResourceName, int]]) -> None:
        self._requests = requests
        self._room = room
        self._of: dict[Values, tuple[ResourceName, int]] = {}
        self._count: Counter[ResourceName] = Counter()
        self._closest: dict[ResourceName, int] = {}
        self._to_review: dict[Values, Domain] = {}

    def changed(self, leaf: Domain) -> None:
        """The leaf was counted again, and is or was without room."""
        self._to_review[leaf.values] = leaf

    def counts(self) -> dict[ResourceName, int]:
        """Resource -> leaves where it is the scarcest and keeps out even one pod. O(leaves changed since the last refusal)."""
        self._review()
        return {resource: count for resource, count in self._count.items() if count}

    def closest(self, resource: ResourceName) -> int:
        """The most that one of those leaves has left of it. Amortised O(leaves changed since the last refusal)."""
        self._review()
        known = self._closest.get(resource)
        if known is None:
            known = max((free for name, free in self._of.values() if name == resource), default=0)
            self._closest[resource] = known
        return max(known, 0)

    def _review(self) -> None:
        for values, leaf in self._to_review.items():
            old = self._of.pop(values, None)
            if old is not None:
                resource, free = old
                self._count[resource] -= 1
                if self._closest.get(resource) == free:
                    del self._closest[resource]  # found again when asked for
            if leaf.pods or not leaf.lines:
                continue
            room = self._room(leaf)
            resource = scarcest(room, self._requests)
            free = room.get(resource, 0)
            self._of[values] = (resource, free)
            self._count[resource] += 1
            known = self._closest.get(resource)
            if known is not None and free > known:
                self._closest[resource] = free
        self._to_review.clear()
