"""Which facts hang on which other objects: when one of those changes, they are read anew.

A pod that has a place in a gang speaks for itself only as long as no Placement does; what a Workload asks for depends on the claim
templates that its pods name.
"""

from __future__ import annotations

from roadstead.ingest import template_keys
from roadstead.kinds.names import (
    MEMBER_ANNOTATION,
    PLACEMENTS,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    WORKLOAD_ANNOTATION,
    WORKLOADS,
)
from roadstead.kinds.object import Object, Resource
from roadstead.runtime.step import Key

Tie = tuple[Resource, Key]


class Ties:
    """Kept as objects come, change and go. Every operation is O(names in the object)."""

    def __init__(self) -> None:
        self._hanging_on: dict[Tie, dict[Tie, None]] = {}

    @staticmethod
    def concern(resource: Resource) -> bool:
        """May objects of this resource hang on others? Only those need be told of."""
        return resource in (PODS, WORKLOADS)

    def follow(self, resource: Resource, key: Key, before: Object | None, current: Object | None) -> None:
        """An object changed from `before` to `current`."""
        old, new = _hangs_on(resource, before), _hangs_on(resource, current)
        if old == new:
            return
        for support in old:
            hanging = self._hanging_on[support]
            hanging.pop((resource, key), None)
            if not hanging:
                del self._hanging_on[support]
        for support in new:
            self._hanging_on.setdefault(support, {})[(resource, key)] = None

    def on(self, resource: Resource, key: Key) -> tuple[Tie, ...]:
        """What hangs on this object."""
        return tuple(self._hanging_on.get((resource, key), ()))


def _hangs_on(resource: Resource, obj: Object | None) -> tuple[Tie, ...]:
    if obj is None:
        return ()
    if resource == WORKLOADS:
        return tuple(dict.fromkeys((RESOURCE_CLAIM_TEMPLATES, key) for key in template_keys(obj)))
    if MEMBER_ANNOTATION not in obj.meta.annotations:
        return ()
    return ((PLACEMENTS, (obj.meta.namespace, obj.meta.annotations.get(WORKLOAD_ANNOTATION, ""))),)
