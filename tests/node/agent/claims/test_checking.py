"""When a pod may use its claims on a node, and when it waits, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.object import Json, Object
from roadstead.node.agent.claims import checking
from roadstead.node.agent.claims.checking import Entry, NotPrepared
from roadstead.node.agent.claims.record import PreparedClaim
from roadstead.node.agent.hardware import hardware_of
from roadstead.node.agent.views import Pod
from tests.node.agent.build import pod
from tests.node.agent.claims.build import NIC, claim, result

H100 = hardware_of("n1", "h100x8")
NAMED = Entry("gpus", "c", False)
MADE = Entry("gpus", "c", True)


def using(*entries: Json, **status: Any) -> Pod:
    return pod("a", resourceClaims=list(entries), status=status)


def no_cdi(driver: str, device: str, uid: str) -> list[str]:
    return []


def check(obj: Object | None, entry: Entry = NAMED) -> PreparedClaim:
    return checking.check(using(), entry, obj, H100, no_cdi)


def test_claims_by_name_and_claims_that_were_made() -> None:
    statuses = [{"name": "made", "resourceClaimName": "p-made-x"}, {"name": "none"}]
    found = checking.entries(
        using(
            {"name": "named", "resourceClaimName": "c"},
            {"name": "made", "resourceClaimTemplateName": "t"},
            {"name": "none", "resourceClaimTemplateName": "t"},
            resourceClaimStatuses=statuses,
            extendedResourceClaimStatus={"resourceClaimName": "p-extended", "requestMappings": []},
        )
    )
    assert list(found) == [Entry("named", "c", False), Entry("made", "p-made-x", True), Entry("", "p-extended", True)]


def test_a_claim_that_has_not_been_made_yet_is_waited_for() -> None:
    with pytest.raises(NotPrepared, match='the ResourceClaim for "gpus" has not been created yet'):
        list(checking.entries(using({"name": "gpus", "resourceClaimTemplateName": "t"})))


@pytest.mark.parametrize(
    ("obj", "entry", "text"),
    [
        (None, NAMED, "ResourceClaim c does not exist"),
        (claim("c", result("gpu-0")), MADE, "was not created for pod p"),
        (claim("c", result("gpu-0"), owner="another"), MADE, "was not created for pod p"),
        (claim("c", allocated={}, consumers=()), NAMED, "is not allowed to use ResourceClaim c"),
        (claim("c", result("gpu-0"), consumers=("another",)), NAMED, r"pod p \(uid-1\) is not allowed to use"),
        (claim("c", result("gpu-0"), node="n2"), NAMED, "was allocated for node n2, and the pod is on n1"),
        (claim("c", result("gpu-8")), NAMED, "holds gpu.nvidia.com/n1/gpu-8, which this node does not have"),
        (claim("c", result("gpu-0", pool="n2")), NAMED, "holds gpu.nvidia.com/n2/gpu-0, and no CDI device"),
        (claim("c", result("f", driver="fpga.example.com")), NAMED, "neither c-uid-f nor f of a kind k8s.fpga.exam"),
    ],
)
def test_what_a_pod_waits_for(obj: Object | None, entry: Entry, text: str) -> None:
    with pytest.raises(NotPrepared, match=text):
        check(obj, entry)


def test_a_claim_without_allocation_is_waited_for() -> None:
    value = claim("c").decode()
    del value["status"]["allocation"]
    with pytest.raises(NotPrepared, match="ResourceClaim c is not allocated"):
        check(Object.of(claim("c").resource, value))


def test_what_is_prepared_says_which_things_of_the_machine_it_is() -> None:
    made = check(claim("c", result("gpu-1"), result("rdma1", "nic", driver=NIC), owner="uid-1"), MADE)
    assert [(one.name, one.physical, one.part, one.visible) for one in made.devices] == [
        ("gpu-1", "gpu-1", "", "1"),
        ("rdma1", "rdma1", "", "mlx5_1"),
    ]
    assert [use.device for use in made.uses()] == ["gpu-1", "rdma1"]
    assert made.devices[0].attributes["productName"] == {"string": "NVIDIA H100 80GB HBM3"}


def test_who_looks_on_keeps_nobody_out() -> None:
    assert list(check(claim("c", result("gpu-1", adminAccess=True))).uses()) == []


def test_what_a_driver_of_others_prepared_is_found_by_its_claim() -> None:
    asked = []

    def find(driver: str, device: str, uid: str) -> list[str]:
        asked.append((driver, device, uid))
        return [f"k8s.{driver}/claim={uid}-{device}"]

    obj = claim("c", result("f0", driver="fpga.example.com", pool="somewhere"))
    (device,) = checking.check(using(), NAMED, obj, H100, find).devices
    assert asked == [("fpga.example.com", "f0", "c-uid")]
    assert device.cdi == ("k8s.fpga.example.com/claim=c-uid-f0",)
    assert device.physical == ""
