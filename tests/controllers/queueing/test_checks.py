"""Admission in two phases as users and check controllers see it: what is written when, by whom, and what becomes of the job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from roadstead.controllers.queues import AdmissionCheckController, ClusterQueueController, LocalQueueController
from roadstead.kinds.names import (
    ADMISSION_CHECKS,
    CLUSTER_QUEUES,
    JOBS,
    LOCAL_QUEUES,
    PLACEMENTS,
    PODS,
    RESOURCE_FLAVORS,
    WORKLOADS,
)
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time, parse_time
from roadstead.runtime.cluster import Update
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.lab import QueueLab, all_controllers, cluster_queue, job

HIGH = {"kueue.x-k8s.io/priority-class": "high"}


def check(name: str) -> Json:
    return {
        "apiVersion": ADMISSION_CHECKS.api_version,
        "kind": "AdmissionCheck",
        "metadata": {"name": name},
        "spec": {"controllerName": f"example.com/{name}"},
    }


def active(lab: QueueLab, name: str, status: str = "True") -> None:
    """The check's controller says that it is there."""
    condition = {"type": "Active", "status": status, "reason": "Active", "message": ""}
    lab.edit_status(ADMISSION_CHECKS, name, conditions=[{**condition, "lastTransitionTime": format_time(lab.now)}])


def strategy(*names: str, **on_flavors: list[str]) -> Json:
    rules: list[Json] = [{"name": name} for name in names]
    rules += [{"name": name, "onFlavors": flavors} for name, flavors in on_flavors.items()]
    return {"admissionChecks": rules}


def furnish(lab: QueueLab, *names: str, gpus: int = 0, **queue: Any) -> None:
    """A queue with these checks, all of whose controllers are there."""
    for name in names:
        lab.create(ADMISSION_CHECKS, check(name))
        active(lab, name)
    lab.furnish(gpus=gpus, queue={"admissionChecksStrategy": strategy(*names), **queue})


def says(lab: QueueLab, workload: str, name: str, state: str, **more: Any) -> None:
    """The controller of a check writes its entry, and nothing else."""

    def write(value: Json) -> None:
        (entry,) = [entry for entry in value["status"]["admissionChecks"] if entry["name"] == name]
        entry.update({"state": state, "lastTransitionTime": format_time(lab.now), "message": "", **more})

    lab.edit(WORKLOADS, lab.workload_of(workload)["metadata"]["name"], write, subresource="status")


def states(lab: QueueLab, workload: str) -> dict[str, str]:
    return {e["name"]: e["state"] for e in lab.workload_of(workload)["status"].get("admissionChecks") or ()}


def conditions(lab: QueueLab, workload: str) -> dict[str, tuple[str, str]]:
    value = lab.workload_of(workload)
    return {c["type"]: (c["status"], c["reason"]) for c in value["status"].get("conditions") or ()}


def message(value: Json, type: str) -> str:
    return next(str(c["message"]) for c in value["status"]["conditions"] if c["type"] == type)


def events(lab: QueueLab, reason: str) -> list[str]:
    return [note.message for note in lab.notes if note.reason == reason]


# ---------------------------------------------------------------------- the queue


def with_queues() -> list[Any]:
    return [*all_controllers(), ClusterQueueController(), LocalQueueController(), AdmissionCheckController()]


def test_a_queue_names_the_checks_that_are_missing_and_those_that_are_not_active() -> None:
    def said() -> tuple[str, str, str]:
        value = lab.the(CLUSTER_QUEUES, "default", "")
        (found,) = [c for c in value["status"]["conditions"] if c["type"] == "Active"]
        return found["status"], found["reason"], found["message"]

    with QueueLab(controllers=with_queues) as lab:
        lab.furnish(queue={"admissionChecksStrategy": strategy("prov", "budget")})
        lab.create(JOBS, job("train"))
        lab.advance(1)
        missing = "Can't admit new workloads: references missing AdmissionCheck(s): prov,budget."
        assert said() == ("False", "AdmissionCheckNotFound", missing)
        assert conditions(lab, "train")["QuotaReserved"] == ("False", "Suspended")
        lab.create(ADMISSION_CHECKS, check("prov"))
        lab.advance(1)
        both = "references missing AdmissionCheck(s): budget, references inactive AdmissionCheck(s): prov"
        assert said() == ("False", "AdmissionCheckNotFound", f"Can't admit new workloads: {both}.")
        lab.create(ADMISSION_CHECKS, check("budget"))
        active(lab, "budget")
        lab.advance(1)
        inactive = "Can't admit new workloads: references inactive AdmissionCheck(s): prov."
        assert said() == ("False", "AdmissionCheckInactive", inactive)
        active(lab, "prov")
        lab.advance(1)
        assert said() == ("True", "Ready", "Can admit new workloads")
        assert conditions(lab, "train")["QuotaReserved"] == ("True", "QuotaReserved")


def test_a_check_stays_while_a_queue_asks_for_it() -> None:
    with QueueLab(controllers=with_queues) as lab:
        furnish(lab, "prov")
        lab.delete(ADMISSION_CHECKS, "prov", "")
        lab.advance(1)
        assert lab.get(ADMISSION_CHECKS, "prov", "") is not None
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].pop("admissionChecksStrategy"), "")
        lab.advance(1)
        assert lab.get(ADMISSION_CHECKS, "prov", "") is None


# ---------------------------------------------------------------------- reserve, then admit


def test_quota_first_and_the_start_when_every_check_is_ready() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov", "budget", gpus=2)
        lab.create(JOBS, job("train", gpus=2))
        lab.settle()
        found = conditions(lab, "train")
        assert found["QuotaReserved"] == ("True", "QuotaReserved")
        assert found["Admitted"] == ("False", "UnsatisfiedAdmissionChecks")
        assert states(lab, "train") == {"budget": "Pending", "prov": "Pending"}
        assert lab.job_state("train") == "suspended"
        assert len(lab.all(PLACEMENTS)) == 1, "devices are kept for it while it waits for its checks"
        assert events(lab, "Admitted") == []
        assert events(lab, "QuotaReserved")[0].startswith(
            "Quota reserved in ClusterQueue default, wait time since queued"
        )
        says(lab, "train", "prov", "Ready")
        lab.advance(10)
        assert lab.job_state("train") == "suspended"
        says(lab, "train", "budget", "Ready")
        lab.settle(lab.now)
        assert conditions(lab, "train")["Admitted"] == ("True", "Admitted")
        assert lab.job_state("train") == "running"
        assert events(lab, "Admitted") == ["Admitted by ClusterQueue default, wait time since reservation was 10s"]
        assert [pod["spec"].get("nodeName") for pod in lab.all(PODS)] == ["node-0"]
        lab.advance(20)
        assert lab.job_state("train") == "Complete"


def test_the_reservation_and_its_checks_are_one_write() -> None:
    """Nobody ever sees quota without the checks that stand between it and the start."""
    with QueueLab(lag=3, seed=5) as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("train"))
        lab.settle()
        written = [
            entry.write.value["status"]
            for entry in lab.ledger
            if isinstance(entry.write, Update) and entry.write.resource == WORKLOADS and entry.by == "admission"
        ]
        reserved = [status for status in written if status.get("admission")]
        assert len(reserved) == 1
        assert [entry["name"] for entry in reserved[0]["admissionChecks"]] == ["prov"]


def test_a_queue_without_checks_admits_in_one_write() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train"))
        lab.settle()
        assert [entry.by for entry in lab.ledger if entry.by == "workload-checks"] == []
        assert "admissionChecks" not in lab.workload_of("train")["status"]


def test_a_check_that_is_ready_before_the_reservation_is_not_waited_for() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov", stopPolicy="Hold")
        lab.create(JOBS, job("train"))
        lab.settle()
        assert states(lab, "train") == {"prov": "Pending"}, "known to apply to every flavor"
        says(lab, "train", "prov", "Ready")
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="None"), "")
        lab.settle(lab.now)
        assert lab.job_state("train") == "running"


def test_only_checks_of_the_assigned_flavors_are_asked() -> None:
    with QueueLab() as lab:
        for name in ("prov", "budget"):
            lab.create(ADMISSION_CHECKS, check(name))
            active(lab, name)
        lab.furnish()
        spot = {"apiVersion": RESOURCE_FLAVORS.api_version, "kind": "ResourceFlavor", "metadata": {"name": "spot"}}
        lab.create(RESOURCE_FLAVORS, {**spot, "spec": {}})

        def two_flavors(value: Json) -> None:
            value["spec"]["resourceGroups"] = cluster_queue("", {"cpu": "2"})["spec"]["resourceGroups"]
            (group,) = value["spec"]["resourceGroups"]
            group["flavors"].append({**group["flavors"][0], "name": "spot"})
            value["spec"]["admissionChecksStrategy"] = strategy("budget", prov=["spot"])

        lab.edit(CLUSTER_QUEUES, "default", two_flavors, "")
        lab.create(JOBS, job("first", cpu="2", seconds=None))
        lab.settle()
        lab.create(JOBS, job("second", cpu="2", seconds=None))
        lab.settle()
        assert states(lab, "first") == {"budget": "Pending"}
        assert states(lab, "second") == {"budget": "Pending", "prov": "Pending"}


def test_checks_that_come_and_go_are_followed_and_end_no_running_work() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("train", seconds=60))
        lab.settle(lab.now)
        says(lab, "train", "prov", "Ready", message="machines are there")
        lab.advance(1)
        assert lab.job_state("train") == "running"
        lab.create(ADMISSION_CHECKS, check("budget"))
        active(lab, "budget")

        def ask_for(*names: str) -> None:
            lab.edit(
                CLUSTER_QUEUES,
                "default",
                lambda value: value["spec"].update(admissionChecksStrategy=strategy(*names)),
                "",
            )
            lab.advance(1)

        ask_for("prov", "budget")
        assert states(lab, "train") == {"budget": "Pending", "prov": "Ready"}
        assert conditions(lab, "train")["Admitted"] == ("True", "Admitted")
        ask_for("budget")
        assert states(lab, "train") == {"budget": "Pending"}
        assert lab.job_state("train") == "running"
        says(lab, "train", "budget", "Ready")
        says(lab, "train", "budget", "Pending")
        lab.advance(1)
        assert lab.job_state("train") == "running"


def test_what_checks_say_about_their_progress_is_told_on_the_job() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("train"))
        lab.settle()
        says(lab, "train", "prov", "Pending", message="ETA: 5 minutes")
        lab.settle()
        assert set(events(lab, "UpdatedAdmissionCheck")) == {"prov: ETA: 5 minutes"}


# ---------------------------------------------------------------------- what checks add to pods


def updates(**fields: Any) -> list[Json]:
    return [{"name": "main", **fields}]


def test_pod_set_updates_are_merged_at_the_start_and_gone_after_an_eviction() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov", "budget")
        lab.create(JOBS, job("train", seconds=60))
        lab.settle(lab.now)
        toleration = {"key": "provisioned", "operator": "Exists", "effect": "NoSchedule"}
        added = updates(annotations={"prov/request": "r-1"}, labels={"paid-by": "a"}, tolerations=[toleration])
        says(lab, "train", "prov", "Ready", podSetUpdates=added)
        says(lab, "train", "budget", "Ready", podSetUpdates=updates(nodeSelector={"kubernetes.io/hostname": "node-0"}))
        lab.advance(1)
        template = lab.the(JOBS, "train")["spec"]["template"]
        assert template["metadata"]["annotations"]["prov/request"] == "r-1"
        assert template["metadata"]["labels"]["paid-by"] == "a"
        assert template["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "node-0"}
        assert template["spec"]["tolerations"] == [toleration]
        says(lab, "train", "prov", "Retry", message="machines are gone")
        lab.advance(5)
        template = lab.the(JOBS, "train")["spec"]["template"]
        assert "tolerations" not in template["spec"]
        assert "nodeSelector" not in template["spec"]
        assert "prov/request" not in template["metadata"]["annotations"]
        assert states(lab, "train") == {"budget": "Pending", "prov": "Pending"}


def test_two_checks_that_contradict_each_other_fail_the_workload() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov", "budget")
        lab.create(JOBS, job("train"))
        lab.settle()
        says(lab, "train", "prov", "Ready", podSetUpdates=updates(nodeSelector={"zone": "a"}))
        says(lab, "train", "budget", "Ready", podSetUpdates=updates(nodeSelector={"zone": "b"}))
        lab.settle()
        assert conditions(lab, "train")["Finished"] == ("True", "FailedToStart")
        assert 'node selector "zone"' in message(lab.workload_of("train"), "Finished")
        assert lab.job_state("train") == "suspended"


def test_a_selector_that_excludes_the_place_it_has_fails_the_workload_and_says_so() -> None:
    with QueueLab() as lab:
        furnish(lab, "prov")
        lab.create(JOBS, job("train"))
        lab.settle()
        says(lab, "train", "prov", "Ready", podSetUpdates=updates(nodeSelector={"zone": "a"}))
        lab.settle()
        assert conditions(lab, "train")["Finished"] == ("True", "FailedToStart")
        wanted = 'admission check prov wants pods on nodes with zone="a", and node node-0'
        assert message(lab.workload_of("train"), "Finished").startswith(wanted)
        lab.check_nothing_is_held()


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


# ---------------------------------------------------------------------- whatever goes wrong on the way


def story(faults: Mapping[int, Fault] | None = None, lag: int = 0, seed: int = 0) -> QueueLab:
    """Reserved, put off by one check, reserved again, admitted, run; a second one is rejected."""
    lab = QueueLab(lag=lag, seed=seed)
    furnish(lab, "prov", "budget", gpus=2)
    lab.faults = {lab.writes + number: fault for number, fault in (faults or {}).items()}
    lab.first_write = lab.writes
    lab.create(JOBS, job("train", gpus=1, seconds=5))
    lab.create(JOBS, job("other", gpus=1, seconds=5))
    lab.advance(3)
    says(lab, "train", "prov", "Retry", requeueAfterSeconds=10)
    says(lab, "other", "budget", "Rejected", message="no money")
    lab.advance(15)
    says(lab, "train", "prov", "Ready", podSetUpdates=updates(labels={"paid-by": "a"}))
    says(lab, "train", "budget", "Ready")
    lab.advance(20)
    return lab


def check_outcome(lab: QueueLab) -> None:
    assert lab.job_state("train") == "Complete"
    assert lab.the(JOBS, "train")["status"]["succeeded"] == 1
    status = lab.workload_of("train")["status"]
    assert status["schedulingStats"]["evictions"] == [{"reason": "AdmissionCheck", "underlyingCause": "", "count": 1}]
    assert [entry.get("retryCount") for entry in status["admissionChecks"]] == [None, 1]
    assert lab.job_state("other") == "suspended"
    other = lab.workload_of("other")
    assert other["spec"]["active"] is False
    assert conditions(lab, "other")["Evicted"] == ("True", "DeactivatedDueToAdmissionCheck")
    assert other["status"]["schedulingStats"]["evictions"][0]["count"] == 1
    assert "DeactivationTarget" not in conditions(lab, "other")
    lab.check_nothing_is_held()


def points() -> Iterable[int]:
    return range(40)


def test_the_undisturbed_story_has_as_many_writes_as_the_fault_tests_cover() -> None:
    with story() as lab:
        check_outcome(lab)
        assert lab.writes - lab.first_write <= len(list(points()))


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("at", points())
def test_one_fault_at_any_write_changes_nothing(at: int, fault: Fault) -> None:
    with story(faults={at: fault}) as lab:
        check_outcome(lab)


@pytest.mark.parametrize("seed", range(8))
def test_lagging_informers_change_nothing(seed: int) -> None:
    with story(lag=4, seed=seed) as lab:
        check_outcome(lab)
