"""Generations, completeness, validity and node selection of pools."""

from __future__ import annotations

import pytest

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Failed
from tests.core.dra.build import Json, answer, claim, device, exactly, inventory, pool

OLD = pool(device("old"), name="p", slice_name="s1", generation=1)
ONE = claim(exactly())
ALL = claim(exactly(allocationMode="All"))


def test_only_the_newest_generation_counts() -> None:
    new = pool(device("new"), name="p", slice_name="s2", generation=2)
    assert answer(inventory(OLD, new), ONE) == "r=new"


def test_an_older_generation_that_looks_complete_here_is_used() -> None:
    elsewhere = pool(device("new"), name="p", slice_name="s2", generation=2, nodeName="other")
    assert answer(inventory(OLD, elsewhere), ONE) == "r=old"


def test_an_older_generation_that_looks_incomplete_here_is_left_out() -> None:
    half = pool(device("old"), name="p", slice_name="s1", generation=1, count=2)
    elsewhere = pool(device("new"), name="p", slice_name="s2", generation=2, nodeName="other")
    assert answer(inventory(half, elsewhere), ONE) == "no fit"
    assert answer(inventory(half, elsewhere), ALL) == "no fit"


def test_slices_for_other_nodes_complete_a_pool() -> None:
    here = pool(device("a"), name="p", slice_name="s1", count=2)
    there = pool(device("b"), name="p", slice_name="s2", count=2, nodeName="other")
    assert answer(inventory(here, there), claim(exactly(count=2))) == "no fit"
    assert answer(inventory(here, there), ONE) == "r=a"


def test_an_incomplete_pool_is_passed_over_and_an_error_for_all() -> None:
    half = pool(device("a"), name="a", count=2)
    other = pool(device("b"), name="b")
    assert answer(inventory(half, other), ONE) == "r=b"
    assert answer(inventory(half, other), ALL) == "fatal: all_pool_incomplete"


@pytest.mark.parametrize(
    "slices",
    [
        [pool(device("a"), device("a"))],
        [pool(device("a", consumesCounters=[{"counterSet": "none", "counters": {"x": {"value": "1"}}}]))],
        [
            pool(device("a", consumesCounters=[{"counterSet": "c", "counters": {"y": {"value": "1"}}}]), count=2),
            pool(count=2, slice_name="z", sharedCounters=[{"name": "c", "counters": {"x": {"value": "1"}}}]),
        ],
    ],
    ids=["device twice", "no such counter set", "no such counter"],
)
def test_an_invalid_pool_is_named_if_nothing_else_fits(slices: list[Json]) -> None:
    assert answer(inventory(*slices), ONE) == "node: pools_invalid"
    assert answer(inventory(*slices), ALL) == "fatal: all_pool_invalid"
    other = pool(device("z"), name="z", slice_name="zz")
    assert answer(inventory(*slices, other), ONE) == "r=z"


def test_pools_by_driver_then_name_slices_by_name_devices_as_listed() -> None:
    slices = [
        pool(device("b0"), name="b", slice_name="0"),
        pool(device("a1"), name="a", slice_name="2", count=2),
        pool(device("a3"), device("a2"), name="a", slice_name="1", count=2),
    ]
    assert answer(inventory(*slices), claim(exactly(count=4))) == "r=a3 r=a2 r=a1 r=b0"


def term(key: str, *values: str, operator: str = "In") -> Json:
    expression: Json = {"key": key, "operator": operator} | ({"values": list(values)} if values else {})
    return {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}


def test_node_selectors_and_per_device_selection() -> None:
    here = NodeFacts("n", (("zone", "a"),))
    zoned = pool(device("z"), name="z", nodeSelector=term("zone", "a"))
    assert answer(inventory(zoned), ONE, node=here) == "r=z"
    assert answer(inventory(zoned), ONE, node=NodeFacts("n", (("zone", "b"),))) == "no fit"
    single = pool(
        device("x", nodeName="other"),
        device("y", nodeSelector=term("zone", "a")),
        name="s",
        perDeviceNodeSelection=True,
    )
    assert answer(inventory(single), ONE, node=here) == "r=y"


@pytest.mark.parametrize(
    "selector",
    [
        term("zone", operator="In"),
        term("zone", "a", operator="Exists"),
        term("zone", "x", operator="Gt"),
        term("a b", "x"),
    ],
)
def test_a_selector_that_cannot_be_parsed_ends_the_attempt(selector: Json) -> None:
    outcome = allocate(inventory(pool(device("z"), nodeSelector=selector)), NodeFacts("n"), [ONE])
    assert isinstance(outcome, Failed)
    assert outcome.kind == "node_selector"
