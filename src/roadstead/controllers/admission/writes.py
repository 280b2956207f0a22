"""Commands of the Plan as writes: conditions, reasons and messages exactly as Kueue's (kueue 2.2-2.4, 3.7.2, 8.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from roadstead.controllers.conditions import get_condition, is_true, set_condition
from roadstead.core.plan import Evict, EvictionReason
from roadstead.expr.quantity import from_canonical
from roadstead.ingest import topology
from roadstead.kinds.names import JOB_UID_LABEL, PLACEMENTS
from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.kinds.times import SECOND, parse_time
from roadstead.model.workload import Admission, Placement, PodSetAssignment
from roadstead.runtime.step import Note

UNKNOWN: Final = "UNKNOWN"

EVICTION_MESSAGES: Final = {
    EvictionReason.CLUSTER_QUEUE_STOPPED: "The ClusterQueue is stopped",
    EvictionReason.LOCAL_QUEUE_STOPPED: "The LocalQueue is stopped",
    EvictionReason.DEACTIVATED: "The workload is deactivated",
    EvictionReason.NODE_FAILURES: "Workload was evicted as there was no replacement for a failed node",
    EvictionReason.PLACEMENT_LOST: "The Placement of the workload was deleted: nothing says any more where its pods may run",
}
PREEMPTION_CAUSES: Final = {
    "InClusterQueue": "prioritization in the ClusterQueue",
    "InCohortReclamation": "reclamation within the cohort",
    "InCohortFairSharing": "Fair Sharing within the cohort",
    "InCohortReclaimWhileBorrowing": "reclamation within the cohort while borrowing",
}


def quantities(amounts: Iterable[tuple[str, int]]) -> dict[str, str]:
    """Canonical amounts as quantity strings, as the API writes them."""
    return {name: from_canonical(name, amount) for name, amount in amounts}


# ---------------------------------------------------------------------- admit


def placement_object(workload: Object, placement: Placement) -> Json:
    """The Placement to create: named after its Workload and owned by it."""
    return {
        "apiVersion": PLACEMENTS.api_version,
        "kind": "Placement",
        "metadata": {
            "name": workload.meta.name,
            "namespace": workload.meta.namespace,
            "ownerReferences": [owner_reference(workload)],
        },
        "spec": {
            "workload": {"name": workload.meta.name, "uid": workload.meta.uid},
            "podSets": [
                {
                    "name": pod_set.name,
                    "requests": quantities(pod_set.requests),
                    "members": [
                        {"node": member.node, "devices": list(member.devices)}
                        if member.devices
                        else {"node": member.node}
                        for member in pod_set.members
                    ],
                }
                for pod_set in placement.pod_sets
            ],
        },
    }


def admitted(workload: Object, admission: Admission, now: int) -> Json:
    """The Workload with quota reserved and admitted: no check stands between the two here (kueue 2.1)."""
    value = workload.decode()
    status = value.setdefault("status", {})
    status["admission"] = {
        "clusterQueue": admission.cluster_queue,
        "podSetAssignments": [_assignment(pod_set) for pod_set in admission.pod_sets],
    }
    message = f"Quota reserved in ClusterQueue {admission.cluster_queue}"
    set_condition(value, "QuotaReserved", True, "QuotaReserved", message, now)
    for stale in ("Evicted", "Preempted"):
        condition = get_condition(value, stale)
        if condition is not None and condition["status"] == "True":
            set_condition(value, stale, False, "QuotaReserved", f"Previously: {condition.get('message', '')}", now)
    set_condition(value, "Admitted", True, "Admitted", "The workload is admitted", now)
    return value


def admitted_note(workload: Object, admission: Admission, now: int) -> Note:
    """The event of an admission, with the time it took since the workload was queued (last requeued or created).

    One event where Kueue has two: it reserves first and admits after its checks; here both are one write, and a second event
    could only add "wait time since reservation was 0s".
    """
    value = workload.decode()
    requeued = get_condition(value, "Requeued")
    since = (requeued or {}).get("lastTransitionTime") or workload.meta.creation_timestamp
    waited = max(0, (now - parse_time(since)) // SECOND) if since else 0
    flavors = "; ".join(
        f"{pod_set.name}: {', '.join(sorted(set(dict(pod_set.flavors).values())))}" for pod_set in admission.pod_sets
    )
    message = (
        f"Admitted by ClusterQueue {admission.cluster_queue}, wait time since queued was {waited}s; "
        f"Flavors considered: {flavors}"
    )
    return Note(workload, "Normal", "Admitted", message)


def _assignment(pod_set: PodSetAssignment) -> Json:
    value: Json = {
        "name": pod_set.name,
        "flavors": dict(pod_set.flavors),
        "resourceUsage": quantities(pod_set.usage),
        "count": pod_set.count,
    }
    if pod_set.topology is not None:
        value["topologyAssignment"] = topology.encode(pod_set.topology)
    return value


# ---------------------------------------------------------------------- evict


def eviction_message(command: Evict, preemptor: Object | None, path: str, victim_path: str) -> str:
    """Why it was evicted, in Kueue's words. Names no other workload: only uids, and paths of queues."""
    if command.reason is not EvictionReason.PREEMPTED:
        return EVICTION_MESSAGES[command.reason]
    uid = command.preemptor_uid or UNKNOWN
    job_uid = (preemptor.meta.labels.get(JOB_UID_LABEL) if preemptor is not None else None) or UNKNOWN
    cause = PREEMPTION_CAUSES.get(command.preemption_reason, UNKNOWN)
    return (
        f"Preempted to accommodate a workload (UID: {uid}, JobUID: {job_uid}) due to {cause}; "
        f"preemptor path: {path or UNKNOWN}; preemptee path: {victim_path or UNKNOWN}"
    )


def evicted(workload: Object, command: Evict, message: str, now: int) -> Json:
    """The Workload asked to go. It keeps its quota until its job has stopped (kueue 2.4)."""
    value = workload.decode()
    set_condition(value, "Evicted", True, command.reason.value, message, now)
    status = value["status"]
    if command.reason is EvictionReason.PREEMPTED:
        set_condition(value, "Preempted", True, command.preemption_reason, message, now)
    if command.reason is EvictionReason.DEACTIVATED:
        status.pop("requeueState", None)
    _count_eviction(status, command.reason.value)
    return value


def evicted_notes(victim: Object, command: Evict, message: str, preemptor: Object | None) -> tuple[Note, ...]:
    notes = [Note(victim, "Normal", f"EvictedDueTo{command.reason.value}", message)]
    if command.reason is EvictionReason.PREEMPTED:
        notes.append(Note(victim, "Normal", "Preempted", message))
        if preemptor is not None:
            told = f"Preempted a workload (UID: {command.uid}) due to {PREEMPTION_CAUSES.get(command.preemption_reason, UNKNOWN)}"
            notes.append(Note(preemptor, "Normal", "PreemptedWorkload", told))
    return tuple(notes)


def _count_eviction(status: Json, reason: str) -> None:
    evictions = status.setdefault("schedulingStats", {}).setdefault("evictions", [])
    for entry in evictions:
        if entry["reason"] == reason and not entry.get("underlyingCause"):
            entry["count"] += 1
            return
    evictions.append({"reason": reason, "underlyingCause": "", "count": 1})


# ---------------------------------------------------------------------- refusals


def still_pending(workload: Object, reason: str, message: str, now: int) -> Json | None:
    """The Workload with QuotaReserved=False for `reason`, or None if it holds quota or says so already."""
    value = workload.decode()
    if is_true(value, "QuotaReserved") or is_true(value, "Finished"):
        return None
    changed = set_condition(value, "QuotaReserved", False, reason, message, now)
    return value if changed else None


def unschedulable(pod: Object, message: str, now: int) -> Json | None:
    """The pod with PodScheduled=False, as kube-scheduler would say it, or None if it says so already."""
    value = pod.decode()
    if value["spec"].get("nodeName"):
        return None
    changed = set_condition(value, "PodScheduled", False, "Unschedulable", message, now)
    return value if changed else None
