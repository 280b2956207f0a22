"""A pod that a lost request creates after its Job has ended: there is no work for it any more."""

from __future__ import annotations

from roadstead.controllers.job import JobController
from roadstead.kinds.names import JOBS, PODS
from roadstead.testing.controllers import Lab
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
