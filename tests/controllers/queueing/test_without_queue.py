"""manageJobsWithoutQueueName: a job that names no queue is held until it does (kueue 5.7)."""

from __future__ import annotations

from typing import Any

from roadstead.controllers.workload.policy import Policy
from roadstead.expr.selectors import from_object
from roadstead.kinds.names import JOBS, LOCAL_QUEUES, NAMESPACES, PODS, WORKLOADS
from roadstead.model.selection import LabelSelector
from tests.controllers.queueing.lab import QueueLab, all_controllers, job, local_queue


def laboratory(**matches: str) -> QueueLab:
    selector = from_object({"matchLabels": matches}) or LabelSelector()
    policy = Policy(manage_all=True, namespaces=selector, labels_to_copy=("team",))
    lab = QueueLab(controllers=lambda: all_controllers(policy), namespaces=("default", "other"))
    lab.furnish()
    lab.delete(LOCAL_QUEUES, "default")
    lab.create(LOCAL_QUEUES, local_queue("mine", "default"))
    lab.settle()
    return lab


def name_queue(value: Any) -> None:
    value["metadata"].setdefault("labels", {})["kueue.x-k8s.io/queue-name"] = "mine"


def test_a_job_without_a_queue_waits_for_one() -> None:
    """Here as on a cluster where no admission plugin holds it: the controller does, a moment later."""
    with laboratory() as lab:
        lab.create(JOBS, job("train", labels={"team": "blue"}))
        lab.advance(10)
        assert lab.job_state("train") == "suspended"
        workload = lab.workload_of("train")
        assert workload["spec"].get("queueName", "") == ""
        assert workload["metadata"]["labels"]["team"] == "blue"
        assert lab.condition(workload, "QuotaReserved") == ("False", "Misconfigured")
        assert lab.all(PODS) == []
        lab.edit(JOBS, "train", name_queue)
        lab.advance(20)
        assert lab.job_state("train") == "Complete"


def test_jobs_of_namespaces_that_are_not_chosen_run_at_once() -> None:
    with laboratory(managed="yes") as lab:
        lab.create(JOBS, job("train", seconds=None))
        lab.advance(5)
        assert lab.job_state("train") == "running"
        assert lab.all(WORKLOADS) == []
        lab.edit(
            NAMESPACES, "default", lambda value: value["metadata"].setdefault("labels", {}).update(managed="yes"), ""
        )
        lab.advance(10)
        assert lab.job_state("train") == "suspended"
        assert len(lab.all(WORKLOADS)) == 1
