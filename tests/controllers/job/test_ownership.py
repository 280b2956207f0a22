"""Whose pods are a Job's: of others, of none, of one that is gone, adopted and released."""

from __future__ import annotations

from roadstead.controllers.job import JobController
from roadstead.kinds.names import JOBS, PODS
from roadstead.kinds.object import Json
from roadstead.runtime.step import Present
from roadstead.runtime.view import Cache, View
from roadstead.testing.controllers import Lab
from tests.controllers.kit import (
    conditions,
    job,
    live,
    pods,
    suspend,
    tracked,
)


def test_jobs_managed_by_others_are_left_alone(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, managedBy="example.com/other"))
    lab.create(JOBS, job("own", completions=1, parallelism=1, managedBy="kubernetes.io/job-controller"))
    lab.advance(10)
    assert [pod["metadata"]["ownerReferences"][0]["name"] for pod in pods(lab)] == ["own"]
    assert "startTime" not in (lab.the(JOBS, "train").get("status") or {})


def test_zero_completions_are_complete_at_once(lab: Lab) -> None:
    lab.create(JOBS, job(completions=0, parallelism=1))
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Complete"][0] == "True"
    assert pods(lab) == []


def test_pods_of_a_job_that_is_gone_are_let_go(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2))
    lab.settle()
    lab.delete(JOBS, "train", propagation="Background")
    lab.settle()
    assert len(pods(lab)) == 2
    assert tracked(lab) == []


def test_pods_of_a_job_that_is_being_deleted_are_let_go_and_none_is_made(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2))
    lab.settle()
    lab.delete(JOBS, "train", propagation="Foreground")
    lab.settle()
    assert len(pods(lab)) == 2
    assert tracked(lab) == []


def test_a_name_taken_by_a_stranger_is_passed_over(lab: Lab) -> None:
    made = lab.create(JOBS, job(completions=1, parallelism=1, suspend=True))
    with Lab(lambda: [JobController()]) as elsewhere:
        elsewhere.create(JOBS, job(completions=1, parallelism=1))
        elsewhere.settle()
        [pod] = pods(elsewhere)
        assert pod["metadata"]["ownerReferences"][0]["uid"] == made.meta.uid
    stranger = {key: value for key, value in pod["metadata"].items() if key == "name"}
    lab.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": stranger, "spec": pod["spec"]})
    suspend(lab, False)
    lab.settle()
    own = [found for found in pods(lab) if "ownerReferences" in found["metadata"]]
    assert len(own) == 1


def test_an_active_pod_that_lost_its_finalizer_is_replaced(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1))
    lab.settle()
    [pod] = live(lab)
    lab.edit(PODS, pod["metadata"]["name"], lambda value: value["metadata"].pop("finalizers"))
    lab.settle()
    [replacement] = live(lab)
    assert tracked(lab) == [replacement["metadata"]["name"]]


def manual_job(name: str = "train", **labels: str) -> Json:
    """A Job that selects its pods by labels of its own."""
    manifest = job(name, completions=2, parallelism=2, manualSelector=True)
    manifest["spec"]["selector"] = {"matchLabels": labels}
    manifest["spec"]["template"]["metadata"] = {"labels": labels}
    return manifest


def test_pods_that_the_selector_matches_are_adopted_and_those_it_matches_no_more_released(lab: Lab) -> None:
    stray = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stray", "labels": {"app": "mine"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]},
    }
    lab.create(PODS, stray)
    made = lab.create(JOBS, manual_job(app="mine"))
    lab.settle()
    adopted = lab.the(PODS, "stray")
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == made.meta.uid
    assert len(live(lab)) == 2
    assert len(tracked(lab)) == 2
    lab.edit(PODS, "stray", lambda value: value["metadata"].update(labels={"app": "other"}))
    lab.settle()
    released = lab.the(PODS, "stray")["metadata"]
    assert "ownerReferences" not in released
    assert "finalizers" not in released
    assert len(live(lab)) == 3
    assert len(tracked(lab)) == 2


def test_adoption_asks_the_server_whether_the_job_still_lives(lab: Lab) -> None:
    """Another process may be deleting it, and cutting loose the very pods that would be adopted."""
    made = lab.create(JOBS, manual_job(app="mine"))
    stray = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stray", "labels": {"app": "mine"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]},
    }
    pod = lab.create(PODS, stray)
    controller = JobController()
    caches = {
        resource: Cache(resource, {name: index for (of, name), index in controller.indexes.items() if of == resource})
        for resource in (JOBS, PODS)
    }
    caches[JOBS].put(made)
    caches[PODS].put(pod)
    step = controller.reconcile(made.key, View(caches), lab.now)
    assert len(step.writes) == 1
    assert step.confirm == (Present(made.ref, made.meta.uid),)
