"""Devices that a pod was bound with are remembered on disk: an agent that comes back after the pod's object is gone
still knows what its processes may use."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from roadstead.kinds.names import POD_DEVICES_ANNOTATION, PODS
from roadstead.kinds.object import Object
from roadstead.node.agent import allotment, devices
from roadstead.node.agent.host import Host
from roadstead.node.agent.pod_state import KUBELET_BACKOFF
from roadstead.node.agent.profiles import profile
from roadstead.node.agent.runtimes import TimerRuntime
from roadstead.node.agent.worker import Worker


def pod(uid: str, names: str) -> Object:
    metadata: dict[str, Any] = {"namespace": "default", "name": uid, "uid": uid, "resourceVersion": "1"}
    if names:
        metadata["annotations"] = {POD_DEVICES_ANNOTATION: names}
    spec = {"nodeName": "n", "containers": [{"name": "main"}]}
    return Object.of(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def test_devices_of_bound_pods_are_on_disk(tmp_path: Path) -> None:
    host = Host(
        name="n",
        state=tmp_path,
        cluster=cast(Any, None),
        runtime=TimerRuntime(lambda: 0, lambda uid: None),
        profile=profile("h100x4"),
        allocatable={},
        tier="bare",
        inherited={},
        backoff=KUBELET_BACKOFF,
        is_simulated=True,
        now=lambda: 0,
        record=lambda note: None,
        known_pods=lambda namespace: (),
        addresses=(),
    )
    for uid, names in (("two", "gpu-1,gpu-3"), ("none", "")):
        Worker(host, uid, pod(uid, names))
    found = [(node, held.uid, devices.assigned(held)) for node, held, _ in allotment.on_disk(tmp_path)]
    assert found == [("n", "two", ("gpu-1", "gpu-3"))]
