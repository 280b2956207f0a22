"""The binder: pods of admitted workloads get the node and the devices that their Placement already names.

It decides nothing: admission did. Keyed by the Workload, because members of one gang must not be given out twice; stateless,
because who holds which member is written on the pods themselves (`roadstead.dev/member`, in the same write as the node).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

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
    WORKLOAD_ANNOTATION,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.placement import PlacedPodSetView, PlacementView
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.cluster import Create
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Present, Read, Step, nobody, same_key


def _workload_of(pod: Object, read: Read) -> Iterable[Key]:
    del read
    name = pod.meta.annotations.get(WORKLOAD_ANNOTATION)
    return ((pod.meta.namespace, name),) if name else ()


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
    }
    indexes: Mapping[tuple[Resource, str], Index] = {(PODS, WORKLOAD_INDEX): pods_by_workload}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        placement = read.get(PLACEMENTS, *key)
        workload = read.get(WORKLOADS, *key)
        if placement is None or placement.meta.deletion_timestamp or workload is None:
            return NOTHING
        spec = placement.view(PlacementView).spec
        if spec.workload.uid != workload.meta.uid or not is_admitted(workload):
            return NOTHING
        if is_evicted(workload) or is_finished(workload):
            return NOTHING  # whoever is not bound yet will be deleted
        pods = live_pods(read, workload, now)
        writes: list[Create] = []
        notes: list[Note] = []
        for pod_set in spec.pod_sets:
            mine = [pod for pod in pods if pod.meta.labels.get(PODSET_LABEL, MAIN) == pod_set.name]
            for pod, member in assign_members(mine, pod_set):
                place = pod_set.members[member]
                writes.append(Create(PODS, binding(pod, place.node, place.devices, member), "binding"))
                notes.append(bound_note(pod, place.node))
        if not writes:
            return NOTHING
        # The view may still show a Placement that an admission which failed left behind, beside the Workload as the next one made it.
        return Step((tuple(writes),), notes=tuple(notes), confirm=(Present(placement.ref, placement.meta.uid),))


def assign_members(pods: Sequence[Object], pod_set: PlacedPodSetView) -> list[tuple[Object, int]]:
    """Which unbound pod of `pods` (all live pods of the set) gets which member: its own completion index if that is free,
    else the lowest free member; nobody if none is free. Pods in order of index, then name. O(pods log pods).
    """
    held = {int(text) for pod in pods if (text := pod.meta.annotations.get(MEMBER_ANNOTATION, "")).isdigit()}
    free = [number for number in range(len(pod_set.members)) if number not in held]
    waiting = sorted((pod for pod in pods if _wants_node(pod)), key=lambda pod: (_index_of(pod) or 0, pod.meta.name))
    given: list[tuple[Object, int]] = []
    taken: set[int] = set()
    others: list[Object] = []
    for pod in waiting:
        index = _index_of(pod)
        if index is not None and index < len(pod_set.members) and index not in held | taken:
            given.append((pod, index))
            taken.add(index)
        else:
            others.append(pod)
    rest = (number for number in free if number not in taken)
    given += list(zip(others, rest, strict=False))
    return given


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
