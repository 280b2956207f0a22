"""Claims for devices, from kubectl to the processes: each prints exactly what its claim was given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cluster import EXAMPLES, Cluster

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(180)]

RACKS = {"a": "r1", "b": "r2", "c": "r1", "d": "r2"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two racks of two nodes with four GPUs and four adapters each, a node with one GPU that can be cut, and one whose
    GPU can be shared."""
    found = Cluster(tmp_path_factory.mktemp("home"))
    nodes = [
        *(f"{name}=h100x4,cpu=8,memory=16Gi" for name in RACKS),
        "m=h100x1-mig,cpu=8,memory=16Gi",
        "s=l4x1-shared,cpu=8,memory=16Gi",
    ]
    found.roadstead("up", "--port", "0", *(word for node in nodes for word in ("--node", node)))
    try:
        for name, rack in RACKS.items():
            found.kubectl("label", "node", name, f"example.com/rack={rack}")
        yield found
    finally:
        found.roadstead("down", check=False)


def items(cluster: Cluster, *words: str) -> list[Any]:
    found: list[Any] = json.loads(cluster.kubectl("get", *words, "-o", "json").stdout)["items"]
    return found


def pods_of(cluster: Cluster, job: str, count: int) -> list[Any]:
    """The job's pods, once all have printed something."""

    def all_spoke() -> bool:
        pods = items(cluster, "pods", "-l", f"job-name={job}")
        running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        return len(running) == count and all(said(cluster, pod) for pod in running)

    cluster.until(all_spoke, f"{count} pods of {job} run")
    return sorted(items(cluster, "pods", "-l", f"job-name={job}"), key=lambda pod: str(pod["metadata"]["name"]))


def said(cluster: Cluster, pod: Any) -> list[str]:
    return cluster.kubectl("logs", pod["metadata"]["name"]).stdout.splitlines()


def given(cluster: Cluster, pod: Any) -> list[Any]:
    """What the claim made for the pod holds."""
    (status,) = pod["status"]["resourceClaimStatuses"]
    claim = json.loads(cluster.kubectl("get", "resourceclaim", status["resourceClaimName"], "-o", "json").stdout)
    assert [user["uid"] for user in claim["status"]["reservedFor"]] == [pod["metadata"]["uid"]]
    results: list[Any] = claim["status"]["allocation"]["devices"]["results"]
    assert {result["pool"] for result in results} == {pod["spec"]["nodeName"]}
    return results


def reported(cluster: Cluster, pod: Any) -> list[tuple[str, str]]:
    """What drivers say of the claim's devices."""
    (status,) = pod["status"]["resourceClaimStatuses"]
    claim = json.loads(cluster.kubectl("get", "resourceclaim", status["resourceClaimName"], "-o", "json").stdout)
    return [(one["device"], one["networkData"]["hardwareAddress"]) for one in claim["status"].get("devices", ())]


def attribute(cluster: Cluster, result: Any, name: str) -> Any:
    """What the slices say of a device."""
    (found,) = (
        device["attributes"][name]
        for each in items(cluster, "resourceslices")
        if (each["spec"]["driver"], each["spec"]["pool"]["name"]) == (result["driver"], result["pool"])
        for device in each["spec"].get("devices", ())
        if device["name"] == result["device"]
    )
    return next(iter(found.values()))


def is_free(cluster: Cluster) -> bool:
    return not items(cluster, "resourceclaims") and not items(cluster, "placements")


def end(cluster: Cluster, job: str) -> None:
    cluster.kubectl("delete", "job", job)
    cluster.until(lambda: is_free(cluster), "everything is given back")


def test_two_gpus_on_one_root_next_to_an_adapter(machines: Cluster) -> None:
    machines.kubectl("apply", "-f", str(EXAMPLES / "gpus-next-to-nic.yaml"))
    (pod,) = pods_of(machines, "gpus-next-to-nic", 1)
    results = given(machines, pod)
    assert [result["request"] for result in results] == ["gpu", "gpu", "nic"]
    assert len({attribute(machines, result, "resource.kubernetes.io/pcieRoot") for result in results}) == 1
    gpus, nic = results[:2], results[2]
    assert said(machines, pod) == [
        "cuda " + ",".join(str(attribute(machines, gpu, "index")) for gpu in gpus),
        "nccl =" + attribute(machines, nic, "dra.net/rdmaDevice"),
        "gpu " + ",".join(gpu["device"] for gpu in gpus),
        f"nic {nic['device']}",
    ]
    (told,) = pod["status"]["containerStatuses"][0]["allocatedResourcesStatus"]
    assert [one["health"] for one in told["resources"]] == ["Healthy"] * 3
    machines.until(lambda: bool(reported(machines, pod)), "the adapter is reported")
    assert reported(machines, pod) == [(nic["device"], attribute(machines, nic, "dra.net/mac"))]
    end(machines, "gpus-next-to-nic")


def test_one_gpu_for_three_pods(machines: Cluster) -> None:
    machines.kubectl("apply", "-f", str(EXAMPLES / "gpu-partitions.yaml"))
    pods = pods_of(machines, "gpu-partitions", 3)
    assert {pod["spec"]["nodeName"] for pod in pods} == {"m"}
    seen = {}
    for pod in pods:
        (result,) = given(machines, pod)
        ((device, uuid),) = (line.split() for line in said(machines, pod))
        assert device == result["device"]
        assert attribute(machines, result, "profile") == "2g.20gb"
        seen[device] = uuid
    assert len(seen) == len(set(seen.values())) == 3
    end(machines, "gpu-partitions")


def test_shares_of_one_gpu(machines: Cluster) -> None:
    machines.kubectl("apply", "-f", str(EXAMPLES / "gpu-shares.yaml"))
    pods = pods_of(machines, "gpu-shares", 3)
    assert {pod["spec"]["nodeName"] for pod in pods} == {"s"}
    shares = set()
    for pod in pods:
        (result,) = given(machines, pod)
        assert result["consumedCapacity"] == {"memory": "4Gi"}
        shares.add(result["shareID"])
        assert said(machines, pod) == [f"{result['device']} 0 4Gi"]
    assert len(shares) == 3
    end(machines, "gpu-shares")


def test_a_gang_in_one_rack_leaves_the_rack_alone_where_one_gpu_is_taken(machines: Cluster, tmp_path: Path) -> None:
    """A GPU that a pod has by count is none that a claim can have: the rack with it holds three pairs on one root, and
    four are wanted."""
    command = ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES; exec sleep 60"]
    container = {"name": "main", "image": "local", "command": command, "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"nodeName": "a", "restartPolicy": "Never", "containers": [container]}
    metadata = {"name": "first", "namespace": "default", "annotations": {"roadstead.dev/devices": "gpu-1"}}
    path = tmp_path / "pod.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    machines.kubectl("create", "-f", str(path))
    machines.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/first", "--timeout=30s")
    machines.kubectl("apply", "-f", str(EXAMPLES / "rack-gang.yaml"))
    pods = pods_of(machines, "rack-gang", 4)
    assert {RACKS[pod["spec"]["nodeName"]] for pod in pods} == {"r2"}
    taken = set()
    for pod in pods:
        results = given(machines, pod)
        assert len({attribute(machines, result, "resource.kubernetes.io/pcieRoot") for result in results}) == 1
        names = ",".join(result["device"] for result in results)
        indices = ",".join(str(attribute(machines, result, "index")) for result in results)
        assert said(machines, pod) == [f"{names} {indices}"]
        taken |= {(result["pool"], result["device"]) for result in results}
    assert len(taken) == 8
    machines.kubectl("delete", "pod", "first", "--now")
    end(machines, "rack-gang")
