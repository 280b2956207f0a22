"""Whatever write the process dies at, whatever answer is lost, however far informers lag: the same outcome, and nothing
given twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from roadstead.controllers.admission import AdmissionDecider
from roadstead.core.dump import digest
from roadstead.core.given import Given, give
from roadstead.core.plan import Command, Plan, Verdicts
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, PLACEMENTS, PODS, WORKLOADS
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.lab import QueueLab, job

LOW = {"kueue.x-k8s.io/priority-class": "low"}
HIGH = {"kueue.x-k8s.io/priority-class": "high"}

Decision = tuple[tuple[Command, ...], tuple[Verdicts, ...]]


def story(*, faults: dict[int, Fault] | None = None, lag: int = 0, seed: int = 0) -> QueueLab:
    """One job runs, a more important one takes its devices, both end. Devices and members are checked at every step of
    the way."""
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
    lab.check_nothing_is_held()
    assert len(lab.all(WORKLOADS)) == len(lab.all(PLACEMENTS)) == 2
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


def test_a_placement_left_by_a_crash_is_undone() -> None:
    """The process dies between Placement and reservation, and meanwhile the queue is stopped: nobody will ever use that
    Placement."""
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train"))
        lab.faults = {lab.writes + 1: Fault.CRASH_AFTER}  # 0: the Workload, 1: the Placement
        stop = lab.restart

        def stop_the_queue_too() -> None:
            lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="Hold"), "")
            stop()

        lab.restart = stop_the_queue_too  # type: ignore[method-assign]
        lab.settle()
        assert lab.crashes == 1
        assert len(lab.all(PLACEMENTS)) == 1
        lab.advance(3)
        assert lab.all(PLACEMENTS) == []
        assert lab.job_state("train") == "suspended"
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="None"), "")
        lab.advance(20)
        assert lab.job_state("train") == "Complete"


def test_a_placement_left_by_a_crash_makes_room_for_the_next_decision() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=2)
        lab.create(JOBS, job("train", gpus=1))
        lab.faults = {lab.writes + 1: Fault.CRASH_AFTER}
        lab.settle()
        assert lab.crashes == 1
        assert lab.job_state("train") == "running"
        assert len(lab.all(PLACEMENTS)) == 1


@pytest.mark.parametrize("seed", range(6))
def test_the_deciders_world_is_what_the_objects_say(seed: int) -> None:
    """At rest nothing is assumed any more: a world rebuilt from objects has the same digest."""
    with story(lag=3, seed=seed) as lab:
        lab.create(JOBS, job("third", gpus=1, seconds=None))
        lab.create(JOBS, job("fourth", gpus=2, seconds=None))
        lab.advance(3)
        before = digest(lab.decider.world)
        lab.restart()
        lab.decider.decide(lab.clock)
        assert digest(lab.decider.world) == before


def decisions(plans: Sequence[Plan]) -> list[Decision]:
    return [(plan.commands, plan.verdicts) for plan in plans if plan.commands or plan.verdicts]


def test_the_journal_replays_the_decisions() -> None:
    """What the world was given, in order, and when: a fresh world comes to the same commands and verdicts."""
    batches: list[tuple[list[Given], int, list[Decision]]] = []

    def journal(given: Sequence[Given], now: int, plans: Sequence[Plan]) -> None:
        batches.append((list(given), now, decisions(plans)))

    with QueueLab(decider=lambda: AdmissionDecider(journal=journal)) as lab:
        lab.furnish(gpus=2, quota={"cpu": "4", "nvidia.com/gpu": "2"})
        lab.create(JOBS, job("low", gpus=2, seconds=20, labels=LOW))
        lab.advance(3)
        lab.create(JOBS, job("high", gpus=1, seconds=5, labels=HIGH))
        lab.advance(60)
    world = World()
    for given, now, decided in batches:
        for each in given:
            give(world, each)
        assert decisions(decide(world, now, Rules()).plans) == decided
    assert len(batches) > 5
