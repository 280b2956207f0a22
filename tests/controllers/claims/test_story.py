"""Claims from beginning to end: made, allocated, used, given back; whatever write the process dies at."""

from __future__ import annotations

import pytest

from roadstead.kinds.names import (
    CLAIM_FINALIZER,
    NODES,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    WORKLOADS,
)
from roadstead.kinds.object import Json
from roadstead.testing.controllers import Fault
from tests.controllers.claims.kit import ClaimLab, allocation, devices_of, from_template, shared

GANG = [{"gpus": allocation("gpu-0", "gpu-1")}, {"gpus": allocation("gpu-2", "gpu-3")}]


def test_every_pod_gets_a_claim_of_its_own_from_the_template() -> None:
    with ClaimLab() as lab:
        lab.template()
        pod = lab.pod("a", [from_template()])
        lab.settle()
        claim = lab.claim_of("a")
        metadata = claim["metadata"]
        assert metadata["name"].startswith("a-gpus-")
        assert metadata["annotations"] == {"resource.kubernetes.io/pod-claim-name": "gpus"}
        assert metadata["labels"] == {"team": "a"}
        [owner] = metadata["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (
            "Pod", pod["metadata"]["uid"], True, True,
        )  # fmt: skip
        assert claim["spec"] == lab.the(RESOURCE_CLAIM_TEMPLATES, "two")["spec"]["spec"]
        assert lab.node_of("a") == "", "nothing is placed"


def test_a_claim_that_somebody_deleted_is_made_again() -> None:
    with ClaimLab() as lab:
        lab.template()
        lab.pod("a", [from_template()])
        lab.settle()
        before = lab.claim_of("a")["metadata"]["uid"]
        lab.delete(RESOURCE_CLAIMS, lab.claim_of("a")["metadata"]["name"])
        lab.settle()
        assert lab.claim_of("a")["metadata"]["uid"] != before


def test_a_missing_template_is_told_and_waited_for() -> None:
    with ClaimLab() as lab:
        pod = lab.pod("a", [from_template()])
        lab.settle()
        [note] = [note for note in lab.notes if note.reason == "FailedResourceClaimCreation"]
        assert (note.about.meta.uid, note.type) == (pod["metadata"]["uid"], "Warning")
        assert note.message == 'PodResourceClaim gpus: resource claim template "two" not found'
        lab.template()
        lab.settle()
        assert lab.claim_of("a")


def test_a_claim_with_the_right_name_of_somebody_else_is_not_used() -> None:
    with ClaimLab() as lab:
        lab.template()
        lab.place(GANG)
        lab.claim("foreign")
        lab.pod("a", [from_template()])
        lab.edit_status(PODS, "a", resourceClaimStatuses=[{"name": "gpus", "resourceClaimName": "foreign"}])
        lab.settle()
        assert lab.claim_of("a")["metadata"]["name"] != "foreign"
        assert lab.node_of("a") == "n1"
        assert devices_of(lab.the(RESOURCE_CLAIMS, "foreign")) == []


def test_a_placed_pod_is_bound_with_its_claim_allocated_and_reserved() -> None:
    with ClaimLab() as lab:
        lab.template()
        lab.place(GANG)
        pods = [lab.pod(name, [from_template()]) for name in ("a", "b")]
        lab.settle()
        for pod, devices in zip(pods, (["gpu-0", "gpu-1"], ["gpu-2", "gpu-3"]), strict=True):
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            claim = lab.claim_of(name)
            assert lab.node_of(name) == "n1"
            assert devices_of(claim) == devices
            assert claim["status"]["reservedFor"] == [{"resource": "pods", "name": name, "uid": uid}]
            assert claim["metadata"]["finalizers"] == [CLAIM_FINALIZER]
            assert claim["status"]["allocation"]["allocationTimestamp"] == "2027-01-15T08:00:00Z"
        lab.check_devices()


def test_a_pod_that_has_ended_gives_its_claim_back_and_its_claim_goes() -> None:
    with ClaimLab() as lab:
        lab.template()
        lab.place(GANG)
        lab.pod("a", [from_template()], seconds=5)
        lab.advance(3)
        assert len(lab.all(RESOURCE_CLAIMS)) == 1
        lab.advance(5)
        assert lab.the(PODS, "a")["status"]["phase"] == "Succeeded"
        assert lab.all(RESOURCE_CLAIMS) == []


def test_claims_go_with_a_deleted_pod_once_it_has_stopped() -> None:
    with ClaimLab() as lab:
        lab.template()
        lab.place(GANG)
        lab.pod("a", [from_template()])
        lab.settle()
        lab.delete(PODS, "a")
        lab.settle(lab.clock + 1)
        assert devices_of(lab.claim_of("a")) == ["gpu-0", "gpu-1"], "it is still stopping"
        lab.advance(10)
        assert lab.all(PODS) == lab.all(RESOURCE_CLAIMS) == []


def test_a_deleted_claim_stays_while_it_is_used() -> None:
    with ClaimLab() as lab:
        lab.template()
        lab.place(GANG)
        lab.pod("a", [from_template()], seconds=20)
        lab.settle(lab.clock + 1)
        lab.delete(RESOURCE_CLAIMS, lab.claim_of("a")["metadata"]["name"])
        lab.settle(lab.clock + 1)
        assert devices_of(lab.claim_of("a")) == ["gpu-0", "gpu-1"]
        lab.advance(30)
        assert lab.all(RESOURCE_CLAIMS) == []


def test_pods_that_share_a_claim_have_the_same_devices_and_the_last_one_gives_them_back() -> None:
    with ClaimLab() as lab:
        lab.claim("ours")
        lab.place([{"gpus": allocation("gpu-0")}] * 3)
        for name, seconds in (("a", 5), ("b", 10), ("c", 15)):
            lab.pod(name, [shared("ours")], seconds=seconds)
        lab.advance(2)
        claim = lab.the(RESOURCE_CLAIMS, "ours")
        assert [each["name"] for each in claim["status"]["reservedFor"]] == ["a", "b", "c"]
        assert devices_of(claim) == ["gpu-0"]
        lab.advance(5)
        assert [each["name"] for each in lab.the(RESOURCE_CLAIMS, "ours")["status"]["reservedFor"]] == ["b", "c"]
        lab.advance(20)
        claim = lab.the(RESOURCE_CLAIMS, "ours")
        assert claim["status"] == {}
        assert "finalizers" not in claim["metadata"]


def test_who_comes_later_joins_a_shared_claim() -> None:
    with ClaimLab() as lab:
        lab.claim("ours")
        lab.place([{"gpus": allocation("gpu-0")}] * 2)
        lab.pod("a", [shared("ours")])
        lab.settle()
        stamp = lab.the(RESOURCE_CLAIMS, "ours")["status"]["allocation"]["allocationTimestamp"]
        lab.advance(5)
        lab.pod("b", [shared("ours")])
        lab.settle()
        claim = lab.the(RESOURCE_CLAIMS, "ours")
        assert claim["status"]["allocation"]["allocationTimestamp"] == stamp
        assert [each["name"] for each in claim["status"]["reservedFor"]] == ["a", "b"]


def test_a_pod_that_came_to_its_node_by_itself_joins_a_claim_that_is_allocated_for_that_node() -> None:
    with ClaimLab() as lab:
        lab.join("n2")
        for name in ("ours", "unallocated"):
            lab.claim(name)
        lab.edit_status(RESOURCE_CLAIMS, "ours", allocation=allocation("gpu-0"))
        for name, node, claim in (("a", "n1", "ours"), ("b", "n2", "ours"), ("c", "n1", "unallocated")):
            lab.pod(name, [shared(claim)], workload="", node=node)
        lab.settle()
        consumers = lab.the(RESOURCE_CLAIMS, "ours")["status"]["reservedFor"]
        assert [each["name"] for each in consumers] == ["a"]
        assert lab.the(RESOURCE_CLAIMS, "unallocated")["status"] == {}


def test_no_claim_has_more_than_256_consumers() -> None:
    with ClaimLab() as lab:
        lab.claim("ours")
        lab.place([{"gpus": allocation("gpu-0")}] * 2)
        full = [{"resource": "pods", "name": f"p{number}", "uid": f"u{number}"} for number in range(256)]
        others = [{**each, "apiGroup": "example.com"} for each in full]
        lab.edit_status(RESOURCE_CLAIMS, "ours", allocation=allocation("gpu-0"), reservedFor=others)
        lab.pod("a", [shared("ours")])
        lab.settle()
        assert lab.node_of("a") == ""


def test_a_replacement_waits_until_its_predecessors_claim_has_let_go() -> None:
    with ClaimLab() as lab:
        lab.template()
        lab.place(GANG[:1])
        lab.claim("other")
        lab.edit_status(
            RESOURCE_CLAIMS,
            "other",
            allocation=allocation("gpu-1"),
            reservedFor=[{"apiGroup": "example.com", "resource": "things", "name": "x", "uid": "x"}],
        )
        lab.pod("a", [from_template()])
        lab.advance(3)
        assert lab.node_of("a") == ""
        lab.edit(RESOURCE_CLAIMS, "other", lambda claim: claim["status"].clear(), subresource="status")
        lab.advance(3)
        assert lab.node_of("a") == "n1"
        lab.check_devices()


def test_an_allocation_of_an_earlier_decision_is_taken_back_and_written_anew() -> None:
    with ClaimLab() as lab:
        lab.template()
        pod = lab.pod("a", [from_template()])
        lab.settle()
        name = lab.claim_of("a")["metadata"]["name"]
        mine = [{"resource": "pods", "name": "a", "uid": pod["metadata"]["uid"]}]
        lab.edit_status(RESOURCE_CLAIMS, name, allocation=allocation("gpu-7"), reservedFor=mine)
        lab.place(GANG)
        lab.settle()
        assert devices_of(lab.claim_of("a")) == ["gpu-0", "gpu-1"]
        assert lab.node_of("a") == "n1"


def test_a_claim_for_a_node_that_is_gone_is_taken_back_from_a_pod_that_never_got_there() -> None:
    with ClaimLab() as lab:
        lab.template()
        pod = lab.pod("a", [from_template()], workload="")
        lab.settle()
        name = lab.claim_of("a")["metadata"]["name"]
        mine = [{"resource": "pods", "name": "a", "uid": pod["metadata"]["uid"]}]
        lab.edit_status(RESOURCE_CLAIMS, name, allocation=allocation("gpu-7"), reservedFor=mine)
        lab.settle()
        assert devices_of(lab.claim_of("a")) == ["gpu-7"], "its node is there"
        lab.delete(NODES, "n1")
        lab.settle()
        assert devices_of(lab.claim_of("a")) == []


def test_an_allocated_claim_of_nobody_is_left_alone() -> None:
    with ClaimLab() as lab:
        lab.claim("ours")
        lab.edit_status(RESOURCE_CLAIMS, "ours", allocation=allocation("gpu-0"))
        lab.advance(60)
        assert devices_of(lab.the(RESOURCE_CLAIMS, "ours")) == ["gpu-0"]
        lab.delete(RESOURCE_CLAIMS, "ours")
        lab.settle()
        assert lab.all(RESOURCE_CLAIMS) == []


def test_nobody_is_bound_by_a_placement_whose_workload_was_evicted() -> None:
    with ClaimLab() as lab:
        lab.template()
        lab.place(GANG)
        conditions = lab.the(WORKLOADS, "gang")["status"]["conditions"]
        moment = "2027-01-15T08:00:00Z"
        evicted = {"type": "Evicted", "status": "True", "reason": "x", "message": "", "lastTransitionTime": moment}
        lab.edit_status(WORKLOADS, "gang", conditions=[*conditions, evicted])
        lab.pod("a", [from_template()])
        lab.settle()
        assert devices_of(lab.claim_of("a")) == []
        assert lab.node_of("a") == ""


# ---------------------------------------------------------------------- whatever goes wrong


def whole(faults: dict[int, Fault], *, lag: int = 0, seed: int = 0) -> ClaimLab:
    lab = ClaimLab(lag=lag, seed=seed)
    lab.template()
    lab.claim("net")
    members: list[dict[str, Json]] = [
        {"gpus": allocation("gpu-0", "gpu-1"), "net": allocation("nic")},
        {"gpus": allocation("gpu-2", "gpu-3"), "net": allocation("nic")},
    ]
    lab.place(members)
    lab.faults = {lab.writes + number: fault for number, fault in faults.items()}
    for name in ("a", "b"):
        lab.pod(name, [from_template(), shared("net", "net")], seconds=5)
    for _ in range(20):
        lab.advance(1)
        lab.check_devices()
    return lab


def check_outcome(lab: ClaimLab) -> None:
    assert [lab.node_of(name) for name in ("a", "b")] == ["n1", "n1"]
    assert [pod["status"]["phase"] for pod in lab.all(PODS)] == ["Succeeded", "Succeeded"]
    [left] = lab.all(RESOURCE_CLAIMS)
    assert left["metadata"]["name"] == "net"
    assert left["status"] == {}


def test_the_undisturbed_story_is_covered_by_the_faults() -> None:
    with whole({}) as lab:
        check_outcome(lab)
        assert lab.writes <= 40


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("at", range(40))
def test_one_fault_at_any_write_changes_nothing(at: int, fault: Fault) -> None:
    with whole({at: fault}) as lab:
        check_outcome(lab)


@pytest.mark.parametrize("seed", range(30))
def test_views_that_lag_change_nothing(seed: int) -> None:
    with whole({}, lag=seed % 7 + 1, seed=seed) as lab:
        check_outcome(lab)
