"""Limits in time of an admitted Workload: when one is passed, it is marked to be deactivated (kueue 2.7, 2.8).

The mark, condition DeactivationTarget, is carried out by `checks`: `spec.active` becomes false, and admission evicts.
An eviction that is not the last (pods that were not ready in time, with tries left) is the core's business; both ask
the same function when.
"""

from __future__ import annotations

from typing import Final

from roadstead.controllers import checks
from roadstead.controllers.workload.policy import Policy
from roadstead.controllers.workload.status import holds_quota, is_evicted
from roadstead.core.queueing.readiness import WAIT_FOR_RECOVERY, WAIT_FOR_START, expires_at, gives_up
from roadstead.kinds.names import WORKLOADS
from roadstead.kinds.object import Object
from roadstead.kinds.times import SECOND, parse_time
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import Note, Step, in_order

TIME: Final = "MaximumExecutionTimeExceeded"
TRIES: Final = "RequeuingLimitExceeded"
MESSAGES: Final = {
    TIME: "exceeding the maximum execution time",
    TRIES: "exceeding the maximum number of re-queuing retries",
}


def limit(workload: Object, policy: Policy, now: int) -> Step | None:
    """The mark, once a limit is passed; when to look again before that; None if no limit runs. O(1)."""
    view = workload.view(WorkloadView)
    conditions = view.status.conditions
    admitted = find_condition(conditions, "Admitted")
    if admitted is None or not admitted.is_true or not admitted.last_transition_time:
        return None
    if view.spec.active is False or is_evicted(workload) or not holds_quota(workload):
        return None
    if (target := find_condition(conditions, "DeactivationTarget")) is not None and target.is_true:
        return None
    since = parse_time(admitted.last_transition_time)
    ends = {TIME: _time_is_over(workload, since), TRIES: _tries_are_over(workload, policy, since)}
    times = {cause: at for cause, at in ends.items() if at is not None}
    if not times:
        return None
    cause = min(times, key=times.__getitem__)
    if times[cause] > now:
        return Step(again_at=times[cause])
    value = workload.decode()
    if cause == TIME:
        value["status"].pop("accumulatedPastExecutionTimeSeconds", None)
    checks.say_target(value, cause, MESSAGES[cause], now)
    notes = [Note(workload, "Warning", cause, MESSAGES[cause])]
    return in_order(Update(WORKLOADS, value, "status"), notes=notes)


def _time_is_over(workload: Object, since: int) -> int | None:
    """When its maximum execution time is used up (KEP-3125): seconds admitted, those before earlier evictions
    included."""
    view = workload.view(WorkloadView)
    most = view.spec.maximum_execution_time_seconds
    if most is None:
        return None
    return since + (most - (view.status.accumulated_past_execution_time_seconds or 0)) * SECOND


def _tries_are_over(workload: Object, policy: Policy, since: int) -> int | None:
    """When the last try to get its pods ready fails (KEP-1282)."""
    status = workload.view(WorkloadView).status
    ready = find_condition(status.conditions, "PodsReady")
    if policy.pods_ready is None or ready is None or ready.status != "False":
        return None
    count = (status.requeue_state.count if status.requeue_state is not None else None) or 0
    if not gives_up(count, policy.pods_ready):
        return None
    if ready.reason == WAIT_FOR_RECOVERY and ready.last_transition_time:
        return expires_at(WAIT_FOR_RECOVERY, parse_time(ready.last_transition_time), policy.pods_ready)
    return expires_at(WAIT_FOR_START, since, policy.pods_ready)
