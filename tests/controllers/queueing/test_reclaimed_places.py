"""Pods that ended and will not come again give back node and devices too, while their job goes on."""

from __future__ import annotations

import pytest

from roadstead.kinds.names import JOBS, PLACEMENTS, PODS
from roadstead.kinds.object import Json
from roadstead.kinds.roadstead.released import ANNOTATION, release, released
from tests.controllers.queueing.lab import RUN_SECONDS, QueueLab, job


def pods_of(lab: QueueLab, name: str) -> list[Json]:
    found = [pod for pod in lab.all(PODS) if pod["metadata"]["name"].startswith(f"{name}-")]
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def run_for(lab: QueueLab, pod: Json, seconds: int) -> None:
    def edit(value: Json) -> None:
        value["metadata"]["annotations"][RUN_SECONDS] = str(seconds)

    lab.edit(PODS, pod["metadata"]["name"], edit)


def released_members(lab: QueueLab, name: str) -> list[int]:
    placement = lab.the(PLACEMENTS, lab.workload_of(name)["metadata"]["name"])
    return sorted(released(placement["metadata"].get("annotations") or {}, "main"))


@pytest.mark.parametrize("mode", ["NonIndexed", "Indexed"])
def test_places_of_pods_that_ended_go_to_others_while_the_job_goes_on(mode: str) -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=1, cpu="8", gpus=2)
        lab.create(JOBS, job("pair", gpus=1, seconds=5, parallelism=2, completions=2, completionMode=mode))
        lab.settle()
        run_for(lab, pods_of(lab, "pair")[0], 500)
        lab.create(JOBS, job("next", gpus=1, seconds=5))
        lab.advance(3)
        assert lab.job_state("next") == "suspended"
        lab.advance(15)
        lab.check_devices()
        assert len(released_members(lab, "pair")) == 1
        assert (lab.job_state("pair"), lab.job_state("next")) == ("running", "Complete")
        _, second = (pod["metadata"]["annotations"] for pod in pods_of(lab, "pair"))
        (other,) = (pod["metadata"]["annotations"] for pod in pods_of(lab, "next"))
        assert other["roadstead.dev/devices"] == second["roadstead.dev/devices"]
        assert released_members(lab, "pair") == [int(second["roadstead.dev/member"])]
        lab.advance(600)
        assert lab.job_state("pair") == "Complete"
        lab.check_nothing_is_held()


def test_a_pod_that_replaces_another_gets_no_place_that_was_given_back() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=1, cpu="8", gpus=3)
        lab.create(JOBS, job("trio", gpus=1, seconds=5, parallelism=3, completions=3))
        lab.settle()
        run_for(lab, pods_of(lab, "trio")[0], 500)
        run_for(lab, pods_of(lab, "trio")[1], 500)
        lab.create(JOBS, job("next", gpus=1, seconds=None))
        lab.advance(20)
        gone = released_members(lab, "trio")
        assert (len(gone), lab.job_state("next")) == (1, "running")

        before = {pod["metadata"]["name"] for pod in pods_of(lab, "trio")}

        def fail(value: Json) -> None:
            value["status"]["phase"] = "Failed"

        lab.edit(PODS, pods_of(lab, "trio")[0]["metadata"]["name"], fail, "default", "status")
        lab.advance(60)
        lab.check_devices()
        (new,) = [pod for pod in pods_of(lab, "trio") if pod["metadata"]["name"] not in before]
        assert new["spec"]["nodeName"]
        assert int(new["metadata"]["annotations"]["roadstead.dev/member"]) not in gone
        assert set(released_members(lab, "trio")) > set(gone), "the new one has ended, too"


def test_a_gang_that_resumes_has_places_for_what_is_left_and_gives_none_of_those_back() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=1, cpu="8", gpus=2)
        lab.create(JOBS, job("pair", gpus=1, seconds=5, parallelism=2, completions=2))
        lab.settle()
        run_for(lab, pods_of(lab, "pair")[0], 500)
        lab.advance(15)
        assert len(released_members(lab, "pair")) == 1
        lab.create(JOBS, job("urgent", gpus=2, seconds=5, labels={"kueue.x-k8s.io/priority-class": "high"}))
        lab.advance(60)
        assert lab.job_state("urgent") == "Complete"
        reasons = [item["reason"] for item in lab.workload_of("pair")["status"]["schedulingStats"]["evictions"]]
        assert reasons == ["Preempted"]
        placement = lab.the(PLACEMENTS, lab.workload_of("pair")["metadata"]["name"])
        assert len(placement["spec"]["podSets"][0]["members"]) == 1
        assert released_members(lab, "pair") == []
        assert lab.job_state("pair") == "Complete"


def test_members_are_added_and_what_cannot_be_read_names_nobody() -> None:
    value: Json = {"metadata": {}}
    release(value, "main", frozenset({2}))
    release(value, "main", frozenset({0}))
    release(value, "driver", frozenset({1}))
    assert value["metadata"]["annotations"] == {ANNOTATION: '{"driver":[1],"main":[0,2]}'}
    assert released(value["metadata"]["annotations"], "main") == {0, 2}
    assert released({ANNOTATION: "[1"}, "main") == released({ANNOTATION: '{"main":["x"]}'}, "main") == frozenset()
