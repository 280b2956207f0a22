"""A job's way through the queue, from held to finished, on the embedded store: what is visible at each station."""

from __future__ import annotations

import pytest

from roadstead.controllers.garbage import GarbageCollector
from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, LOCAL_QUEUES, PLACEMENTS, PODS, WORKLOADS
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Update
from tests.controllers.queueing.lab import QueueLab, all_controllers, job, local_queue


def test_a_job_is_held_admitted_placed_started_bound_and_finished() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=4)
        lab.create(JOBS, job("train", gpus=2))
        assert lab.job_state("train") == "suspended"
        lab.settle()
        workload = lab.workload_of("train")
        assert lab.condition(workload, "QuotaReserved") == ("True", "QuotaReserved")
        assert lab.condition(workload, "Admitted") == ("True", "Admitted")
        assignment = workload["status"]["admission"]["podSetAssignments"][0]
        assert assignment["flavors"]["nvidia.com/gpu"] == "default"
        assert assignment["resourceUsage"] == {"cpu": "1", "nvidia.com/gpu": "2"}
        assert assignment["count"] == 1
        (placement,) = lab.all(PLACEMENTS)
        assert placement["metadata"]["name"] == workload["metadata"]["name"]
        assert placement["spec"]["workload"] == {
            "name": workload["metadata"]["name"],
            "uid": workload["metadata"]["uid"],
        }
        assert placement["spec"]["podSets"] == [
            {
                "name": "main",
                "requests": {"cpu": "1", "nvidia.com/gpu": "2"},
                "members": [{"node": "node-0", "devices": ["gpu-0", "gpu-1"]}],
            }
        ]
        template = lab.the(JOBS, "train")["spec"]["template"]["metadata"]
        assert template["annotations"]["kueue.x-k8s.io/workload"] == workload["metadata"]["name"]
        assert template["labels"]["kueue.x-k8s.io/podset"] == "main"
        (pod,) = lab.all(PODS)
        assert pod["spec"]["nodeName"] == "node-0"
        assert pod["metadata"]["annotations"]["roadstead.dev/devices"] == "gpu-0,gpu-1"
        assert pod["metadata"]["annotations"]["roadstead.dev/member"] == "0"
        lab.advance(10)
        assert lab.job_state("train") == "Complete"
        assert lab.condition(lab.workload_of("train"), "Finished") == ("True", "Succeeded")
        lab.check_nothing_is_held()


def test_a_finished_jobs_placement_says_where_it_ran_until_the_job_goes() -> None:
    with QueueLab(controllers=lambda: [*all_controllers(), GarbageCollector(default_registry())]) as lab:
        lab.furnish(gpus=4)
        lab.create(JOBS, job("train", gpus=2))
        lab.advance(10)
        assert lab.job_state("train") == "Complete"
        assert len(lab.all(PLACEMENTS)) == 1
        lab.delete(JOBS, "train")
        lab.advance(10)
        assert lab.all(WORKLOADS) == lab.all(PLACEMENTS) == lab.all(PODS) == []


def test_a_one_pod_job_costs_twelve_writes() -> None:
    """One for whoever submits it, eleven here: each of them says something that nobody knew before."""
    with QueueLab() as lab:
        lab.furnish()
        before = len(lab.ledger)
        lab.create(JOBS, job("small", seconds=1))
        lab.advance(30)
        assert lab.job_state("small") == "Complete"
        writes = [(entry.by, type(entry.write).__name__, entry.write.resource.plural) for entry in lab.ledger[before:]]
        assert writes == [
            ("workload", "Create", "workloads"),
            ("admission", "Create", "placements"),
            ("admission", "Update", "workloads"),
            ("workload", "Update", "jobs"),  # not suspended any more
            ("job", "Create", "pods"),
            ("binder", "Create", "pods"),  # the binding
            ("kubelet", "Update", "pods"),  # runs
            ("kubelet", "Update", "pods"),  # has ended
            ("job", "Update", "jobs"),  # is complete
            ("job", "Update", "pods"),  # counted: let go
            ("workload", "Update", "workloads"),  # is finished
        ]


def test_each_event_of_a_jobs_life_says_something_new() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("small", seconds=1))
        lab.advance(30)
        told = [(note.about.kind, note.reason) for note in lab.notes]
        assert told == [
            ("Job", "CreatedWorkload"),
            ("Workload", "Admitted"),
            ("Job", "Started"),
            ("Job", "SuccessfulCreate"),
            ("Pod", "Scheduled"),
            ("Job", "Completed"),
        ]
        (admitted,) = [note.message for note in lab.notes if note.reason == "Admitted"]
        assert "wait time since queued was 0s; Flavors considered: main: default" in admitted


def test_a_job_says_once_that_it_is_suspended_and_once_that_it_was_resumed() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=2)
        lab.create(JOBS, job("first", gpus=2, seconds=30))
        lab.advance(3)
        lab.create(JOBS, job("second", gpus=2, seconds=1))
        lab.advance(60)
        told = [note.reason for note in lab.notes if note.about.kind == "Job" and note.about.meta.name == "second"]
        assert told == ["CreatedWorkload", "Suspended", "Started", "SuccessfulCreate", "Resumed", "Completed"]


def test_a_job_outside_every_queue_runs_at_once() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.delete(LOCAL_QUEUES, "default")
        lab.create(JOBS, job("free"))
        assert lab.job_state("free") == "running"
        lab.advance(30)
        assert lab.job_state("free") == "Complete"
        assert lab.all(WORKLOADS) == []


def test_pods_of_no_queue_get_nodes_from_the_same_ledger() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=4)
        lab.create(JOBS, job("train", gpus=2, seconds=None))
        lab.settle()
        lab.create(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "bare"},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": "none",
                            "resources": {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "2"}},
                        }
                    ]
                },
            },
        )
        lab.settle()
        bare = lab.the(PODS, "bare")
        assert bare["spec"]["nodeName"] == "node-0"
        assert bare["metadata"]["annotations"]["roadstead.dev/devices"] == "gpu-2,gpu-3"
        lab.check_devices()


def test_a_bare_pod_that_fits_nowhere_says_so_and_is_placed_when_it_fits() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("train", cpu="4", seconds=20))
        lab.settle()
        lab.create(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "bare"},
                "spec": {"containers": [{"name": "c", "image": "none", "resources": {"requests": {"cpu": "2"}}}]},
            },
        )
        lab.settle()
        assert lab.condition(lab.the(PODS, "bare"), "PodScheduled") == ("False", "Unschedulable")
        lab.advance(40)
        assert lab.the(PODS, "bare")["spec"]["nodeName"] == "node-0"


def test_higher_priority_preempts_and_the_victim_resumes() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("low", cpu="3", seconds=60, labels={"kueue.x-k8s.io/priority-class": "low"}))
        lab.settle()
        original = lab.workload_of("low")["spec"]["podSets"][0]["template"]
        lab.create(JOBS, job("high", cpu="3", seconds=10, labels={"kueue.x-k8s.io/priority-class": "high"}))
        lab.settle()
        victim = lab.workload_of("low")
        assert lab.condition(victim, "Evicted") == ("True", "Preempted")
        assert lab.condition(victim, "Preempted") == ("True", "InClusterQueue")
        high = lab.workload_of("high")
        message = next(c["message"] for c in victim["status"]["conditions"] if c["type"] == "Preempted")
        job_uid = lab.the(JOBS, "high")["metadata"]["uid"]
        assert message == (
            f"Preempted to accommodate a workload (UID: {high['metadata']['uid']}, JobUID: {job_uid}) due to "
            "prioritization in the ClusterQueue; preemptor path: /default; preemptee path: /default"
        )
        assert lab.condition(high, "QuotaReserved") == ("False", "WaitingForPreemptedWorkloads")
        # The process takes its time to stop, and until then nothing is given away.
        assert victim["status"]["admission"]
        assert len(lab.all(PLACEMENTS)) == 1
        lab.advance(3)
        assert lab.job_state("low") == "suspended"
        assert lab.job_state("high") == "running"
        released = lab.workload_of("low")
        assert lab.condition(released, "QuotaReserved")[0] == "False"
        assert lab.condition(released, "Admitted") == ("False", "NoReservation")
        assert lab.condition(released, "Requeued") == ("True", "Preempted")
        assert "admission" not in released["status"]
        assert released["status"]["schedulingStats"]["evictions"] == [
            {"reason": "Preempted", "underlyingCause": "", "count": 1}
        ]
        template = lab.the(JOBS, "low")["spec"]["template"]
        assert template["spec"] == original["spec"]
        assert "kueue.x-k8s.io/workload" not in template["metadata"]["annotations"]
        lab.advance(20)
        assert lab.job_state("high") == "Complete"
        again = lab.workload_of("low")
        assert lab.condition(again, "Admitted") == ("True", "Admitted")
        assert lab.condition(again, "Evicted") == ("False", "QuotaReserved")
        assert lab.condition(again, "Preempted")[0] == "False"
        lab.advance(100)
        assert lab.job_state("low") == "Complete"
        lab.check_devices()


def test_a_gang_is_placed_whole_and_members_follow_the_completion_index() -> None:
    with QueueLab() as lab:
        lab.furnish(nodes=2, gpus=2, quota={"cpu": "8", "nvidia.com/gpu": "4"})
        lab.create(JOBS, job("ring", gpus=1, parallelism=4, completions=4, completionMode="Indexed"))
        lab.settle()
        (placement,) = lab.all(PLACEMENTS)
        members = placement["spec"]["podSets"][0]["members"]
        pods = lab.all(PODS)
        assert len(pods) == len(members) == 4
        for pod in pods:
            annotations = pod["metadata"]["annotations"]
            index = int(annotations["batch.kubernetes.io/job-completion-index"])
            assert int(annotations["roadstead.dev/member"]) == index
            assert pod["spec"]["nodeName"] == members[index]["node"]
            assert annotations["roadstead.dev/devices"].split(",") == members[index]["devices"]
        lab.check_devices()


def test_members_are_reused_when_more_completions_than_members_are_wanted() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=2, quota={"cpu": "4", "nvidia.com/gpu": "2"})
        lab.create(JOBS, job("sweep", gpus=1, seconds=3, parallelism=2, completions=5, completionMode="Indexed"))
        for _ in range(30):
            lab.advance(1)
            lab.check_devices()
        assert lab.job_state("sweep") == "Complete"


def test_a_stopped_queue_drains_and_lets_in_again() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train", seconds=60))
        lab.settle()
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="HoldAndDrain"), "")
        lab.advance(5)
        workload = lab.workload_of("train")
        assert lab.condition(workload, "Evicted") == ("True", "ClusterQueueStopped")
        assert lab.condition(workload, "Requeued") == ("False", "ClusterQueueStopped")
        assert lab.job_state("train") == "suspended"
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="None"), "")
        lab.advance(5)
        assert lab.condition(lab.workload_of("train"), "Requeued") == ("True", "ClusterQueueRestarted")
        assert lab.job_state("train") == "running"


def test_deactivation_evicts_and_activation_lets_in_again() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train", seconds=60))
        lab.settle()
        name = lab.workload_of("train")["metadata"]["name"]
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(active=False))
        lab.advance(5)
        workload = lab.workload_of("train")
        assert lab.condition(workload, "Evicted") == ("True", "Deactivated")
        assert lab.condition(workload, "Requeued") == ("False", "Deactivated")
        assert lab.job_state("train") == "suspended"
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(active=True))
        lab.advance(5)
        assert lab.condition(lab.workload_of("train"), "Requeued") == ("True", "Reactivated")
        assert lab.job_state("train") == "running"


def test_a_deleted_job_gives_its_place_back_only_when_its_processes_are_gone() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=1, quota={"cpu": "4", "nvidia.com/gpu": "1"})
        lab.create(JOBS, job("first", gpus=1, seconds=None))
        lab.settle()
        name = lab.workload_of("first")["metadata"]["name"]
        (pod,) = lab.all(PODS)
        lab.create(JOBS, job("second", gpus=1, seconds=5))
        lab.settle()
        assert lab.job_state("second") == "suspended"
        # What garbage collection does once the Job is gone:
        lab.delete(JOBS, "first")
        lab.delete(WORKLOADS, name)
        lab.settle()
        assert lab.get(WORKLOADS, name) is not None
        assert lab.job_state("second") == "suspended"
        lab.delete(PODS, pod["metadata"]["name"], grace=30)
        lab.settle()
        assert lab.job_state("second") == "suspended"
        lab.advance(5)
        assert lab.get(WORKLOADS, name) is None
        assert lab.job_state("second") == "running"


def test_a_deleted_workload_stops_its_job_and_is_made_anew() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train", seconds=30))
        lab.settle()
        first = lab.workload_of("train")
        lab.delete(WORKLOADS, first["metadata"]["name"])
        lab.advance(5)
        second = lab.workload_of("train")
        assert second["metadata"]["uid"] != first["metadata"]["uid"]
        assert lab.condition(second, "Admitted") == ("True", "Admitted")
        lab.advance(60)
        assert lab.job_state("train") == "Complete"


def test_a_pending_jobs_new_shape_is_followed_in_place() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("blocker", cpu="4", seconds=60))
        lab.settle()
        lab.create(JOBS, job("train", cpu="1", parallelism=4, completions=4))
        lab.settle()
        before = lab.workload_of("train")
        lab.edit(JOBS, "train", lambda value: value["spec"].update(parallelism=2))
        lab.settle()
        after = lab.workload_of("train")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"]["podSets"][0]["count"] == 2


def test_partial_admission_starts_fewer_pods_and_gives_the_number_back_on_stop() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        annotations = {"kueue.x-k8s.io/job-min-parallelism": "2"}
        lab.create(JOBS, job("elastic", seconds=None, annotations=annotations, parallelism=6, completions=6))
        lab.settle()
        workload = lab.workload_of("elastic")
        assert workload["spec"]["podSets"][0]["minCount"] == 2
        assert workload["status"]["admission"]["podSetAssignments"][0]["count"] == 4
        assert lab.the(JOBS, "elastic")["spec"]["parallelism"] == 4
        lab.edit(WORKLOADS, workload["metadata"]["name"], lambda value: value["spec"].update(active=False))
        lab.advance(5)
        assert lab.the(JOBS, "elastic")["spec"]["parallelism"] == 6


def test_a_job_of_an_unknown_queue_waits_and_says_which_queue_is_missing() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("lost", labels={"kueue.x-k8s.io/queue-name": "nowhere"}))
        lab.settle()
        workload = lab.workload_of("lost")
        assert lab.condition(workload, "QuotaReserved") == ("False", "Misconfigured")
        message = next(c["message"] for c in workload["status"]["conditions"] if c["type"] == "QuotaReserved")
        assert "nowhere" in message
        lab.create(LOCAL_QUEUES, local_queue("nowhere", "default"))
        lab.advance(20)
        assert lab.job_state("lost") == "Complete"


def test_a_request_beyond_all_quota_says_its_numbers() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("huge", cpu="64"))
        lab.settle()
        workload = lab.workload_of("huge")
        assert lab.condition(workload, "QuotaReserved") == ("False", "ExceedsMaxQuota")
        message = next(c["message"] for c in workload["status"]["conditions"] if c["type"] == "QuotaReserved")
        assert "64" in message
        assert "4" in message


def test_an_unknown_priority_class_keeps_the_job_out_and_says_so() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("odd", labels={"kueue.x-k8s.io/priority-class": "urgent"}))
        lab.settle()
        assert lab.all(WORKLOADS) == []
        (note,) = [note for note in lab.notes if note.reason == "WorkloadPriorityClassNotFound"]
        assert '"urgent"' in note.message


def test_a_running_job_cannot_change_its_queue() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train", seconds=None))
        lab.settle()
        value = lab.the(JOBS, "train")
        value["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "other"
        outcome = lab.write(Update(JOBS, value))
        assert not outcome.is_done
        assert "field is immutable" in outcome.message


@pytest.mark.parametrize("lag", [0, 3])
def test_work_started_behind_the_queues_back_is_stopped(lag: int) -> None:
    with QueueLab(lag=lag) as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("blocker", cpu="4", seconds=60))
        lab.settle()
        lab.create(JOBS, job("pushy", cpu="4"))
        lab.settle()
        lab.edit(JOBS, "pushy", lambda value: value["spec"].update(suspend=False))
        lab.advance(10)
        assert lab.job_state("pushy") == "suspended"
