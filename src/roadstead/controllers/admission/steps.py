"""Commands of the core -> steps: which objects are written, in which order, and what is told of it once it is done.

A command names objects that its decider knows; one that it does not know is a bug of the decider, and ends in an AssertionError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from roadstead.controllers.admission import writes
from roadstead.controllers.binder import binding, bound_note
from roadstead.controllers.checks import required
from roadstead.controllers.claims.allocating import allocated
from roadstead.controllers.claims.names import claims_of
from roadstead.core.plan import Admit, BindPod, Command, Evict, EvictionReason
from roadstead.ingest.dra import written
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    NODES,
    PLACEMENTS,
    PODS,
    RESOURCE_CLAIMS,
    SHUTDOWN_TAINT,
    WORKLOADS,
)
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.views.kueue import ClusterQueueView
from roadstead.kinds.views.node import NodeView
from roadstead.kinds.views.placement import PlacementView
from roadstead.runtime.cluster import Create, Delete, Update, Write
from roadstead.runtime.step import Key, Step, in_order

Lookup: TypeAlias = Callable[[Resource, str, str], Object | None]
"""(resource, namespace, name) -> the newest version known."""


def step_of(command: Command, lookup: Lookup, cluster_queue_of: Callable[[Key], str], now: int) -> tuple[Object, Step]:
    """The workload or pod that the command is about, as it is known, and what to write. `cluster_queue_of(workload)`: "" if none."""
    match command:
        case Admit():
            return _admission(command, lookup, now)
        case Evict():
            return _eviction(command, lookup, cluster_queue_of, now)
        case BindPod():
            return _binding(command, lookup, now)


def _admission(command: Admit, lookup: Lookup, now: int) -> tuple[Object, Step]:
    workload = lookup(WORKLOADS, *command.workload)
    assert workload is not None, f"admitted a workload that is not known: {command.workload}"
    steps: list[Write] = []
    stale = lookup(PLACEMENTS, *command.workload)
    if stale is not None:
        steps.append(Delete(stale.ref, stale.meta.uid))
    if command.placement is not None:
        steps.append(Create(PLACEMENTS, writes.placement_object(workload, command.placement)))
    queue = lookup(CLUSTER_QUEUES, "", command.admission.cluster_queue)
    flavors = [flavor for pod_set in command.admission.pod_sets for _, flavor in pod_set.flavors]
    checks = required(queue, flavors)
    value = writes.admitted(workload, command.admission, checks, now, waits_for_pods=command.waits_for_pods)
    steps.append(Update(WORKLOADS, value, "status"))
    return workload, in_order(*steps, notes=writes.admission_notes(workload, value, command.admission, now))


def _eviction(command: Evict, lookup: Lookup, cluster_queue_of: Callable[[Key], str], now: int) -> tuple[Object, Step]:
    victim = lookup(WORKLOADS, *command.workload)
    assert victim is not None, f"evicted a workload that is not known: {command.workload}"
    if writes.is_taken_back(victim, command):
        placement = lookup(PLACEMENTS, *command.workload)
        gone = () if placement is None else (Delete(placement.ref, placement.meta.uid),)
        return victim, in_order(Update(WORKLOADS, writes.taken_back(victim, command, now), "status"), *gone)
    preemptor, path = None, ""
    if command.preemptor:
        preemptor = lookup(WORKLOADS, *command.preemptor)
        path = _path(cluster_queue_of(command.preemptor), lookup)
    victims_path = _path(cluster_queue_of(command.workload), lookup)
    is_stopping = _is_shutting_down(command, lookup)
    message = writes.eviction_message(command, victim, preemptor, path, victims_path, shutting_down=is_stopping)
    notes = writes.evicted_notes(victim, command, message, preemptor)
    return victim, in_order(Update(WORKLOADS, writes.evicted(victim, command, message, now), "status"), notes=notes)


def _is_shutting_down(command: Evict, lookup: Lookup) -> bool:
    """Is a node that it runs on being shut down, so that it has to yield though nothing failed?"""
    placement = lookup(PLACEMENTS, *command.workload)
    if placement is None or command.reason is not EvictionReason.NODE_FAILURES:
        return False
    nodes = {member.node for pod_set in placement.view(PlacementView).spec.pod_sets for member in pod_set.members}
    found = (lookup(NODES, "", name) for name in sorted(nodes))
    return any(taint.key == SHUTDOWN_TAINT for node in found if node for taint in node.view(NodeView).spec.taints or ())


def _binding(command: BindPod, lookup: Lookup, now: int) -> tuple[Object, Step]:
    """The pod's claims first, in one stage, then the pod."""
    pod = lookup(PODS, *command.pod)
    assert pod is not None, f"bound a pod that is not known: {command.pod}"
    value = binding(pod, command.member.node, command.member.devices)
    value["metadata"]["resourceVersion"] = pod.meta.resource_version  # so that a doubt about it can be ended
    given = dict(command.member.claims)
    claims: list[Write] = []
    for entry, name in claims_of(pod):
        claim = lookup(RESOURCE_CLAIMS, pod.meta.namespace, name) if name else None
        if claim is not None:
            allocation = given.get(entry.name)
            said = written(allocation, "/".join(claim.key)) if allocation is not None else None
            if (update := allocated(claim, said, pod, now)) is not None:
                claims.append(update)
    bind = Create(PODS, value, "binding")
    stages: tuple[tuple[Write, ...], ...] = (tuple(claims), (bind,)) if claims else ((bind,),)
    return pod, Step(stages, notes=(bound_note(pod, command.member.node),))


def _path(cluster_queue: str, lookup: Lookup) -> str:
    """`/cohort/cq`: where a workload's quota is, as Kueue prints it; of a hierarchy only the cohort next to the queue."""
    if not cluster_queue:
        return ""
    queue = lookup(CLUSTER_QUEUES, "", cluster_queue)
    cohort = queue.view(ClusterQueueView).spec.cohort_name if queue is not None else ""
    return f"/{cohort}/{cluster_queue}" if cohort else f"/{cluster_queue}"
