"""A job's maximum execution time, counted over all of its attempts (KEP-3125), and how long what is over is kept
(KEP-1618)."""

from __future__ import annotations

import pytest

from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.workload.policy import Policy
from roadstead.kinds.names import JOBS, PODS, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from roadstead.kinds.times import SECOND
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.lab import QueueLab, all_controllers, job

HIGH = {"kueue.x-k8s.io/priority-class": "high"}


def limited(name: str = "train", limit: int = 60, **others: str) -> Json:
    return job(name, seconds=None, labels={"kueue.x-k8s.io/max-exec-time-seconds": str(limit), **others})


def check_out_of_time(lab: QueueLab) -> None:
    workload = lab.workload_of("train")
    assert workload["spec"]["active"] is False
    assert lab.condition(workload, "Evicted") == ("True", "DeactivatedDueToMaximumExecutionTimeExceeded")
    message = next(c["message"] for c in workload["status"]["conditions"] if c["type"] == "Evicted")
    assert message == "The workload is deactivated due to exceeding the maximum execution time"
    (entry,) = [e for e in workload["status"]["schedulingStats"]["evictions"] if e["reason"] == "Deactivated"]
    assert (entry["underlyingCause"], entry["count"]) == ("MaximumExecutionTimeExceeded", 1)
    assert "accumulatedPastExecutionTimeSeconds" not in workload["status"]
    assert lab.job_state("train") == "suspended"
    lab.check_nothing_is_held()


def test_the_label_becomes_the_workloads_limit_and_deactivates_it() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, limited())
        lab.advance(58)
        assert lab.workload_of("train")["spec"]["maximumExecutionTimeSeconds"] == 60
        assert lab.job_state("train") == "running"
        lab.advance(10)
        check_out_of_time(lab)
        assert "MaximumExecutionTimeExceeded" in [note.reason for note in lab.notes]


def test_the_time_of_attempts_that_were_preempted_counts() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="1")
        lab.create(JOBS, limited())
        lab.advance(40)
        lab.create(JOBS, job("urgent", seconds=20, labels=HIGH))
        lab.advance(10)
        past = lab.workload_of("train")["status"]["accumulatedPastExecutionTimeSeconds"]
        assert 40 <= past <= 45
        lab.advance(20)  # the urgent one has ended, and it goes on
        assert lab.job_state("train") == "running"
        lab.advance(25)
        check_out_of_time(lab)


def test_who_reactivates_it_gives_it_its_whole_time_again() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, limited())
        lab.advance(70)
        check_out_of_time(lab)
        name = lab.workload_of("train")["metadata"]["name"]
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(active=True))
        lab.advance(55)
        assert lab.job_state("train") == "running"
        lab.advance(20)
        assert lab.job_state("train") == "suspended"


def test_a_limit_follows_its_label_while_the_job_is_held() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="1")
        lab.create(JOBS, job("first", seconds=30))
        lab.create(JOBS, limited())
        lab.advance(2)
        labels = {"kueue.x-k8s.io/max-exec-time-seconds": "7"}
        lab.edit(JOBS, "train", lambda value: value["metadata"]["labels"].update(labels))
        lab.advance(2)
        assert lab.workload_of("train")["spec"]["maximumExecutionTimeSeconds"] == 7


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("at", range(24))
def test_one_fault_at_any_write_changes_nothing(at: int, fault: Fault) -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.faults = {lab.writes + at: fault}
        lab.create(JOBS, limited())
        for _ in range(9):
            lab.advance(10)
            lab.check_devices()
        check_out_of_time(lab)


# ---------------------------------------------------------------------- retention


def keeping(finished: int | None = None, deactivated: int | None = None) -> QueueLab:
    def seconds(amount: int | None) -> int | None:
        return None if amount is None else amount * SECOND

    policy = Policy(delete_finished=seconds(finished), delete_deactivated=seconds(deactivated))
    lab = QueueLab(controllers=lambda: [*all_controllers(policy), GarbageCollector(default_registry())])
    lab.furnish()
    return lab


@pytest.mark.parametrize("after", [0, 100])
def test_a_finished_workload_goes_in_time_and_its_job_stays(after: int) -> None:
    with keeping(finished=after) as lab:
        lab.create(JOBS, job("train", seconds=5))
        lab.advance(20)
        assert lab.job_state("train") == "Complete"
        assert len(lab.all(WORKLOADS)) == (1 if after else 0)
        lab.advance(100)
        assert lab.all(WORKLOADS) == []
        assert lab.job_state("train") == "Complete"
        lab.check_nothing_is_held()


def test_a_job_that_was_deactivated_for_a_cause_goes_in_time() -> None:
    with keeping(deactivated=100) as lab:
        lab.create(JOBS, limited())
        lab.create(JOBS, job("by-hand", seconds=None))
        lab.advance(70)
        name = lab.workload_of("by-hand")["metadata"]["name"]
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(active=False))
        lab.advance(70)
        assert lab.job_state("train") == "suspended"
        lab.advance(60)
        assert lab.get(JOBS, "train") is None
        assert [pod for pod in lab.all(PODS) if pod["metadata"]["name"].startswith("train")] == []
        assert lab.job_state("by-hand") == "suspended"
        lab.advance(1000)
        assert lab.job_state("by-hand") == "suspended"


def test_nothing_goes_by_itself_unless_asked_for() -> None:
    with keeping() as lab:
        lab.create(JOBS, job("train", seconds=5))
        lab.create(JOBS, limited("limited"))
        lab.advance(100_000)
        assert len(lab.all(WORKLOADS)) == 2
        assert lab.job_state("limited") == "suspended"


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("at", range(12, 24))
def test_retention_under_faults(at: int, fault: Fault) -> None:
    with keeping(finished=3, deactivated=3) as lab:
        lab.faults = {lab.writes + at: fault}
        lab.create(JOBS, limited(limit=5))
        lab.create(JOBS, job("other", seconds=3))
        lab.advance(40)
        assert lab.get(JOBS, "train") is None
        assert lab.all(WORKLOADS) == []
        assert lab.job_state("other") == "Complete"
        lab.check_nothing_is_held()
