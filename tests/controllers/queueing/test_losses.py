"""What becomes of a gang whose node, or whose Placement, is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.pod_garbage import PodGarbageController
from roadstead.core.rules import Rules
from roadstead.kinds.names import JOBS, NODES, PLACEMENTS, PODS, SHUTDOWN_TAINT, WORKLOADS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.served import default_registry
from roadstead.kinds.times import format_time
from roadstead.runtime.step import SECOND, Controller
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.lab import QueueLab, all_controllers, job

PATIENCE = 60


def laboratory(
    lag: int = 0, seed: int = 0, faults: dict[int, Fault] | None = None, more: Callable[[], list[Controller]] = list
) -> QueueLab:
    return QueueLab(
        lag=lag,
        seed=seed,
        faults=faults,
        controllers=lambda: [*all_controllers(), PodGarbageController(), *more()],
        decider=lambda: AdmissionDecider(Rules(node_tolerance=PATIENCE * SECOND)),
    )


def gang(lab: QueueLab) -> set[str]:
    """Two pods that fill a node each run on two of three nodes; which."""
    lab.furnish(nodes=3, cpu="4", quota={"cpu": "12"})
    lab.create(
        JOBS,
        job("gang", cpu="3", seconds=400, parallelism=2, completions=2, completionMode="Indexed", backoffLimit=0),
    )
    lab.advance(3)
    return places(lab)


def places(lab: QueueLab) -> set[str]:
    """Nodes on which pods of the gang run or should."""
    return {pod["spec"]["nodeName"] for pod in lab.all(PODS) if "deletionTimestamp" not in pod["metadata"]}


def say(lab: QueueLab, node: str, ready: str) -> None:
    def change(value: Json) -> None:
        (condition,) = [one for one in value["status"]["conditions"] if one["type"] == "Ready"]
        condition.update(status=ready, lastTransitionTime=format_time(lab.clock))

    lab.edit(NODES, node, change, "", "status")
    lab.settle()


def test_a_shutdown_is_not_called_a_failure() -> None:
    with laboratory() as lab:
        taint = {"key": SHUTDOWN_TAINT, "effect": "NoSchedule"}
        for node in sorted(gang(lab)):
            lab.edit(NODES, node, lambda value: value["spec"].update(taints=[taint]), "")
        lab.settle()
        assert lab.condition(lab.workload_of("gang"), "Evicted") == ("True", "NodeFailures")
        (note,) = [note for note in lab.notes if note.reason == "EvictedDueToNodeFailures"]
        assert note.message == (
            "The cluster is being shut down; it is in the queue again and starts when the cluster is up"
        )
        lab.advance(60)
        assert lab.job_state("gang") == "suspended"
        requeued = next(c for c in lab.workload_of("gang")["status"]["conditions"] if c["type"] == "Requeued")
        assert (requeued["status"], requeued["message"]) == ("True", note.message)


@pytest.mark.parametrize("lag", [0, 3])
def test_a_gang_leaves_a_node_that_stays_silent_and_runs_elsewhere(lag: int) -> None:
    with laboratory(lag, seed=lag) as lab:
        first = gang(lab)
        assert len(first) == 2
        dead = sorted(first)[0]
        say(lab, dead, "Unknown")
        lab.advance(PATIENCE - 5)
        assert lab.condition(lab.workload_of("gang"), "Evicted") == ("", "")
        lab.advance(10)
        assert lab.condition(lab.workload_of("gang"), "Evicted") == ("True", "NodeFailures")
        assert lab.job_state("gang") == "suspended"
        assert len(lab.all(PLACEMENTS)) == 1, "nothing is given back while the silent node may still stop its pod"
        lab.advance(40)
        assert lab.job_state("gang") == "running"
        assert len(places(lab)) == 2
        assert dead not in places(lab)
        say(lab, dead, "True")
        lab.advance(5)
        assert all("deletionTimestamp" not in pod["metadata"] for pod in lab.all(PODS)), "the old pod was ended"
        lab.advance(420)
        assert lab.job_state("gang") == "Complete"
        assert "failed" not in lab.the(JOBS, "gang")["status"]
        lab.check_nothing_is_held()


def test_a_node_that_speaks_again_in_time_keeps_its_gang() -> None:
    with laboratory() as lab:
        first = gang(lab)
        dead = sorted(first)[0]
        say(lab, dead, "Unknown")
        lab.advance(PATIENCE - 5)
        say(lab, dead, "True")
        lab.advance(2 * PATIENCE)
        assert lab.condition(lab.workload_of("gang"), "Evicted") == ("", "")
        assert places(lab) == first


@pytest.mark.parametrize("lag", [0, 3])
def test_what_still_runs_on_a_node_that_comes_back_is_in_the_way_of_others(lag: int) -> None:
    """Its gang runs elsewhere by then, and the Placement there says nothing of the old pod."""
    with laboratory(lag, seed=lag) as lab:
        dead = sorted(gang(lab))[0]
        say(lab, dead, "Unknown")
        lab.advance(PATIENCE + 45)
        assert dead not in places(lab)
        lab.create(JOBS, job("next", cpu="3", seconds=400))
        lab.settle()
        check_it_waits_for_the_old_pod(lab, dead)


@pytest.mark.parametrize("lag", [0, 3])
def test_what_still_runs_of_a_finished_workload_is_in_the_way_of_others(lag: int) -> None:
    """Its job was deleted without it while the node was silent: the Workload is finished, and its Placement no more
    than a record."""
    with laboratory(lag, seed=lag, more=lambda: [GarbageCollector(default_registry())]) as lab:
        lab.furnish(nodes=1, cpu="4", quota={"cpu": "12"})
        lab.create(JOBS, job("left", cpu="3", seconds=400))
        lab.advance(3)
        say(lab, "node-0", "Unknown")
        lab.advance(PATIENCE + 5)
        lab.delete(JOBS, "left", propagation="Orphan")
        lab.advance(60)
        assert lab.condition(lab.all(WORKLOADS)[0], "Finished")[0] == "True"
        lab.create(JOBS, job("next", cpu="3", seconds=400))
        lab.settle()
        check_it_waits_for_the_old_pod(lab, "node-0")


def check_it_waits_for_the_old_pod(lab: QueueLab, node: str) -> None:
    """Job `next` gets the node that comes back, but not before the pod that was left there is gone."""

    def others() -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in lab.all(PODS)
            if pod["spec"].get("nodeName") == node and not pod["metadata"]["name"].startswith("next")
        ]

    assert len(others()) == 1
    say(lab, node, "True")
    assert len(others()) == 1
    assert lab.condition(lab.workload_of("next"), "QuotaReserved")[0] == "False"
    lab.advance(5)
    assert others() == []
    assert lab.job_state("next") == "running"
    assert node in places(lab)


@pytest.mark.parametrize("lag", [0, 3])
def test_a_gang_whose_node_was_deleted_runs_elsewhere(lag: int) -> None:
    with laboratory(lag, seed=lag) as lab:
        dead = sorted(gang(lab))[0]
        lab.delete(NODES, dead, "")
        lab.advance(60)
        assert lab.workload_of("gang")["status"]["schedulingStats"]["evictions"][0]["reason"] == "NodeFailures"
        assert lab.job_state("gang") == "running"
        assert len(places(lab)) == 2
        assert dead not in places(lab)
        lab.advance(420)
        assert lab.job_state("gang") == "Complete"


def test_a_node_that_dies_while_its_pods_are_being_stopped_holds_nobody_up() -> None:
    with laboratory() as lab:
        dead = sorted(gang(lab))[0]
        say(lab, dead, "Unknown")
        lab.edit(JOBS, "gang", lambda value: value["spec"].update(suspend=True))
        lab.delete(JOBS, "gang")
        lab.advance(60)
        lab.create(JOBS, job("next", cpu="4", seconds=5))
        lab.advance(20)
        assert lab.job_state("next") == "Complete"


def deleted_placement(lag: int = 0, seed: int = 0, faults: dict[int, Fault] | None = None) -> QueueLab:
    lab = laboratory(lag, seed)
    lab.furnish(gpus=2, quota={"cpu": "4", "nvidia.com/gpu": "4"})
    lab.create(JOBS, job("train", gpus=2, seconds=20))
    lab.advance(3)
    lab.create(JOBS, job("waits", gpus=2, seconds=5))
    lab.advance(1)
    (placement,) = lab.all(PLACEMENTS)
    lab.faults = {lab.writes + number: fault for number, fault in (faults or {}).items()}
    lab.delete(PLACEMENTS, placement["metadata"]["name"])
    for _ in range(80):
        lab.advance(1)
        lab.check_devices()
    return lab


def check_deleted_placement(lab: QueueLab) -> None:
    evictions = lab.workload_of("train")["status"]["schedulingStats"]["evictions"]
    assert [(one["reason"], one["count"]) for one in evictions] == [("PlacementLost", 1)]
    assert lab.job_state("train") == "Complete"
    assert lab.job_state("waits") == "Complete"
    assert "failed" not in lab.the(JOBS, "train")["status"]
    lab.check_nothing_is_held()


@pytest.mark.parametrize("lag", [0, 3, 5])
def test_a_job_whose_placement_was_deleted_is_stopped_and_placed_anew(lag: int) -> None:
    """Its devices stay its own until its processes are gone: `check_devices` looks at every second."""
    with deleted_placement(lag, seed=lag) as lab:
        check_deleted_placement(lab)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("at", range(14))
def test_a_fault_while_a_placement_is_lost_changes_nothing(at: int, fault: Fault) -> None:
    with deleted_placement(faults={at: fault}) as lab:
        check_deleted_placement(lab)


@pytest.mark.parametrize("deleted", [True, False])
def test_a_placement_that_no_list_ever_showed_is_asked_after(deleted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that broke off before it was written and lists after it was deleted shows nothing of it. One that only
    comes late is left alone."""
    blind = True
    look_at = QueueLab._look_at

    def look(lab: QueueLab, resource: Resource) -> None:
        if not (blind and resource == PLACEMENTS):
            look_at(lab, resource)

    monkeypatch.setattr(QueueLab, "_look_at", look)
    with QueueLab() as lab:
        lab.furnish(gpus=1)
        lab.create(JOBS, job("train", gpus=1, seconds=5))
        lab.advance(3)
        (placement,) = lab.all(PLACEMENTS)
        if deleted:
            lab.delete(PLACEMENTS, placement["metadata"]["name"])
            blind = False
        lab.advance(25)
        if not deleted:
            assert lab.all(PLACEMENTS) == [placement]
            blind = False
            lab._look_at(PLACEMENTS)
        lab.advance(30)
        assert lab.job_state("train") == "Complete"
