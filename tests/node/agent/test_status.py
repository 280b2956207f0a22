"""What the API shows of a pod: states, conditions, what stays."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND, format_time
from roadstead.node.agent.pod_state import Attempt, decide
from roadstead.node.agent.problems import Problem
from roadstead.node.agent.status import pod_status, qos_class
from roadstead.node.agent.views import Pod
from roadstead.node.keeper import runs
from tests.node.agent.build import NOW, UID, around, attempts, ended, pod, running


def status(of: Pod, *known: Attempt, old: Json | None = None, now: int = NOW, **more: Any) -> Json:
    facts = around(**more)
    return pod_status(of, old or {}, attempts(*known), facts, decide(of, attempts(*known), facts, now), now)


def container(shown: Json, name: str = "a") -> Json:
    both = shown["containerStatuses"] + shown.get("initContainerStatuses", [])
    found: Json = next(one for one in both if one["name"] == name)
    return found


def conditions(shown: Json) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one.get("reason", "")) for one in shown["conditions"]}


def test_a_running_pod() -> None:
    shown = status(pod({"name": "a", "image": "i"}), running("a"))
    assert shown["phase"] == "Running"
    assert container(shown) == {
        "name": "a",
        "state": {"running": {"startedAt": format_time(NOW - 60 * SECOND)}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": "i",
        "imageID": "",
        "started": True,
        "containerID": f"process://{UID}/a/0",
    }
    assert conditions(shown) == {
        "PodReadyToStartContainers": ("True", ""),
        "Initialized": ("True", ""),
        "Ready": ("True", ""),
        "ContainersReady": ("True", ""),
        "PodScheduled": ("True", ""),
    }
    assert (shown["podIP"], shown["podIPs"]) == ("127.64.0.1", [{"ip": "127.64.0.1"}])
    assert (shown["hostIP"], shown["hostIPs"]) == ("127.0.0.1", [{"ip": "127.0.0.1"}])
    assert shown["startTime"] == format_time(NOW - 100 * SECOND)


@pytest.mark.parametrize(
    ("known", "more", "waiting"),
    [
        ([], {}, {"reason": "ContainerCreating"}),
        ([running("a", state=runs.PREPARED)], {}, {"reason": "ContainerCreating"}),
        ([running("a", state=runs.STARTING)], {}, {"reason": "ContainerCreating"}),
        (
            [],
            {"problems": {"a": Problem("CreateContainerConfigError", 'configmap "x" not found')}},
            {"reason": "CreateContainerConfigError", "message": 'configmap "x" not found'},
        ),
        (
            [],
            {"held": Problem("ContainerCreating", "waiting for pod q to end")},
            {"reason": "ContainerCreating", "message": "waiting for pod q to end"},
        ),
    ],
)
def test_a_container_that_waits(known: list[Attempt], more: Json, waiting: Json) -> None:
    shown = status(pod("a"), *known, **more)
    assert shown["phase"] == "Pending"
    assert container(shown)["state"] == {"waiting": waiting}
    assert conditions(shown)["Ready"] == ("False", "ContainersNotReady")
    assert not container(shown)["ready"]


def test_regular_containers_wait_for_init_containers() -> None:
    shown = status(pod("a", inits=["i"]), running("i"))
    assert container(shown)["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert "running" in container(shown, "i")["state"]
    assert not container(shown, "i")["ready"]
    assert conditions(shown)["Initialized"] == ("False", "ContainersNotInitialized")
    done = status(pod("a", inits=["i"]), ended(0, "i"), running("a"))
    assert container(done, "i")["ready"]
    assert conditions(done)["Initialized"] == ("True", "")


def test_a_succeeded_pod() -> None:
    shown = status(pod("a", policy="Never"), ended(0, ago=1, ran=5))
    assert shown["phase"] == "Succeeded"
    assert container(shown)["state"]["terminated"] == {
        "exitCode": 0,
        "reason": "Completed",
        "startedAt": format_time(NOW - 6 * SECOND),
        "finishedAt": format_time(NOW - SECOND),
        "containerID": f"process://{UID}/a/0",
    }
    assert conditions(shown) == {
        "PodReadyToStartContainers": ("False", ""),
        "Initialized": ("True", "PodCompleted"),
        "Ready": ("False", "PodCompleted"),
        "ContainersReady": ("False", "PodCompleted"),
        "PodScheduled": ("True", ""),
    }


def test_a_failed_pod() -> None:
    shown = status(pod("a", policy="Never"), ended(137, reason="OOMKilled"))
    assert shown["phase"] == "Failed"
    assert container(shown)["state"]["terminated"]["reason"] == "OOMKilled"
    assert conditions(shown)["Ready"] == ("False", "PodFailed")


def test_crash_loop_shows_the_wait_and_the_last_end() -> None:
    shown = status(pod("a"), ended(2, number=3, level=3, ago=0))
    state = container(shown)
    assert shown["phase"] == "Running"
    assert state["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert state["lastState"]["terminated"]["exitCode"] == 2
    assert (state["restartCount"], state["ready"], state["started"]) == (3, False, False)


def test_a_restarted_container_keeps_its_last_end() -> None:
    state = container(status(pod("a"), ended(5, number=0), running("a", 1)))
    assert (state["restartCount"], state["ready"]) == (1, True)
    assert state["lastState"]["terminated"]["exitCode"] == 5


def test_a_pod_deleted_before_it_started_is_failed_with_unknown_containers() -> None:
    shown = status(pod("a", deleted_in=5))
    assert shown["phase"] == "Failed"
    assert container(shown)["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_what_others_wrote_stays() -> None:
    ours = status(pod("a"), running("a"))
    gate = {"type": "example.com/gate", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    old = {**ours, "conditions": [gate, scheduled], "nominatedNodeName": "n9", "qosClass": "Guaranteed"}
    shown = status(pod("a"), running("a"), old=old)
    assert gate in shown["conditions"]
    assert scheduled in shown["conditions"]
    assert (shown["nominatedNodeName"], shown["qosClass"]) == ("n9", "Guaranteed")


def test_a_transition_time_moves_only_with_its_condition() -> None:
    first = status(pod("a"), running("a"), now=NOW)
    later = NOW + 50 * SECOND
    assert status(pod("a"), running("a"), old=first, now=later) == first
    failed = status(pod("a", policy="Never"), ended(1), old=first, now=later)
    times = {one["type"]: one["lastTransitionTime"] for one in failed["conditions"]}
    assert times["Ready"] == format_time(later)
    assert times["Initialized"] == format_time(NOW)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}, "Burstable"),
        ({"limits": {"nvidia.com/gpu": "1"}}, "BestEffort"),
    ],
)
def test_qos_class(resources: Json, expected: str) -> None:
    assert qos_class(pod({"name": "a", "resources": resources})) == expected


def test_readiness_gates_are_waited_for() -> None:
    of = pod("a", readinessGates=[{"conditionType": "example.com/gate"}])
    closed = status(of, running("a"))
    assert conditions(closed)["ContainersReady"] == ("True", "")
    assert conditions(closed)["Ready"] == ("False", "ReadinessGatesNotReady")
    gate = {"type": "example.com/gate", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    assert conditions(status(of, running("a"), old={"conditions": [gate]}))["Ready"] == ("True", "")
