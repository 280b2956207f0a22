"""What a runner counts of its controllers, deciders and queues, under the names of controller-runtime and client-go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from roadstead.runtime.counters import Family, Histogram
from roadstead.runtime.workqueue import WorkQueue

SUCCESS, REQUEUE, REQUEUE_AFTER, ERROR = "success", "requeue", "requeue_after", "error"


class ControllerCounts:
    """Reconciles of one controller: by result, how long they took (writes included), and how many run now."""

    __slots__ = ("active", "results", "seconds")

    def __init__(self) -> None:
        self.results = {SUCCESS: 0, REQUEUE: 0, REQUEUE_AFTER: 0, ERROR: 0}
        self.seconds = Histogram()
        self.active = 0


class DeciderCounts:
    """Rounds of one decider: with and without anything to do, failed ones, how long deciding took (without the
    writes)."""

    __slots__ = ("actions", "failures", "rounds", "seconds")

    def __init__(self) -> None:
        self.rounds = 0
        self.actions = 0
        self.failures = 0
        self.seconds = Histogram()


def runner_families(
    controllers: Mapping[str, ControllerCounts],
    deciders: Mapping[str, DeciderCounts],
    queues: Mapping[str, WorkQueue],
    workers: int,
) -> Iterator[Family]:
    """All of it. O(controllers)."""
    reconciles = Family("controller_runtime_reconcile", "counter", "Reconciles by controller and result")
    errors = Family("controller_runtime_reconcile_errors", "counter", "Reconciles that failed, by controller")
    seconds = Family("controller_runtime_reconcile_time_seconds", "histogram", "Length of reconciles, writes included")
    active = Family("controller_runtime_active_workers", "gauge", "Reconciles running now")
    most = Family(
        "controller_runtime_max_concurrent_reconciles", "gauge", "Reconciles of a controller that may run at once"
    )
    for name, counts in controllers.items():
        for result, number in counts.results.items():
            reconciles.add(number, controller=name, result=result)
        errors.add(counts.results[ERROR], controller=name)
        seconds.add(counts.seconds, controller=name)
        active.add(counts.active, controller=name)
        most.add(workers, controller=name)
    yield from (reconciles, errors, seconds, active, most)
    depth = Family("workqueue_depth", "gauge", "Keys that wait to be reconciled")
    adds = Family("workqueue_adds", "counter", "Keys added to the queue")
    retries = Family("workqueue_retries", "counter", "Keys added again after a failure")
    for name, queue in queues.items():
        depth.add(queue.depth, name=name, controller=name)
        adds.add(queue.adds, name=name, controller=name)
        retries.add(queue.retries, name=name, controller=name)
    yield from (depth, adds, retries)
    rounds = Family("roadstead_decider_rounds", "counter", "Times a decider was asked what to do")
    actions = Family("roadstead_decider_actions", "counter", "Things a decider wanted done")
    failures = Family("roadstead_decider_failures", "counter", "Rounds that failed with a bug")
    deciding = Family("roadstead_decider_seconds", "histogram", "Length of deciding, without the writes")
    for name, found in deciders.items():
        rounds.add(found.rounds, decider=name)
        actions.add(found.actions, decider=name)
        failures.add(found.failures, decider=name)
        deciding.add(found.seconds, decider=name)
    yield from (rounds, actions, failures, deciding)
