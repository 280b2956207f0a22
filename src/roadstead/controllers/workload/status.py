"""Edits of a Workload that its job's reconciler makes: finishing, and giving a reservation back (kueue 2.4, 2.5,
5.1)."""

from __future__ import annotations

from typing import Final

from roadstead.controllers import pods_ready
from roadstead.controllers.conditions import get_condition, is_true, set_condition
from roadstead.kinds.names import IN_USE_FINALIZER, PLACEMENTS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, parse_time
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.runtime.cluster import Delete, Write
from roadstead.runtime.step import Read

REQUEUED_AT_ONCE: Final = ("Preempted", "NodeFailures", "PlacementLost")
"""Eviction reasons after which the workload goes straight back into its queue; the others wait for somebody's act."""

OUT_OF_TIME: Final = "DeactivatedDueToMaximumExecutionTimeExceeded"


def is_finished(workload: Object) -> bool:
    return has_condition(workload.view(WorkloadView).status.conditions, "Finished")


def is_admitted(workload: Object) -> bool:
    return has_condition(workload.view(WorkloadView).status.conditions, "Admitted")


def is_evicted(workload: Object) -> bool:
    return has_condition(workload.view(WorkloadView).status.conditions, "Evicted")


def holds_quota(workload: Object) -> bool:
    return has_condition(workload.view(WorkloadView).status.conditions, "QuotaReserved")


def finished(workload: Object, reason: str, message: str, now: int) -> Json:
    """The Workload with Finished=True."""
    value = workload.decode()
    set_condition(value, "Finished", True, reason, message, now)
    return value


def released(workload: Object, reason: str, message: str, now: int) -> Json:
    """The Workload without reservation, back among the pending ones after an eviction for `reason`.

    Its queue-order timestamp is not touched: it returns to its old place. Seconds spent admitted are added up.
    """
    value = workload.decode()
    status = value.setdefault("status", {})
    admitted = get_condition(value, "Admitted")
    if reason == OUT_OF_TIME:
        status.pop("accumulatedPastExecutionTimeSeconds", None)  # who reactivates it gives it its whole time again
    elif admitted and admitted["status"] == "True" and admitted.get("lastTransitionTime"):
        seconds = max(0, (now - parse_time(admitted["lastTransitionTime"])) // SECOND)
        if seconds:
            before = status.get("accumulatedPastExecutionTimeSeconds") or 0
            status["accumulatedPastExecutionTimeSeconds"] = before + seconds
    status.pop("admission", None)
    set_condition(value, "Requeued", reason in REQUEUED_AT_ONCE, reason, message, now)
    set_condition(value, "QuotaReserved", False, "PendingEvaluation", message, now)
    pods_ready.start_over(value, now)
    if admitted:
        set_condition(value, "Admitted", False, "NoReservation", "The workload has no reservation", now)
    return value


def drop_placement(workload: Object, read: Read) -> tuple[Write, ...]:
    """The write that gives nodes and devices back, if there is a Placement.

    Written where the Workload lives on without it, or vanishes. A finished Workload keeps its Placement, which holds
    nothing any more (ingest), until garbage collection takes both: one write less for every job.
    """
    placement = read.get(PLACEMENTS, workload.meta.namespace, workload.meta.name)
    if placement is None or placement.meta.deletion_timestamp:
        return ()
    return (Delete(placement.ref, placement.meta.uid),)


def requeued(workload: Object, reason: str, message: str, now: int) -> Json:
    """The Workload with Requeued=True: allowed into its queue again."""
    value = workload.decode()
    set_condition(value, "Requeued", True, reason, message, now)
    return value


def with_reclaimable(workload: Object, counts: dict[str, int]) -> Json | None:
    """The Workload with grown reclaimablePods, or None if nothing grew (they never shrink while quota is held)."""
    value = workload.decode()
    status = value.setdefault("status", {})
    known = {item["name"]: item["count"] for item in status.get("reclaimablePods") or ()}
    grown = {name: max(count, known.get(name, 0)) for name, count in {**known, **counts}.items()}
    if grown == known or not is_true(value, "QuotaReserved"):
        return None
    status["reclaimablePods"] = [{"name": name, "count": count} for name, count in sorted(grown.items())]
    return value


def without_finalizer(workload: Object) -> Json:
    value = workload.decode()
    metadata = value["metadata"]
    metadata["finalizers"] = [name for name in metadata.get("finalizers") or () if name != IN_USE_FINALIZER]
    return value
