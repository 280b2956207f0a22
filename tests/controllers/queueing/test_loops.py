"""A circle of preemptions that was broken is said on the object, once, and counted."""

from __future__ import annotations

from msgspec.structs import replace

from roadstead.controllers.admission.pending import code_of, tell
from roadstead.core.plan import Plan, Requeue, Verdicts
from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Object
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import SECOND
from roadstead.runtime.view import Cache, View
from roadstead.views.metrics import queue_families
from roadstead.views.workload_counts import WorkloadCounts
from tests.controllers.queueing.lab import QueueLab, job

SHORT = Refusal(
    Code.WAITING_FOR_QUOTA, Verdict.WAIT, Level.COHORT, "main", "default", "cpu", 2000, 1000, 4000, "default"
)
LOOP = Refusal(
    Code.PREEMPTION_LOOP, Verdict.ASK, Level.QUEUE, needed=3, subject="default", blockers=(("other-team", "rival"),)
)


def test_the_condition_says_what_is_short_and_that_preemption_was_stopped() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="1")
        lab.create(JOBS, job("w", cpu="2"))
        lab.settle()
        value = lab.workload_of("w")
        stored = Object.of(WORKLOADS, value)
        verdicts = Verdicts(stored.key, stored.meta.uid, (SHORT, LOOP), Requeue.PARKED)
        told = tell(WORKLOADS, stored, verdicts, Code.WAITING_FOR_QUOTA, lab.clock + SECOND)
        assert told is not None
        (write,) = told.step.writes
        assert isinstance(write, Update)
        message = next(c["message"] for c in write.value["status"]["conditions"] if c["type"] == "QuotaReserved")
        assert "ClusterQueue default has 1 free" in message
        assert "It and others displaced one another in a circle, 3 times each" in message
        assert "rival" not in message
        assert "other-team" not in message
        assert tell(WORKLOADS, stored, verdicts, told.code, lab.clock) is None, "once"
        without = replace(verdicts, refusals=(SHORT,))
        assert code_of(without) == Code.WAITING_FOR_QUOTA


def test_it_is_counted() -> None:
    counts = WorkloadCounts()
    verdicts = Verdicts(("team", "w"), "uid", (SHORT, LOOP), Requeue.PARKED)
    counts.decided([Plan(verdicts=(verdicts,)), Plan(verdicts=(replace(verdicts, refusals=(SHORT,)),))])
    read = View({resource: Cache(resource) for resource in (CLUSTER_QUEUES, LOCAL_QUEUES)})
    families = {family.name: family for family in queue_families(read, counts)}
    samples = families["roadstead_preemption_loop_stops"].samples
    assert [value for _, value in samples] == [1]
