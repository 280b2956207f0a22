"""Admission in two phases, whatever goes wrong on the way: the same outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from roadstead.kinds.names import (
    JOBS,
)
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.checks import (
    conditions,
    furnish,
    says,
    updates,
)
from tests.controllers.queueing.lab import QueueLab, job


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
