"""The Node that an agent writes: what is its own, and what others wrote there."""

from __future__ import annotations

from roadstead.kinds.object import Json
from roadstead.node.agent import node_object
from roadstead.node.agent.options import NodeOptions, Taint

NOW = 1_800_000_000_000_000_000
OPTIONS = NodeOptions(
    "n1",
    "h100x8",
    labels=(("team", "a"),),
    taints=(Taint("dedicated", "gpu", "NoSchedule"), Taint("x", "", "NoExecute")),
)


def made(old: Json | None = None) -> Json:
    return node_object.node(OPTIONS, "bare", "192.0.2.7", 10250, old, NOW)


def test_a_new_node_has_its_address_port_labels_and_taints() -> None:
    node = made()
    assert node["status"]["addresses"] == [
        {"type": "InternalIP", "address": "192.0.2.7"},
        {"type": "Hostname", "address": "n1"},
    ]
    assert node["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}
    assert node["status"]["capacity"]["nvidia.com/gpu"] == "8"
    labels = node["metadata"]["labels"]
    assert (labels["kubernetes.io/hostname"], labels["kubernetes.io/os"], labels["team"]) == ("n1", "linux", "a")
    assert node["spec"]["taints"] == [
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"},
        {"key": "x", "value": "", "effect": "NoExecute"},
    ]


def test_what_others_wrote_stays_and_taints_that_were_taken_off_stay_off() -> None:
    old = made()
    old["spec"] = {"unschedulable": True}
    old["metadata"]["labels"]["zone"] = "z"
    old["status"]["conditions"].append({"type": "NetworkUnavailable", "status": "False"})
    node = made(old)
    assert node["spec"] == {"unschedulable": True}
    assert node["metadata"]["labels"]["zone"] == "z"
    assert "NetworkUnavailable" in {one["type"] for one in node["status"]["conditions"]}


def test_devices_by_claims_alone_are_not_counted() -> None:
    node = node_object.node(NodeOptions("n1", "h100x8", by_claims=True), "bare", "192.0.2.7", 10250, None, NOW)
    assert "nvidia.com/gpu" not in node["status"]["allocatable"]
    assert node["metadata"]["annotations"]["roadstead.dev/node-devices"] == "[]"
    assert node["metadata"]["labels"]["nvidia.com/gpu.count"] == "8"
