"""Pods that nobody will ever report on again (podgc/gc_controller.go).

* Bound to a node that does not exist: after a quarantine, and after the server confirmed it, they are marked Failed and removed
  at once. Pods that had finished keep their result, unless somebody asked for their deletion.
* Terminating without a node, held only by a finalizer: marked Failed, so that whoever holds them can see that it is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from roadstead.controllers.node_lifecycle import BY_NODE, disrupted, pods_by_node
from roadstead.kinds.names import NODES, PODS
from roadstead.kinds.object import Object, Ref, Resource
from roadstead.kinds.times import SECOND
from roadstead.kinds.views.pod import PodView, node_of
from roadstead.runtime.cluster import Delete, Update
from roadstead.runtime.step import NOTHING, Absent, Index, Key, KeysOf, Read, Step, in_order


def _concerned(changed: Object, read: Read) -> Iterable[Key]:
    node = node_of(changed)
    is_concerned = read.get(NODES, "", node) is None if node else changed.meta.deletion_timestamp
    return (changed.key,) if is_concerned else ()


class PodGarbageController:
    """Ends the pods of nodes that are gone. `quarantine_seconds`: how long a node must be missing."""

    name: ClassVar[str] = "pod-garbage"
    indexes: Mapping[tuple[Resource, str], Index] = {(PODS, BY_NODE): pods_by_node}

    def __init__(self, quarantine_seconds: int = 40) -> None:
        self._quarantine = quarantine_seconds * SECOND
        self._missed: dict[str, int] = {}
        """By node name: since when it is known to be missing. Losing it starts the quarantine anew."""
        self.watches: Mapping[Resource, KeysOf] = {PODS: _concerned, NODES: self._pods_of}

    def _pods_of(self, changed: Object, read: Read) -> Iterable[Key]:
        """All pods of a node that has gone, or has come back."""
        name = changed.meta.name
        if read.get(NODES, "", name) is None or name in self._missed:
            yield from (pod.key for pod in read.by_index(PODS, BY_NODE, name))

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        pod = read.get(PODS, *key)
        if pod is None:
            return NOTHING
        view = pod.view(PodView)
        node = view.spec.node_name
        if not node:
            return self._unscheduled(pod, view)
        if read.get(NODES, "", node) is not None:
            self._missed.pop(node, None)
            return NOTHING
        if view.has_ended and not pod.meta.deletion_timestamp:
            return NOTHING
        at = self._missed.setdefault(node, now) + self._quarantine
        if now < at:
            return Step(again_at=at)
        delete = Delete(pod.ref, pod.meta.uid, grace_seconds=0)
        absent = (Absent(Ref(NODES, "", node)),)
        if view.has_ended:
            return Step(((delete,),), confirm=absent)
        value = disrupted(pod, "DeletionByPodGC", "PodGC: node no longer exists", now)
        value["status"]["phase"] = "Failed"
        return Step(((Update(PODS, value, "status"),), (delete,)), confirm=absent)

    def _unscheduled(self, pod: Object, view: PodView) -> Step:
        if not pod.meta.deletion_timestamp or view.has_ended:
            return NOTHING
        value = pod.decode()
        value.setdefault("status", {})["phase"] = "Failed"
        return in_order(Update(PODS, value, "status"))
