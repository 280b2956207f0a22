"""What is reported of devices in a claim's status: once, of adapters, and only while the claim holds them."""

from __future__ import annotations

from roadstead.kinds.names import RESOURCE_CLAIMS
from roadstead.kinds.object import Json, Object
from roadstead.node.agent.claims import checking, reporting
from roadstead.node.agent.claims.checking import Entry
from roadstead.node.agent.claims.record import PreparedClaim
from roadstead.node.agent.hardware import hardware_of
from tests.node.agent.build import NOW, pod
from tests.node.agent.claims.build import NIC, claim, result

PAIR = claim("c", result("gpu-0"), result("rdma0", "nic", driver=NIC), result("rdma0", "again", driver=NIC))


def prepared(obj: Object) -> PreparedClaim:
    return checking.check(pod("a"), Entry("x", "c", False), obj, hardware_of("n1", "h100x8"), lambda *_: [])


def test_an_adapter_is_reported_once_with_its_interface() -> None:
    value = reporting.report(prepared(PAIR), PAIR, NOW)
    assert value is not None
    (told,) = value["status"]["devices"]
    mac = prepared(PAIR).devices[1].attributes["dra.net/mac"]["string"]
    assert told["networkData"] == {"interfaceName": "rdma0", "hardwareAddress": mac}
    assert value["status"]["reservedFor"] == PAIR.decode()["status"]["reservedFor"]
    assert reporting.report(prepared(PAIR), Object.of(RESOURCE_CLAIMS, value), NOW) is None


def test_what_other_drivers_reported_stays() -> None:
    others: Json = PAIR.decode()
    others["status"]["devices"] = [{"driver": "fpga.example.com", "pool": "p", "device": "f0"}]
    value = reporting.report(prepared(PAIR), Object.of(RESOURCE_CLAIMS, others), NOW)
    assert value is not None
    assert [one["device"] for one in value["status"]["devices"]] == ["f0", "rdma0"]


def test_nothing_is_reported_of_what_was_taken_back_or_is_another_claim() -> None:
    mine = prepared(PAIR)
    assert reporting.report(mine, claim("c", result("gpu-0")), NOW) is None
    assert (
        reporting.report(mine, claim("c", *PAIR.decode()["status"]["allocation"]["devices"]["results"], uid="x"), NOW)
        is None
    )


def test_gpus_have_no_report() -> None:
    assert reporting.has_report(prepared(PAIR))
    assert not reporting.has_report(prepared(claim("c", result("gpu-0"))))
