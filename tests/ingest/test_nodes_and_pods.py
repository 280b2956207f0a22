"""Nodes, and pods outside workloads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roadstead.ingest import fact as fact_of
from roadstead.kinds.names import NODES
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, parse_time
from roadstead.model.facts import Gone
from roadstead.model.nodes import Device, Node
from roadstead.model.selection import Taint
from roadstead.model.workload import Pod, PodClass

from .build import condition, fact, pod, pod_fact, pod_spec, troubled


def node(annotations: Json | None = None, ready: str | None = "True", **spec: Any) -> Json:
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {"b": "2", "a": "1"}, "annotations": annotations or {}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "3500m", "memory": "1Gi", "nvidia.com/gpu": "2", "pods": 110},
            "conditions": conditions,
        },
    }


def test_a_node() -> None:
    listed = [
        {"name": "gpu-0", "resource": "nvidia.com/gpu", "index": 0, "healthy": True},
        {"name": "gpu-1", "resource": "nvidia.com/gpu", "index": 1, "healthy": False, "model": "H100"},
    ]
    value = node({"roadstead.dev/node-devices": json.dumps(listed)}, taints=[{"key": "k", "effect": "NoSchedule"}])
    assert fact(value) == Node(
        "n1",
        labels=(("a", "1"), ("b", "2")),
        taints=(Taint("k", "", "NoSchedule"),),
        allocatable=(("cpu", 3500), ("memory", 1 << 30), ("nvidia.com/gpu", 2), ("pods", 110)),
        devices=(Device("gpu-0", "nvidia.com/gpu", 0), Device("gpu-1", "nvidia.com/gpu", 1, healthy=False)),
    )


@pytest.mark.parametrize(
    ("value", "takes_work"),
    [
        pytest.param(node(), True, id="ready"),
        pytest.param(node(ready="False"), False, id="not ready"),
        pytest.param(node(ready="Unknown"), False, id="silent"),
        pytest.param(node(ready=None), False, id="no kubelet has reported yet"),
        pytest.param(node(unschedulable=True), False, id="cordoned"),
        pytest.param(
            {**node(), "metadata": {"name": "n1", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            False,
            id="being deleted",
        ),
    ],
)
def test_which_nodes_take_work(value: Json, takes_work: bool) -> None:
    found = fact(value)
    assert isinstance(found, Node)
    assert (found.ready and not found.unschedulable) is takes_work


def test_a_node_that_is_being_shut_down_is_lost_at_once() -> None:
    found = fact(node(taints=[{"key": "roadstead.dev/shutdown", "effect": "NoSchedule"}]))
    assert isinstance(found, Node)
    assert not found.ready
    assert 0 < found.unready_since < SECOND, "longer ago than anybody's patience lasts"


@pytest.mark.parametrize("listed", ["{", "{}", '[{"name": "gpu-0"}]', '[{"name": 1, "resource": "r", "index": 0}]'])
def test_a_node_whose_devices_cannot_be_read_takes_no_work(listed: str) -> None:
    found, notes = troubled(node({"roadstead.dev/node-devices": listed}))
    assert isinstance(found, Node)
    assert found.unschedulable
    assert "roadstead.dev/node-devices" in notes[0]


def test_an_amount_that_is_none_is_left_out_of_a_node() -> None:
    value = node()
    value["status"]["allocatable"]["cpu"] = "many"
    found, notes = troubled(value)
    assert isinstance(found, Node)
    assert dict(found.allocatable).keys() == {"memory", "nvidia.com/gpu", "pods"}
    assert "allocatable[cpu]" in notes[0]


def test_a_pod_that_wants_a_place() -> None:
    found = pod_fact(pod({**pod_spec(), "priority": 7}))
    assert found == Pod("ns", "p", "u1", PodClass(requests=(("cpu", 1000),)), created_at=1767225601 * 10**9, priority=7)


def test_a_bound_pod_uses_its_node_and_devices() -> None:
    found = pod_fact(
        pod({**pod_spec(), "nodeName": "n1"}, "Running", annotations={"roadstead.dev/devices": "gpu-0,gpu-3"})
    )
    assert (found.node, found.devices) == ("n1", ("gpu-0", "gpu-3"))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            pod(annotations={"kueue.x-k8s.io/workload": "w"}), id="of a workload: its Placement speaks for it"
        ),
        pytest.param(pod({**pod_spec(), "nodeName": "n1"}, "Succeeded"), id="ended"),
        pytest.param(pod({**pod_spec(), "nodeName": "n1"}, "Failed"), id="failed"),
        pytest.param(pod({**pod_spec(), "schedulingGates": [{"name": "g"}]}), id="gated"),
        pytest.param(pod({**pod_spec(), "schedulerName": "volcano"}), id="of another scheduler"),
        pytest.param(pod(deletionTimestamp="2026-01-01T00:00:00Z"), id="deleted before it was bound"),
    ],
)
def test_pods_that_are_not_ours_to_place(value: Json) -> None:
    assert fact(value) == Gone(Pod, ("ns", "p"))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            pod({**pod_spec(), "nodeName": "n1", "schedulerName": "volcano"}, "Running"),
            id="bound by another scheduler",
        ),
        pytest.param(
            pod({**pod_spec(), "nodeName": "n1"}, "Running", deletionTimestamp="2026-01-01T00:00:00Z"), id="terminating"
        ),
    ],
)
def test_bound_pods_use_their_node_until_they_have_ended(value: Json) -> None:
    assert pod_fact(value).node == "n1"


def test_a_pod_that_cannot_be_read_is_not_placed_but_still_uses_its_node() -> None:
    broken = pod_spec(cpu="much")
    assert troubled(pod(broken))[0] == Gone(Pod, ("ns", "p"))
    found, notes = troubled(pod({**broken, "nodeName": "n1"}, "Running"))
    assert isinstance(found, Pod)
    assert (found.node, found.pod) == ("n1", PodClass())
    assert len(notes) == 1


def test_a_node_says_since_when_it_is_not_ready() -> None:
    def since(*conditions: Json) -> int:
        value = {
            "metadata": {"name": "n1", "creationTimestamp": "2026-01-01T00:00:01Z"},
            "status": {"conditions": list(conditions)},
        }
        (made,) = fact_of(NODES, ("", "n1"), Object.of(NODES, value), lambda *_: None)
        assert isinstance(made, Node)
        return made.unready_since

    assert since(condition("Ready")) == 0
    assert since(condition("Ready", "Unknown")) == parse_time("2026-01-01T00:01:00Z")
    assert since() == parse_time("2026-01-01T00:00:01Z")
