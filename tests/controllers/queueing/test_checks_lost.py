"""Reservations that come to nothing: a check asks for a retry or rejects, a queue stops, somebody more important
comes."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    JOBS,
    LOCAL_QUEUES,
    PLACEMENTS,
    PODS,
    WORKLOADS,
)
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time, parse_time
from tests.controllers.queueing.checks import (
    conditions,
    events,
    furnish,
    message,
    says,
    states,
)
from tests.controllers.queueing.lab import QueueLab, job

HIGH = {"kueue.x-k8s.io/priority-class": "high"}


# ---------------------------------------------------------------------- retry


def test_a_retry_evicts_and_the_workload_comes_back_after_the_delay() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov", "budget")
        lab.create(JOBS, job("train"))
        lab.settle()
        said_at = lab.now
        says(lab, "train", "budget", "Ready")
        says(lab, "train", "prov", "Retry", message="no machines", requeueAfterSeconds=60)
        lab.advance(1)
        value = lab.workload_of("train")
        found = conditions(lab, "train")
        assert found["Evicted"] == ("True", "AdmissionCheck")
        assert message(value, "Evicted") == 'Evicted due to AdmissionCheck in Retry state: "prov" (no machines)'
        assert found["QuotaReserved"] == ("False", "PendingEvaluation")
        assert found["Requeued"] == ("False", "AdmissionCheck")
        assert parse_time(value["status"]["requeueState"]["requeueAt"]) == said_at + 60 * 10**9
        assert "count" not in value["status"]["requeueState"]
        assert "admission" not in value["status"]
        assert lab.all(PLACEMENTS) == []
        budget, prov = value["status"]["admissionChecks"]
        assert (budget["state"], prov["state"]) == ("Pending", "Pending")
        assert budget["message"] == "Reset to Pending after eviction. Previously: Ready"
        assert prov["message"] == "Reset to Pending after eviction. Previously: Retry"
        assert (prov["retryCount"], prov["requeueAfterSeconds"]) == (1, 60)
        assert "retryCount" not in budget
        assert events(lab, "EvictedDueToAdmissionCheck") == [message(value, "Evicted")]
        assert value["status"]["schedulingStats"]["evictions"] == [
            {"reason": "AdmissionCheck", "underlyingCause": "", "count": 1}
        ]
        lab.advance(57)
        assert conditions(lab, "train")["Requeued"] == ("False", "AdmissionCheck")
        lab.advance(3)
        assert conditions(lab, "train")["Requeued"] == ("True", "BackoffFinished")
        assert conditions(lab, "train")["QuotaReserved"] == ("True", "QuotaReserved")
        assert conditions(lab, "train")["Evicted"] == ("False", "QuotaReserved")
        assert "requeueAt" not in (lab.workload_of("train")["status"].get("requeueState") or {})
        says(lab, "train", "prov", "Retry", requeueAfterSeconds=120)
        lab.advance(1)
        assert [e.get("retryCount") for e in lab.workload_of("train")["status"]["admissionChecks"]] == [None, 2]


def test_a_retry_without_a_delay_is_tried_at_once() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("train"))
        lab.settle()
        says(lab, "train", "prov", "Retry")
        lab.settle(lab.now)
        assert conditions(lab, "train")["Requeued"] == ("True", "BackoffFinished")
        assert conditions(lab, "train")["QuotaReserved"] == ("True", "QuotaReserved")
        assert states(lab, "train") == {"prov": "Pending"}


def test_the_longest_delay_of_several_retries_counts() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov", "budget")
        lab.create(JOBS, job("train"))
        lab.settle()
        name = lab.workload_of("train")["metadata"]["name"]

        def both(value: Json) -> None:
            for entry, seconds in zip(value["status"]["admissionChecks"], (300, 30), strict=True):
                entry.update(state="Retry", requeueAfterSeconds=seconds, lastTransitionTime=format_time(lab.now))

        lab.edit(WORKLOADS, name, both, subresource="status")
        lab.advance(1)
        value = lab.workload_of("train")
        assert message(value, "Evicted") == 'Evicted due to AdmissionChecks in Retry state: "budget"; "prov"'
        lab.advance(297)
        assert conditions(lab, "train")["QuotaReserved"][0] == "False"
        lab.advance(3)
        assert conditions(lab, "train")["QuotaReserved"][0] == "True"


def test_running_work_is_stopped_by_a_retry_and_starts_again_when_the_check_is_ready_again() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("train", seconds=30))
        lab.settle(lab.now)
        says(lab, "train", "prov", "Ready")
        lab.advance(1)
        assert lab.job_state("train") == "running"
        says(lab, "train", "prov", "Retry")
        lab.advance(10)
        assert lab.job_state("train") == "suspended"
        assert lab.all(PODS) == []
        says(lab, "train", "prov", "Ready")
        lab.advance(60)
        assert lab.job_state("train") == "Complete"


def test_evicted_by_a_check_it_queues_behind_those_who_came_before_its_eviction() -> None:
    """Kueue orders by the time of the eviction after a check's retry (kueue 2.3)."""
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("first", cpu="4", seconds=None))
        lab.settle(lab.now)
        lab.advance(1)
        lab.create(JOBS, job("second", cpu="4", seconds=None))
        lab.advance(1)
        says(lab, "first", "prov", "Retry")
        lab.advance(1)
        assert conditions(lab, "second")["QuotaReserved"][0] == "True"
        assert conditions(lab, "first")["QuotaReserved"][0] == "False"


# ---------------------------------------------------------------------- rejection


def test_a_rejection_deactivates() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov", "budget")
        lab.create(JOBS, job("train"))
        lab.settle()
        says(lab, "train", "budget", "Retry", message="later")
        says(lab, "train", "prov", "Rejected", message="no such machine")
        lab.advance(1)
        value = lab.workload_of("train")
        why = 'AdmissionCheck in Rejected state: "prov" (no such machine)'
        assert value["spec"]["active"] is False
        found = conditions(lab, "train")
        assert found["Evicted"] == ("True", "DeactivatedDueToAdmissionCheck")
        assert message(value, "Evicted") == f"The workload is deactivated due to {why}"
        assert "DeactivationTarget" not in found
        assert found["QuotaReserved"][0] == "False"
        assert found["Requeued"] == ("False", "DeactivatedDueToAdmissionCheck")
        assert events(lab, "AdmissionCheckRejected") == [f"Deactivated due to {why}"]
        assert len(events(lab, "EvictedDueToDeactivatedDueToAdmissionCheck")) == 1
        assert value["status"]["schedulingStats"]["evictions"] == [
            {"reason": "Deactivated", "underlyingCause": "AdmissionCheck", "count": 1}
        ]
        assert states(lab, "train") == {"budget": "Pending", "prov": "Pending"}
        assert lab.all(PLACEMENTS) == []
        name = value["metadata"]["name"]
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(active=True))
        lab.advance(1)
        assert conditions(lab, "train")["QuotaReserved"] == ("True", "QuotaReserved")


# ---------------------------------------------------------------------- reservations that nobody was admitted on


@pytest.mark.parametrize(
    ("resource", "namespace", "expected"),
    [
        (CLUSTER_QUEUES, "", "ClusterQueue default is stopped"),
        (LOCAL_QUEUES, "default", "LocalQueue default is stopped"),
    ],
)
@pytest.mark.parametrize("policy", ["Hold", "HoldAndDrain"])
def test_a_stopped_queue_takes_a_reservation_back_without_an_eviction(
    resource: Any, namespace: str, expected: str, policy: str
) -> None:
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("train"))
        lab.settle()
        lab.edit(resource, "default", lambda value: value["spec"].update(stopPolicy=policy), namespace)
        lab.advance(1)
        value = lab.workload_of("train")
        found = conditions(lab, "train")
        assert found["QuotaReserved"] == ("False", "Suspended")
        assert message(value, "QuotaReserved") == expected
        assert found["Admitted"] == ("False", "NoReservation")
        assert "Evicted" not in found
        assert "admission" not in value["status"]
        assert lab.all(PLACEMENTS) == []
        lab.edit(resource, "default", lambda value: value["spec"].update(stopPolicy="None"), namespace)
        lab.advance(1)
        assert conditions(lab, "train")["QuotaReserved"] == ("True", "QuotaReserved")


def test_a_reservation_ends_with_its_local_queue() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("train"))
        lab.settle()
        lab.delete(LOCAL_QUEUES, "default")
        lab.advance(1)
        value = lab.workload_of("train")
        assert conditions(lab, "train")["QuotaReserved"] == ("False", "Misconfigured")
        assert message(value, "QuotaReserved") == "LocalQueue default is terminating or missing"


def test_whoever_is_more_important_takes_a_reservation_by_preemption() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("low", cpu="4", labels={"kueue.x-k8s.io/priority-class": "low"}))
        lab.settle()
        says(lab, "low", "prov", "Pending", message="almost")
        lab.create(JOBS, job("high", cpu="4", labels=HIGH))
        lab.advance(1)
        assert conditions(lab, "low")["Evicted"] == ("True", "Preempted")
        assert conditions(lab, "low")["QuotaReserved"][0] == "False"
        assert conditions(lab, "high")["QuotaReserved"][0] == "True"
        assert lab.workload_of("low")["status"]["admissionChecks"][0]["message"] == "almost", "Pending is left as it is"
