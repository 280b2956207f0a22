"""ReplicaSets: as many pods as are asked for (kubernetes `pkg/controller/replicaset`).

A pod that cannot be made is tried again by the runner, which says why in its log; a condition ReplicaFailure is not
kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from roadstead.controllers import ownership
from roadstead.controllers.ownership import UNCONTROLLED, claims, controlled, owner_key, suitors, uncontrolled
from roadstead.controllers.replica_pods import (
    ReplicaPod,
    missed_least,
    next_availability,
    pod_from,
    pod_name,
    slow_start,
)
from roadstead.kinds.names import PODS, REPLICA_SETS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.apps import ReplicaSetView
from roadstead.runtime.cluster import Create, Delete, Update, Write
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Present, Read, Stage, Step, same_key

MOST_AT_ONCE: Final = 500
"""Pods made or deleted in one step."""


def _selector(owner: Object) -> Json | None:
    return owner.view(ReplicaSetView).spec.selector


def _keys_of_pod(changed: Object, read: Read) -> Iterable[Key]:
    if changed.meta.controller is None:
        return suitors(changed, read.list(REPLICA_SETS, changed.meta.namespace), _selector)
    return owner_key(changed, REPLICA_SETS, "ReplicaSet")


class ReplicaSetController:
    """Creates, deletes and counts the pods of ReplicaSets."""

    name: ClassVar[str] = "replicaset"
    watches: Mapping[Resource, KeysOf] = {REPLICA_SETS: same_key, PODS: _keys_of_pod}
    indexes: Mapping[tuple[Resource, str], Index] = {(PODS, UNCONTROLLED): uncontrolled}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        found = read.get(REPLICA_SETS, *key)
        if found is None:
            return NOTHING
        view = found.view(ReplicaSetView)
        owned = controlled(read, PODS, found)
        if not found.meta.deletion_timestamp:
            changes = claims(found, view.spec.selector, owned, read.by_index(PODS, UNCONTROLLED, key[0]))
            if changes:
                return Step((changes,), now, confirm=(Present(found.ref, found.meta.uid),))
        pods = [ReplicaPod.of(pod) for pod in owned]
        active = [pod for pod in pods if pod.is_active]
        notes: list[Note] = []
        stages: Sequence[Stage] = ()
        if not found.meta.deletion_timestamp:
            stages = _manage(found, view, active, read, now, notes)
        status = _status(found, view, pods, active, now)
        writes: tuple[Stage, ...] = ((status,),) if status is not None else ()
        again = next_availability(active, view.spec.min_ready_seconds, now)
        return Step((*writes, *stages), again, tuple(notes))


def _manage(
    found: Object, view: ReplicaSetView, active: Sequence[ReplicaPod], read: Read, now: int, notes: list[Note]
) -> Sequence[Stage]:
    lacking = view.spec.replicas - len(active)
    if lacking > 0:
        writes: list[Write] = []
        for name in _free_names(found, read, min(lacking, MOST_AT_ONCE)):
            fresh: Json = found.decode()["spec"]["template"]
            writes.append(Create(PODS, pod_from(found, fresh, name)))
            notes.append(Note(found, "Normal", "SuccessfulCreate", f"Created pod: {name}"))
        return slow_start(writes)
    if lacking < 0:
        related = _related(found, read)
        chosen = missed_least(active, min(-lacking, MOST_AT_ONCE), related, now)
        notes += [Note(found, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}") for pod in chosen]
        return (tuple(Delete(pod.obj.ref, pod.obj.meta.uid) for pod in chosen),)
    return ()


def _free_names(found: Object, read: Read, number: int) -> Iterable[str]:
    attempt = 0
    while number:
        name = pod_name(found, attempt)
        attempt += 1
        if read.get(PODS, found.meta.namespace, name) is None:
            number -= 1
            yield name


def _related(found: Object, read: Read) -> list[ReplicaPod]:
    """The pods of all ReplicaSets of the same Deployment; of one that has none, its own."""
    owner = found.meta.controller
    siblings = [found] if owner is None else read.owned_by(REPLICA_SETS, owner.uid)
    return [ReplicaPod.of(pod) for sibling in siblings for pod in ownership.controlled(read, PODS, sibling)]


def _status(
    found: Object, view: ReplicaSetView, pods: Sequence[ReplicaPod], active: Sequence[ReplicaPod], now: int
) -> Update | None:
    """What the status has to say of these pods; None if it says so already."""
    labels = (view.spec.template.get("metadata") or {}).get("labels") or {}
    value = found.decode()
    before = value.get("status") or {}
    counts = {
        "fullyLabeledReplicas": sum(labels.items() <= pod.obj.meta.labels.items() for pod in active),
        "readyReplicas": sum(pod.is_ready for pod in active),
        "availableReplicas": sum(pod.is_available(view.spec.min_ready_seconds, now) for pod in active),
        "observedGeneration": found.meta.generation,
    }
    status: Json = {"replicas": len(active), "terminatingReplicas": sum(pod.is_terminating for pod in pods)}
    status |= {name: number for name, number in counts.items() if number}
    if before.get("conditions"):
        status["conditions"] = before["conditions"]
    if status == before:
        return None
    value["status"] = status
    return Update(REPLICA_SETS, value, "status")
