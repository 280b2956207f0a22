"""Elastic jobs: fewer pods while they run (KEP-77)."""

from __future__ import annotations

from roadstead.integrations.elastic import elastic_errors
from roadstead.kinds.names import ELASTIC_ANNOTATION, JOBS, PODS
from roadstead.kinds.object import Json
from tests.controllers.queueing.lab import QueueLab, job

ELASTIC = {ELASTIC_ANNOTATION: "true"}


def live(lab: QueueLab, name: str) -> list[Json]:
    found = [pod for pod in lab.all(PODS) if pod["metadata"]["name"].startswith(f"{name}-")]
    return [pod for pod in found if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]


def resize(lab: QueueLab, name: str, count: int) -> None:
    lab.edit(JOBS, name, lambda value: value["spec"].update(parallelism=count))


def test_a_job_that_wants_fewer_pods_gives_their_places_to_others_and_runs_on() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=1, cpu="8", gpus=4)
        lab.create(JOBS, job("train", gpus=1, seconds=None, parallelism=4, completions=8, annotations=ELASTIC))
        lab.settle()
        uid = lab.workload_of("train")["metadata"]["uid"]
        lab.create(JOBS, job("next", gpus=2, seconds=5))
        lab.settle()
        assert lab.job_state("next") == "suspended"
        resize(lab, "train", 2)
        lab.advance(30)
        lab.check_devices()
        assert (lab.job_state("train"), lab.job_state("next")) == ("running", "Complete")
        assert len(live(lab, "train")) == 2
        workload = lab.workload_of("train")
        assert (workload["metadata"]["uid"], workload["spec"]["podSets"][0]["count"]) == (uid, 2)
        assert lab.condition(workload, "Evicted") == ("", "")


def test_a_job_that_wants_more_is_queued_anew_whole() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=1, cpu="8")
        lab.create(JOBS, job("train", seconds=None, parallelism=4, completions=8, annotations=ELASTIC))
        lab.settle()
        resize(lab, "train", 2)
        lab.advance(10)
        resize(lab, "train", 5)
        lab.advance(30)
        assert lab.workload_of("train")["status"]["admission"]["podSetAssignments"][0]["count"] == 5
        assert len(live(lab, "train")) == 5


def test_one_that_shrank_and_was_preempted_comes_back_as_it_is_now() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=1, cpu="4")
        lab.create(JOBS, job("train", seconds=None, parallelism=4, completions=8, annotations=ELASTIC))
        lab.settle()
        resize(lab, "train", 2)
        lab.advance(10)
        lab.create(JOBS, job("urgent", cpu="4", seconds=5, labels={"kueue.x-k8s.io/priority-class": "high"}))
        lab.advance(60)
        assert lab.job_state("urgent") == "Complete"
        workload = lab.workload_of("train")
        assert workload["status"]["admission"]["podSetAssignments"][0]["count"] == 2
        assert len(live(lab, "train")) == 2


def test_others_that_change_their_size_are_queued_anew() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=1, cpu="8")
        lab.create(JOBS, job("train", seconds=None, parallelism=4, completions=8))
        lab.settle()
        uid = lab.workload_of("train")["metadata"]["uid"]
        resize(lab, "train", 2)
        lab.advance(30)
        assert lab.workload_of("train")["metadata"]["uid"] != uid


def test_the_annotation_never_changes_and_goes_with_no_partial_admission() -> None:
    plain: Json = {"metadata": {}}
    elastic: Json = {"metadata": {"annotations": dict(ELASTIC)}}
    both: Json = {"metadata": {"annotations": {**ELASTIC, "kueue.x-k8s.io/job-min-parallelism": "1"}}}
    assert elastic_errors(elastic, None) == elastic_errors(elastic, elastic) == elastic_errors(plain, None) == []
    assert [error.body for error in elastic_errors(plain, elastic)] == ['Invalid value: "": field is immutable']
    assert [error.body for error in elastic_errors(elastic, plain)] == ['Invalid value: "true": field is immutable']
    (error,) = elastic_errors(both, None)
    assert "cannot be set together with kueue.x-k8s.io/job-min-parallelism" in error.body
