"""Why leaves hold not even one pod: counted by resource, for refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roadstead.core.fleet.domain import Domain, Values
from roadstead.core.fleet.ledger import Requests, scarcest
from roadstead.model.amounts import ResourceName


class Shortages:
    """Leaves of one forest where not one pod fits, by the resource that is scarcest there.

    The forest reports leaves that changed; they are looked at only when somebody is refused, so that finding a place
    pays nothing.
    """

    __slots__ = ("_left", "_of", "_requests", "_room", "_to_review")

    def __init__(self, requests: Requests, room: Callable[[Domain], Mapping[ResourceName, int]]) -> None:
        self._requests = requests
        self._room = room
        self._of: dict[Values, tuple[ResourceName, int]] = {}
        self._left: dict[ResourceName, dict[int, int]] = {}  # resource -> what such a leaf has left of it -> leaves
        self._to_review: dict[Values, Domain] = {}

    def changed(self, leaf: Domain) -> None:
        """The leaf was counted again, and is or was without room."""
        self._to_review[leaf.values] = leaf

    def counts(self) -> dict[ResourceName, int]:
        """Resource -> leaves where it is the scarcest and keeps out even one pod. O(leaves changed since the last
        refusal + different amounts left)."""
        self._review()
        return {resource: sum(leaves.values()) for resource, leaves in self._left.items() if leaves}

    def closest(self, resource: ResourceName) -> int:
        """The most that one of those leaves has left of it. Costs as `counts`."""
        self._review()
        return max(0, max(self._left.get(resource, ()), default=0))

    def _review(self) -> None:
        for values, leaf in self._to_review.items():
            old = self._of.pop(values, None)
            if old is not None:
                resource, free = old
                leaves = self._left[resource]
                leaves[free] -= 1
                if not leaves[free]:
                    del leaves[free]
            if leaf.pods or not leaf.lines:
                continue
            room = self._room(leaf)
            resource = scarcest(room, self._requests)
            free = room.get(resource, 0)
            self._of[values] = (resource, free)
            leaves = self._left.setdefault(resource, {})
            leaves[free] = leaves.get(free, 0) + 1
        self._to_review.clear()
