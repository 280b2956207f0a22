"""The workload controller and the afterlife of Workloads, beyond the plain story."""

from __future__ import annotations

import pytest

from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    JOBS,
    PLACEMENTS,
    PODS,
    RESOURCE_FLAVORS,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from roadstead.kinds.object import Json
from tests.controllers.queueing.lab import QueueLab, job

PRIORITY = "kueue.x-k8s.io/priority-class"


def waiting(lab: QueueLab, name: str, **labels: str) -> Json:
    """A job that waits behind a full queue."""
    lab.furnish(cpu="4")
    lab.create(JOBS, job("blocker", cpu="4", seconds=60))
    lab.settle()
    lab.create(JOBS, job(name, cpu="4", labels=labels))
    lab.settle()
    return lab.workload_of(name)


def test_the_workload_carries_kueues_names_labels_and_owner() -> None:
    with QueueLab() as lab:
        workload = waiting(lab, "train", **{PRIORITY: "low"})
        owner = lab.the(JOBS, "train")
        metadata = workload["metadata"]
        assert metadata["labels"] == {"kueue.x-k8s.io/job-uid": owner["metadata"]["uid"]}
        assert metadata["annotations"] == {
            "kueue.x-k8s.io/job-owner-gvk": "batch/v1, Kind=Job",
            "kueue.x-k8s.io/job-owner-name": "train",
        }
        assert metadata["finalizers"] == ["kueue.x-k8s.io/resource-in-use"]
        assert metadata["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
        assert workload["spec"]["queueName"] == "default"
        assert workload["spec"]["priority"] == -100
        assert workload["spec"]["priorityClassRef"] == {
            "group": "kueue.x-k8s.io",
            "kind": "WorkloadPriorityClass",
            "name": "low",
        }


def test_another_priority_label_is_followed_while_it_waits() -> None:
    with QueueLab() as lab:
        waiting(lab, "train", **{PRIORITY: "low"})
        lab.edit(JOBS, "train", lambda value: value["metadata"]["labels"].update({PRIORITY: "normal"}))
        lab.settle()
        spec = lab.workload_of("train")["spec"]
        assert (spec["priority"], spec["priorityClassRef"]["name"]) == (0, "normal")


def test_a_class_that_changes_its_value_takes_its_workloads_along() -> None:
    with QueueLab() as lab:
        waiting(lab, "train", **{PRIORITY: "low"})
        lab.edit(WORKLOAD_PRIORITY_CLASSES, "low", lambda value: value.update(value=-5), "")
        lab.settle()
        assert lab.workload_of("train")["spec"]["priority"] == -5


def test_a_priority_set_by_hand_stays_where_no_class_rules() -> None:
    with QueueLab() as lab:
        name = waiting(lab, "train")["metadata"]["name"]
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(priority=7))
        lab.advance(1)
        assert lab.workload_of("train")["spec"]["priority"] == 7


def test_a_job_waits_for_its_class_and_goes_on_when_it_appears() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("odd", labels={PRIORITY: "urgent"}))
        lab.settle()
        assert lab.all(WORKLOADS) == []
        lab.create(
            WORKLOAD_PRIORITY_CLASSES,
            {
                "apiVersion": WORKLOAD_PRIORITY_CLASSES.api_version,
                "kind": "WorkloadPriorityClass",
                "metadata": {"name": "urgent"},
                "value": 9,
            },
        )
        lab.advance(20)
        assert lab.job_state("odd") == "Complete"


def test_a_queue_label_changed_while_waiting_moves_the_workload() -> None:
    with QueueLab() as lab:
        waiting(lab, "train")
        lab.edit(
            JOBS, "train", lambda value: value["metadata"]["labels"].update({"kueue.x-k8s.io/queue-name": "other"})
        )
        lab.settle()
        workload = lab.workload_of("train")
        assert workload["spec"]["queueName"] == "other"
        assert lab.condition(workload, "QuotaReserved") == ("False", "Misconfigured")


def test_a_flavors_labels_and_tolerations_reach_the_pods() -> None:
    with QueueLab() as lab:
        lab.furnish()

        def equip(value: Json) -> None:
            value["spec"] = {
                "nodeLabels": {"kubernetes.io/hostname": "node-0"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
            }

        lab.edit(RESOURCE_FLAVORS, "default", equip, "")
        lab.create(JOBS, job("train", seconds=None))
        lab.settle()
        (pod,) = lab.all(PODS)
        assert pod["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "node-0"}
        assert any(toleration.get("key") == "gpu" for toleration in pod["spec"]["tolerations"])


def test_a_template_that_contradicts_its_own_placement_fails_to_start_for_good() -> None:
    with QueueLab() as lab:
        lab.furnish()
        value = job("stubborn")
        value["spec"]["template"]["metadata"]["labels"] = {"kueue.x-k8s.io/podset": "other"}
        lab.create(JOBS, value)
        lab.advance(5)
        workload = lab.workload_of("stubborn")
        assert lab.condition(workload, "Finished") == ("True", "FailedToStart")
        assert lab.job_state("stubborn") == "suspended"
        lab.check_nothing_is_held()
        assert any(note.reason == "FailedToStart" and "podset" in note.message for note in lab.notes)


def test_pods_that_ended_give_their_quota_to_others_while_the_job_goes_on() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=2, cpu="2", quota={"cpu": "2"})
        value = job("pair", cpu="1", seconds=5, parallelism=2, completions=2)
        lab.create(JOBS, value)
        lab.settle()
        first = sorted(lab.all(PODS), key=lambda pod: pod["metadata"]["name"])[0]

        def run_on(pod: Json) -> None:
            pod["metadata"]["annotations"]["test/run-seconds"] = "500"

        lab.edit(PODS, first["metadata"]["name"], run_on)
        lab.create(JOBS, job("next", cpu="1", seconds=5))
        lab.settle()
        assert lab.job_state("next") == "suspended"
        lab.advance(8)
        assert lab.workload_of("pair")["status"]["reclaimablePods"] == [{"name": "main", "count": 1}]
        lab.advance(20)
        assert lab.job_state("pair") == "running"
        assert lab.job_state("next") == "Complete"


def test_a_running_job_whose_size_changes_is_queued_anew() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("grow", cpu="1", seconds=None, parallelism=1, completions=4))
        lab.settle()
        before = lab.workload_of("grow")["metadata"]["uid"]
        lab.edit(JOBS, "grow", lambda value: value["spec"].update(parallelism=3))
        lab.advance(10)
        workload = lab.workload_of("grow")
        assert workload["metadata"]["uid"] != before
        assert workload["status"]["admission"]["podSetAssignments"][0]["count"] == 3
        assert lab.job_state("grow") == "running"


def bare(name: str, queue: str = "default") -> Json:
    template = {
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "none", "resources": {"requests": {"cpu": "3"}}}],
        }
    }
    return {
        "apiVersion": WORKLOADS.api_version,
        "kind": "Workload",
        "metadata": {"name": name},
        "spec": {"queueName": queue, "podSets": [{"name": "main", "count": 1, "template": template}]},
    }


def test_a_workload_without_a_job_is_admitted_evicted_and_finished_too() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(WORKLOADS, bare("alone"))
        lab.settle()
        assert lab.condition(lab.the(WORKLOADS, "alone"), "Admitted") == ("True", "Admitted")
        lab.edit(WORKLOADS, "alone", lambda value: value["spec"].update(active=False))
        lab.advance(2)
        assert lab.condition(lab.the(WORKLOADS, "alone"), "QuotaReserved")[0] == "False"
        assert lab.all(PLACEMENTS) == []
        lab.edit(WORKLOADS, "alone", lambda value: value["spec"].update(active=True))
        lab.advance(2)
        assert len(lab.all(PLACEMENTS)) == 1

        def finish(value: Json) -> None:
            value["status"]["conditions"].append(
                {
                    "type": "Finished",
                    "status": "True",
                    "reason": "Succeeded",
                    "message": "",
                    "lastTransitionTime": "2027-01-15T08:00:00Z",
                }
            )

        lab.edit(WORKLOADS, "alone", finish, subresource="status")
        lab.advance(2)
        lab.check_nothing_is_held()


def test_an_orphan_is_let_go_when_it_is_deleted() -> None:
    with QueueLab() as lab:
        workload = waiting(lab, "train")
        name = workload["metadata"]["name"]
        lab.delete(JOBS, "train", propagation="Orphan")
        lab.edit(JOBS, "train", lambda value: value["metadata"].update(finalizers=[])) if lab.get(
            JOBS, "train"
        ) else None
        lab.delete(WORKLOADS, name)
        lab.settle()
        assert lab.get(WORKLOADS, name) is None


@pytest.mark.parametrize("lag", [0, 4])
def test_a_job_deleted_and_created_again_under_the_same_name(lag: int) -> None:
    with QueueLab(lag=lag, seed=7) as lab:
        lab.furnish(gpus=1, quota={"cpu": "4", "nvidia.com/gpu": "1"})
        lab.create(JOBS, job("train", gpus=1, seconds=None))
        lab.settle()
        first = lab.workload_of("train")
        pods = lab.all(PODS)
        lab.delete(JOBS, "train")
        lab.delete(WORKLOADS, first["metadata"]["name"])
        for pod in pods:
            lab.delete(PODS, pod["metadata"]["name"], grace=30)
        lab.create(JOBS, job("train", gpus=1, seconds=5))
        for _ in range(20):
            lab.advance(1)
            lab.check_devices()
        assert lab.job_state("train") == "Complete"


def test_a_queue_that_is_full_of_nothing_lets_the_biggest_in() -> None:
    """Un-parking: what did not fit beside others is tried again when they end, without anybody touching it."""
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        for number in range(3):
            lab.create(JOBS, job(f"small-{number}", cpu="1", seconds=5 + number))
        lab.settle()
        lab.create(JOBS, job("big", cpu="4", seconds=5))
        lab.advance(30)
        assert lab.job_state("big") == "Complete"
        assert lab.the(CLUSTER_QUEUES, "default", "")["metadata"]["name"] == "default"


def test_a_pod_that_only_names_a_workload_gets_none_of_its_devices_and_holds_nothing_up() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=2, quota={"cpu": "4", "nvidia.com/gpu": "2"})
        lab.create(JOBS, job("train", gpus=1, seconds=5, parallelism=2, completions=2))
        lab.settle()
        name = lab.workload_of("train")["metadata"]["name"]
        thief: Json = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "a-thief",
                "annotations": {"kueue.x-k8s.io/workload": name},
                "labels": {"kueue.x-k8s.io/podset": "main"},
            },
            "spec": {"containers": [{"name": "c", "image": "none"}]},
        }
        lab.create(PODS, thief)
        lab.advance(20)
        assert "nodeName" not in lab.the(PODS, "a-thief")["spec"]
        assert lab.job_state("train") == "Complete"
        lab.delete(JOBS, "train")
        lab.delete(WORKLOADS, name)
        lab.settle()
        assert lab.get(WORKLOADS, name) is None
