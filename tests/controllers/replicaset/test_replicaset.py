"""ReplicaSets: the right number of pods, whose they are, and which go first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from roadstead.controllers.replicaset import ReplicaSetController
from roadstead.kinds.names import PODS, REPLICA_SETS
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time
from roadstead.runtime.step import SECOND
from roadstead.testing.controllers import Lab

LABELS = {"app": "web"}
POD = {"containers": [{"name": "c", "image": "i:1"}]}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(lambda: [ReplicaSetController()]) as lab:
        yield lab


def create(lab: Lab, replicas: int, **spec: Any) -> None:
    template = {"metadata": {"labels": LABELS}, "spec": POD}
    value = {"selector": {"matchLabels": LABELS}, "replicas": replicas, "template": template}
    lab.create(REPLICA_SETS, {"metadata": {"name": "web"}, "spec": value | spec})
    lab.settle()


def living(lab: Lab) -> list[Json]:
    return [pod for pod in lab.all(PODS) if not pod["metadata"].get("deletionTimestamp")]


def ready(lab: Lab, name: str, since: int | None = None) -> None:
    moment = format_time(lab.now if since is None else since)
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": moment}
    lab.edit_status(PODS, name, phase="Running", conditions=[condition])
    lab.settle()


def test_pods_are_made_and_replaced(lab: Lab) -> None:
    create(lab, 3)
    names = {pod["metadata"]["name"] for pod in living(lab)}
    assert len(names) == 3
    lab.delete(PODS, min(names), grace=0)
    lab.settle()
    assert len(living(lab)) == 3
    lab.edit_status(PODS, max(names), phase="Failed")
    lab.settle()
    assert len([pod for pod in living(lab) if pod["status"].get("phase") != "Failed"]) == 3
    assert lab.the(REPLICA_SETS, "web")["status"]["replicas"] == 3


def test_strangers_are_adopted_and_those_that_leave_are_replaced(lab: Lab) -> None:
    lab.create(PODS, {"metadata": {"name": "stray", "labels": LABELS}, "spec": POD})
    create(lab, 2)
    assert len(living(lab)) == 2
    assert lab.the(PODS, "stray")["metadata"]["ownerReferences"][0]["name"] == "web"
    lab.edit(PODS, "stray", lambda value: value["metadata"].update(labels={"app": "debug"}))
    lab.settle()
    assert "ownerReferences" not in lab.the(PODS, "stray")["metadata"]
    assert len(living(lab)) == 3


def test_who_is_missed_least_goes_first(lab: Lab) -> None:
    create(lab, 4)
    a, b, c, d = sorted(pod["metadata"]["name"] for pod in living(lab))
    lab.edit(
        PODS,
        d,
        lambda value: value["metadata"].update(annotations={"controller.kubernetes.io/pod-deletion-cost": "-5"}),
    )
    for name in (a, b, d):
        ready(lab, name)
    lab.edit(REPLICA_SETS, "web", lambda value: value["spec"].update(replicas=3))
    lab.settle()
    assert c not in {pod["metadata"]["name"] for pod in living(lab)}, "it was not ready"
    lab.edit(REPLICA_SETS, "web", lambda value: value["spec"].update(replicas=2))
    lab.settle()
    assert {pod["metadata"]["name"] for pod in living(lab)} == {a, b}, "it was cheap"


def test_a_pod_counts_as_available_when_it_has_been_ready_for_long_enough(lab: Lab) -> None:
    create(lab, 1, minReadySeconds=10)
    ready(lab, living(lab)[0]["metadata"]["name"])
    status = lab.the(REPLICA_SETS, "web")["status"]
    assert (status.get("readyReplicas"), status.get("availableReplicas")) == (1, None)
    lab.advance(10)
    assert lab.the(REPLICA_SETS, "web")["status"]["availableReplicas"] == 1


def test_one_that_is_being_deleted_makes_no_pods(lab: Lab) -> None:
    create(lab, 1)
    lab.delete(REPLICA_SETS, "web", propagation="Foreground")
    lab.settle()
    lab.delete(PODS, living(lab)[0]["metadata"]["name"], grace=0)
    lab.settle(lab.now + 5 * SECOND)
    assert living(lab) == []
