"""Placing pods with claims, and the one ledger that claims, counts of devices and bound pods draw on."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from roadstead.core.explain.sentences import sentence
from roadstead.core.fleet.ask import Found
from roadstead.core.undo import UndoLog
from roadstead.model.dra import Attribute, Claim, Device, DeviceTaintRule, NodeChoice, PodClaim, Request, ResourceSlice
from roadstead.model.refusals import Code, Verdict
from roadstead.model.selection import NodeTerm, Requirement, Taint
from roadstead.model.workload import Member, Placement, PodClass, PodSetPlacement, TopologyRequest

from .build import GPU, HOST, ask, by_node, found, node, one, pods, refused
from .claiming import (
    CLASS,
    DRIVER,
    claim,
    claiming,
    devices_of,
    fleet_with,
    given,
    gpu,
    holding,
    published,
    resource_claim,
)


def test_each_member_gets_devices_of_its_own() -> None:
    fleet = fleet_with([node("a", 8), node("b", 8)], [published("a"), published("b")])

    answer = found(fleet.place(one(4, claiming(claim()))))

    assert devices_of(answer.placement) == ["a: gpu-0", "a: gpu-1", "b: gpu-0", "b: gpu-1"]
    assert [dict(member.claims).keys() for member in answer.placement.pod_sets[0].members] == [{"c0"}] * 4


def test_a_gang_is_placed_whole_or_not_at_all() -> None:
    fleet = fleet_with([node("a", 8), node("b", 8)], [published("a"), published("b")])

    refusal = refused(fleet.place(one(3, claiming(claim(2)))))

    assert (refusal.code, refusal.verdict) == (Code.TOPOLOGY_TOO_SMALL, Verdict.CHANGE)
    assert (refusal.resource, refusal.needed, refusal.available, refusal.limit) == ("gpu", 6, 4, 4)


def test_what_is_held_is_not_given_again_and_comes_back_when_it_is_released() -> None:
    fleet = fleet_with([node("a", 8)], [published("a")])
    first = found(fleet.place(one(1, claiming(claim(2)))))
    fleet.hold("workload:ns/first", first.placement)

    refusal = refused(fleet.place(one(1, claiming(claim()))))
    assert (refusal.code, refusal.verdict, refusal.needed, refusal.available) == (
        Code.DEVICES_EXHAUSTED,
        Verdict.WAIT,
        1,
        0,
    )
    assert refusal.closest == "a"
    assert dict(refusal.counts) == {"devices.inUse": 1}

    fleet.release("workload:ns/first")
    assert devices_of(found(fleet.place(one(1, claiming(claim())))).placement) == ["a: gpu-0"]


def test_claims_and_counts_of_devices_draw_on_the_same_devices() -> None:
    fleet = fleet_with([node("a", 8, 2)], [published("a")])
    fleet.hold("workload:ns/counted", found(fleet.place(one(1, pods(1, 1)))).placement)

    assert devices_of(found(fleet.place(one(1, claiming(claim())))).placement) == ["a: gpu-1"]
    assert not fleet.can_place(one(1, claiming(claim(2))))

    fleet.hold("workload:ns/claimed", holding("a", 1))
    assert refused(fleet.place(one(1, pods(1, 1)))).resource == GPU

    fleet.release("workload:ns/counted")
    member = found(fleet.place(one(1, pods(1, 1)))).placement.pod_sets[0].members[0]
    assert member == Member("a", ("gpu-0",))


def test_a_pod_that_asks_in_both_ways_gets_different_devices() -> None:
    fleet = fleet_with([node("a", 8, 4)], [published("a", 4)])

    answer = found(fleet.place(one(2, claiming(claim(), gpus=1))))

    members = answer.placement.pod_sets[0].members
    taken = [*(name for member in members for name in member.devices), "gpu-0", "gpu-1"]
    assert devices_of(answer.placement) == ["a: gpu-0", "a: gpu-1"]
    assert sorted(taken) == ["gpu-0", "gpu-1", "gpu-2", "gpu-3"]
    assert not fleet.can_place(one(3, claiming(claim(), gpus=1)))


def test_a_slice_that_comes_late_finds_its_devices_taken() -> None:
    fleet = fleet_with([node("a", 8, 2)], [])
    fleet.hold("workload:ns/counted", found(fleet.place(one(1, pods(1, 1)))).placement)
    fleet.hold("workload:ns/claimed", holding("a", 1))
    assert fleet.can_place(one(1, pods(1, 1)))  # nobody knows yet that gpu-1 is what the claim has

    fleet.claims.set_slice("a-gpus", published("a"))

    assert not fleet.can_place(one(1, pods(1, 1)))
    assert not fleet.can_place(one(1, claiming(claim())))


def test_claims_of_a_gang_keep_to_one_domain() -> None:
    labels = {"a": "r1", "b": "r1", "c": "r2", "d": "r2"}
    fleet = fleet_with(
        [node(name, 8, labels={"block": "b", "rack": rack}) for name, rack in labels.items()],
        [published("a", 1), published("b", 2), published("c", 2), published("d", 2)],
    )

    answer = fleet.place(ask(4, claiming(claim()), TopologyRequest(required="rack")))
    assert by_node(answer) == {"c": 2, "d": 2}

    refusal = refused(fleet.place(ask(5, claiming(claim()), TopologyRequest(required="rack"))))
    assert (refusal.needed, refusal.available, refusal.closest) == (5, 4, "b/r2")


def test_constraints_are_kept_and_named_when_they_stand_in_the_way() -> None:
    fleet = fleet_with([node("a", 8)], [published("a", 8)])
    pair = claim(3, match=f"{DRIVER}/numa")

    assert devices_of(found(fleet.place(one(2, claiming(pair)))).placement) == [
        "a: gpu-0 gpu-1 gpu-2",
        "a: gpu-4 gpu-5 gpu-6",
    ]
    fleet.hold("workload:ns/others", holding("a", 0, 1, 4, 5))
    refusal = refused(fleet.place(one(1, claiming(pair))))
    assert dict(refusal.counts) == {"devices.apart": 1}


def test_pods_on_one_node_make_room_for_one_another() -> None:
    """The first pod could take either device; where it takes the one that the second pod needs, both are tried
    together."""
    either = Device("d0", (("big", Attribute("bool", (True,))),)), Device("d1", (("big", Attribute("bool", (False,))),))
    fleet = fleet_with([node("a", 8)], [published("a", either)])
    # Two devices in one claim: any, then a big one. Taken one by one the first fit ends in nothing.
    cel = f'device.attributes["{DRIVER}"].big'
    any_then_big = replace(claim(), requests=(*claim().requests, *_renamed(claim(cel=cel))))

    assert devices_of(found(fleet.place(one(1, claiming(any_then_big)))).placement) == ["a: d1 d0"]


def _renamed(of: Claim) -> tuple[Request, ...]:
    request = of.requests[0]
    return (replace(request, name="s", alternatives=(replace(request.alternatives[0], name="s"),)),)


def test_a_shared_claim_is_allocated_once_and_binds_its_pods_to_one_node() -> None:
    fleet = fleet_with([node("a", 2), node("b", 8)], [published("a"), published("b")])
    fleet.claims.set_claim(("ns", "common"), resource_claim("common"))

    answer = found(fleet.place(one(3, claiming("common"))))

    assert devices_of(answer.placement) == ["b: gpu-0"] * 3
    assert answer.placement.pod_sets[0].shared == (("c0", ("ns", "common")),)
    fleet.hold("workload:ns/w", answer.placement)
    assert fleet.claims.usage.whole.total() == 1
    again = found(fleet.place(one(1, claiming("common"))))
    assert devices_of(again.placement) == ["b: gpu-0"], "what is decided but not written yet is known"


def test_a_claim_that_is_allocated_binds_its_pods_to_where_it_can_be_used() -> None:
    fleet = fleet_with([node("a", 8), node("b", 8)], [published("a"), published("b")])
    only_b = NodeTerm(fields=(Requirement("metadata.name", "In", ("b",)),))
    elsewhere = replace(given("b", 1), nodes=only_b)
    fleet.claims.set_claim(("ns", "common"), resource_claim("common", given=elsewhere))

    assert devices_of(found(fleet.place(one(2, claiming("common")))).placement) == ["b: gpu-1"] * 2
    fleet.set_node(node("b", 8, unschedulable=True))
    refusal = refused(fleet.place(one(1, claiming("common"))))
    assert (refusal.code, dict(refusal.counts)) == (Code.NO_NODE_MATCHES, {"resourceClaim": 1, "unschedulable": 1})


def test_an_allocated_claim_is_in_use_even_if_nobody_speaks_for_it() -> None:
    fleet = fleet_with([node("a", 8)], [published("a")])
    fleet.claims.set_claim(("ns", "left"), resource_claim("left", given=given("a", 0)))

    assert devices_of(found(fleet.place(one(1, claiming(claim())))).placement) == ["a: gpu-1"]
    fleet.claims.set_claim(("ns", "left"), None)
    assert fleet.can_place(one(1, claiming(claim(2))))


def test_a_workload_speaks_for_the_claims_of_its_pods_also_while_its_hold_is_lifted() -> None:
    fleet = fleet_with([node("a", 8)], [published("a")])
    held = holding("a", 0, 1)
    fleet.claims.speak("workload:ns/w", held)
    fleet.hold("workload:ns/w", held)
    fleet.claims.set_claim(("ns", "w-0"), resource_claim("w-0", given=given("a", 0, 1)))
    assert fleet.claims.usage.whole.total() == 2, "counted once"

    fleet.release("workload:ns/w")  # as a trial of a preemption does
    assert fleet.can_place(one(1, claiming(claim(2))))

    fleet.claims.speak("workload:ns/w", None)  # it is gone for good, and its claim still has the devices
    assert not fleet.can_place(one(1, claiming(claim())))


def test_claims_that_cannot_be_used_are_refused_by_name() -> None:
    fleet = fleet_with([node("a", 8)], [published("a")])
    fleet.claims.set_claim(("ns", "going"), resource_claim("going", deleting=True))
    full = resource_claim("full", consumers=tuple(f"uid-{at}" for at in range(255)))
    fleet.claims.set_claim(("ns", "full"), full)
    cases = {
        (Code.CLAIM_NOT_FOUND, Verdict.CHANGE, "ResourceClaim none"): claiming("none"),
        (Code.CLAIM_UNUSABLE, Verdict.CHANGE, "ResourceClaim going"): claiming("going"),
        (Code.CLAIM_UNUSABLE, Verdict.WAIT, "ResourceClaim full"): claiming("full"),
        (Code.CLAIM_NOT_FOUND, Verdict.CHANGE, "ResourceClaimTemplate t"): PodClass(
            claims=(PodClaim("c", missing="t"),)
        ),
        (Code.CLAIM_NOT_FOUND, Verdict.WAIT, "the ResourceClaim for c"): PodClass(claims=(PodClaim("c"),)),
    }
    for expected, pod in cases.items():
        refusal = refused(fleet.place(one(2, pod)))
        assert (refusal.code, refusal.verdict, refusal.subject) == expected
    assert fleet.can_place(one(1, claiming("full")))


def test_a_missing_class_is_said_to_be_missing_until_it_is_there() -> None:
    fleet = fleet_with([node("a", 8)], [published("a")])
    fleet.claims.set_class(CLASS.name, None)

    refusal = refused(fleet.place(one(1, claiming(claim()))))
    assert (refusal.code, refusal.verdict) == (Code.CLAIM_INVALID, Verdict.CHANGE)
    assert sentence(refusal) == (
        "Its claim c0 cannot be allocated on any node: request r names DeviceClass gpu, which does not exist. "
        "Name another DeviceClass (kubectl get deviceclasses), or ask an administrator to see to this one."
    )

    fleet.claims.set_class(CLASS.name, CLASS)
    assert fleet.can_place(one(1, claiming(claim())))


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (claim(cel="device.nothing"), "selectors[0] of request r does not compile: "),
        (
            claim(cel='device.attributes["x.y"].z == 1'),
            "selectors[0] of request r fails on device gpu.example.com/a/gpu-1: ",
        ),
        (claim(33), "request r asks for 33 devices; with the 0 of the requests before it these are more than the 32 "),
        (claim(mode="Some"), "request r has allocationMode Some, which is not known here."),
        (claim(match="", mode="All", cel="false"), ""),
        ("shared", "selectors[0] of request r does not compile: "),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_a_claim_that_cannot_be_is_named_as_the_pod_names_it(second: Claim | str, says: str, count: int) -> None:
    """Its first claim is as it should be: nothing is said of that."""
    fleet = fleet_with([node("a", 8)], [published("a", 8)])
    fleet.claims.set_claim(("ns", "shared"), resource_claim("shared", claim(name="shared", cel="device.nothing")))

    refusal = refused(fleet.place(one(count, claiming(claim(), second))))
    if not says:
        assert refusal.code is not Code.CLAIM_INVALID
        return
    assert (refusal.code, refusal.verdict) == (Code.CLAIM_INVALID, Verdict.CHANGE)
    assert sentence(refusal).startswith(f"Its claim c1 cannot be allocated on any node: {says}")
    assert sentence(refusal).endswith(" Change the claim.")


def test_a_claim_whose_class_is_wrong_says_so() -> None:
    fleet = fleet_with([node("a", 8)], [published("a")])
    fleet.claims.set_class(CLASS.name, replace(CLASS, selectors=("device.nothing",)))

    refusal = refused(fleet.place(one(1, claiming(claim()))))
    said = sentence(replace(refusal, pod_set="w"))
    assert said.startswith(
        "Pod set w's claim c0 cannot be allocated on any node: selectors[0] of DeviceClass gpu does not compile: "
    )
    assert said.endswith(" or ask an administrator to see to this one.")


def test_a_rule_taints_devices_of_a_pool_and_takes_the_taint_back() -> None:
    fleet = fleet_with([node("a", 8), node("b", 8)], [published("a"), published("b")])
    fleet.claims.set_rule("r", DeviceTaintRule("r", Taint("broken", "", "NoSchedule"), pool="a"))

    assert devices_of(found(fleet.place(one(2, claiming(claim())))).placement) == ["b: gpu-0", "b: gpu-1"]
    assert dict(refused(fleet.place(one(3, claiming(claim())))).counts) == {"devices.tainted": 1}
    fleet.claims.set_rule("r", None)
    assert fleet.can_place(one(4, claiming(claim())))


def test_devices_that_several_nodes_see_are_given_once() -> None:
    network = ResourceSlice("net", "net.example.com", "fabric", 1, 1, NodeChoice(all=True), (gpu(0), gpu(1)))
    fleet = fleet_with([node("a", 8), node("b", 8)], [network])
    fleet.claims.set_class("gpu", replace(CLASS, selectors=()))

    answer = fleet.place(one(2, claiming(claim())))
    assert sorted(line.partition(": ")[2] for line in devices_of(found(answer).placement)) == ["gpu-0", "gpu-1"]
    fleet.hold("workload:ns/w", found(answer).placement)
    assert not fleet.can_place(one(1, claiming(claim())))


def test_trials_leave_no_trace() -> None:
    undo = UndoLog()
    fleet = fleet_with([node("a", 8, 2)], [published("a")], undo)
    fleet.hold("workload:ns/w", holding("a", 0))
    fleet.claims.set_claim(("ns", "left"), resource_claim("left", given=given("a", 1)))
    before = [*fleet.digest_parts()], fleet.claims.state("a")
    mark = undo.begin()

    fleet.release("workload:ns/w")
    fleet.claims.set_claim(("ns", "left"), None)
    fleet.claims.set_slice("a-gpus", published("a", 1, generation=2))
    fleet.claims.set_rule("r", DeviceTaintRule("r", Taint("t", "", "NoExecute")))
    fleet.claims.set_class("gpu", None)
    fleet.claims.speak("workload:ns/w", holding("a", 0))
    fleet.place(one(1, claiming(claim())))
    fleet.hold("workload:ns/x", holding("a", 0, 1))
    undo.rollback(mark)

    assert ([*fleet.digest_parts()], fleet.claims.state("a")) == before
    assert not fleet.can_place(one(1, claiming(claim())))
    assert not fleet.can_place(one(1, pods(1, 1)))


def test_an_answer_fits_as_long_as_its_claims_would_be_given_the_same() -> None:
    fleet = fleet_with([node("a", 8)], [published("a")])
    question = one(1, claiming(claim()))
    answer = found(fleet.place(question))
    assert fleet.still_fits(question, answer)

    fleet.hold("workload:ns/other", holding("a", 0))
    assert not fleet.still_fits(question, answer)
    assert isinstance(fleet.place(question), Found)


def test_leader_and_workers_with_claims_go_to_one_rack() -> None:
    fleet = fleet_with(
        [
            node(name, 8, labels={"block": "b", "rack": rack})
            for name, rack in {"a": "r1", "b": "r2", "c": "r2"}.items()
        ],
        [published("a", 2), published("b", 2), published("c", 2)],
    )
    group = TopologyRequest(required="rack", group="g")
    workers = ask(2, claiming(claim()), group, name="workers").pod_sets
    leader = ask(1, claiming(claim(2)), group, name="leader").pod_sets

    answer = found(fleet.place(replace(ask(1), pod_sets=(*leader, *workers))))

    assert devices_of(answer.placement, 0) == ["b: gpu-0 gpu-1"]
    assert devices_of(answer.placement, 1) == ["c: gpu-0", "c: gpu-1"]
    assert {values for part in answer.topologies for values, _ in part.domains} == {("b",), ("c",)}
    assert HOST in answer.topologies[0].levels


def test_a_placement_without_claims_is_as_before() -> None:
    fleet = fleet_with([node("a", 8, 2)], [published("a")])
    assert found(fleet.place(one(1, pods(1, 2)))).placement == Placement(
        (PodSetPlacement("main", (Member("a", ("gpu-0", "gpu-1")),), pods(1, 2).requests),)
    )


def test_who_has_devices_of_a_class_is_known_whichever_way_they_were_asked_for() -> None:
    fleet = fleet_with([node("a", 8, 4), node("b", 8, 2, labels={"pool": "x"})], [published("a", 4), published("b", 2)])
    fleet.hold("workload:ns/claims", holding("a", 0))
    fleet.hold("workload:ns/counts", Placement((PodSetPlacement("main", (Member("b", ("gpu-1",)),), ((GPU, 1),)),)))
    fleet.hold("workload:ns/none", Placement((PodSetPlacement("main", (Member("a"),), (("cpu", 1000),)),)))

    assert fleet.holders_of("gpu") == ("workload:ns/claims", "workload:ns/counts")
    assert fleet.holders_of("gpu", [("pool", "x")]) == ("workload:ns/counts",)


def test_a_gang_that_almost_fits_hears_which_domain_came_closest() -> None:
    fleet = fleet_with(
        [
            node(n, 8, g, labels={"block": "b", "rack": r})
            for n, g, r in (("a", 4, "r1"), ("b", 2, "r2"), ("c", 3, "r2"))
        ],
        [],
    )
    refusal = refused(fleet.place(ask(6, pods(1, 1), TopologyRequest(required="rack"))))
    assert (refusal.resource, refusal.needed, refusal.available, refusal.closest) == (GPU, 6, 5, "b/r2")
    assert "closest is b/r2" in sentence(refusal) or "the best place, b/r2," in sentence(refusal)
