"""What is found first, and what is given up: the worked examples of upstream's rules (KEP-4381, 4816, 4815, 5075,
5055)."""

from __future__ import annotations

import pytest

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.features import Features
from roadstead.core.dra.outcome import Allocated, Failed
from tests.core.dra.build import (
    NODE,
    Json,
    answer,
    claim,
    device,
    exactly,
    first_available,
    inventory,
    pool,
)

FOUR = pool(*(device(f"gpu-{at}", attributes={"root": "A" if at < 2 else "B"}) for at in range(4)))
SIZES = pool(device("large", attributes={"sz": 2}), device("small", attributes={"sz": 1}))
BIG = ['device.attributes["d"].sz == 2']
ROOT: Json = {"constraints": [{"matchAttribute": "d/root"}]}


def test_the_first_devices_that_do() -> None:
    assert answer(inventory(FOUR), claim(exactly(count=2))) == "r=gpu-0 r=gpu-1"
    assert answer(inventory(FOUR), claim(exactly(count=5))) == "no fit"
    assert answer(inventory(FOUR), claim()) == ""


def test_a_choice_is_taken_back_when_a_constraint_fails_later() -> None:
    assert answer(inventory(FOUR, busy=["n/gpu-0"]), claim(exactly(count=2), **ROOT)) == "r=gpu-2 r=gpu-3"


def test_an_earlier_request_gives_way() -> None:
    assert answer(inventory(SIZES), claim(exactly("any"), exactly("big", cel=BIG))) == "any=small big=large"
    assert (
        answer(inventory(SIZES), claim(exactly("any"), name="a"), claim(exactly("big", cel=BIG), name="b"))
        == "any=small | big=large"
    )


def test_alternatives_in_order_across_the_whole_pod() -> None:
    either = first_available("g", exactly("x4", count=4), exactly("big", cel=BIG))
    assert answer(inventory(SIZES), claim(either)) == "g/big=large"
    either = first_available("g", exactly("two", count=2), exactly("one"))
    assert answer(inventory(SIZES), claim(either, name="a"), claim(exactly(), name="b")) == "g/one=large | r=small"


@pytest.mark.parametrize(
    ("busy", "fields", "expected"),
    [
        ([], {}, "r=gpu-0 r=gpu-1 r=gpu-2 r=gpu-3"),
        (["n/gpu-0"], {}, "no fit"),
        (["n/gpu-0"], {"adminAccess": True}, "r=gpu-0 r=gpu-1 r=gpu-2 r=gpu-3"),
    ],
)
def test_all_means_all(busy: list[str], fields: Json, expected: str) -> None:
    assert answer(inventory(FOUR, busy=busy), claim(exactly(allocationMode="All", **fields))) == expected


def test_all_of_nothing_does_not_fit() -> None:
    assert answer(inventory(FOUR), claim(exactly(cel=["false"], allocationMode="All"))) == "no fit"


def test_all_with_a_constraint_that_refuses_one_is_an_error() -> None:
    assert answer(inventory(FOUR), claim(exactly(allocationMode="All"), **ROOT)) == "fatal: all_constraint"


def test_admin_access_takes_what_is_in_use_but_not_twice_in_one_claim() -> None:
    one = pool(device("a"))
    admin = exactly("admin", adminAccess=True)
    assert answer(inventory(one, busy=["n/a"]), claim(admin)) == "admin=a"
    assert answer(inventory(one), claim(exactly(), admin)) == "no fit"
    assert answer(inventory(one), claim(exactly()), claim(admin)) == "r=a | admin=a"
    assert answer(inventory(one), claim(admin), claim(exactly())) == "no fit", (
        "an admin request takes it from later ones"
    )


def test_at_most_32_devices_a_claim() -> None:
    forty = pool(*(device(f"g{at:02}") for at in range(40)))
    assert answer(inventory(forty), claim(exactly(count=33))) == "fatal: too_many_devices"
    assert answer(inventory(forty), claim(exactly("a", 20), exactly("b", 20))) == "fatal: too_many_devices"
    either = first_available("b", exactly("much", 20), exactly("less", 12))
    found = answer(inventory(forty), claim(exactly("a", 20), either))
    assert found.count("b/less=") == 12
    assert "b/much" not in found


def test_one_request_never_has_a_device_twice_and_two_may_share_it() -> None:
    def nic(name: str, root: str) -> Json:
        policy = {"default": "10", "validRange": {"min": "10", "max": "100", "step": "10"}}
        capacity = {"bw": {"value": "100", "requestPolicy": policy}}
        return device(name, attributes={"root": root}, capacity=capacity, allowMultipleAllocations=True)

    two = inventory(pool(nic("eth0", "A"), nic("eth1", "B")))

    def wants(name: str, bw: str, count: int = 1) -> Json:
        return exactly(name, count, capacity={"requests": {"bw": bw}})

    assert answer(two, claim(wants("a", "60"), wants("b", "60"))) == "a=eth0 b=eth1"
    assert answer(two, claim(wants("a", "40", 2))) == "a=eth0 a=eth1"
    assert answer(two, claim(wants("a", "40"), wants("b", "40"))) == "a=eth0 b=eth0"
    apart = claim(wants("a", "40"), wants("b", "40"), constraints=[{"distinctAttribute": "d/root"}])
    assert answer(two, apart) == "a=eth0 b=eth1"
    assert answer(two, claim(wants("a", "105"))) == "no fit"
    outcome = allocate(two, NODE, [claim(wants("a", "33"))])
    assert isinstance(outcome, Allocated)
    (result,) = outcome.allocations[0].results
    assert result.share
    assert [(name, value.nano // 10**9) for name, value in result.consumed] == [("bw", 40)]


def test_distinct_values_for_three_devices_of_one_request() -> None:
    three = pool(*(device(f"g{at}", attributes={"slot": at % 2}) for at in range(4)))
    distinct: Json = {"constraints": [{"distinctAttribute": "d/slot"}]}
    assert answer(inventory(three), claim(exactly(count=2), **distinct)) == "r=g0 r=g1"
    assert answer(inventory(three), claim(exactly(count=3), **distinct)) == "no fit"


def test_partitions_share_their_counters() -> None:
    def part(name: str, memory: int, *slices: int) -> Json:
        counters = {"mem": {"value": str(memory)}, **{f"s{at}": {"value": "1"} for at in slices}}
        return device(
            name, consumesCounters=[{"counterSet": "gpu", "counters": counters}], attributes={"p": f"{memory}"}
        )

    totals = {"mem": {"value": "40"}, **{f"s{at}": {"value": "1"} for at in range(4)}}
    gpu = [
        pool(
            *(part(f"m1-{at}", 10, at) for at in range(4)),
            part("m2-0", 20, 0, 1),
            part("m2-1", 20, 2, 3),
            part("full", 40, 0, 1, 2, 3),
            count=2,
            slice_name="devices",
        ),
        pool(count=2, slice_name="counters", sharedCounters=[{"name": "gpu", "counters": totals}]),
    ]

    def of(size: int, name: str = "r", count: int = 1) -> Json:
        return exactly(name, count, cel=[f'device.attributes["d"].p == "{size}"'])

    assert answer(inventory(*gpu, busy=["n/m1-0"]), claim(of(20))) == "r=m2-1"
    assert answer(inventory(*gpu, busy=["n/m1-0"]), claim(of(40))) == "no fit"
    assert answer(inventory(*gpu), claim(of(10, "a", 2), of(20, "b"))) == "a=m1-0 a=m1-1 b=m2-1"
    assert answer(inventory(*gpu), claim(of(10, "a", 3)), claim(of(20, "b"))) == "no fit"
    off = Features(partitionable=False)
    assert answer(inventory(*gpu, features=off), claim(of(20))) == "no fit"


def test_taints() -> None:
    two = pool(
        device("g0", taints=[{"key": "x", "effect": "NoExecute"}]),
        device("g1", taints=[{"key": "y", "effect": "None"}]),
    )
    assert answer(inventory(two), claim(exactly())) == "r=g1"
    tolerates = [{"key": "x", "operator": "Exists"}]
    assert answer(inventory(two), claim(exactly(count=2, tolerations=tolerates))) == "r=g0 r=g1"
    assert answer(inventory(two, features=Features(taints=False)), claim(exactly())) == "r=g0"


def test_pools_with_binding_conditions_come_last() -> None:
    slow = device("a", bindingConditions=["Ready"], bindingFailureConditions=["Failed"])
    pools = [pool(slow, name="a"), pool(device("b"), name="b")]
    assert answer(inventory(*pools), claim(exactly())) == "r=b"
    assert answer(inventory(*pools), claim(exactly(count=2))) == "r=b r=a"
    off = Features(binding_conditions=False)
    assert answer(inventory(*pools, features=off), claim(exactly(count=2))) == "no fit"


@pytest.mark.parametrize(
    ("request_", "features", "expected"),
    [
        (exactly(deviceClassName="none"), Features(), "fatal: class_not_found"),
        (exactly(deviceClassName=""), Features(), "fatal: class_missing"),
        (exactly(allocationMode="Some"), Features(), "fatal: mode_unsupported"),
        (exactly(selectors=[{}]), Features(), "fatal: selector_empty"),
        (exactly(cel=["device.nosuch"]), Features(), "fatal: cel_compile"),
        (exactly(cel=['device.attributes["d"].nosuch']), Features(), "fatal: cel_runtime"),
        (exactly(cel=['device.attributes["d"].root']), Features(), "fatal: cel_runtime"),
        (exactly(adminAccess=False), Features(admin_access=False), "fatal: admin_access_disabled"),
        (exactly(capacity={"requests": {"m": "1"}}), Features(consumable_capacity=False), "fatal: capacity_disabled"),
        (first_available("g", exactly("x")), Features(prioritized_list=False), "fatal: prioritized_list_disabled"),
    ],
)
def test_what_ends_the_attempt(request_: Json, features: Features, expected: str) -> None:
    assert answer(inventory(FOUR, features=features), claim(request_)) == expected


def test_a_selector_fails_only_if_its_device_is_reached() -> None:
    odd = pool(device("a", attributes={"m": 1}), device("b"))
    wants = exactly(cel=['device.attributes["d"].m == 1'])
    assert answer(inventory(odd), claim(wants)) == "r=a"
    assert answer(inventory(odd, busy=["n/a"]), claim(wants)) == "fatal: cel_runtime"
    assert (
        answer(inventory(odd, busy=["n/b"]), claim(exactly(count=2, cel=['device.attributes["d"].m == 1']))) == "no fit"
    )


def test_a_constraint_needs_a_kind() -> None:
    assert answer(inventory(FOUR), claim(exactly(), constraints=[{}])) == "fatal: constraint_empty"


def test_the_search_is_bounded() -> None:
    many = inventory(pool(*(device(f"g{at}") for at in range(9))))
    same = [exactly(f"r{at}") for at in range(8)]
    outcome = allocate(many, NODE, [claim(*same, exactly("never", cel=["false"]))], max_steps=5000)
    assert isinstance(outcome, Failed)
    assert outcome.kind == "aborted"
    assert "5000 steps" in outcome.message
