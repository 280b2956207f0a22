"""Jobs that name a Workload made before them."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.names import JOBS, PREBUILT_NAME, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Create, Result, Update
from tests.controllers.queueing.lab import QueueLab, job


def train(**more: Any) -> Json:
    return job("train", annotations={PREBUILT_NAME: "made-before"}, **more)


def make(lab: QueueLab, **more: Any) -> None:
    """A Workload of nobody that says what a job of this shape says."""
    lab.create(JOBS, job("pattern", labels={"kueue.x-k8s.io/queue-name": "nowhere"}, **more))
    lab.settle()
    spec = {**lab.workload_of("pattern")["spec"], "queueName": "default"}
    metadata = {"name": "made-before", "namespace": "default"}
    value = {"apiVersion": WORKLOADS.api_version, "kind": "Workload", "metadata": metadata, "spec": spec}
    lab.must(Create(WORKLOADS, value))


def names(lab: QueueLab) -> list[str]:
    found = [item["metadata"]["name"] for item in lab.all(WORKLOADS)]
    return [name for name in found if not name.startswith("job-pattern-")]


def test_the_job_waits_for_its_workload_takes_it_over_and_runs() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, train(seconds=5))
        lab.advance(10)
        assert lab.job_state("train") == "suspended"
        assert names(lab) == []
        assert {note.message for note in lab.notes if note.reason == "WorkloadNotFound"} == {
            f"It waits for Workload made-before, as its {PREBUILT_NAME} says; that does not exist (yet). "
            "Create it, or name another"
        }
        make(lab, seconds=5)
        lab.settle()
        assert lab.job_state("train") == "running"
        (owner,) = lab.the(WORKLOADS, "made-before")["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Job", "train", True)
        lab.advance(30)
        assert lab.job_state("train") == "Complete"
        assert lab.condition(lab.the(WORKLOADS, "made-before"), "Finished") == ("True", "Succeeded")
        assert names(lab) == ["made-before"]


def test_quota_may_be_reserved_before_the_job_is_there() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        make(lab, cpu="4", seconds=None)
        lab.advance(5)
        assert lab.condition(lab.the(WORKLOADS, "made-before"), "Admitted")[0] == "True"
        lab.create(JOBS, job("other", cpu="4", seconds=None))
        lab.create(JOBS, train(cpu="4", seconds=None))
        lab.settle()
        assert (lab.job_state("other"), lab.job_state("train")) == ("suspended", "running")


def test_one_that_says_something_else_is_finished_as_out_of_sync() -> None:
    with QueueLab() as lab:
        lab.furnish()
        make(lab, cpu="1")
        lab.create(JOBS, train(cpu="2"))
        lab.advance(10)
        assert lab.condition(lab.the(WORKLOADS, "made-before"), "Finished") == ("True", "OutOfSync")
        assert lab.job_state("train") == "suspended"
        lab.check_nothing_is_held()


def test_what_belongs_to_another_job_is_not_taken() -> None:
    with QueueLab() as lab:
        lab.furnish()
        make(lab, seconds=None)
        lab.create(JOBS, train(seconds=None))
        lab.settle()
        second = train(seconds=None)
        second["metadata"]["name"] = "second"
        lab.create(JOBS, second)
        lab.advance(10)
        assert (lab.job_state("train"), lab.job_state("second")) == ("running", "suspended")
        assert any("that belongs to Job train" in note.message for note in lab.notes)


def test_a_running_job_stops_when_its_workload_is_deleted_and_nothing_stays_held() -> None:
    with QueueLab() as lab:
        lab.furnish()
        make(lab, seconds=None)
        lab.create(JOBS, train(seconds=None))
        lab.settle()
        lab.delete(WORKLOADS, "made-before")
        lab.advance(60)
        assert lab.job_state("train") == "suspended"
        assert names(lab) == []
        lab.check_nothing_is_held()


@pytest.mark.parametrize(("was_running", "refused"), [(True, True), (False, False)])
def test_the_name_is_fixed_while_the_job_runs(*, was_running: bool, refused: bool) -> None:
    with QueueLab() as lab:
        lab.furnish()
        if was_running:
            make(lab, seconds=None)
        lab.create(JOBS, train(seconds=None))
        lab.settle()
        value = lab.the(JOBS, "train")
        value["metadata"]["annotations"][PREBUILT_NAME] = "another"
        outcome = lab.write(Update(JOBS, value))
        assert (outcome.result is Result.INVALID) is refused
        if refused:
            assert "field is immutable" in str(outcome)
