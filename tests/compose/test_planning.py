"""`plan` on a world in which things run: what is told is what happens, and the question leaves no trace."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from roadstead.compose.planning import Planner, dry_run
from roadstead.core.dump import digest, memory_digest
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import JOBS
from roadstead.kinds.object import Json
from roadstead.views.viewer import Viewer
from tests.controllers.queueing.lab import QueueLab, cluster_queue, job, local_queue


def plan(lab: QueueLab, *objects: Json, namespace: str = "default") -> Json:
    """The answer; nothing may have changed by it."""
    resources = lab.cluster._resources
    planner = Planner(resources.registry, dry_run(resources), lab.brain.view, lab.decider.foresee, lambda: lab.clock)
    decider = lab.decider

    def state() -> tuple[Any, ...]:
        return resources.current_rv(), digest(decider.world), memory_digest(decider.world), list(decider._given)

    before = state()
    answer = asyncio.run(planner({"objects": deepcopy(list(objects)), "namespace": namespace}))
    assert state() == before, "a question changes neither what is stored, nor the world, nor its journal"
    return answer


def only(answer: Json) -> Json:
    (line,) = answer["work"]
    assert answer["outlook"] == line["outlook"]
    found: Json = line
    return found


def test_what_would_start_starts_where_it_was_said() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=2, cpu="4", gpus=2, quota={"cpu": "8", "nvidia.com/gpu": "4"})
        lab.create(JOBS, job("first", gpus=2, seconds=60))
        lab.settle()
        line = only(plan(lab, job("second", gpus=1, parallelism=2)))
        assert line["outlook"] == "Starts"
        assert line["headline"] == (
            "It would start now: ClusterQueue default has room for 2 pods on flavor default on node-1."
        )
        assert [(place["node"], place["devices"]) for place in line["places"]] == [
            ("node-1", ["gpu-0"]),
            ("node-1", ["gpu-1"]),
        ]
        (pod_set,) = line["podSets"]
        assert pod_set["resourceUsage"] == {"cpu": "2", "nvidia.com/gpu": "2"}
        lab.create(JOBS, job("second", gpus=1, parallelism=2))
        lab.settle()
        assert lab.job_state("second") == "running"


def test_what_would_wait_hears_what_why_would_say() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("first", cpu="3", seconds=60))
        lab.settle()
        line = only(plan(lab, job("second", cpu="2")))
        assert (line["outlook"], line["verdict"]) == ("Waits", "wait")
        assert line["reasons"][0]["code"] == "WaitingForQuota"
        assert line["reasons"][0]["holders"] == "Held by: default/first."
        assert line["changes"][0]["sentence"] == "Ask for 1 cpu instead of 2 in each pod."
        assert line["next"][0]["level"] in ("fleet", "node"), "the machine is as full as the quota"


def test_who_would_have_to_go_is_named_and_stays() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("low", cpu="4", seconds=60))
        lab.settle()
        line = only(plan(lab, job("urgent", cpu="2", labels={"kueue.x-k8s.io/priority-class": "high"})))
        assert line["outlook"] == "Preempts"
        assert [(victim["job"], victim["reason"]) for victim in line["victims"]] == [("low", "InClusterQueue")]
        assert line["headline"] == (
            "It would not start now: default/low would be asked to make room. It would start on node-0 when it has left."
        )
        lab.settle()
        assert lab.job_state("low") == "running"


def test_documents_are_planned_together_and_known_by_their_own_names() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        answer = plan(
            lab,
            job("a", cpu="3"),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}},
            job("b", cpu="2"),
        )
        assert [(line["name"], line["outlook"]) for line in answer["work"]] == [("a", "Starts"), ("b", "Waits")]
        assert answer["outlook"] == "Waits"
        assert answer["work"][1]["reasons"][0]["holders"] == "Held by: default/a."
        assert answer["notes"] == ["ConfigMap c: taken as given."]


def test_queues_may_come_with_their_work_or_be_changed_for_it() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=2, cpu="4", quota={"cpu": "4"})
        wide = job("wide", cpu="2", parallelism=4)
        assert only(plan(lab, wide))["outlook"] == "Waits"
        assert only(plan(lab, cluster_queue("default", {"cpu": "8"}), wide))["outlook"] == "Starts"
        mine = job("mine", labels={"kueue.x-k8s.io/queue-name": "mine"})
        assert only(plan(lab, mine))["reasons"][0]["code"] == "LocalQueueNotFound"
        assert only(plan(lab, local_queue("mine", "default"), mine))["outlook"] == "Starts"


def test_work_in_no_queue_is_placed_pod_by_pod() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("first", cpu="3", seconds=60))
        lab.settle()
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "none", "resources": {"requests": {"cpu": "1"}}}]},
        }
        answer = plan(lab, pod, {**pod, "metadata": {"name": "q"}})
        assert [line["outlook"] for line in answer["work"]] == ["Starts", "Waits"]
        assert answer["work"][0]["headline"] == "It would start now, in no queue on node-0."


@pytest.mark.parametrize(
    ("value", "status", "said"),
    [
        ({"apiVersion": "v1", "kind": "Nonsense"}, 400, "v1 Nonsense is not served here"),
        ({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "No"}, "spec": {}}, 422, "Invalid value"),
        ({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"typo": 1}}, 400, "typo"),
        ({"apiVersion": "batch/v1", "kind": "Job", "metadata": []}, 400, "metadata of a Job is list"),
    ],
)
def test_what_could_not_be_submitted_cannot_be_planned(value: Json, status: int, said: str) -> None:
    with QueueLab() as lab:
        lab.furnish()
        with pytest.raises(StatusError, match=said) as raised:
            plan(lab, value)
        assert raised.value.code == status


def test_what_is_there_already_is_not_planned_again() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train"))
        with pytest.raises(StatusError, match='"train" already exists; ask why it waits') as raised:
            plan(lab, job("train"))
        assert raised.value.code == 409


def test_what_would_never_be_queued_says_why() -> None:
    with QueueLab() as lab:
        lab.furnish()
        line = only(plan(lab, job("j", labels={"kueue.x-k8s.io/priority-class": "nobody"})))
        assert (line["outlook"], line["verdict"]) == ("Waits", "change")
        assert 'WorkloadPriorityClass "nobody" does not exist' in line["headline"]


@pytest.mark.parametrize("body", [None, [], {}, {"objects": []}, {"objects": [1]}, {"objects": {}}])
def test_a_question_that_is_none(body: Any) -> None:
    with QueueLab() as lab:
        resources = lab.cluster._resources
        planner = Planner(
            resources.registry, dry_run(resources), lab.brain.view, lab.decider.foresee, lambda: lab.clock
        )
        with pytest.raises(StatusError, match="plan"):
            asyncio.run(planner(body))


def test_nothing_is_planned_where_one_may_not_create_it() -> None:
    with QueueLab() as lab:
        lab.furnish()
        resources = lab.cluster._resources
        planner = Planner(
            resources.registry, dry_run(resources), lab.brain.view, lab.decider.foresee, lambda: lab.clock
        )
        viewer = Viewer(lambda verb, resource, namespace: namespace == "mine")
        with pytest.raises(StatusError, match="you may not create jobs in namespace default") as refused:
            asyncio.run(planner({"objects": [job("a")], "namespace": "default"}, viewer))
        assert refused.value.code == 403


def test_victims_of_others_are_counted_and_not_named() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("quiet", cpu="4", seconds=None, labels={"kueue.x-k8s.io/priority-class": "low"}))
        lab.settle()
        resources = lab.cluster._resources
        planner = Planner(
            resources.registry, dry_run(resources), lab.brain.view, lab.decider.foresee, lambda: lab.clock
        )
        viewer = Viewer(lambda verb, resource, namespace: verb == "create")
        urgent = job("urgent", cpu="4", labels={"kueue.x-k8s.io/priority-class": "high"})
        line = only(asyncio.run(planner({"objects": [urgent], "namespace": "default"}, viewer)))
        assert line["outlook"] == "Preempts"
        assert "one of another namespace would be asked to make room" in line["headline"]
        assert "quiet" not in str(line)
