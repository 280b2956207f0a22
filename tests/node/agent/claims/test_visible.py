"""What a container finds of its claims: the ones that it names, the requests that it names, and nothing else."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest

from roadstead.kinds.object import Json, Object
from roadstead.node.agent import devices
from roadstead.node.agent.claims import checking, visible
from roadstead.node.agent.claims.checking import Entry
from roadstead.node.agent.claims.record import Prepared
from roadstead.node.agent.hardware import Hardware, hardware_of
from roadstead.node.agent.profiles import profile
from roadstead.node.agent.views import Pod
from tests.node.agent.build import pod
from tests.node.agent.claims.build import NIC, claim, result

TOP = PurePosixPath("/pod/claims")
H100 = hardware_of("n1", "h100x8")


def prepared(*claims: tuple[str, Object], hardware: Hardware = H100, made: bool = True) -> Prepared:
    return tuple(
        checking.check(pod("a"), Entry(entry, obj.meta.name, made), obj, hardware, lambda *_: [])
        for entry, obj in claims
    )


def container(*claims: Json, name: str = "a") -> Json:
    return {"name": name, "resources": {"claims": list(claims)}}


PAIR = claim("p-pair-x", result("gpu-2"), result("gpu-3"), result("rdma2", "nic", driver=NIC), owner="uid-1")
OTHER = claim("p-other-x", result("gpu-7", "one/large"), owner="uid-1")
BOTH = prepared(("my-pair", PAIR), ("other", OTHER))


def shares(of: Pod, claims: Prepared = BOTH) -> list[visible.Share]:
    return visible.shares(of, of.spec.containers[0], claims)


def names(of: Pod, claims: Prepared = BOTH) -> list[str]:
    return [device.name for share in shares(of, claims) for device in share.devices]


@pytest.mark.parametrize(
    ("refs", "seen"),
    [
        ([], []),
        ([{"name": "my-pair"}], ["gpu-2", "gpu-3", "rdma2"]),
        ([{"name": "my-pair", "request": "gpu"}], ["gpu-2", "gpu-3"]),
        ([{"name": "my-pair", "request": "nic"}, {"name": "other"}], ["rdma2", "gpu-7"]),
        ([{"name": "my-pair", "request": "nic"}, {"name": "my-pair", "request": "gpu"}], ["gpu-2", "gpu-3", "rdma2"]),
        ([{"name": "other", "request": "one"}], ["gpu-7"]),  # a request of a list, whichever alternative it got
        ([{"name": "nothing"}], []),
    ],
)
def test_a_container_has_the_claims_and_requests_that_it_names(refs: list[Json], seen: list[str]) -> None:
    assert names(pod(container(*refs))) == seen


def test_variables_name_exactly_the_devices() -> None:
    found = visible.variables(shares(pod(container({"name": "my-pair"}, {"name": "other"}))), TOP)
    assert found == {
        "NCCL_IB_HCA": "=mlx5_2",
        "ROADSTEAD_CLAIM_MY_PAIR_DEVICES": "gpu-2,gpu-3,rdma2",
        "ROADSTEAD_CLAIM_MY_PAIR_REQUEST_GPU_DEVICES": "gpu-2,gpu-3",
        "ROADSTEAD_CLAIM_MY_PAIR_REQUEST_GPU_DIR": "/pod/claims/resourceclaimtemplates/my-pair/gpu",
        "ROADSTEAD_CLAIM_MY_PAIR_REQUEST_NIC_DEVICES": "rdma2",
        "ROADSTEAD_CLAIM_MY_PAIR_REQUEST_NIC_DIR": "/pod/claims/resourceclaimtemplates/my-pair/nic",
        "ROADSTEAD_CLAIM_OTHER_DEVICES": "gpu-7",
        "ROADSTEAD_CLAIM_OTHER_REQUEST_ONE_DEVICES": "gpu-7",
        "ROADSTEAD_CLAIM_OTHER_REQUEST_ONE_DIR": "/pod/claims/resourceclaimtemplates/other/one",
    }


def test_cuda_sees_what_was_given_by_count_and_by_claims_and_nothing_else() -> None:
    looks = profile("h100x8")
    annotated = {"annotations": {"roadstead.dev/devices": "gpu-0"}}
    of = pod(container({"name": "other"}), metadata=annotated)
    assert devices.variables(of, looks, visible.gpus(shares(of))) == {
        "CUDA_VISIBLE_DEVICES": "0,7",
        "NVIDIA_VISIBLE_DEVICES": "0,7",
    }
    none = pod(container())
    assert devices.variables(none, looks, visible.gpus(shares(none))) == {
        "CUDA_VISIBLE_DEVICES": "",
        "NVIDIA_VISIBLE_DEVICES": "void",
    }


def test_a_part_of_a_gpu_is_seen_by_its_uuid() -> None:
    machine = hardware_of("n1", "h100x1-mig")
    made = prepared(("m", claim("m", result("gpu-0-mig-1g10gb-19-3"))), hardware=machine, made=False)
    (uuid,) = visible.gpus(shares(pod(container({"name": "m"})), made))
    assert uuid == machine.by_id["gpu.nvidia.com", "gpu-0-mig-1g10gb-19-3"].visible
    assert uuid.startswith("MIG-")


def test_extended_resources_give_each_container_its_requests() -> None:
    extended = claim(
        "p-extended", result("gpu-4", "container-0-request-0"), result("gpu-5", "container-1-request-0"), owner="uid-1"
    )
    mappings = [
        {"containerName": name, "resourceName": "nvidia.com/gpu", "requestName": f"container-{index}-request-0"}
        for index, name in enumerate("ab")
    ]
    status = {"extendedResourceClaimStatus": {"resourceClaimName": "p-extended", "requestMappings": mappings}}
    asked = {"limits": {"nvidia.com/gpu": "1"}}
    of = pod({"name": "b", "resources": asked}, {"name": "a", "resources": asked}, status=status)
    made = prepared(("", extended))
    assert names(of, made) == ["gpu-5"]
    assert devices.rejection(of, profile("h100x8")) is None


CLASS = {
    "source": "FromClass",
    "requests": [],
    "opaque": {"driver": "gpu.nvidia.com", "parameters": {"level": "class"}},
}
CLAIM = {
    "source": "FromClaim",
    "requests": ["gpu"],
    "opaque": {"driver": "gpu.nvidia.com", "parameters": {"level": "claim"}},
}
LARGE = {
    "source": "FromClaim",
    "requests": ["one/large"],
    "opaque": {"driver": "gpu.nvidia.com", "parameters": {"a": 1}},
}
SMALL = {
    "source": "FromClaim",
    "requests": ["one/small"],
    "opaque": {"driver": "gpu.nvidia.com", "parameters": {"a": 2}},
}
NET = {"source": "FromClaim", "requests": ["nic"], "opaque": {"driver": "dra.net", "parameters": {"mtu": 9000}}}


def test_files_hold_attributes_shares_and_what_the_driver_was_to_be_told() -> None:
    pair = claim(
        "p-pair-x", result("gpu-2", consumedCapacity={"memory": "1Gi"}), result("rdma2", "nic", driver=NIC),
        config=[CLASS, CLAIM, NET], owner="uid-1",
    )  # fmt: skip
    listed = claim("shared", result("gpu-7", "one/large"), config=[LARGE, SMALL])
    files = {str(path): json.loads(text) for path, text in visible.files(prepared(("pair", pair))).items()}
    files |= {str(path): json.loads(text) for path, text in visible.files(prepared(("x", listed), made=False)).items()}
    top = "resourceclaimtemplates/pair"
    assert sorted(files) == [
        "resourceclaims/shared/one/allocation.json",
        "resourceclaims/shared/one/gpu.nvidia.com-config.json",
        "resourceclaims/shared/one/gpu.nvidia.com-metadata.json",
        f"{top}/gpu/allocation.json",
        f"{top}/gpu/gpu.nvidia.com-config.json",
        f"{top}/gpu/gpu.nvidia.com-metadata.json",
        f"{top}/nic/allocation.json",
        f"{top}/nic/dra.net-config.json",
        f"{top}/nic/dra.net-metadata.json",
    ]
    assert files[f"{top}/gpu/gpu.nvidia.com-config.json"] == [{"level": "class"}, {"level": "claim"}]
    assert files[f"{top}/nic/dra.net-config.json"] == [{"mtu": 9000}]
    assert files["resourceclaims/shared/one/gpu.nvidia.com-config.json"] == [{"a": 1}]
    assert files[f"{top}/gpu/allocation.json"]["results"][0]["consumedCapacity"] == {"memory": "1Gi"}
    metadata = files[f"{top}/gpu/gpu.nvidia.com-metadata.json"]
    assert (metadata["kind"], metadata["podClaimName"]) == ("DeviceMetadata", "pair")
    assert metadata["metadata"] == {"name": "p-pair-x", "namespace": "ns", "uid": "p-pair-x-uid", "generation": 1}
    ((device,),) = (request["devices"] for request in metadata["requests"])
    assert (device["driver"], device["pool"], device["name"]) == ("gpu.nvidia.com", "n1", "gpu-2")
    assert device["attributes"]["index"] == {"int": 2}
    assert "podClaimName" not in files["resourceclaims/shared/one/gpu.nvidia.com-metadata.json"]
    assert files["resourceclaims/shared/one/gpu.nvidia.com-metadata.json"]["requests"][0]["name"] == "one/large"


def test_a_containers_status_says_how_its_devices_are() -> None:
    of = pod(container({"name": "my-pair", "request": "gpu"}, {"name": "other"}, {"name": "nothing"}))
    assert visible.allocated_resources(of.spec.containers[0], BOTH, {"gpu-3"}) == [
        {
            "name": "claim:my-pair/gpu",
            "resources": [
                {"resourceID": "gpu.nvidia.com/n1/gpu-2", "health": "Healthy"},
                {"resourceID": "gpu.nvidia.com/n1/gpu-3", "health": "Unhealthy"},
            ],
        },
        {"name": "claim:other", "resources": [{"resourceID": "gpu.nvidia.com/n1/gpu-7", "health": "Healthy"}]},
    ]


def test_of_devices_of_other_drivers_nothing_is_known() -> None:
    obj = claim("c", result("f0", driver="fpga.example.com"))
    made = (checking.check(pod("a"), Entry("f", "c", False), obj, H100, lambda *_: ["k8s.fpga.example.com/claim=x"]),)
    of = pod(container({"name": "f"}))
    assert visible.allocated_resources(of.spec.containers[0], made, ()) == [
        {"name": "claim:f", "resources": [{"resourceID": "k8s.fpga.example.com/claim=x", "health": "Unknown"}]}
    ]
