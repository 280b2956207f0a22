"""Admitted is not running: as long as no pod has started, `queue` and `why` say what the pods wait for."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.names import JOBS, NODES, PODS
from roadstead.kinds.object import Json
from roadstead.views.queue import queue_page
from roadstead.views.why import Why, why_answer
from tests.controllers.queueing.lab import Kubelet, QueueLab, all_controllers, job


def without_kubelet() -> list[Any]:
    """Pods get their nodes, and nobody starts them."""
    return [each for each in all_controllers() if not isinstance(each, Kubelet)]


def why(lab: QueueLab, name: str) -> Why:
    return why_answer("default", name, lab.brain.view, lambda key: lab.decider.explain(key, lab.clock), lab.clock)


def waiting(reason: str, message: str = "") -> Json:
    return {"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}


def told(lab: QueueLab, status: Json) -> None:
    (pod,) = lab.all(PODS)
    lab.edit(PODS, pod["metadata"]["name"], lambda value: value["status"].update(status), subresource="status")
    lab.settle(lab.now)


@pytest.mark.parametrize(
    ("status", "headline"),
    [
        ({}, "node node-0 is preparing pod"),
        ({"containerStatuses": [waiting("ContainerCreating")]}, "node node-0 is preparing pod"),
        (
            {"containerStatuses": [waiting("CreateContainerConfigError", 'secret "token" not found')]},
            'CreateContainerConfigError: secret "token" not found.',
        ),
    ],
)
def test_what_has_not_started_says_what_its_container_waits_for(status: Json, headline: str) -> None:
    with QueueLab(controllers=without_kubelet) as lab:
        lab.furnish()
        lab.create(JOBS, job("train"))
        lab.settle()
        told(lab, {"phase": "Pending", **status})
        answer = why(lab, "train")
        assert answer.state == "Starting"
        assert headline in answer.headline
        (line,) = queue_page(lab.brain.view, lab.clock).workloads
        assert (line.state.value, line.nodes) == ("Starting", ("node-0",))
        assert headline.rstrip(".") in line.message
        (pod,) = lab.all(PODS)
        assert headline in why(lab, pod["metadata"]["name"]).headline
        told(lab, {"phase": "Running"})
        assert why(lab, "train").state == "Running"
        assert [line.state.value for line in queue_page(lab.brain.view, lab.clock).workloads] == ["Running"]


def test_a_pod_on_a_silent_node_does_not_run() -> None:
    with QueueLab(controllers=without_kubelet) as lab:
        lab.furnish()
        lab.create(JOBS, job("train"))
        lab.settle()

        def silent(value: Json) -> None:
            for condition in value["status"]["conditions"]:
                if condition["type"] == "Ready":
                    condition.update(status="Unknown", message="Kubelet stopped posting node status.")

        lab.edit(NODES, "node-0", silent, "", subresource="status")
        lab.settle(lab.now)
        assert (
            "node node-0 is not ready (Kubelet stopped posting node status): nobody starts"
            in why(lab, "train").headline
        )
