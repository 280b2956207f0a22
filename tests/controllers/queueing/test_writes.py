"""Conditions, reasons and messages exactly as Kueue's (kueue 1.6, 2.2-2.4, 3.7.2)."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import pytest

from roadstead.controllers.admission import writes
from roadstead.controllers.admission.pending import REASONS, tell
from roadstead.controllers.workload.build import workload_name
from roadstead.controllers.workload.status import released
from roadstead.core.plan import Evict, EvictionReason, Verdicts
from roadstead.kinds.names import JOBS, WORKLOADS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, format_time
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.workload import Admission, Member, Placement, PodSetAssignment, PodSetPlacement

NOW = 1_800_000_000 * SECOND
KEY = ("team", "w")


def workload(*conditions: tuple[str, str, str], **status: Any) -> Object:
    made = [
        {
            "type": type,
            "status": state,
            "reason": reason,
            "message": f"{type} because",
            "lastTransitionTime": format_time(NOW - 90 * SECOND),
        }
        for type, state, reason in conditions
    ]
    value = {
        "apiVersion": WORKLOADS.api_version,
        "kind": "Workload",
        "metadata": {
            "namespace": "team",
            "name": "w",
            "uid": "u-w",
            "resourceVersion": "1",
            "generation": 3,
            "creationTimestamp": format_time(NOW - 100 * SECOND),
            "labels": {"kueue.x-k8s.io/job-uid": "u-job"},
        },
        "spec": {"queueName": "q"},
        "status": {"conditions": made, **status},
    }
    return Object.of(WORKLOADS, value)


def condition(value: Json, type: str) -> Json:
    (found,) = [c for c in value["status"]["conditions"] if c["type"] == type]
    result: Json = found
    return result


def test_the_workloads_name_is_kueues() -> None:
    job = Object.of(JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train", "uid": "42"}})
    digest = sha1(b"Job\nbatch\ntrain\n42", usedforsecurity=False).hexdigest()
    assert workload_name(job) == f"job-train-{digest[:5]}"
    long = Object.of(JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x" * 253, "uid": "42"}})
    assert len(workload_name(long)) == 253


ADMISSION = Admission(
    "gpu-queue",
    (
        PodSetAssignment(
            "main",
            2,
            (("cpu", "default"), ("memory", "default")),
            (("cpu", 1500), ("memory", 2 << 30), ("nvidia.com/gpu", 2)),
        ),
    ),
)


def test_an_admission_resets_what_an_eviction_left() -> None:
    before = workload(
        ("Evicted", "True", "Preempted"), ("Preempted", "True", "InClusterQueue"), ("QuotaReserved", "False", "X")
    )
    value = writes.admitted(before, ADMISSION, (), NOW)
    assert value["status"]["admission"] == {
        "clusterQueue": "gpu-queue",
        "podSetAssignments": [
            {
                "name": "main",
                "count": 2,
                "flavors": {"cpu": "default", "memory": "default"},
                "resourceUsage": {"cpu": "1500m", "memory": "2Gi", "nvidia.com/gpu": "2"},
            }
        ],
    }
    assert condition(value, "QuotaReserved") == {
        "type": "QuotaReserved",
        "status": "True",
        "reason": "QuotaReserved",
        "message": "Quota reserved in ClusterQueue gpu-queue",
        "lastTransitionTime": format_time(NOW),
        "observedGeneration": 3,
    }
    assert condition(value, "Admitted")["message"] == "The workload is admitted"
    assert (condition(value, "Evicted")["status"], condition(value, "Evicted")["reason"]) == ("False", "QuotaReserved")
    assert condition(value, "Evicted")["message"] == "Previously: Evicted because"
    assert condition(value, "Preempted")["message"] == "Previously: Preempted because"


def test_the_placement_names_node_and_devices_of_every_member() -> None:
    placement = Placement(
        (PodSetPlacement("main", (Member("n1", ("gpu-0",)), Member("n2")), (("cpu", 500), ("memory", 1 << 30))),)
    )
    value = writes.placement_object(workload(), placement)
    assert value["metadata"]["ownerReferences"][0]["uid"] == "u-w"
    assert value["spec"] == {
        "workload": {"name": "w", "uid": "u-w"},
        "podSets": [
            {
                "name": "main",
                "requests": {"cpu": "500m", "memory": "1Gi"},
                "members": [{"node": "n1", "devices": ["gpu-0"]}, {"node": "n2"}],
            }
        ],
    }


def preemption(reason: str = "InClusterQueue") -> Evict:
    return Evict(KEY, "u-w", EvictionReason.PREEMPTED, ("other", "boss"), "u-boss", reason)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("InClusterQueue", "prioritization in the ClusterQueue"),
        ("InCohortReclamation", "reclamation within the cohort"),
        ("InCohortFairSharing", "Fair Sharing within the cohort"),
        ("InCohortReclaimWhileBorrowing", "reclamation within the cohort while borrowing"),
        ("SomethingNew", "UNKNOWN"),
    ],
)
def test_a_preemption_says_why_in_kueues_words_and_names_nobody(reason: str, words: str) -> None:
    message = writes.eviction_message(preemption(reason), workload(), workload(), "/root/a", "/root/b")
    assert message == (
        f"Preempted to accommodate a workload (UID: u-boss, JobUID: u-job) due to {words}; "
        "preemptor path: /root/a; preemptee path: /root/b"
    )
    assert "boss" not in message.replace("u-boss", "")


def test_what_is_missing_is_unknown() -> None:
    message = writes.eviction_message(preemption(), workload())
    assert "JobUID: UNKNOWN" in message
    assert "preemptor path: UNKNOWN; preemptee path: UNKNOWN" in message


def test_an_eviction_keeps_the_admission_and_counts() -> None:
    stats = {"evictions": [{"reason": "Preempted", "underlyingCause": "", "count": 1}]}
    before = workload(
        ("QuotaReserved", "True", "QuotaReserved"), admission={"clusterQueue": "q"}, schedulingStats=stats
    )
    value = writes.evicted(before, preemption(), "m", NOW)
    assert value["status"]["admission"] == {"clusterQueue": "q"}
    assert (condition(value, "Evicted")["reason"], condition(value, "Preempted")["reason"]) == (
        "Preempted",
        "InClusterQueue",
    )
    assert value["status"]["schedulingStats"]["evictions"] == [
        {"reason": "Preempted", "underlyingCause": "", "count": 2}
    ]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (EvictionReason.DEACTIVATED, "The workload is deactivated"),
        (EvictionReason.CLUSTER_QUEUE_STOPPED, "The ClusterQueue is stopped"),
        (EvictionReason.LOCAL_QUEUE_STOPPED, "The LocalQueue is stopped"),
    ],
)
def test_other_evictions(reason: EvictionReason, message: str) -> None:
    command = Evict(KEY, "u-w", reason)
    assert writes.eviction_message(command, workload()) == message
    value = writes.evicted(workload(requeueState={"count": 2}), command, message, NOW)
    assert condition(value, "Evicted")["reason"] == reason.value
    assert ("requeueState" in value["status"]) is (reason is not EvictionReason.DEACTIVATED)


@pytest.mark.parametrize(
    ("reason", "requeued"),
    [("Preempted", "True"), ("NodeFailures", "True"), ("ClusterQueueStopped", "False"), ("Deactivated", "False")],
)
def test_giving_a_reservation_back(reason: str, requeued: str) -> None:
    before = workload(
        ("QuotaReserved", "True", "QuotaReserved"),
        ("Admitted", "True", "Admitted"),
        ("Evicted", "True", reason),
        admission={"clusterQueue": "q"},
        accumulatedPastExecutionTimeSeconds=10,
    )
    value = released(before, reason, "why", NOW)
    assert "admission" not in value["status"]
    assert value["status"]["accumulatedPastExecutionTimeSeconds"] == 100
    assert condition(value, "QuotaReserved")["status"] == "False"
    assert (condition(value, "Admitted")["reason"], condition(value, "Admitted")["message"]) == (
        "NoReservation",
        "The workload has no reservation",
    )
    assert (condition(value, "Requeued")["status"], condition(value, "Requeued")["reason"]) == (requeued, reason)
    assert condition(value, "Evicted")["status"] == "True"


def refused(code: Code, needed: int = 1) -> Verdicts:
    return Verdicts(
        KEY,
        "u-w",
        (Refusal(code, Verdict.WAIT, Level.QUEUE, resource="cpu", needed=needed, blockers=(("rival", "secret"),)),),
    )


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_reason_of_kueues(code: Code) -> None:
    assert REASONS[code] in {
        "NoMatchingFlavor",
        "WaitingForQuota",
        "ExceedsMaxQuota",
        "TopologyPlacementFailed",
        "WaitingForPreemptedWorkloads",
        "Misconfigured",
        "Suspended",
        "PendingEvaluation",
        "Deactivated",
        "AdmissionGated",
        "OnHold",
        "WaitingForPodsReady",
    }


def test_who_put_a_workload_on_hold_says_so_himself() -> None:
    assert tell(WORKLOADS, workload(), refused(Code.ON_HOLD), None, NOW) is None


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.ON_HOLD])
def test_a_condition_names_nobody_else(code: Code) -> None:
    told = tell(WORKLOADS, workload(), refused(code), None, NOW)
    assert told is not None
    (write,) = told.step.writes
    message = condition(write.value, "QuotaReserved")["message"]  # type: ignore[union-attr]
    assert message
    assert "secret" not in message
    assert "rival" not in message


def test_a_condition_is_written_when_the_code_changes_and_not_when_numbers_do() -> None:
    assert tell(WORKLOADS, workload(), refused(Code.WAITING_FOR_QUOTA, 5), Code.WAITING_FOR_QUOTA, NOW) is None
    assert tell(WORKLOADS, workload(), refused(Code.WAITING_FOR_QUOTA, 5), Code.BACKOFF, NOW) is not None
    # After a restart it is not remembered what was said: the stored reason decides.
    stored = workload(("QuotaReserved", "False", "WaitingForQuota"))
    assert tell(WORKLOADS, stored, refused(Code.WAITING_FOR_QUOTA), None, NOW) is None
    assert tell(WORKLOADS, stored, refused(Code.EXCEEDS_MAX_QUOTA), None, NOW) is not None


def test_nothing_is_said_about_what_holds_quota_or_has_ended() -> None:
    for type in ("QuotaReserved", "Finished"):
        assert tell(WORKLOADS, workload((type, "True", "X")), refused(Code.WAITING_FOR_QUOTA), None, NOW) is None
