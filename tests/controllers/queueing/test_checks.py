"""Admission in two phases as users and check controllers see it: what is written when, by whom, and what is added to
the pods."""

from __future__ import annotations

from typing import Any

from roadstead.controllers.queues import AdmissionCheckController, ClusterQueueController, LocalQueueController
from roadstead.kinds.names import (
    ADMISSION_CHECKS,
    CLUSTER_QUEUES,
    JOBS,
    PLACEMENTS,
    PODS,
    RESOURCE_FLAVORS,
    WORKLOADS,
)
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Update
from tests.controllers.queueing.checks import (
    active,
    check,
    conditions,
    events,
    furnish,
    message,
    says,
    states,
    strategy,
    updates,
)
from tests.controllers.queueing.lab import QueueLab, all_controllers, cluster_queue, job

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
