"""Workloads counted as they change: how many are where, and what has happened since this process started. For metrics.

An informer's listener: each change costs O(1), so that a scrape costs only what is printed. What happened before the
start is not counted (as in Kueue, whose counters start with its process); where workloads stand is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from roadstead.core.plan import Admit, Plan
from roadstead.kinds.object import Object
from roadstead.kinds.times import SECOND, parse_time
from roadstead.kinds.views.common import Condition, find_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.model.refusals import Code
from roadstead.runtime.counters import Histogram
from roadstead.runtime.step import Key

WAIT_BOUNDS: Final = (1.0, *(2.5 * 2**step for step in range(13)))
"""Kueue's buckets for waiting, in seconds: 1, then 2.5 doubled (kueue 8.1)."""
LONG_BOUNDS: Final = (1.0, *(2.5 * 2**step for step in range(15)))
"""The same for what may take longer."""

ACTIVE, INADMISSIBLE, RESERVING, ADMITTED, FINISHED = "active", "inadmissible", "reserving", "admitted", "finished"


class Place(NamedTuple):
    """Where a workload stands: its LocalQueue, the ClusterQueue that holds quota for it ("" if none does), and its
    state."""

    namespace: str
    queue: str
    cluster_queue: str
    state: str


class Unadmitted(NamedTuple):
    """A workload that is not admitted: where, the reason of Admitted=False, and of QuotaReserved=False behind it (""
    once it holds quota); for either, what Kueue assumes where there is no condition yet (KEP-10852)."""

    namespace: str
    queue: str
    cluster_queue: str
    reason: str
    underlying_cause: str


class Origin(NamedTuple):
    """Whose something is that happened. `cluster_queue` is "" where only the LocalQueue is known."""

    namespace: str
    queue: str
    cluster_queue: str
    priority_class: str


class WorkloadCounts:
    """Hang `changed` on the informer of Workloads."""

    def __init__(self) -> None:
        self.places: Counter[Place] = Counter()
        self.reserved: Counter[Origin] = Counter()
        self.admitted: Counter[Origin] = Counter()
        self.finished: Counter[Origin] = Counter()
        self.evicted: Counter[tuple[Origin, str]] = Counter()
        self.preempted: Counter[tuple[str, str]] = Counter()
        """(ClusterQueue that took the quota, reason of the condition Preempted)."""
        self.reserve_waits: dict[Origin, Histogram] = {}
        self.admit_waits: dict[Origin, Histogram] = {}
        self.check_waits: dict[Origin, Histogram] = {}
        self.executions: dict[Origin, Histogram] = {}
        self.unadmitted: Counter[Unadmitted] = Counter()
        self.attempts: Counter[str] = Counter({"success": 0, "inadmissible": 0})
        """Cycles that looked at a workload, by whether they admitted one."""
        self.loops_stopped = 0
        """Times that a workload was not let displace others, because they had displaced one another in a circle."""
        self._known: dict[Key, tuple[Place, Unadmitted | None]] = {}

    def decided(self, plans: Iterable[Plan]) -> None:
        """One plan for each cycle; those that looked at no workload in a queue are no attempts."""
        for plan in plans:
            if any(isinstance(command, Admit) for command in plan.commands):
                self.attempts["success"] += 1
            elif plan.verdicts:
                self.attempts["inadmissible"] += 1
            for verdicts in plan.verdicts:
                self.loops_stopped += any(refusal.code is Code.PREEMPTION_LOOP for refusal in verdicts.refusals)

    def changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        """An informer's listener."""
        before, waited = self._known.pop(key, (None, None))
        if before is not None:
            _less(self.places, before)
        if waited is not None:
            _less(self.unadmitted, waited)
        if new is None:
            return
        view = new.view(WorkloadView)
        place = _place(new.meta.namespace, view)
        waits = _unadmitted(place, view)
        self.places[place] += 1
        if waits is not None:
            self.unadmitted[waits] += 1
        self._known[key] = place, waits
        if old is not None and old.meta.uid == new.meta.uid:
            self._compare(old.view(WorkloadView), view, new, place)

    def _compare(self, old: WorkloadView, new: WorkloadView, workload: Object, place: Place) -> None:
        if old.status.conditions == new.status.conditions:
            return
        held = new.status.admission or old.status.admission
        class_ref = new.spec.priority_class_ref
        origin = Origin(
            place.namespace, place.queue, held.cluster_queue if held else "", class_ref.name if class_ref else ""
        )
        if _became(old, new, "QuotaReserved"):
            self.reserved[origin] += 1
            _observe(self.reserve_waits, origin, _waited(workload, old, new, "QuotaReserved"), WAIT_BOUNDS)
        if _became(old, new, "Admitted"):
            self.admitted[origin] += 1
            _observe(self.admit_waits, origin, _waited(workload, old, new, "Admitted"), LONG_BOUNDS)
            reserved, admitted = (find_condition(new.status.conditions, type) for type in ("QuotaReserved", "Admitted"))
            if new.status.admission_checks and reserved is not None and admitted is not None:
                _observe(self.check_waits, origin, _seconds_between(reserved, admitted), WAIT_BOUNDS)
        evicted = _became(old, new, "Evicted")
        if evicted is not None:
            self.evicted[origin, evicted.reason] += 1
        preempted = _became(old, new, "Preempted")
        if preempted is not None:
            self.preempted[_preemptor_queue(preempted.message) or origin.cluster_queue, preempted.reason] += 1
        finished = _became(old, new, "Finished")
        if finished is not None:
            self.finished[origin] += 1
            admitted = find_condition(old.status.conditions, "Admitted")
            if admitted is not None and admitted.is_true:
                _observe(self.executions, origin, _seconds_between(admitted, finished), LONG_BOUNDS)


def _place(namespace: str, view: WorkloadView) -> Place:
    conditions = view.status.conditions
    held = view.status.admission.cluster_queue if view.status.admission else ""
    state = ACTIVE
    if _is_true(conditions, "Finished"):
        state = FINISHED
    elif _is_true(conditions, "Admitted"):
        state = ADMITTED
    elif _is_true(conditions, "QuotaReserved"):
        state = RESERVING
    elif view.spec.active is False or find_condition(conditions, "QuotaReserved") is not None:
        state = INADMISSIBLE  # looked at and refused, or put aside
    return Place(namespace, view.spec.queue_name, held, state)


def _unadmitted(place: Place, view: WorkloadView) -> Unadmitted | None:
    if place.state in (ADMITTED, FINISHED):
        return None
    conditions = view.status.conditions
    reasons = {condition.type: condition.reason for condition in conditions if condition.status == "False"}
    holds = place.state == RESERVING
    cause = "" if holds else reasons.get("QuotaReserved", "PendingEvaluation")
    reason = reasons.get("Admitted", "UnsatisfiedAdmissionChecks" if holds else "NoReservation")
    return Unadmitted(place.namespace, place.queue, place.cluster_queue, reason, cause)


def _less(counter: Counter[Any], key: Any) -> None:
    """One less; a series that counts nothing is not kept."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _preemptor_queue(message: str) -> str:
    """The ClusterQueue at the end of the preemptor's path in Preempted's message (kueue 3.9), or ""."""
    path = message.partition("preemptor path: ")[2].partition(";")[0]
    return path.rpartition("/")[2]


def _is_true(conditions: tuple[Condition, ...], type: str) -> bool:
    found = find_condition(conditions, type)
    return found is not None and found.is_true


def _became(old: WorkloadView, new: WorkloadView, type: str) -> Condition | None:
    """The condition, if it is True now and was not."""
    now = find_condition(new.status.conditions, type)
    if now is None or not now.is_true or _is_true(old.status.conditions, type):
        return None
    return now


def _waited(workload: Object, old: WorkloadView, new: WorkloadView, type: str) -> float | None:
    """Seconds from creation, or from the last requeue, to now (kueue 8.1)."""
    condition = find_condition(new.status.conditions, type)
    requeued = find_condition(old.status.conditions, "Requeued")
    since = workload.meta.creation_timestamp
    if requeued is not None and requeued.is_true:
        since = requeued.last_transition_time
    if condition is None or not condition.last_transition_time or not since:
        return None
    return (parse_time(condition.last_transition_time) - parse_time(since)) / SECOND


def _seconds_between(first: Condition, last: Condition) -> float | None:
    if not first.last_transition_time or not last.last_transition_time:
        return None
    return (parse_time(last.last_transition_time) - parse_time(first.last_transition_time)) / SECOND


def _observe(into: dict[Origin, Histogram], origin: Origin, seconds: float | None, bounds: tuple[float, ...]) -> None:
    if seconds is None:
        return
    found = into.get(origin)
    if found is None:
        found = into[origin] = Histogram(bounds)
    found.observe(max(seconds, 0.0))
