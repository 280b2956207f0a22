"""Pods that requests without an answer create later: not one too many, and none after the end."""

from __future__ import annotations

from roadstead.controllers.job import JobController
from roadstead.kinds.names import JOBS, PODS
from roadstead.testing.controllers import Fault, Lab
from tests.controllers.kit import conditions, end, job, live, pods


def test_a_pod_that_comes_after_the_end_is_deleted() -> None:
    with Lab(lambda: [JobController()]) as lab:
        lab.create(JOBS, job(completions=1, parallelism=1))
        lab.settle()
        [first] = live(lab)
        late = {**first, "metadata": {**first["metadata"], "name": "train-late"}, "status": {}}
        for field in ("uid", "resourceVersion", "creationTimestamp"):
            late["metadata"].pop(field)
        end(lab, first)
        lab.advance(3)
        assert conditions(lab.the(JOBS, "train"))["Complete"][0] == "True"
        lab.create(PODS, late)
        lab.advance(3)
        assert [pod["metadata"]["name"] for pod in pods(lab)] == [first["metadata"]["name"]]
        assert lab.the(JOBS, "train")["status"]["succeeded"] == 1


def test_a_creation_without_an_answer_is_asked_for_under_the_same_name() -> None:
    """So that it cannot add a pod when it is carried out after all."""
    with Lab(lambda: [JobController()]) as lab:
        lab.create(JOBS, job(completions=4, parallelism=3))
        lab.settle()
        names = {pod["metadata"]["name"] for pod in pods(lab)}
    for number in range(3):
        with Lab(lambda: [JobController()], faults={number: Fault.LOST_REQUEST}) as lab:
            lab.create(JOBS, job(completions=4, parallelism=3))
            lab.advance(5)
            assert {pod["metadata"]["name"] for pod in pods(lab)} == names
