"""Objects whose facts depend on other objects, and on which: when one of these changes, their facts are made anew.

A member of a gang speaks for itself where no Placement counts it (`ingest.members`); what a workload asks for depends on the
ResourceClaimTemplates and RuntimeClasses that its pods name, and on the LimitRanges of its namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from roadstead.controllers.admission.known import Known
from roadstead.ingest import runtime_class_names, template_keys
from roadstead.kinds.names import (
    LIMIT_RANGES,
    MEMBER_ANNOTATION,
    PLACEMENTS,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RUNTIME_CLASSES,
    WORKLOAD_ANNOTATION,
    WORKLOADS,
)
from roadstead.kinds.object import Object, Resource
from roadstead.runtime.step import Key

Subject: TypeAlias = tuple[Resource, Key]

_HAVE_SOME: Final = (PODS, WORKLOADS)


class Dependents:
    """Kept up to date by `follow`. O(objects named) per change; nothing for objects that name none."""

    def __init__(self) -> None:
        self._of: dict[Subject, dict[Subject, None]] = {}
        self._ranges: dict[str, dict[Key, None]] = {}  # namespace -> its LimitRanges

    def follow(self, resource: Resource, key: Key, before: Object | None, current: Object | None) -> None:
        """An object changed from `before` to `current`; None: it was, or is, not there."""
        if resource == LIMIT_RANGES:
            self._follow_range(key, current)
        if resource not in _HAVE_SOME:
            return
        old, new = _named(resource, before), _named(resource, current)
        if old == new:
            return
        for named in old:
            of = self._of.get(named)
            if of is not None:
                of.pop((resource, key), None)
                if not of:
                    del self._of[named]
        for named in new:
            self._of.setdefault(named, {})[(resource, key)] = None

    def _follow_range(self, key: Key, current: Object | None) -> None:
        found = self._ranges.setdefault(key[0], {})
        if current is not None:
            found[key] = None
        else:
            found.pop(key, None)
            if not found:
                del self._ranges[key[0]]

    def ranges(self, namespace: str) -> Iterable[Key]:
        """The LimitRanges of a namespace, by name."""
        return sorted(self._ranges.get(namespace, ()))

    def of(self, resource: Resource, key: Key, known: Mapping[Resource, Known]) -> Iterable[Subject]:
        """Whose facts are to be made anew because this object changed. For a LimitRange O(workloads)."""
        if resource == LIMIT_RANGES:
            return [(WORKLOADS, each) for each in known[WORKLOADS].objects if each[0] == key[0]]
        return list(self._of.get((resource, key), ()))


def _named(resource: Resource, obj: Object | None) -> tuple[Subject, ...]:
    if obj is None:
        return ()
    if resource == PODS:
        if MEMBER_ANNOTATION not in obj.meta.annotations:
            return ()
        return ((PLACEMENTS, (obj.meta.namespace, obj.meta.annotations.get(WORKLOAD_ANNOTATION, ""))),)
    return (
        *((RESOURCE_CLAIM_TEMPLATES, key) for key in template_keys(obj)),
        *((RUNTIME_CLASSES, ("", name)) for name in runtime_class_names(obj)),
    )
