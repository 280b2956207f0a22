"""The binder: pods of admitted workloads get the node, the devices and the claims that their Placement already names.

It decides nothing: admission did. A pod's claims are written before the pod is bound.

Keyed by the Workload, because members of one gang must not be given out twice; stateless, because who holds which member is written
on the pods themselves (`roadstead.dev/member`, in the same write as the node).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final

from roadstead.controllers.claims.allocating import Readiness, Writes, essence, prepare
from roadstead.controllers.claims.names import (
    BY_CLAIM,
    BY_DEVICE,
    claim_for,
    claims_by_device,
    claims_of,
    pods_by_claim,
    users_of,
    uses_claims,
)
from roadstead.controllers.workload.pods import WORKLOAD_INDEX, live_pods, pods_by_workload
from roadstead.controllers.workload.status import is_admitted, is_evicted, is_finished
from roadstead.integrations.job import MAIN
from roadstead.kinds.names import (
    JOB_INDEX_ANNOTATION,
    MEMBER_ANNOTATION,
    NODES,
    PLACEMENTS,
    POD_DEVICES_ANNOTATION,
    PODS,
    PODSET_LABEL,
    RESOURCE_CLAIMS,
    WORKLOAD_ANNOTATION,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.roadstead.released import NOBODY, release, released
from roadstead.kinds.views.claim import ClaimView
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.kinds.views.placement import PlacedPodSetView, PlacementView
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.cluster import Create, Delete, Update, Write
from roadstead.runtime.step import NOTHING, SECOND, Index, Key, KeysOf, Note, Present, Read, Step, nobody, same_key


def _workload_of(pod: Object, read: Read) -> Iterable[Key]:
    del read
    name = pod.meta.annotations.get(WORKLOAD_ANNOTATION)
    return ((pod.meta.namespace, name),) if name else ()


def _workloads_of_claim(claim: Object, read: Read) -> Iterable[Key]:
    return dict.fromkeys(key for pod in users_of(claim, read) for key in _workload_of(pod, read))


NOT_READY: Final = "a driver could not prepare a device that was allocated for this pod (binding conditions); another place is looked for"
LOOK_AGAIN: Final = SECOND
"""How soon a pod is looked at again whose device another claim still holds."""


def binding(pod: Object, node: str, devices: Sequence[str], member: int | None = None) -> Json:
    """The Binding that puts a pod on a node and, in the same write, says which member and devices it has."""
    annotations: dict[str, str] = {}
    if member is not None:
        annotations[MEMBER_ANNOTATION] = str(member)
    if devices:
        annotations[POD_DEVICES_ANNOTATION] = ",".join(devices)
    metadata: Json = {"namespace": pod.meta.namespace, "name": pod.meta.name, "uid": pod.meta.uid}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": metadata,
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }


def bound_note(pod: Object, node: str) -> Note:
    return Note(pod, "Normal", "Scheduled", f"Successfully assigned {pod.meta.namespace}/{pod.meta.name} to {node}")


class Binder:
    """Binds the pods of one Workload to the members of its Placement."""

    name: ClassVar[str] = "binder"
    watches: Mapping[Resource, KeysOf] = {
        PODS: _workload_of,
        PLACEMENTS: same_key,
        WORKLOADS: same_key,
        NODES: nobody,
        RESOURCE_CLAIMS: _workloads_of_claim,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {
        (PODS, WORKLOAD_INDEX): pods_by_workload,
        (PODS, BY_CLAIM): pods_by_claim,
        (RESOURCE_CLAIMS, BY_DEVICE): claims_by_device,
    }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        placement = read.get(PLACEMENTS, *key)
        workload = read.get(WORKLOADS, *key)
        if placement is None or placement.meta.deletion_timestamp or workload is None:
            return NOTHING
        spec = placement.view(PlacementView).spec
        if spec.workload.uid != workload.meta.uid or not is_admitted(workload):
            return NOTHING
        leaving = workload.meta.deletion_timestamp is not None
        if is_evicted(workload) or is_finished(workload) or (leaving and workload.meta.controller):
            return NOTHING  # whoever is not bound yet will be deleted
        pods = live_pods(read, workload, now)
        claims = Writes()
        bindings: list[Write] = []
        notes: list[Note] = []
        again: list[int] = []
        failed: list[Note] = []
        for pod_set in spec.pod_sets:
            mine = [pod for pod in pods if pod.meta.labels.get(PODSET_LABEL, MAIN) == pod_set.name]
            gone = released(placement.meta.annotations, pod_set.name)
            for pod, member in assign_members(mine, pod_set, _members_by_claims(mine, pod_set, read), gone):
                place = pod_set.members[member]
                given = {claim.name: claim.allocation for claim in place.claims}
                readiness = prepare(pod, given, read, claims, now) if uses_claims(pod) else Readiness.READY
                if readiness is Readiness.FAILED:
                    failed.append(Note(pod, "Warning", "FailedScheduling", NOT_READY))
                if readiness is Readiness.IN_USE:
                    again.append(now + LOOK_AGAIN)
                if readiness is Readiness.READY:
                    bindings.append(Create(PODS, binding(pod, place.node, place.devices, member), "binding"))
                    notes.append(bound_note(pod, place.node))
        if failed:  # without its Placement the workload is evicted, as when a node fails, and placed anew
            undo = Delete(placement.ref, placement.meta.uid)
            return Step(tuple(stage for stage in (claims.stage, (undo,)) if stage), notes=tuple(failed))
        if claims.next_timeout is not None:
            again.append(claims.next_timeout)
        stages = tuple(stage for stage in (claims.stage, tuple(bindings)) if stage)
        if not stages:
            return _release(placement, workload, pods) or Step(again_at=min(again, default=None))
        # The view may still show a Placement that an admission which failed left behind, beside the Workload as the next one made it.
        # It may show one whose members have been released since, too. And it may not show yet that the Workload is evicted or leaves:
        # see `all_seen`. (The pods of a job that was deleted without them keep their places, whatever becomes of the Workload.)
        confirm = [Present(placement.ref, placement.meta.uid, placement.meta.resource_version)]
        if not leaving:
            confirm.append(Present(workload.ref, workload.meta.uid, workload.meta.resource_version))
        return Step(stages, again_at=min(again, default=None), notes=tuple(notes), confirm=tuple(confirm))


def _release(placement: Object, workload: Object, pods: Sequence[Object]) -> Step | None:
    """Give back the places of members that nobody will need again: as many as there are more than pods that are not reclaimable, of
    those that no live pod has. (A gang that is admitted anew gets no place for pods that were done before; an elastic one may have
    become smaller.) Only while every pod has its member: then nobody can be on his way to one of these."""
    if any(_wants_node(pod) for pod in pods):
        return None
    view = workload.view(WorkloadView)
    done = {item.name: item.count for item in view.status.reclaimable_pods}
    wanted = {item.name: max(0, item.count - done.get(item.name, 0)) for item in view.spec.pod_sets}
    changed: Json | None = None
    for pod_set in placement.view(PlacementView).spec.pod_sets:
        gone = released(placement.meta.annotations, pod_set.name)
        surplus = len(pod_set.members) - len(gone) - wanted.get(pod_set.name, len(pod_set.members))
        if surplus <= 0:
            continue
        taken = gone | _held([pod for pod in pods if pod.meta.labels.get(PODSET_LABEL, MAIN) == pod_set.name])
        free = [number for number in reversed(range(len(pod_set.members))) if number not in taken][:surplus]
        if free:
            changed = placement.decode() if changed is None else changed
            release(changed, pod_set.name, frozenset(free))
    return Step(((Update(PLACEMENTS, changed),),)) if changed is not None else None


def _members_by_claims(pods: Sequence[Object], pod_set: PlacedPodSetView, read: Read) -> dict[str, int]:
    """Members of unbound pods whose claims are allocated already: what was written for a pod before a crash is still meant for it."""
    given: dict[tuple[str, object], int] = {}
    found: dict[str, int] = {}
    for pod in pods if any(member.claims for member in pod_set.members) else ():
        for entry, name in claims_of(pod) if _wants_node(pod) else ():
            claim = claim_for(pod, entry, name or "", read) if entry.resource_claim_template_name else None
            if claim is None or claim.view(ClaimView).status.allocation is None:
                continue
            if not given:
                given = {
                    (each.name, essence(each.allocation)): number
                    for number, member in enumerate(pod_set.members)
                    for each in member.claims
                }
            member_of = given.get((entry.name, essence(claim.decode()["status"]["allocation"])))
            if member_of is not None:
                found[pod.meta.name] = member_of
    return found


def assign_members(
    pods: Sequence[Object],
    pod_set: PlacedPodSetView,
    meant: Mapping[str, int] = MappingProxyType({}),
    gone: frozenset[int] = NOBODY,
) -> list[tuple[Object, int]]:
    """Which unbound pod of `pods` (all live pods of the set) gets which member: what it was `meant` for already (by its name), else
    its own completion index if that is free, else the lowest free member; nobody if none is free. Members that are `gone` are nobody's. Pods in order of index, then name.
    O(pods log pods).
    """
    held = _held(pods) | gone
    free = [number for number in range(len(pod_set.members)) if number not in held]
    waiting = sorted((pod for pod in pods if _wants_node(pod)), key=lambda pod: (_index_of(pod) or 0, pod.meta.name))
    given: list[tuple[Object, int]] = []
    taken: set[int] = set()
    others: list[Object] = []
    for pod in waiting:
        member = meant.get(pod.meta.name)
        if member is not None and member not in held | taken:
            given.append((pod, member))
            taken.add(member)
    placed = {pod.meta.name for pod, _ in given}
    for pod in waiting:
        if pod.meta.name in placed:
            continue
        index = _index_of(pod)
        if index is not None and index < len(pod_set.members) and index not in held | taken:
            given.append((pod, index))
            taken.add(index)
        else:
            others.append(pod)
    rest = (number for number in free if number not in taken)
    given += list(zip(others, rest, strict=False))
    return given


def _held(pods: Iterable[Object]) -> frozenset[int]:
    """Members that these pods have."""
    found = (pod.meta.annotations.get(MEMBER_ANNOTATION, "") for pod in pods)
    return frozenset(int(text) for text in found if text.isdigit())


def _wants_node(pod: Object) -> bool:
    view = pod.view(PodView)
    return (
        not view.spec.node_name
        and pod.meta.deletion_timestamp is None
        and MEMBER_ANNOTATION not in pod.meta.annotations
        and not view.spec.scheduling_gates
    )


def _index_of(pod: Object) -> int | None:
    text = pod.meta.annotations.get(JOB_INDEX_ANNOTATION, "")
    return int(text) if text.isdigit() else None
