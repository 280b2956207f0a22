"""The pods of a Workload: who has, or may still get, a process that uses what was admitted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from roadstead.controllers.node_lifecycle import BY_NODE
from roadstead.kinds.names import NODES, PODS, PODSET_LABEL, WORKLOAD_ANNOTATION
from roadstead.kinds.object import Object
from roadstead.kinds.times import parse_time
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.node import NodeView
from roadstead.kinds.views.pod import has_ended, node_of
from roadstead.runtime.step import Current, Read

WORKLOAD_INDEX: Final = "workload"
"""Pods by "namespace/workload" of their annotation."""


def pods_by_workload(pod: Object) -> Iterable[str]:
    """Index function for WORKLOAD_INDEX."""
    name = pod.meta.annotations.get(WORKLOAD_ANNOTATION)
    return (f"{pod.meta.namespace}/{name}",) if name else ()


def _of_a_job(pod: Object) -> Iterable[str]:
    """As `pods_by_workload`, of pods that carry what a job's template gets when it starts."""
    return pods_by_workload(pod) if PODSET_LABEL in pod.meta.labels else ()


def all_seen(read: Read, workload: Object) -> Current:
    """To be confirmed before the places and the quota of an evicted or leaving Workload are given to others.

    That no pod of it is alive is what a view says, and a view may not show yet whom the job made a moment ago. With
    this, nobody is bound to a place that is given away, and it takes no more than an order of looks: whoever gives back
    has seen the mark (the eviction, the deletion) first and asks for the pods then; the binder has seen the pod first
    and asks for the mark then. A pod is there when pods are asked for, and is waited for; or it comes later, and its
    binder meets the mark.
    """
    key = f"{workload.meta.namespace}/{workload.meta.name}"
    index, labels = (_of_a_job, PODSET_LABEL) if workload.meta.controller else (pods_by_workload, "")
    pods = read.by_index(PODS, WORKLOAD_INDEX, key)
    seen = frozenset((pod.meta.uid, pod.meta.resource_version) for pod in pods if key in index(pod))
    return Current(PODS, workload.meta.namespace, index, key, seen, labels)


def live_pods(read: Read, workload: Object, now: int) -> list[Object]:
    """Pods admitted by this Workload that have, or may still get, a process; lost ones are left out.

    An annotation alone admits nobody: the pod must come from the job that the Workload stands for (or, if nothing owns
    the Workload, merely name it). Otherwise a stray pod could take another's devices, or keep them from being given
    back.
    """
    return [pod for pod in _unfinished(read, workload) if not is_lost(pod, read, now)]


def lost_pods(read: Read, workload: Object, now: int) -> list[Object]:
    """Pods that nobody can stop: see `is_lost`."""
    return [pod for pod in _unfinished(read, workload) if is_lost(pod, read, now)]


def is_lost(pod: Object, read: Read, now: int) -> bool:
    """It was told to go, its grace is over, and the node that should have stopped it is gone or not ready.

    Waiting for it would hold up its gang for as long as the node is away. Nothing is placed on such a node, and when it
    comes back its agent ends the pod before it lets another have the same devices.
    """
    until = pod.meta.deletion_timestamp
    name = node_of(pod)
    return until is not None and bool(name) and parse_time(until) <= now and not _is_ready(read, name)


def is_departing(pod: Object, read: Read) -> bool:
    """For KeysOf: the pod is being deleted, has ended, or is gone. One without grace vanishes unmarked: the last
    version that was seen of it says nothing."""
    if pod.meta.deletion_timestamp is not None or has_ended(pod):
        return True
    found = read.get(PODS, *pod.key)
    return found is None or found.meta.uid != pod.meta.uid


def end_of_grace(pods: Iterable[Object], now: int) -> int | None:
    """When the next of these pods, being deleted, has used up its grace; None if none has any left."""
    times = [parse_time(pod.meta.deletion_timestamp) for pod in pods if pod.meta.deletion_timestamp]
    return min((at for at in times if at > now), default=None)


def leaving_pods_of(node: Object, read: Read) -> Sequence[Object]:
    """Pods of workloads that a node should stop and, not being ready or there at all, does not."""
    if _is_ready(read, node.meta.name):
        return ()
    found = read.by_index(PODS, BY_NODE, node.meta.name)
    return [pod for pod in found if pod.meta.deletion_timestamp and WORKLOAD_ANNOTATION in pod.meta.annotations]


def _is_ready(read: Read, node: str) -> bool:
    found = read.get(NODES, "", node)
    return found is not None and has_condition(found.view(NodeView).status.conditions, "Ready")


def _unfinished(read: Read, workload: Object) -> list[Object]:
    found = read.by_index(PODS, WORKLOAD_INDEX, f"{workload.meta.namespace}/{workload.meta.name}")
    return [pod for pod in found if not has_ended(pod) and _comes_from(pod, workload)]


def _comes_from(pod: Object, workload: Object) -> bool:
    owner = workload.meta.controller
    if owner is None:
        return True
    above = pod.meta.controller
    return above is not None and above.uid in (owner.uid, workload.meta.uid)
