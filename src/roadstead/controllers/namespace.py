"""Namespaces that are being deleted: their content goes first, then they (kubernetes-api.md section 20).

A terminating namespace accepts nothing new, so once a live list of every resource was empty it stays empty. Until then
`kubectl describe` shows in the conditions what is left and what holds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from roadstead.kinds.names import NAMESPACES, PODS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.times import format_time
from roadstead.runtime.cluster import Delete, Update
from roadstead.runtime.step import NOTHING, Empty, Index, Key, KeysOf, Read, Stage, Step, same_key

FINALIZER: Final = "kubernetes"
"""The one in spec.finalizers that this controller removes."""
MOST_AT_ONCE: Final = 500


class NamespaceController:
    """Empties and releases terminating namespaces. `resources`: every namespaced resource that is served."""

    name: ClassVar[str] = "namespace"

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.indexes: Mapping[tuple[Resource, str], Index] = {}
        self.watches: Mapping[Resource, KeysOf] = {}
        self.renew(resources)

    def renew(self, resources: Iterable[Resource]) -> None:
        """These are the namespaced resources now. The runner is to be told (`Runner.refit`) before the next step."""
        self._resources = tuple(resources)
        self.watches = {**dict.fromkeys(self._resources, _terminating_namespace), NAMESPACES: same_key}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        namespace = read.get(NAMESPACES, *key)
        if namespace is None or not namespace.meta.deletion_timestamp:
            return NOTHING
        value = namespace.decode()
        if FINALIZER not in ((value.get("spec") or {}).get("finalizers") or ()):
            return NOTHING
        content = [obj for resource in self._resources for obj in read.list(resource, namespace.meta.name)]
        if not content:
            return self._release(namespace.meta.name, value)
        deletes = _deletions(content)
        described = _describe(value, content, now)
        return Step((*deletes, (Update(NAMESPACES, value, "status"),)) if described else deletes)

    def _release(self, name: str, value: Json) -> Step:
        value["spec"]["finalizers"] = [held for held in value["spec"]["finalizers"] if held != FINALIZER]
        empty = tuple(Empty(resource, name) for resource in self._resources)
        return Step(((Update(NAMESPACES, value, "finalize"),),), confirm=empty)


def _terminating_namespace(changed: Object, read: Read) -> Iterable[Key]:
    namespace = read.get(NAMESPACES, "", changed.meta.namespace)
    return (namespace.key,) if namespace is not None and namespace.meta.deletion_timestamp else ()


def _deletions(content: Sequence[Object]) -> tuple[Stage, ...]:
    """Delete what nobody deletes yet: pods first (with their grace), so that what they use outlives their first
    signal."""
    unmarked = [obj for obj in content if not obj.meta.deletion_timestamp][:MOST_AT_ONCE]
    pods = tuple(Delete(obj.ref, obj.meta.uid) for obj in unmarked if obj.resource == PODS)
    others = tuple(Delete(obj.ref, obj.meta.uid) for obj in unmarked if obj.resource != PODS)
    return tuple(stage for stage in (pods, others) if stage)


def _describe(value: Json, content: Sequence[Object], now: int) -> bool:
    """Set the conditions that tell what is left; True if that changed any (namespaced_resources_deleter.go)."""
    remaining = Counter(f"{obj.resource.plural}.{obj.resource.group}" for obj in content)
    holding = Counter(finalizer for obj in content for finalizer in obj.meta.finalizers)
    left = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(remaining.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(holding.items()))
    wanted = [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain", f"Some resources are remaining: {left}"),
        (
            "NamespaceFinalizersRemaining",
            "True" if held else "False",
            "SomeFinalizersRemain" if held else "ContentHasNoFinalizers",
            f"Some content in the namespace has finalizers remaining: {held}"
            if held
            else "All content-preserving finalizers finished",
        ),
    ]
    status: Json = value.setdefault("status", {})
    conditions: list[Any] = status.setdefault("conditions", [])
    changed = False
    for type, truth, reason, message in wanted:
        found = next((condition for condition in conditions if condition["type"] == type), None)
        if found is None:
            found = {"type": type}
            conditions.append(found)
        if (found.get("status"), found.get("reason"), found.get("message")) == (truth, reason, message):
            continue
        if found.get("status") != truth:
            found["lastTransitionTime"] = format_time(now)
        found.update({"status": truth, "reason": reason, "message": message})
        changed = True
    return changed
