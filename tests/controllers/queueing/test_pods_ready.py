"""WaitForPodsReady as a story: pods that are late are evicted and try again later and later; in the end their job is
deactivated."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.workload.policy import Policy
from roadstead.core.rules import Rules, WaitForPodsReady
from roadstead.kinds.names import JOBS, NODES, PODS, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.lab import UNREADY, QueueLab, all_controllers, job

MINUTE = 60


def laboratory(policy: WaitForPodsReady, **others: Any) -> QueueLab:
    lab = QueueLab(
        controllers=lambda: all_controllers(Policy(pods_ready=policy)),
        decider=lambda: AdmissionDecider(Rules(pods_ready=policy)),
        **others,
    )
    lab.furnish(cpu="8")
    return lab


def policy(**fields: Any) -> WaitForPodsReady:
    """Five minutes to start and to recover, unless said otherwise."""
    return WaitForPodsReady(**{"timeout": 300 * SECOND, "recovery_timeout": 300 * SECOND, **fields})


def late(name: str = "late", **others: Any) -> Json:
    """A job whose pods run and are never ready."""
    value = job(name, seconds=None, **others)
    value["spec"]["template"]["metadata"] = {"annotations": {UNREADY: "true"}}
    return value


def evictions(workload: Json) -> list[tuple[str, str, int]]:
    found = workload["status"].get("schedulingStats", {}).get("evictions") or []
    return [(entry["reason"], entry.get("underlyingCause", ""), entry["count"]) for entry in found]


def waits(lab: QueueLab, name: str) -> int:
    """Seconds until its back-off ends."""
    return (parse_time(lab.workload_of(name)["status"]["requeueState"]["requeueAt"]) - lab.now) // SECOND


def test_pods_that_are_ready_are_said_to_be() -> None:
    with laboratory(policy()) as lab:
        lab.create(JOBS, job("train", seconds=30, parallelism=2, completions=2))
        lab.advance(2)
        workload = lab.workload_of("train")
        assert lab.condition(workload, "PodsReady") == ("True", "Started")
        lab.advance(40)
        assert lab.job_state("train") == "Complete"
        assert lab.condition(lab.workload_of("train"), "PodsReady") == ("True", "Started")
        assert evictions(lab.workload_of("train")) == []


def test_admission_says_that_pods_are_waited_for() -> None:
    with laboratory(policy()) as lab:
        lab.create(JOBS, late())
        lab.advance(1)
        assert lab.condition(lab.workload_of("late"), "Admitted") == ("True", "Admitted")
        assert lab.condition(lab.workload_of("late"), "PodsReady") == ("False", "WaitForStart")


def test_without_the_policy_nobody_looks_at_pods() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, late())
        lab.advance(4 * 60 * MINUTE)
        assert lab.condition(lab.workload_of("late"), "PodsReady") == ("", "")
        assert lab.job_state("late") == "running"


def test_late_pods_are_evicted_and_wait_twice_as_long_each_time() -> None:
    """60 s, 120 s, 240 s, then the most there is (KEP-1282)."""
    with laboratory(policy(backoff_max=300 * SECOND)) as lab:
        lab.create(JOBS, late())
        lab.advance(299)
        assert lab.job_state("late") == "running"
        for number, rest in enumerate((60, 120, 240, 300, 300), start=1):
            lab.advance(2)  # the timeout passes
            workload = lab.workload_of("late")
            assert lab.condition(workload, "Evicted") == ("True", "PodsReadyTimeout")
            assert evictions(workload) == [("PodsReadyTimeout", "WaitForStart", number)]
            assert workload["status"]["requeueState"]["count"] == number
            assert rest - 2 <= waits(lab, "late") <= rest
            lab.advance(10)
            workload = lab.workload_of("late")
            assert lab.condition(workload, "QuotaReserved") == ("False", "PendingEvaluation")
            assert lab.condition(workload, "Requeued") == ("False", "PodsReadyTimeout")
            assert lab.condition(workload, "PodsReady") == ("False", "WaitForStart")
            assert lab.job_state("late") == "suspended"
            lab.check_nothing_is_held()
            lab.advance(waits(lab, "late") + 1)
            workload = lab.workload_of("late")
            assert lab.condition(workload, "Requeued") == ("True", "BackoffFinished")
            assert "requeueAt" not in workload["status"]["requeueState"]
            assert lab.condition(workload, "Evicted") == ("False", "QuotaReserved")
            assert lab.job_state("late") == "running"
            admitted = next(c for c in workload["status"]["conditions"] if c["type"] == "Admitted")
            lab.advance(299 - (lab.now - parse_time(admitted["lastTransitionTime"])) // SECOND)
            assert lab.job_state("late") == "running"


def test_too_many_tries_deactivate_it_and_who_reactivates_it_starts_over() -> None:
    with laboratory(policy(backoff_limit=1, backoff_base=10 * SECOND)) as lab:
        lab.create(JOBS, late())
        lab.advance(302)
        assert evictions(lab.workload_of("late")) == [("PodsReadyTimeout", "WaitForStart", 1)]
        lab.advance(330)
        workload = lab.workload_of("late")
        assert workload["spec"]["active"] is False
        assert lab.condition(workload, "Evicted") == ("True", "DeactivatedDueToRequeuingLimitExceeded")
        message = next(c["message"] for c in workload["status"]["conditions"] if c["type"] == "Evicted")
        assert message == "The workload is deactivated due to exceeding the maximum number of re-queuing retries"
        assert lab.condition(workload, "DeactivationTarget") == ("", "")
        assert "requeueState" not in workload["status"]
        assert evictions(workload)[1:] == [("Deactivated", "RequeuingLimitExceeded", 1)]
        assert lab.condition(workload, "QuotaReserved") == ("False", "Deactivated")
        assert lab.job_state("late") == "suspended"
        lab.check_nothing_is_held()
        reasons = [note.reason for note in lab.notes]
        assert "RequeuingLimitExceeded" in reasons
        assert "EvictedDueToDeactivatedDueToRequeuingLimitExceeded" in reasons
        name = workload["metadata"]["name"]
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(active=True))
        lab.advance(5)
        assert lab.condition(lab.workload_of("late"), "Requeued") == ("True", "Reactivated")
        assert lab.job_state("late") == "running"
        lab.advance(300)
        assert lab.workload_of("late")["status"]["requeueState"]["count"] == 1


def test_no_try_at_all() -> None:
    with laboratory(policy(backoff_limit=0)) as lab:
        lab.create(JOBS, late())
        lab.advance(310)
        assert lab.condition(lab.workload_of("late"), "Evicted") == ("True", "DeactivatedDueToRequeuingLimitExceeded")
        assert evictions(lab.workload_of("late")) == [("Deactivated", "RequeuingLimitExceeded", 1)]


def fail_a_pod(lab: QueueLab) -> None:
    pod = next(pod for pod in lab.all(PODS) if pod["status"]["phase"] == "Running")
    conditions = [{"type": "Ready", "status": "False"}]
    lab.edit_status(PODS, pod["metadata"]["name"], phase="Failed", conditions=conditions)


def test_a_pod_that_is_replaced_in_time_recovers() -> None:
    with laboratory(policy(recovery_timeout=30 * SECOND)) as lab:
        lab.create(JOBS, job("train", seconds=None, parallelism=2, completions=2))
        lab.advance(20)
        fail_a_pod(lab)
        lab.settle()
        assert lab.condition(lab.workload_of("train"), "PodsReady") == ("False", "WaitForRecovery")
        lab.advance(20)
        assert lab.condition(lab.workload_of("train"), "PodsReady") == ("True", "Recovered")
        lab.advance(60)
        assert evictions(lab.workload_of("train")) == []


@pytest.mark.parametrize("recovery", [0, 30])
def test_a_pod_that_is_not_replaced_in_time_takes_all_of_them_with_it(recovery: int) -> None:
    """0: no limit."""
    with laboratory(policy(recovery_timeout=recovery * SECOND)) as lab:
        lab.create(JOBS, job("train", seconds=None, parallelism=2, completions=2))
        lab.advance(400)
        assert lab.job_state("train") == "running"
        at = format_time(lab.now)
        unready = [{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "lastTransitionTime": at}]
        lab.edit_status(NODES, "node-0", "", conditions=unready)  # whoever comes there waits
        fail_a_pod(lab)
        lab.advance(29)
        assert lab.condition(lab.workload_of("train"), "PodsReady") == ("False", "WaitForRecovery")
        assert evictions(lab.workload_of("train")) == []
        lab.advance(11)
        expected = [("PodsReadyTimeout", "WaitForRecovery", 1)] if recovery else []
        assert evictions(lab.workload_of("train")) == expected


@pytest.mark.parametrize("by_creation", [False, True])
def test_an_evicted_workload_goes_behind_others_unless_creation_counts(by_creation: bool) -> None:
    """`late` was created first; the queue has room for one at a time."""
    with laboratory(policy(by_creation=by_creation, backoff_base=30 * SECOND)) as lab:
        lab.create(JOBS, late(cpu="8"))
        lab.advance(10)
        lab.create(JOBS, job("second", cpu="8", seconds=40))
        lab.advance(10)
        lab.create(JOBS, job("third", cpu="8", seconds=20))
        lab.advance(290)  # `late` has been evicted, and `second` took its place
        assert lab.job_state("second") == "running"
        lab.advance(40)
        assert lab.job_state("second") == "Complete"
        first, then = ("late", "third") if by_creation else ("third", "late")
        assert (lab.job_state(first), lab.job_state(then)) == ("running", "suspended")


def test_with_block_admission_the_next_one_waits_for_the_pods_of_the_one_before() -> None:
    with laboratory(policy(block_admission=True)) as lab:
        lab.create(JOBS, late())
        lab.advance(1)
        lab.create(JOBS, job("second", seconds=5))
        lab.advance(1)
        workload = lab.workload_of("second")
        assert lab.condition(workload, "QuotaReserved") == ("False", "WaitingForPodsReady")
        assert lab.job_state("second") == "suspended"
        pod = lab.all(PODS)[0]
        lab.edit_status(PODS, pod["metadata"]["name"], conditions=[{"type": "Ready", "status": "True"}])
        lab.advance(2)
        assert lab.condition(lab.workload_of("late"), "PodsReady") == ("True", "Started")
        assert lab.condition(lab.workload_of("second"), "Admitted") == ("True", "Admitted")


def test_block_admission_lets_them_in_one_by_one() -> None:
    with laboratory(policy(block_admission=True)) as lab:
        for number in range(4):
            lab.create(JOBS, job(f"job-{number}", seconds=20))
        lab.advance(1)
        assert [lab.job_state(f"job-{number}") for number in range(4)].count("running") < 4
        lab.advance(9)
        assert {lab.job_state(f"job-{number}") for number in range(4)} == {"running"}
        lab.advance(30)
        assert {lab.job_state(f"job-{number}") for number in range(4)} == {"Complete"}


# ---------------------------------------------------------------------- whatever goes wrong


def story(*, faults: dict[int, Fault] | None = None, lag: int = 0, seed: int = 0) -> QueueLab:
    """Evicted once, then deactivated."""
    lab = laboratory(policy(backoff_limit=1, backoff_base=5 * SECOND), lag=lag, seed=seed)
    lab.faults = {lab.writes + number: fault for number, fault in (faults or {}).items()}
    lab.first_write = lab.writes
    lab.create(JOBS, late())
    for _ in range(65):
        lab.advance(10)
        lab.check_devices()
    return lab


def check_outcome(lab: QueueLab) -> None:
    workload = lab.workload_of("late")
    assert lab.job_state("late") == "suspended"
    assert lab.condition(workload, "Evicted") == ("True", "DeactivatedDueToRequeuingLimitExceeded")
    assert evictions(workload) == [
        ("PodsReadyTimeout", "WaitForStart", 1),
        ("Deactivated", "RequeuingLimitExceeded", 1),
    ]
    lab.check_nothing_is_held()
    assert lab.all(PODS) == []


POINTS = range(44)


def test_the_undisturbed_story_has_as_many_writes_as_the_fault_tests_cover() -> None:
    with story() as lab:
        check_outcome(lab)
        assert lab.writes - lab.first_write <= len(POINTS)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("at", POINTS)
def test_one_fault_at_any_write_changes_nothing(at: int, fault: Fault) -> None:
    with story(faults={at: fault}) as lab:
        check_outcome(lab)


@pytest.mark.parametrize("seed", range(6))
def test_lagging_informers_change_nothing(seed: int) -> None:
    with story(lag=3, seed=seed) as lab:
        check_outcome(lab)
