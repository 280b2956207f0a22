"""Claims under the real control plane: its API server takes our slices, its scheduler allocates from them, and our node
prepares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadstead.kinds.names import NODES
from roadstead.kinds.object import Json, Object
from roadstead.node.agent import slices
from roadstead.node.agent.hardware import hardware_of
from roadstead.node.agent.profiles import all_profiles
from roadstead.runtime.cluster import Create
from tests.acceptance.cluster import EXAMPLES
from tests.realcluster.machine import TAINT, Kubectl, Machine, job, until
from tests.realcluster.server import RealServer

pytestmark = pytest.mark.realcluster

GPU = "nvidia.com/gpu"
PIECES = "env | grep -E '^(CUDA|ROADSTEAD_CLAIM_.*_DEVICES|NCCL)' | sort; exec sleep 60"


@pytest.fixture
def kubectl(whole_cluster: RealServer) -> Kubectl:
    return Kubectl(whole_cluster)


@pytest.fixture
def machine(whole_cluster: RealServer, tmp_path: Path) -> Iterator[Machine]:
    found = Machine(whole_cluster, tmp_path, "claimed=h100x4", "claimed")
    try:
        found.start()
        yield found
    finally:
        found.end()


def published(node: Json, profile: str) -> list[Json]:
    """The slices that an agent would publish for this node."""
    name = node["metadata"]["name"]
    stages = slices.writes(Object.of(NODES, node), hardware_of(name, profile), ["gpu-0"], ())
    writes = [write for stage in stages for write in stage]
    assert all(isinstance(write, Create) for write in writes)
    return [write.value for write in writes if isinstance(write, Create)]


@pytest.mark.parametrize("profile", sorted(all_profiles()))
def test_the_real_server_takes_the_slices_of_every_profile_as_they_are(kubectl: Kubectl, profile: str) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "paper", "uid": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"},
    }
    for value in published(node, profile):
        answer = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=json.dumps(value)))
        assert slices.says_the_same(value["spec"], answer["spec"])


def classes() -> list[Json]:
    return list(yaml.safe_load_all((EXAMPLES / "device-classes.yaml").read_text()))


def example() -> tuple[Json, Json]:
    """The template and the job, for the machine of this test."""
    template, job = yaml.safe_load_all((EXAMPLES / "gpus-next-to-nic.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    pod["nodeSelector"] = {"group": "claimed"}
    pod["tolerations"] = [{"key": TAINT, "operator": "Exists"}]
    pod["containers"][0]["command"] = ["sh", "-c", PIECES]
    return template, job


def test_what_its_scheduler_allocates_is_what_the_process_finds(machine: Machine, kubectl: Kubectl) -> None:
    node = kubectl.get("node", machine.name)
    made = published(node, "h100x4")
    template, job = example()
    try:
        for value in (*made, *classes(), template, job):
            kubectl.apply(value)
        (pod,) = kubectl.until_running("gpus-next-to-nic", 1)
        (status,) = pod["status"]["resourceClaimStatuses"]
        claim: Any = kubectl.get("resourceclaim", status["resourceClaimName"])
        results = claim["status"]["allocation"]["devices"]["results"]
        gpus = [result["device"] for result in results if result["request"] == "gpu"]
        (nic,) = (result["device"] for result in results if result["request"] == "nic")
        assert gpus == ["gpu-2", "gpu-3"], "gpu-0 is out of order, and with it the pair on its root"
        said = until(lambda: kubectl("logs", pod["metadata"]["name"]).splitlines(), "the process said what it found")
        assert said == [
            "CUDA_VISIBLE_DEVICES=2,3",
            f"NCCL_IB_HCA=={nic.replace('rdma', 'mlx5_')}",
            f"ROADSTEAD_CLAIM_DEVICES_DEVICES=gpu-2,gpu-3,{nic}",
            "ROADSTEAD_CLAIM_DEVICES_REQUEST_GPU_DEVICES=gpu-2,gpu-3",
            f"ROADSTEAD_CLAIM_DEVICES_REQUEST_NIC_DEVICES={nic}",
        ]
        kubectl("delete", "job", "gpus-next-to-nic", "--wait=true")
        until(lambda: not kubectl.get("resourceclaims")["items"], "the claim goes with its pod")
    finally:
        for value in made:
            kubectl.run("delete", "resourceslice", value["metadata"]["name"])
        for value in classes():
            kubectl.run("delete", "deviceclass", value["metadata"]["name"])


def test_a_node_of_claims_alone_publishes_and_devices_by_count_are_claims_there(
    whole_cluster: RealServer, kubectl: Kubectl, tmp_path: Path
) -> None:
    """Its scheduler makes a claim of `nvidia.com/gpu: 1` (KEP-5004), and the process finds what that claim holds."""
    found = Machine(whole_cluster, tmp_path, "told=l4x1,devices=claims", "told")
    device_class = {**classes()[0], "metadata": {"name": "counted.nvidia.com"}}
    device_class["spec"]["extendedResourceName"] = GPU
    try:
        found.start()
        assert GPU not in kubectl.get("node", "told")["status"]["allocatable"]
        until(
            lambda: kubectl.run("get", "resourceslice", "00-gpu.nvidia.com-told").returncode == 0,
            "the slice is published",
        )
        kubectl.apply(device_class)
        resources = {"limits": {GPU: "1"}, "requests": {GPU: "1"}}
        kubectl.apply(job("counted", PIECES, "told", container={"resources": resources}))
        (pod,) = kubectl.until_running("counted", 1)
        made = pod["status"]["extendedResourceClaimStatus"]
        claim: Any = kubectl.get("resourceclaim", made["resourceClaimName"])
        (result,) = claim["status"]["allocation"]["devices"]["results"]
        assert (result["pool"], result["device"]) == ("told", "gpu-0")
        said = until(lambda: kubectl("logs", pod["metadata"]["name"]).splitlines(), "the process said what it found")
        assert said[0] == "CUDA_VISIBLE_DEVICES=0"
        assert all("=gpu-0" in line for line in said[1:])
    finally:
        found.end()
        kubectl.run("delete", "resourceslice", "00-gpu.nvidia.com-told")
        kubectl.run("delete", "deviceclass", "counted.nvidia.com")
