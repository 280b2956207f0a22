"""Laws: an accepted allocation satisfies every rule by an independent checker, a refused one has no solution at all,
and going straight to the nodes that may fit finds what asking one after the other finds.

The checker shares no code with the allocator: it reads the objects, tries every way to hand out devices by brute force,
and judges a finished hand-out as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.fitting import Shortlist
from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Allocated, NoFit, Outcome
from roadstead.ingest.dra import claim_of, slice_of
from roadstead.model.dra import Allocation
from tests.core.dra.build import NODE, Json, claim, device, exactly, first_available, inventory, pool

TOTAL = {"mem": 4, "slot": 3}
"""Counters of the one counter set."""
CAPACITY = 10

# --- worlds


@st.composite
def devices(draw: st.DrawFn) -> list[Json]:
    found = []
    for at in range(draw(st.integers(1, 4))):
        fields: Json = {}
        if draw(st.booleans()):
            amounts = {name: {"value": str(draw(st.integers(0, 3)))} for name in TOTAL}
            fields["consumesCounters"] = [{"counterSet": "set", "counters": amounts}]
        if draw(st.booleans()):
            fields |= {"allowMultipleAllocations": True, "capacity": {"c": {"value": str(CAPACITY)}}}
        if draw(st.integers(0, 3)) == 0:
            fields["taints"] = [{"key": "k", "effect": draw(st.sampled_from(["NoSchedule", "None"]))}]
        attributes: Json = {"kind": draw(st.sampled_from(["x", "y"]))}
        if draw(st.integers(0, 4)):
            attributes["root"] = draw(st.integers(0, 1))
        found.append(device(f"d{at}", attributes=attributes, **fields))
    return found


@st.composite
def requests(draw: st.DrawFn, name: str) -> Json:
    def body(own: str) -> Json:
        fields: Json = {}
        if draw(st.booleans()):
            fields["tolerations"] = [{"key": "k", "operator": "Exists"}]
        wanted = draw(st.sampled_from([None, 4, 7]))
        if wanted is not None:
            fields["capacity"] = {"requests": {"c": str(wanted)}}
        cel = draw(st.sampled_from([[], ['device.attributes["d"].kind == "x"']]))
        return exactly(own, draw(st.integers(1, 2)), cel=cel, **fields)

    if draw(st.integers(0, 3)) == 0:
        return first_available(name, body("one"), body("two"))
    return body(name)


@st.composite
def claims(draw: st.DrawFn) -> list[Json]:
    found = []
    for number in range(draw(st.integers(1, 2))):
        names = [f"r{at}" for at in range(draw(st.integers(1, 2)))]
        constraints = draw(
            st.lists(
                st.fixed_dictionaries(
                    {"requests": st.sampled_from([[], names[:1]])},
                    optional={},
                ).flatmap(
                    lambda base: st.sampled_from(
                        [{**base, "matchAttribute": "d/root"}, {**base, "distinctAttribute": "d/root"}]
                    )
                ),
                max_size=1,
            )
        )
        spec: Json = {"requests": [draw(requests(name)) for name in names], "constraints": constraints}
        found.append({"metadata": {"name": f"c{number}", "namespace": "default"}, "spec": {"devices": spec}})
    return found


def world(listed: list[Json], busy: list[str]) -> Inventory:
    totals = {name: {"value": str(value)} for name, value in TOTAL.items()}
    return inventory(
        pool(*listed, count=2, slice_name="devices"),
        pool(count=2, slice_name="counters", sharedCounters=[{"name": "set", "counters": totals}]),
        busy=[f"n/{name}" for name in busy],
    )


# --- the checker

Handout = list[tuple[int, str, Json, tuple[str, ...]]]
"""(claim, request, its body, names of devices) for every request."""


def ways(listed: list[Json], wanted: list[Json]) -> Iterator[Handout]:
    """Every way to give every request its number of different devices, whatever the rules say."""
    slots = [(number, request) for number, each in enumerate(wanted) for request in each["spec"]["devices"]["requests"]]
    names = [each["name"] for each in listed]

    def extend(at: int, so_far: Handout) -> Iterator[Handout]:
        if at == len(slots):
            yield so_far
            return
        number, request = slots[at]
        bodies = [(request["name"], request["exactly"])] if "exactly" in request else [
            (f"{request['name']}/{body['name']}", body) for body in request["firstAvailable"]
        ]  # fmt: skip
        for name, body in bodies:
            for chosen in combinations(names, body["count"]):
                yield from extend(at + 1, [*so_far, (number, name, body, chosen)])

    return extend(0, [])


def is_valid(listed: list[Json], busy: list[str], wanted: list[Json], handout: Handout) -> bool:
    """Does a finished hand-out keep every rule?"""
    known = {each["name"]: each for each in listed}
    uses: Counter[str] = Counter()
    capacity: Counter[str] = Counter()
    for _, _, body, chosen in handout:
        for name in chosen:
            own = known[name]
            if name in busy or not fits_alone(own, body):
                return False
            uses[name] += 1
            asked = body.get("capacity", {}).get("requests", {}).get("c")
            if own.get("allowMultipleAllocations"):
                capacity[name] += int(asked) if asked else CAPACITY
    for name, count in uses.items():
        if not known[name].get("allowMultipleAllocations") and count > 1:
            return False
        if capacity[name] > CAPACITY:
            return False
    drawn: Counter[str] = Counter()
    for name in {*uses, *busy}:
        for use in known[name].get("consumesCounters", []):
            for counter, amount in use["counters"].items():
                drawn[counter] += int(amount["value"])
    takes_counters = any(known[name].get("consumesCounters") for name in uses)
    if takes_counters and any(drawn[counter] > TOTAL[counter] for counter in TOTAL):
        return False
    return all(holds(known, handout, number, each) for number, each in enumerate(wanted))


def fits_alone(own: Json, body: Json) -> bool:
    tolerated = bool(body.get("tolerations")) or all(taint["effect"] == "None" for taint in own.get("taints", []))
    selected = not body.get("selectors") or own["attributes"]["kind"]["string"] == "x"
    has_capacity = "capacity" not in body or "capacity" in own
    return tolerated and selected and has_capacity


def holds(known: dict[str, Json], handout: Handout, number: int, wanted: Json) -> bool:
    for constraint in wanted["spec"]["devices"]["constraints"]:
        roots: list[int | None] = []
        for at, request, _, chosen in handout:
            if at == number and (not constraint["requests"] or request.partition("/")[0] in constraint["requests"]):
                roots.extend(known[name]["attributes"].get("root", {}).get("int") for name in chosen)
        if None in roots:
            return False
        if "matchAttribute" in constraint and len(set(roots)) > 1:
            return False
        if "distinctAttribute" in constraint and len(set(roots)) < len(roots):
            return False
    return True


def handout_of(outcome: Allocated, wanted: list[Json]) -> Handout:
    found: Handout = []
    for number, (allocation, each) in enumerate(zip(outcome.allocations, wanted, strict=True)):
        chosen: dict[str, list[str]] = {}
        for result in allocation.results:
            chosen.setdefault(result.request, []).append(result.id.device)
        for request in each["spec"]["devices"]["requests"]:
            bodies: dict[str, Any] = {request["name"]: request["exactly"]} if "exactly" in request else {
                f"{request['name']}/{body['name']}": body for body in request["firstAvailable"]
            }  # fmt: skip
            (name,) = [name for name in bodies if name in chosen]
            assert len(chosen[name]) == len(set(chosen[name])) == bodies[name]["count"]
            found.append((number, name, bodies[name], tuple(chosen[name])))
    return found


# --- the laws


@settings(max_examples=100, deadline=None)
@given(devices(), claims(), st.data())
def test_accepted_is_valid_and_refused_has_no_solution(
    listed: list[Json], wanted: list[Json], data: st.DataObject
) -> None:
    busy = data.draw(st.lists(st.sampled_from([each["name"] for each in listed]), max_size=1))
    outcome = allocate(world(listed, busy), NODE, [claim_of(each) for each in wanted])
    event(type(outcome).__name__)
    if isinstance(outcome, Allocated):
        assert is_valid(listed, busy, wanted, handout_of(outcome, wanted))
    else:
        assert isinstance(outcome, NoFit)
        assert not any(is_valid(listed, busy, wanted, handout) for handout in ways(listed, wanted))


@settings(max_examples=50, deadline=None)
@given(devices(), claims(), st.data())
def test_an_attempt_changes_nothing_and_what_is_held_is_not_given_again(
    listed: list[Json], wanted: list[Json], data: st.DataObject
) -> None:
    of = world(listed, [])
    asked = [claim_of(each) for each in wanted]
    held: Counter[str] = Counter()
    shared: Counter[str] = Counter()
    allocations = []
    for _ in range(4):
        first, second = allocate(of, NODE, asked), allocate(of, NODE, asked)
        assert first == second, "asking changes nothing"
        if not isinstance(first, Allocated):
            break
        for allocation in first.allocations:
            of.hold(allocation)
            allocations.append(allocation)
            for result in allocation.results:
                if result.share:
                    shared[result.id.device] += sum(amount.nano for _, amount in result.consumed) // 10**9
                else:
                    held[result.id.device] += 1
    assert all(count == 1 for count in held.values()), "no device is given twice"
    assert all(amount <= CAPACITY for amount in shared.values())
    for allocation in data.draw(st.permutations(allocations)):
        of.release(allocation)
    assert (of.usage.whole, of.usage.shared, of.usage.consumed) == ({}, {}, {})


def one_by_one(of: Inventory, nodes: list[NodeFacts], wanted: list[Any], start: int) -> tuple[int, Outcome]:
    for at in range(start, len(nodes)):
        outcome = allocate(of, nodes[at], wanted)
        if isinstance(outcome, Allocated):
            return at, outcome
    return -1, NoFit()


@settings(max_examples=60, deadline=None)
@given(st.lists(devices(), min_size=1, max_size=4), st.lists(claims(), min_size=1, max_size=6), st.data())
def test_the_shortlist_finds_what_a_scan_finds(
    by_node: list[list[Json]], asked: list[list[Json]], data: st.DataObject
) -> None:
    plain = [
        [{key: value for key, value in each.items() if key != "consumesCounters"} for each in listed]
        for listed in by_node
    ]
    nodes = [NodeFacts(f"n{at}") for at in range(len(plain))]
    slices = [pool(*listed, name=f"n{at}", nodeName=f"n{at}") for at, listed in enumerate(plain)]
    if data.draw(st.booleans()):
        slices.append(pool(device("everywhere", attributes={"kind": "x"}), name="wide", allNodes=True))
    of = inventory(*slices)
    shortlist = Shortlist(of, nodes)
    held: list[Allocation] = []
    for wanted in asked:
        ready = [claim_of(each) for each in wanted]
        start = data.draw(st.integers(0, len(nodes) - 1))
        expected = one_by_one(of, nodes, ready, start)
        found = shortlist.first_fit(ready, start)
        assert found[0] == expected[0]
        if isinstance(found[1], Allocated):
            assert isinstance(expected[1], Allocated)
            assert found[1].allocations == expected[1].allocations
            for allocation in found[1].allocations:
                of.hold(allocation)
                held.append(allocation)
        one_goes: bool = data.draw(st.booleans())
        if held and one_goes:
            of.release(held.pop())


def test_a_shortlist_follows_what_is_published() -> None:
    nodes = [NodeFacts("n"), NodeFacts("m")]
    of = inventory(pool(device("a")), busy=["n/a"])
    shortlist = Shortlist(of, nodes)
    assert shortlist.first_fit([claim(exactly())])[0] == -1
    of.set_slice(slice_of(pool(device("b"), name="m", nodeName="m")))
    at, outcome = shortlist.first_fit([claim(exactly())])
    assert at == 1
    assert isinstance(outcome, Allocated)
    shortlist.close()
    assert of.watchers == []
