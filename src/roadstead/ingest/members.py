"""Which bound pods of workloads are counted by a Placement, and which have to be counted by themselves.

What a pod uses is counted exactly once for as long as it may run: by the Placement that gives it its place, while the
Workload holds by that Placement, or else by the pod. A pod outlives what gave it its place where nobody could stop it
(its node was gone or silent when the gang was evicted, or its job was deleted without it) or where that was deleted by
hand; and then the Workload may be finished, wait, or be placed anew, elsewhere or with other devices.
"""

from __future__ import annotations

from roadstead.ingest.placement import speaks_for
from roadstead.ingest.reading import Lookup, view
from roadstead.ingest.workload import is_reserved
from roadstead.kinds.names import (
    MEMBER_ANNOTATION,
    PLACEMENTS,
    POD_DEVICES_ANNOTATION,
    PODSET_LABEL,
    WORKLOAD_ANNOTATION,
    WORKLOADS,
)
from roadstead.kinds.object import Object
from roadstead.kinds.roadstead.released import released
from roadstead.kinds.views.placement import PlacedPodSetView, PlacementView


def speaks_for_itself(pod: Object, lookup: Lookup) -> bool:
    """True for a pod on a node whose place no live Placement counts. Always False for pods that wait for a node: their
    Workload asks for it. O(pod sets), but for the first look at a version of the Workload or the Placement."""
    if pod.brief is None or not pod.brief.node:
        return False
    return not _is_counted(pod, pod.brief.node, lookup)


def _is_counted(pod: Object, node: str, lookup: Lookup) -> bool:
    annotations = pod.meta.annotations
    member = annotations.get(MEMBER_ANNOTATION, "")
    key = (pod.meta.namespace, annotations.get(WORKLOAD_ANNOTATION, ""))
    if not member.isdecimal():
        return False  # somebody else put it there
    placement, workload = lookup(PLACEMENTS, *key), lookup(WORKLOADS, *key)
    if (
        placement is None
        or workload is None
        or not speaks_for(placement, workload.meta.uid)
        or not is_reserved(workload)
    ):
        return False
    found = view(placement, PlacementView, [])
    mine = pod.meta.labels.get(PODSET_LABEL, PlacedPodSetView().name)
    for pod_set in found.spec.pod_sets if found is not None else ():
        if pod_set.name == mine:
            if int(member) >= len(pod_set.members) or int(member) in released(placement.meta.annotations, mine):
                return False
            place = pod_set.members[int(member)]
            return place.node == node and ",".join(place.devices) == annotations.get(POD_DEVICES_ANNOTATION, "")
    return False
