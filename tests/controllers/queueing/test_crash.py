"""Whatever write the process dies at, whatever answer is lost, however far informers lag: the same outcome, and nothing given twice."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from roadstead.kinds.names import JOBS, PLACEMENTS, PODS, WORKLOADS
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.lab import QueueLab, job

LOW = {"kueue.x-k8s.io/priority-class": "low"}
HIGH = {"kueue.x-k8s.io/priority-class": "high"}


def story(*, faults: dict[int, Fault] | None = None, lag: int = 0, seed: int = 0) -> QueueLab:
    """One job runs, a more important one takes its devices, both end. Devices and members are checked at every step of the way."""
    lab = QueueLab(lag=lag, seed=seed)
    lab.furnish(gpus=2, quota={"cpu": "4", "nvidia.com/gpu": "2"})
    lab.faults = {lab.writes + number: fault for number, fault in (faults or {}).items()}
    lab.first_write = lab.writes
    lab.create(JOBS, job("low", gpus=2, seconds=20, labels=LOW))
    watch(lab, 3)
    lab.create(
        JOBS, job("high", gpus=1, seconds=5, parallelism=2, completions=2, completionMode="Indexed", labels=HIGH)
    )
    watch(lab, 60)
    return lab


def watch(lab: QueueLab, seconds: int) -> None:
    for _ in range(seconds):
        lab.advance(1)
        lab.check_devices()


def check_outcome(lab: QueueLab) -> None:
    assert lab.job_state("low") == "Complete"
    assert lab.job_state("high") == "Complete"
    assert lab.the(JOBS, "low")["status"]["succeeded"] == 1
    assert lab.the(JOBS, "high")["status"]["succeeded"] == 2
    assert lab.all(PLACEMENTS) == []
    assert len(lab.all(WORKLOADS)) == 2
    for name in ("low", "high"):
        workload = lab.workload_of(name)
        assert lab.condition(workload, "Finished") == ("True", "Succeeded")
    assert lab.workload_of("low")["status"]["schedulingStats"]["evictions"][0]["count"] == 1
    assert all((pod.get("status") or {}).get("phase") == "Succeeded" for pod in lab.all(PODS))


def number_of_writes() -> int:
    with story() as lab:
        check_outcome(lab)
        return lab.writes - lab.first_write


def points() -> Iterable[int]:
    return range(60)


def test_the_undisturbed_story_has_as_many_writes_as_the_fault_tests_cover() -> None:
    assert number_of_writes() <= len(list(points()))


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("at", points())
def test_one_fault_at_any_write_changes_nothing(at: int, fault: Fault) -> None:
    with story(faults={at: fault}) as lab:
        check_outcome(lab)


@pytest.mark.parametrize("seed", range(12))
def test_lagging_informers_change_nothing(seed: int) -> None:
    with story(lag=4, seed=seed) as lab:
        check_outcome(lab)


@pytest.mark.parametrize("seed", range(12))
def test_faults_and_lag_together_change_nothing(seed: int) -> None:
    kinds = list(Fault)
    faults = {number * 4 + seed % 4: kinds[(number + seed) % len(kinds)] for number in range(12)}
    with story(faults=faults, lag=3, seed=seed) as lab:
        check_outcome(lab)
