"""Commands of the Plan as writes: conditions, reasons and messages exactly as Kueue's (kueue 2.2-2.4, 3.7.2, 8.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from roadstead.controllers import checks, pods_ready
from roadstead.controllers.conditions import get_condition, is_true, set_condition
from roadstead.core.plan import Evict, EvictionReason
from roadstead.expr.quantity import from_canonical
from roadstead.ingest import topology
from roadstead.ingest.dra import written
from roadstead.kinds.names import JOB_UID_LABEL, PLACEMENTS
from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.kinds.views.common import find_condition, has_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.model.workload import Admission, Member, Placement, PodSetAssignment
from roadstead.runtime.step import Note

UNKNOWN: Final = "UNKNOWN"
GATE_CLEARED: Final = "Admission gate cleared, workload is now admissible"

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
                        _member(member, f"{workload.meta.uid}/{pod_set.name}/{number}", dict(pod_set.shared))
                        for number, member in enumerate(pod_set.members)
                    ],
                }
                for pod_set in placement.pod_sets
            ],
        },
    }


def _member(member: Member, whose: str, shared: Mapping[str, tuple[str, str]]) -> Json:
    """One member. Shares of devices get ids: its own, or, of a ResourceClaim that several share, the claim's."""
    value: Json = {"node": member.node}
    if member.devices:
        value["devices"] = list(member.devices)
    if member.claims:
        value["claims"] = [
            {"name": name, "allocation": written(given, "/".join(shared.get(name, (whose, name))))}
            for name, given in member.claims
        ]
    return value


def admitted(
    workload: Object, admission: Admission, needs: Sequence[str], now: int, *, waits_for_pods: bool = False
) -> Json:
    """The Workload with quota reserved, and admitted unless a check stands between the two (kueue 2.1): `needs` names those it must
    carry. Those it does not carry yet are added in the same write, so that a reservation is never seen without its checks; the same
    goes for the pods that are to be ready (`waits_for_pods`)."""
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
    if waits_for_pods:
        pods_ready.say_waiting(value, now)
    checks.sync(value, needs, now)
    if all(entry.get("state") == checks.CheckState.READY for entry in status.get("admissionChecks") or ()):
        checks.say_admitted(value, now)
    else:
        checks.say_unsatisfied(value, now)
    return value


def admission_notes(workload: Object, written: Json, admission: Admission, now: int) -> tuple[Note, ...]:
    """The events of a reservation, with the time it took since the workload was queued (last requeued or created).

    QuotaReserved if checks stand between it and its admission, which gets its own event then. Else one, Admitted, where Kueue has
    two: both are one write, and a second event could only add "wait time since reservation was 0s".
    """
    value = workload.decode()
    cleared = get_condition(value, "QuotaReserved")
    is_free = cleared is not None and cleared["reason"] == "AdmissionGated"
    gate = (Note(workload, "Normal", "AdmissionGateCleared", GATE_CLEARED),) if is_free else ()
    is_admitted = is_true(written, "Admitted")
    reason, did = ("Admitted", "Admitted by") if is_admitted else ("QuotaReserved", "Quota reserved in")
    requeued = get_condition(value, "Requeued")
    since = (requeued or {}).get("lastTransitionTime") or workload.meta.creation_timestamp
    waited = max(0, (now - parse_time(since)) // SECOND) if since else 0
    flavors = "; ".join(
        f"{pod_set.name}: {', '.join(sorted(set(dict(pod_set.flavors).values())))}" for pod_set in admission.pod_sets
    )
    message = (
        f"{did} ClusterQueue {admission.cluster_queue}, wait time since queued was {waited}s; "
        f"Flavors considered: {flavors}"
    )
    return (*gate, Note(workload, "Normal", reason, message))


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


TAKEN_BACK: Final = {
    EvictionReason.CLUSTER_QUEUE_STOPPED: ("Suspended", "ClusterQueue {cluster_queue} is stopped"),
    EvictionReason.LOCAL_QUEUE_STOPPED: ("Suspended", "LocalQueue {queue} is stopped"),
    EvictionReason.CLUSTER_QUEUE_MISSING: ("Misconfigured", "ClusterQueue {cluster_queue} is terminating or missing"),
    EvictionReason.LOCAL_QUEUE_MISSING: ("Misconfigured", "LocalQueue {queue} is terminating or missing"),
}
"""What becomes of a reservation that nobody was admitted on, instead of an eviction: reason and message (kueue 2.9)."""


def is_taken_back(workload: Object, command: Evict) -> bool:
    """True if nothing can have been started on the reservation, and its end is no eviction."""
    return command.reason in TAKEN_BACK and not has_condition(workload.view(WorkloadView).status.conditions, "Admitted")


def taken_back(workload: Object, command: Evict, now: int) -> Json:
    """The Workload without the reservation, pending as before. Its checks keep what they say."""
    value = workload.decode()
    reason, message = TAKEN_BACK[command.reason]
    admission = value["status"].pop("admission", None) or {}
    names = {"queue": value["spec"].get("queueName", ""), "cluster_queue": admission.get("clusterQueue", "")}
    set_condition(value, "QuotaReserved", False, reason, message.format(**names), now)
    say_unreserved(value, now)
    return value


SHUTTING_DOWN: Final = "The cluster is being shut down; it is in the queue again and starts when the cluster is up"


def eviction_message(
    command: Evict,
    victim: Object,
    preemptor: Object | None = None,
    path: str = "",
    victim_path: str = "",
    *,
    shutting_down: bool = False,
) -> str:
    """Why it was evicted, in Kueue's words; `shutting_down`: its nodes were asked to stop, none has failed. Names no other workload:
    only uids, and paths of queues."""
    if shutting_down and command.reason is EvictionReason.NODE_FAILURES:
        return SHUTTING_DOWN
    states = victim.view(WorkloadView).status
    if command.reason is EvictionReason.ADMISSION_CHECK:
        retry = checks.CheckState.RETRY
        return f"Evicted due to {checks.describe(checks.in_state(states.admission_checks, retry), retry)}"
    if command.reason is EvictionReason.DEACTIVATED:
        target = find_condition(states.conditions, "DeactivationTarget")
        due_to = f" due to {target.message}" if target is not None and target.is_true else ""
        return f"{EVICTION_MESSAGES[command.reason]}{due_to}"
    if command.reason is EvictionReason.PODS_READY_TIMEOUT:
        return f"Exceeded the PodsReady timeout {victim.meta.namespace}/{victim.meta.name}"
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
    """The Workload asked to go. It keeps its quota until its job has stopped (kueue 2.4). Its checks begin anew."""
    value = workload.decode()
    status = value["status"]
    set_condition(value, "Evicted", True, eviction_reason(workload, command), message, now)
    checks.put_off(value, workload.view(WorkloadView).status.admission_checks)
    checks.reset(value, now)
    if command.reason is EvictionReason.PREEMPTED:
        set_condition(value, "Preempted", True, command.preemption_reason, message, now)
    if command.reason is EvictionReason.DEACTIVATED:
        checks.take_target(value)
        status.pop("requeueState", None)
    if command.reason is EvictionReason.PODS_READY_TIMEOUT:
        status["requeueState"] = {"count": command.requeue_count, "requeueAt": format_time(command.requeue_at)}
    _count_eviction(status, command.reason.value, _cause(workload, command))
    return value


def eviction_reason(workload: Object, command: Evict) -> str:
    """Reason of condition Evicted: for a deactivation with what is behind it, such as DeactivatedDueToAdmissionCheck."""
    cause = _cause(workload, command) if command.reason is EvictionReason.DEACTIVATED else ""
    return f"{command.reason.value}DueTo{cause}" if cause else command.reason.value


def _cause(workload: Object, command: Evict) -> str:
    """The underlying cause, under which Kueue counts an eviction apart: for a deactivation, who asked for it."""
    if command.reason is not EvictionReason.DEACTIVATED:
        return command.cause
    target = find_condition(workload.view(WorkloadView).status.conditions, "DeactivationTarget")
    return target.reason if target is not None and target.is_true else ""


def evicted_notes(victim: Object, command: Evict, message: str, preemptor: Object | None) -> tuple[Note, ...]:
    notes = [Note(victim, "Normal", f"EvictedDueTo{eviction_reason(victim, command)}", message)]
    if command.reason is EvictionReason.PREEMPTED:
        notes.append(Note(victim, "Normal", "Preempted", message))
        if preemptor is not None:
            told = f"Preempted a workload (UID: {command.uid}) due to {PREEMPTION_CAUSES.get(command.preemption_reason, UNKNOWN)}"
            notes.append(Note(preemptor, "Normal", "PreemptedWorkload", told))
    return tuple(notes)


def _count_eviction(status: Json, reason: str, cause: str) -> None:
    evictions = status.setdefault("schedulingStats", {}).setdefault("evictions", [])
    for entry in evictions:
        if (entry["reason"], entry.get("underlyingCause") or "") == (reason, cause):
            entry["count"] += 1
            return
    evictions.append({"reason": reason, "underlyingCause": cause, "count": 1})


# ---------------------------------------------------------------------- refusals


def still_pending(workload: Object, reason: str, message: str, now: int) -> Json | None:
    """The Workload with QuotaReserved=False for `reason`, or None if it holds quota or says so already."""
    value = workload.decode()
    if is_true(value, "QuotaReserved") or is_true(value, "Finished"):
        return None
    changed = set_condition(value, "QuotaReserved", False, reason, message, now)
    if changed:
        say_unreserved(value, now)
    return value if changed else None


def say_unreserved(value: Json, now: int) -> None:
    """Admitted=False, beside QuotaReserved=False (kueue 2.2)."""
    set_condition(value, "Admitted", False, "NoReservation", "The workload has no reservation", now)


def unschedulable(pod: Object, message: str, now: int) -> Json | None:
    """The pod with PodScheduled=False, as kube-scheduler would say it, or None if it says so already."""
    value = pod.decode()
    if value["spec"].get("nodeName"):
        return None
    changed = set_condition(value, "PodScheduled", False, "Unschedulable", message, now)
    return value if changed else None
