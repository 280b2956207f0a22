"""Jobs that are stopped and go on, run out of time, or are changed while they run."""

from __future__ import annotations

from functools import partial

from roadstead.kinds.names import JOBS, PODS
from roadstead.kinds.times import parse_time
from roadstead.runtime.cluster import Delete
from roadstead.testing.controllers import Lab
from tests.controllers.kit import (
    bind,
    by_index,
    conditions,
    end,
    job,
    live,
    pods,
    reasons,
    seconds,
    set_spec,
    start,
    status,
    stop_marked,
    suspend,
    tracked,
)


def test_with_replacement_policy_failed_a_stopping_pod_keeps_its_place(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, podReplacementPolicy="Failed", backoffLimit=6))
    lab.settle()
    [pod] = live(lab)
    start(lab, pod)
    lab.delete(PODS, pod["metadata"]["name"], grace=20)
    lab.advance(15)
    assert live(lab) == []
    assert (status(lab)["terminating"], status(lab).get("active", 0)) == (1, 0)
    stop_marked(lab)
    lab.advance(10)
    assert len(live(lab)) == 1
    assert status(lab)["failed"] == 1


def test_without_it_a_deleted_pod_is_replaced_while_it_stops(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, podReplacementPolicy="TerminatingOrFailed", backoffLimit=6))
    lab.settle()
    [pod] = live(lab)
    start(lab, pod)
    lab.delete(PODS, pod["metadata"]["name"], grace=20)
    lab.advance(12)
    assert len(live(lab)) == 1
    assert (status(lab)["terminating"], status(lab)["failed"]) == (1, 1)


def test_suspension_stops_the_pods_and_counts_nothing(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2))
    lab.settle()
    for pod in live(lab):
        start(lab, pod)
    lab.advance(5)
    assert status(lab)["active"] == 2
    suspend(lab, True)
    lab.settle()
    assert live(lab) == []
    assert tracked(lab) == []
    assert "startTime" not in status(lab)
    assert conditions(lab.the(JOBS, "train")) == {"Suspended": ("True", "JobSuspended")}
    assert (status(lab).get("active", 0), status(lab)["terminating"]) == (0, 2)
    stop_marked(lab)
    lab.advance(5)
    assert (status(lab)["terminating"], status(lab).get("failed", 0)) == (0, 0)
    assert pods(lab) == []
    assert reasons(lab)[-1] == "Suspended"

    suspend(lab, False)
    lab.advance(60)
    resumed = lab.now - seconds(60)
    assert len(live(lab)) == 2
    assert parse_time(status(lab)["startTime"]) == resumed
    assert conditions(lab.the(JOBS, "train")) == {"Suspended": ("False", "JobResumed")}
    assert reasons(lab)[-1] == "Resumed"


def test_pods_stopped_by_a_suspension_delay_nothing_after_the_resumption(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2, podReplacementPolicy="TerminatingOrFailed", backoffLimit=0))
    lab.settle()
    for pod in live(lab):
        start(lab, pod)
    suspend(lab, True)
    lab.settle()
    suspend(lab, False)
    lab.settle()
    assert len(live(lab)) == 2
    assert len(pods(lab)) == 4
    stop_marked(lab)
    lab.advance(5)
    assert (len(live(lab)), status(lab).get("failed", 0)) == (2, 0)


def test_the_deadline_counts_from_the_resumption(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, activeDeadlineSeconds=30))
    lab.advance(20)
    suspend(lab, True)
    lab.advance(100)
    suspend(lab, False)
    lab.advance(29)
    assert len(live(lab)) == 1
    lab.advance(1)
    assert conditions(lab.the(JOBS, "train"))["FailureTarget"] == ("True", "DeadlineExceeded")
    assert live(lab) == []


def test_the_deadline_holds_even_if_no_pod_could_be_made(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=0, activeDeadlineSeconds=30))
    lab.advance(30)
    assert conditions(lab.the(JOBS, "train"))["Failed"] == ("True", "DeadlineExceeded")


def test_a_job_born_suspended_says_so_after_a_moment_and_keeps_its_finished_indexes(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2, completionMode="Indexed", suspend=True))
    lab.settle()
    assert lab.ledger == []
    lab.advance(2)
    assert conditions(lab.the(JOBS, "train")) == {"Suspended": ("True", "JobSuspended")}
    suspend(lab, False)
    lab.settle()
    end(lab, by_index(lab)[0])
    lab.advance(5)
    suspend(lab, True)
    lab.settle()
    suspend(lab, False)
    lab.settle()
    assert sorted(by_index(lab)) == [1]
    end(lab, by_index(lab)[1])
    lab.settle()
    assert status(lab)["completedIndexes"] == "0,1"


def test_ttl_removes_the_job_when_it_has_been_finished_long_enough(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, ttlSecondsAfterFinished=3))
    lab.settle()
    end(lab, live(lab)[0])
    lab.settle()
    lab.advance(2)
    assert lab.get(JOBS, "train") is not None
    lab.advance(1)
    [last] = [wrote.write for wrote in lab.ledger if isinstance(wrote.write, Delete)]
    assert last.propagation == "Foreground"
    assert lab.the(JOBS, "train")["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_a_shorter_elastic_job_keeps_its_low_indexes(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2, completionMode="Indexed"))
    lab.settle()
    for size, kept in ((4, [0, 1, 2, 3]), (1, [0])):
        lab.edit(JOBS, "train", partial(set_spec, completions=size, parallelism=size))
        lab.settle()
        assert sorted(by_index(lab)) == kept
    end(lab, by_index(lab)[0])
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Complete"][0] == "True"


def test_a_shorter_elastic_job_forgets_the_completions_of_indexes_that_are_no_more(lab: Lab) -> None:
    lab.create(JOBS, job(completions=3, parallelism=3, completionMode="Indexed"))
    lab.settle()
    end(lab, by_index(lab)[2])
    lab.advance(3)
    assert status(lab)["succeeded"] == 1
    lab.edit(JOBS, "train", partial(set_spec, completions=2, parallelism=2))
    lab.advance(3)
    assert status(lab).get("completedIndexes", "") == ""
    for index in (0, 1):
        end(lab, by_index(lab)[index])
    lab.settle()
    assert (status(lab)["succeeded"], status(lab)["completedIndexes"]) == (2, "0,1")


def test_lower_parallelism_gives_up_the_least_valuable_pods(lab: Lab) -> None:
    lab.create(JOBS, job(completions=10, parallelism=3))
    lab.settle()
    _, bound, running = live(lab)
    bind(lab, bound)
    start(lab, running)
    lab.edit(JOBS, "train", lambda value: value["spec"].update(parallelism=2))
    lab.settle()
    assert {pod["metadata"]["name"] for pod in live(lab)} == {bound["metadata"]["name"], running["metadata"]["name"]}
    lab.edit(JOBS, "train", lambda value: value["spec"].update(parallelism=1))
    lab.settle()
    assert [pod["metadata"]["name"] for pod in live(lab)] == [running["metadata"]["name"]]
    assert status(lab).get("failed", 0) == 0
