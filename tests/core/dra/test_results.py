"""Merged configuration, node selectors, and what a result copies."""

from __future__ import annotations

from typing import Any

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Allocated
from roadstead.ingest.dra import allocation_object
from roadstead.model.dra import Claim
from tests.core.dra.build import NODE, Json, claim, device, exactly, first_available, inventory, pool

TWO = pool(device("a"), device("b"))


def given(of: Inventory, wanted: Claim, node: NodeFacts = NODE) -> dict[str, Any]:
    outcome = allocate(of, node, [wanted])
    assert isinstance(outcome, Allocated), outcome
    allocation = outcome.allocations[0]
    return allocation_object(allocation, ["id"] * len(allocation.results))


def opaque(text: str) -> Json:
    return {"opaque": {"driver": "d", "parameters": {"v": text}}}


def configs(found: dict[str, Any]) -> list[tuple[str, list[str], str]]:
    return [
        (each["source"], each.get("requests", []), each["opaque"]["parameters"]["v"])
        for each in found["devices"].get("config", [])
    ]


def test_class_configuration_once_with_the_requests_that_use_it() -> None:
    of = inventory(TWO, x={"config": [opaque("k")]})
    wanted = claim(
        exactly("a", deviceClassName="x"),
        exactly("b", deviceClassName="x"),
        config=[{"requests": ["a"], **opaque("c")}],
    )
    assert configs(given(of, wanted)) == [("FromClass", [], "k"), ("FromClaim", ["a"], "c")]
    wanted = claim(exactly("a", deviceClassName="x"), exactly("b"))
    assert configs(given(of, wanted)) == [("FromClass", ["a"], "k")]


def test_configuration_of_the_chosen_alternative_alone() -> None:
    either = first_available("g", exactly("big", count=3), exactly("small"))
    entries = [{"requests": ["g/big"], **opaque("big")}, {"requests": ["g/small"], **opaque("small")}]
    assert configs(given(inventory(TWO), claim(either, config=entries))) == [("FromClaim", [], "small")]
    both = claim(either, exactly("r"), config=entries)
    assert configs(given(inventory(TWO), both)) == [("FromClaim", ["g/small"], "small")]


def test_where_an_allocation_can_be_used() -> None:
    node = NodeFacts("n", (("zone", "a"), ("rack", "1")))
    zone = {"key": "zone", "operator": "In", "values": ["a"]}
    rack = {"key": "rack", "operator": "Exists"}
    by_name = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]}
    everywhere = pool(device("a"), name="a", allNodes=True)
    zoned = pool(device("b"), name="b", nodeSelector={"nodeSelectorTerms": [{"matchExpressions": [zone]}]})
    racked = pool(device("c"), name="c", nodeSelector={"nodeSelectorTerms": [{"matchExpressions": [zone, rack]}]})
    assert "nodeSelector" not in given(inventory(everywhere), claim(exactly()), node)
    both = given(inventory(zoned, racked), claim(exactly(count=2)), node)
    assert both["nodeSelector"] == {"nodeSelectorTerms": [{"matchExpressions": [zone, rack]}]}
    assert (
        given(inventory(everywhere, pool(device("z"), name="z")), claim(exactly(count=2)), node)["nodeSelector"]
        == by_name
    )
    bound = pool(device("a", bindsToNode=True), name="a", allNodes=True)
    assert given(inventory(bound), claim(exactly()), node)["nodeSelector"] == by_name


def test_results_carry_tolerations_conditions_and_shares() -> None:
    conditions = {"bindingConditions": ["Ready"], "bindingFailureConditions": ["Failed"]}
    shared = device("a", allowMultipleAllocations=True, capacity={"m": {"value": "4Gi"}}, **conditions)
    tolerations = [{"key": "k", "operator": "Equal", "value": "v", "tolerationSeconds": 3}]
    wanted = claim(exactly(tolerations=tolerations, capacity={"requests": {"m": "1Gi"}}))
    assert given(inventory(pool(shared)), wanted)["devices"]["results"] == [
        {"request": "r", "driver": "d", "pool": "n", "device": "a", "shareID": "id", "consumedCapacity": {"m": "1Gi"}}
        | {"tolerations": tolerations}
        | conditions
    ]
