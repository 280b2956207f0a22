"""Admission checks of a workload: which it must carry, what they add up to, and the edits of its list (kueue 2.6, 6.1).

Each entry of `status.admissionChecks` belongs to the controller of its check. We add entries (Pending), drop those that
are not asked for, and reset them when the workload is evicted; nothing else in them is ours.

Upstream: KEP-993 (two phases), KEP-1432 (checks per flavor), KEP-3258 (retry after a delay).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from roadstead.controllers.conditions import MESSAGE_LIMIT, get_condition, set_condition
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.kinds.views.kueue import CheckStateView, ClusterQueueView, WorkloadStatusView

RESET: Final = "Reset to Pending after eviction. Previously: "


class CheckState(StrEnum):
    PENDING = "Pending"
    READY = "Ready"
    RETRY = "Retry"
    REJECTED = "Rejected"


def required(queue: Object | None, flavors: Iterable[str] | None) -> tuple[str, ...]:
    """Names of the checks that a workload in this ClusterQueue must carry, sorted. `flavors`: those assigned to it;
    None: it has no reservation yet, and then only checks for every flavor of the queue are known to apply."""
    strategy = queue.view(ClusterQueueView).spec.admission_checks_strategy if queue is not None else None
    if queue is None or strategy is None or not strategy.admission_checks:
        return ()
    groups = queue.view(ClusterQueueView).spec.resource_groups
    everything = {flavor.name for group in groups for flavor in group.flavors}
    assigned = None if flavors is None else set(flavors)
    found = set()
    for rule in strategy.admission_checks:
        asks_for = set(rule.on_flavors) or everything
        if asks_for >= everything if assigned is None else asks_for & assigned:
            found.add(rule.name)
    return tuple(sorted(found))


def assigned_flavors(status: WorkloadStatusView) -> list[str] | None:
    """Flavors that the admission gives out; None without one."""
    if status.admission is None:
        return None
    return [flavor for item in status.admission.pod_set_assignments for flavor in item.flavors.values()]


# ---------------------------------------------------------------------- what they add up to


def all_ready(states: Iterable[CheckStateView]) -> bool:
    """True also where there are none."""
    return all(check.state == CheckState.READY for check in states)


def in_state(states: Iterable[CheckStateView], state: CheckState) -> list[CheckStateView]:
    return sorted((check for check in states if check.state == state), key=lambda check: check.name)


def describe(checks: Sequence[CheckStateView], state: CheckState) -> str:
    """`AdmissionChecks in Retry state: "a" (why); "b"`, as Kueue words it."""
    parts = [f'"{check.name}" ({check.message})' if check.message else f'"{check.name}"' for check in checks]
    return f"AdmissionCheck{'s' if len(checks) > 1 else ''} in {state} state: {'; '.join(parts)}"


def pending_news(states: Iterable[CheckStateView]) -> str:
    """What checks that are not done yet have to say, such as when they expect to be; "" if nothing."""
    return "; ".join(
        f"{check.name}: {check.message}" for check in in_state(states, CheckState.PENDING) if check.message
    )


def requeue_time(states: Iterable[CheckStateView]) -> int | None:
    """When the last of the checks that ask for another try wants it, in nanoseconds; None: nobody asked for a delay."""
    times = [
        parse_time(check.last_transition_time) + check.requeue_after_seconds * SECOND
        for check in states
        if check.state == CheckState.RETRY and check.requeue_after_seconds and check.last_transition_time
    ]
    return max(times, default=None)


# ---------------------------------------------------------------------- edits


def sync(value: Json, names: Sequence[str], now: int) -> bool:
    """Make the list of a decoded Workload hold exactly these checks, sorted, in place; True if anything changed.
    Entries that stay keep everything that their controllers wrote."""
    status: Json = value.setdefault("status", {})
    listed = status.get("admissionChecks") or []
    kept = {entry["name"]: entry for entry in listed if entry["name"] in names}
    wanted = [kept.get(name) or _pending(name, "", now) for name in names]
    if len(wanted) == len(listed) == len(kept):
        return False  # nothing new, nothing too many; the order alone is no reason to write
    if wanted:
        status["admissionChecks"] = wanted
    else:
        status.pop("admissionChecks", None)
    return True


def reset(value: Json, now: int) -> None:
    """An eviction begins a new attempt: every verdict is Pending again; who asked for a retry has one more to his
    count."""
    status: Json = value.setdefault("status", {})
    entries = status.get("admissionChecks") or []
    for at, entry in enumerate(entries):
        state = entry.get("state")
        if state == CheckState.PENDING:
            continue
        anew = _pending(entry["name"], f"{RESET}{state}", now)
        if "requeueAfterSeconds" in entry:
            anew["requeueAfterSeconds"] = entry["requeueAfterSeconds"]
        if state == CheckState.RETRY:
            anew["retryCount"] = (entry.get("retryCount") or 0) + 1
        entries[at] = anew


def put_off(value: Json, states: Iterable[CheckStateView]) -> None:
    """Write into requeueState when the checks want the next try, if that is later than what it says."""
    at = requeue_time(states)
    if at is None:
        return
    state: Json = value["status"].setdefault("requeueState", {})
    known = state.get("requeueAt")
    if known is None or parse_time(known) < at:
        state["requeueAt"] = format_time(at)


def _pending(name: str, message: str, now: int) -> Json:
    return {
        "name": name,
        "state": CheckState.PENDING.value,
        "lastTransitionTime": format_time(now),
        "message": message,
    }


# ---------------------------------------------------------------------- conditions that follow


def say_admitted(value: Json, now: int) -> None:
    set_condition(value, "Admitted", True, "Admitted", "The workload is admitted", now)


def say_unsatisfied(value: Json, now: int) -> None:
    """It holds quota, and not all of its checks are ready."""
    reason = "UnsatisfiedAdmissionChecks"
    set_condition(value, "Admitted", False, reason, "The workload has not all checks ready", now)


def say_target(value: Json, reason: str, message: str, now: int) -> bool:
    """Mark a decoded Workload to be deactivated, in place; who sees that sets `spec.active` to false (kueue 2.8)."""
    return set_condition(value, "DeactivationTarget", True, reason, message[:MESSAGE_LIMIT], now)


def take_target(value: Json) -> None:
    """Take the mark off again, in place: it is carried out."""
    target = get_condition(value, "DeactivationTarget")
    if target is not None:
        value["status"]["conditions"].remove(target)
