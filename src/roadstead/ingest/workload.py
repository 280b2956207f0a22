"""Workload (and its Placement, if it has one) -> `model.Workload`."""

from __future__ import annotations

import msgspec

from roadstead.ingest import topology
from roadstead.ingest.devices import of_template
from roadstead.ingest.filled_in import Ranges, no_ranges, pod_class_of_template
from roadstead.ingest.placement import placement_of, speaks_for
from roadstead.ingest.pod_class import UnreadableError
from roadstead.ingest.reading import Lookup, Notes, amounts, time_of, view
from roadstead.kinds.kueue.priority_boost import boost_of
from roadstead.kinds.names import ADMISSION_GATE_ANNOTATION, PRIORITY_BOOST_ANNOTATION
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import Condition, Conditioned, find_condition
from roadstead.kinds.views.kueue import (
    AdmissionView,
    CheckStateView,
    PodSetAssignmentView,
    PodSetTopologyRequestView,
    WorkloadPodSetView,
    WorkloadView,
)
from roadstead.model.workload import (
    Admission,
    PodClass,
    PodSet,
    PodSetAssignment,
    TopologyAssignment,
    TopologyRequest,
    Workload,
    WorkloadState,
)


class _HeldStatus(msgspec.Struct, frozen=True, rename="camel", gc=False):
    conditions: tuple[Condition, ...] = ()
    admission: msgspec.Raw = msgspec.Raw(b"")


class _Held(msgspec.Struct, frozen=True, gc=False):
    """No more than says whether it holds anything: asked for every pod of it."""

    status: _HeldStatus = _HeldStatus()


REQUEUED_AT_EVICTION = frozenset({"PodsReadyTimeout", "AdmissionCheck"})
"""Reasons of Evicted after which the queue order counts from the eviction (Kueue 2.3, requeuingStrategy Eviction)."""


def fact_of(
    obj: Object, placement: Object | None, notes: Notes, lookup: Lookup, ranges: Ranges = no_ranges
) -> Workload:
    """The workload's facts. A finished one is nowhere: its Placement stays behind as a record and holds nothing.

    One whose pod sets can't be read is never admitted (`active` is off), but keeps what it holds: its Placement and
    reservation are read apart from its spec. The same goes for one that is being deleted before it holds quota.
    """
    meta = obj.meta
    found = view(obj, WorkloadView, notes)
    created_at = time_of(meta.creation_timestamp, notes, "metadata.creationTimestamp")
    before = len(notes)
    pod_sets = (
        tuple(_pod_set(each, meta.namespace, notes, lookup, ranges) for each in found.spec.pod_sets) if found else ()
    )
    is_readable = len(notes) == before
    placed = None
    if placement is not None and speaks_for(placement, meta.uid):
        placed = placement_of(placement, notes, {pod_set.name: pod_set.pod for pod_set in pod_sets})
    if found is None:
        alone = _state_alone(obj)
        return Workload(
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            queue="",
            pod_sets=(),
            created_at=created_at,
            queued_at=created_at,
            active=False,
            generation=max(meta.generation, 1),
            state=alone,
            placement=placed if alone is not WorkloadState.FINISHED else None,
        )
    spec, status = found.spec, found.status
    conditions = {condition.type: condition for condition in status.conditions}
    state = _state(conditions, has_admission=status.admission is not None)
    reserved = conditions.get("QuotaReserved") if state is WorkloadState.RESERVED else None
    evicted = _true(conditions, "Evicted")
    requeued = conditions.get("Requeued")
    is_going = meta.deletion_timestamp is not None and state is WorkloadState.PENDING
    requeue = status.requeue_state
    waits, since = _pods_wait(conditions, notes) if reserved else ("", 0)
    gates = meta.annotations.get(ADMISSION_GATE_ANNOTATION, "")
    return Workload(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        queue=spec.queue_name,
        pod_sets=pod_sets,
        created_at=created_at,
        queued_at=_queued_at(evicted, created_at, notes),
        priority=spec.priority or 0,
        boost=_boost(meta.annotations.get(PRIORITY_BOOST_ANNOTATION, ""), notes),
        active=spec.active is not False and is_readable and not is_going,
        generation=max(meta.generation, 1),
        state=state,
        admission=_admission(status.admission, found, notes) if reserved and status.admission else None,
        reserved_at=time_of(reserved.last_transition_time, notes, "QuotaReserved") if reserved else 0,
        admitted=reserved is not None and _true(conditions, "Admitted") is not None,
        evicted=evicted.reason if evicted else "",
        requeue_blocked=requeued is not None and requeued.status == "False",
        requeue_at=time_of(requeue.requeue_at, notes, "status.requeueState.requeueAt") if requeue else 0,
        requeue_count=max(requeue.count or 0, 0) if requeue else 0,
        pods_wait=waits,
        pods_wait_since=since,
        kept_out=_kept_out(conditions, gates) if state is WorkloadState.PENDING else "",
        gated_by=gates,
        failed_checks=_failed_checks(status.admission_checks),
        reclaimable=tuple((each.name.lower(), max(each.count, 0)) for each in status.reclaimable_pods),
        placement=placed if state is not WorkloadState.FINISHED else None,
    )


def _boost(text: str, notes: Notes) -> int:
    if not text:
        return 0
    if (found := boost_of(text)) is None:
        notes.append(f"annotation {PRIORITY_BOOST_ANNOTATION}: {text!r} is no signed integer, and adds nothing")
    return found or 0


def _kept_out(conditions: dict[str, Condition], gates: str) -> str:
    """Why it may not enter a queue although it is active and holds nothing (Kueue 2.1); "" if it may."""
    if gates:
        return "AdmissionGated"
    reserved = conditions.get("QuotaReserved")
    if reserved is not None and reserved.status == "False" and reserved.reason == "OnHold":
        return "OnHold"
    return "WaitingForReplacementPods" if _true(conditions, "WaitingForReplacementPods") else ""


def _failed_checks(checks: tuple[CheckStateView, ...]) -> str:
    states = {check.state for check in checks}
    return next((state for state in ("Rejected", "Retry") if state in states), "")


def _true(conditions: dict[str, Condition], type: str) -> Condition | None:
    condition = conditions.get(type)
    return condition if condition is not None and condition.is_true else None


def _state(conditions: dict[str, Condition], *, has_admission: bool) -> WorkloadState:
    if _true(conditions, "Finished"):
        return WorkloadState.FINISHED
    if _true(conditions, "QuotaReserved") and has_admission:
        return WorkloadState.RESERVED
    return WorkloadState.PENDING


def is_reserved(obj: Object) -> bool:
    """Does its fact hold quota, and the places of its Placement?"""
    found = view(obj, _Held, [])
    if found is None:
        return False
    conditions = {condition.type: condition for condition in found.status.conditions}
    has_admission = bytes(found.status.admission) not in (b"", b"null")
    return _state(conditions, has_admission=has_admission) is WorkloadState.RESERVED


def _state_alone(obj: Object) -> WorkloadState:
    """FINISHED or PENDING of a workload whose other fields can't be read: without an admission it can't be counted as
    reserving."""
    found = view(obj, Conditioned, [])
    finished = find_condition(found.status.conditions, "Finished") if found else None
    return WorkloadState.FINISHED if finished and finished.is_true else WorkloadState.PENDING


def _queued_at(evicted: Condition | None, created_at: int, notes: Notes) -> int:
    if evicted is not None and evicted.reason in REQUEUED_AT_EVICTION:
        return time_of(evicted.last_transition_time, notes, "Evicted") or created_at
    return created_at


def _pods_wait(conditions: dict[str, Condition], notes: Notes) -> tuple[str, int]:
    """Why the pods of a holder are waited for, and since when: admission, or their failure (kueue.md 2.7). A holder
    whose condition PodsReady is missing is not waited for: nobody watches its pods."""
    ready, admitted = conditions.get("PodsReady"), _true(conditions, "Admitted")
    if ready is None or ready.status != "False" or admitted is None:
        return "", 0
    if ready.reason == "WaitForRecovery":
        return ready.reason, time_of(ready.last_transition_time, notes, "PodsReady")
    return "WaitForStart", time_of(admitted.last_transition_time, notes, "Admitted")


def _pod_set(pod_set: WorkloadPodSetView, namespace: str, notes: Notes, lookup: Lookup, ranges: Ranges) -> PodSet:
    name = pod_set.name.lower()
    try:
        spec = pod_set.template.get("spec") or {}
        pod = pod_class_of_template(spec, namespace, of_template(namespace, lookup), lookup, ranges)
    except UnreadableError as error:
        notes.append(f"pod set {name} can't be read: {error}")
        pod = PodClass()
    return PodSet(
        name=name,
        count=max(pod_set.count, 0),
        pod=pod,
        min_count=pod_set.min_count,
        topology=_topology_request(pod_set.topology_request),
    )


def _topology_request(request: PodSetTopologyRequestView | None) -> TopologyRequest | None:
    """None also for a request that asks for nothing by itself (only indices for rank order)."""
    if request is None:
        return None
    made = TopologyRequest(
        required=request.required or "",
        preferred=request.preferred or "",
        unconstrained=bool(request.unconstrained),
        group=request.pod_set_group_name or "",
        slice_level=request.pod_set_slice_required_topology or "",
        slice_size=request.pod_set_slice_size or 0,
        slice_layers=tuple(
            (layer.topology, layer.size) for layer in request.podset_slice_required_topology_constraints
        ),
    )
    return made if made != TopologyRequest() else None


def _admission(admission: AdmissionView, found: WorkloadView, notes: Notes) -> Admission:
    counts = {pod_set.name.lower(): pod_set.count for pod_set in found.spec.pod_sets}
    return Admission(
        admission.cluster_queue,
        tuple(_assignment(each, counts, notes) for each in admission.pod_set_assignments),
    )


def _assignment(assigned: PodSetAssignmentView, counts: dict[str, int], notes: Notes) -> PodSetAssignment:
    name = assigned.name.lower()
    return PodSetAssignment(
        name=name,
        count=assigned.count if assigned.count is not None else counts.get(name, 0),
        flavors=tuple(sorted(assigned.flavors.items())),
        usage=amounts(assigned.resource_usage, notes, f"resourceUsage of pod set {name}"),
        topology=_topology(assigned, notes),
    )


def _topology(assigned: PodSetAssignmentView, notes: Notes) -> TopologyAssignment | None:
    if assigned.topology_assignment is None:
        return None
    try:
        return topology.decode(msgspec.to_builtins(assigned.topology_assignment))
    except topology.EncodingError as error:
        notes.append(f"topologyAssignment of pod set {assigned.name}: {error}")
        return None
