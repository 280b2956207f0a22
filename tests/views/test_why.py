"""`why`: the sentence a person reads, with the numbers and what to do, in every state a job can be in."""

from __future__ import annotations

import pytest

from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, LOCAL_QUEUES, PODS, WORKLOAD_PRIORITY_CLASSES, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.views.answers import Answers
from roadstead.views.queue import queue_page
from roadstead.views.viewer import Viewer
from roadstead.views.why import NothingOfThatName, Why, reason_json, why_answer
from tests.controllers.queueing.checks import furnish, says
from tests.controllers.queueing.lab import QueueLab, cluster_queue, job


def why(lab: QueueLab, name: str) -> Why:
    return why_answer("default", name, lab.brain.view, lambda key: lab.decider.explain(key, lab.clock), lab.clock)


def codes(answer: Why) -> list[str]:
    return [refusal.code.value for refusal in answer.refusals]


def test_a_job_behind_full_quota_learns_what_is_missing_and_who_holds_it() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("first", cpu="3", seconds=60))
        lab.settle()
        lab.create(JOBS, job("second", cpu="2"))
        lab.settle()
        answer = why(lab, "second")
        assert answer.state == "Waiting"
        assert "WaitingForQuota" in codes(answer)
        (refusal,) = [item for item in answer.refusals if item.code.value == "WaitingForQuota"]
        assert (refusal.needed, refusal.available, refusal.limit) == (2000, 1000, 4000)
        assert refusal.verdict.value == "wait"
        assert refusal.blockers == (("default", lab.workload_of("first")["metadata"]["name"]),)
        assert answer.headline == (
            "It needs 2 cpu; ClusterQueue default has 1 free of at most 4 (flavor default). "
            "It starts by itself when 1 more is free."
        )
        assert answer.line is not None
        assert answer.line.job == "second"
        (reason,) = [item for item in answer.as_json()["reasons"] if item["code"] == "WaitingForQuota"]
        assert reason["sentence"] == answer.headline
        assert reason["holders"] == "Held by: default/first.", "by the names that their users know"


def test_a_job_that_can_never_fit_is_told_the_limit_and_to_change() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("huge", cpu="64"))
        lab.settle()
        answer = why(lab, "huge")
        assert answer.refusals[0].code.value == "ExceedsMaxQuota"
        assert answer.refusals[0].verdict.value == "change"
        assert "64" in answer.headline
        assert "4" in answer.headline


def test_a_missing_queue_is_named() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("lost", labels={"kueue.x-k8s.io/queue-name": "nowhere"}))
        lab.settle()
        answer = why(lab, "lost")
        assert codes(answer) == ["LocalQueueNotFound"]
        assert "nowhere" in answer.headline


def test_a_resource_without_quota_is_named() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("wants-gpu", gpus=1))
        lab.settle()
        assert why(lab, "wants-gpu").refusals[0].code.value == "ResourceNotCovered"
        assert "nvidia.com/gpu" in why(lab, "wants-gpu").headline


def test_quota_without_machines_is_a_matter_of_the_fleet() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4", quota={"cpu": "100"})
        lab.create(JOBS, job("wide", cpu="8"))
        lab.settle()
        answer = why(lab, "wide")
        assert answer.refusals[0].level.value in ("fleet", "node")
        assert "8" in answer.headline


def test_nobody_is_told_to_ask_for_a_looser_topology_who_asked_for_none() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="2", quota={"cpu": "100"})
        lab.create(JOBS, job("wide", cpu="3"))
        lab.settle()
        assert why(lab, "wide").headline.endswith("Ask for at most 2 cpu.")


def test_a_stopped_queue_says_so() -> None:
    with QueueLab() as lab:
        lab.furnish(queue={"stopPolicy": "Hold"})
        lab.create(JOBS, job("train"))
        lab.settle()
        assert codes(why(lab, "train")) == ["QueueStopped"]
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="None"), "")
        lab.settle()
        assert why(lab, "train").state == "Running"


def test_what_runs_says_where_and_with_which_devices() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=2)
        lab.create(JOBS, job("train", gpus=2))
        lab.settle()
        answer = why(lab, "train")
        assert answer.state == "Running"
        assert answer.headline.endswith("admitted it, 1 pod on node-0.")
        assert answer.details == ("main[0] on node-0: gpu-0, gpu-1",)
        lab.advance(10)
        assert why(lab, "train").state == "Succeeded"


def test_what_a_team_borrows_is_on_the_page() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4", quota={"cpu": "1"}, queue={"cohortName": "lab"})
        lab.create(CLUSTER_QUEUES, cluster_queue("other", {"cpu": "3"}, cohortName="lab"))
        lab.create(JOBS, job("wide", cpu="4", seconds=60))
        lab.settle()
        mine, other = queue_page(lab.brain.view, lab.clock).queues
        assert (mine.cohort, mine.local_queues, other.local_queues) == ("lab", 1, 0)
        (cell,) = mine.quotas
        assert (cell.nominal, cell.used, cell.borrowed) == ("1", "4", "3")


def test_places_in_line_are_counted_in_the_order_of_the_queue_whoever_is_shown() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="2")
        lab.create(JOBS, job("runs", cpu="2", seconds=60))
        lab.settle()
        for name, priority in (("first", "normal"), ("last", "low"), ("urgent", "high")):
            # wider than what runs: nobody is preempted for it
            lab.create(JOBS, job(name, cpu="3", labels={"kueue.x-k8s.io/priority-class": priority}))
            lab.settle()
        lines = queue_page(lab.brain.view, lab.clock).workloads
        assert [(line.job, line.position) for line in lines] == [("runs", 0), ("urgent", 1), ("first", 2), ("last", 3)]
        assert queue_page(lab.brain.view, lab.clock, namespace="elsewhere").workloads == ()


def test_a_job_of_a_kind_that_is_not_ours_is_found_by_its_workload() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        owner = {
            "apiVersion": "jobset.x-k8s.io/v1alpha2",
            "kind": "JobSet",
            "name": "set",
            "uid": "u",
            "controller": True,
        }
        container = {"name": "c", "image": "none", "resources": {"requests": {"cpu": "9"}}}
        pod_set = {"name": "main", "count": 1, "template": {"spec": {"containers": [container]}}}
        lab.create(
            WORKLOADS,
            {
                "apiVersion": WORKLOADS.api_version,
                "kind": "Workload",
                "metadata": {"name": "jobset-set-12345", "ownerReferences": [owner]},
                "spec": {"queueName": "default", "active": True, "priority": 0, "podSets": [pod_set]},
            },
        )
        lab.settle()
        assert why(lab, "set").headline.startswith("It needs 9 cpu")


def test_a_victim_says_that_it_is_being_stopped() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("low", cpu="3", seconds=60, labels={"kueue.x-k8s.io/priority-class": "low"}))
        lab.settle()
        lab.create(JOBS, job("high", cpu="3", labels={"kueue.x-k8s.io/priority-class": "high"}))
        lab.settle()
        assert why(lab, "low").state == "Stopping"
        assert codes(why(lab, "high"))[0] == "PendingPreemption"


def test_an_unknown_priority_class_is_named_before_there_is_a_workload() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("odd", labels={"kueue.x-k8s.io/priority-class": "urgent"}))
        lab.settle()
        answer = why(lab, "odd")
        assert '"urgent"' in answer.headline
        (line,) = queue_page(lab.brain.view, lab.clock).workloads
        assert (line.job, line.name, line.state.value, line.cluster_queue) == ("odd", "", "Waiting", "default")
        assert line.message == answer.headline
        urgent = {"metadata": {"name": "urgent"}, "value": 7}
        lab.create(
            WORKLOAD_PRIORITY_CLASSES,
            {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "WorkloadPriorityClass", **urgent},
        )
        lab.settle()
        (line,) = queue_page(lab.brain.view, lab.clock).workloads
        assert (line.job, line.state.value, line.priority) == ("odd", "Running", 7)


def test_a_job_of_no_queue_and_a_bare_pod_have_answers_too() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.delete(LOCAL_QUEUES, "default")
        lab.create(JOBS, job("free"))
        pod: Json = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "big"},
            "spec": {"containers": [{"name": "c", "image": "none", "resources": {"requests": {"cpu": "9"}}}]},
        }
        lab.create(PODS, pod)
        lab.settle()
        assert "in no queue" in why(lab, "free").headline
        assert why(lab, "big").state == "Waiting"
        assert why(lab, "big").refusals


def test_a_name_that_nothing_has() -> None:
    with QueueLab() as lab:
        lab.furnish()
        with pytest.raises(NothingOfThatName, match="no job, workload or pod ghost"):
            why(lab, "ghost")


def test_answers_are_json_by_path() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("first", cpu="4", seconds=60))
        lab.settle()
        lab.create(JOBS, job("second", cpu="4"))
        lab.settle()
        answers = Answers(lab.brain.view, lab.decider.explain, lambda: lab.clock)
        page = answers("queue")
        assert [line["job"] for line in page["workloads"]] == ["first", "second"]
        assert [line["state"] for line in page["workloads"]] == ["Running", "Waiting"]
        (queue,) = page["queues"]
        assert (queue["pending"], queue["admitted"]) == (1, 1)
        assert (queue["cohort"], queue["localQueues"]) == ("", 1)
        assert queue["quotas"][0] == {
            "flavor": "default",
            "resource": "cpu",
            "nominal": "4",
            "used": "4",
            "borrowed": "0",
        }
        assert answers("queue/elsewhere")["workloads"] == []
        assert answers("why/default/second")["reasons"][0]["sentence"]
        for path in ("why/default/ghost", "nonsense", "why"):
            with pytest.raises(StatusError):
                answers(path)


def test_a_job_with_quota_says_which_checks_it_waits_for() -> None:
    with QueueLab() as lab:
        furnish(lab, "budget", "prov")
        lab.create(JOBS, job("train"))
        lab.settle()
        says(lab, "train", "budget", "Ready")
        says(lab, "train", "prov", "Pending", message="ETA: 5 minutes")
        lab.settle()
        found = why(lab, "train")
        assert found.state == "Reserved"
        assert found.headline == "It holds quota in ClusterQueue default and waits for admission check prov."
        assert found.details[:2] == ("check budget: Ready", "check prov: Pending, ETA: 5 minutes")
        assert found.details[2] == "main[0] on node-0"


def test_one_of_a_kind_is_asked_about_by_its_kind() -> None:
    """A job and a bare pod of the same name; the workload has another."""
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("same", cpu="64"))
        lab.create(PODS, {"metadata": {"name": "same"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
        lab.settle()
        workload = lab.workload_of("same")["metadata"]["name"]
        answers = Answers(lab.brain.view, lab.decider.explain, lambda: lab.clock)

        assert answers("why/default/same") == answers("why/default/job:same")
        assert answers("why/default/job:same")["workload"]["name"] == workload
        assert "workload" not in answers("why/default/pod:same")
        assert answers(f"why/default/workload:{workload}")["state"] == "Waiting"
        for kind, name in (("pod", workload), ("workload", "same"), ("service", "same")):
            with pytest.raises(StatusError, match=f"There is no {kind} {name} in namespace default"):
                answers(f"why/default/{kind}:{name}")


def test_holders_of_namespaces_that_the_viewer_may_not_read_are_counted_and_not_named() -> None:
    keys = (("mine", "a"), ("theirs", "secret"), ("theirs", "other"))
    refusal = Refusal(Code.WAITING_FOR_QUOTA, Verdict.WAIT, Level.QUEUE, resource="cpu", needed=4, blockers=keys)
    viewer = Viewer(lambda verb, resource, namespace: namespace == "mine")
    told = reason_json(refusal, {}, viewer)
    assert told["holders"] == "Held by: mine/a, 2 of other namespaces."
    assert [each["name"] for each in told["blockers"]] == ["a"]
    assert "secret" not in str(told)
    assert "theirs/secret" in reason_json(refusal, {})["holders"]
