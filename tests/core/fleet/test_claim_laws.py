"""Laws of claims in the Fleet: nothing twice, all or nothing, no refusal where there is a way, no trace of what is
taken back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.fleet.ask import Ask, Found, PodSetAsk
from roadstead.core.fleet.claims import DEVICE_ATTRIBUTE
from roadstead.core.undo import UndoLog
from roadstead.model.dra import (
    Amount,
    Attribute,
    Claim,
    Constraint,
    CounterSet,
    CounterUse,
    Device,
    DeviceRequest,
    Request,
    ResourceSlice,
)
from roadstead.model.nodes import Node
from roadstead.model.workload import Placement, PodClass, TopologyRequest

from .build import GPU, LEVELS, node
from .checking import can_hold, check
from .claiming import DRIVER, claiming, fleet_with, published

MODELS = ("big", "small")
ONE = Amount(10**9)


@st.composite
def nodes_and_slices(draw: st.DrawFn, most: int = 4) -> tuple[list[Node], list[ResourceSlice]]:
    nodes, slices = [], []
    for at in range(draw(st.integers(1, 3))):
        name, gpus = f"n{at}", draw(st.integers(0, most))
        labels = {"block": "b", "rack": f"r{draw(st.integers(1, 2))}"}
        nodes.append(node(name, draw(st.integers(1, 6)), gpus, labels=labels))
        partitioned = draw(st.booleans())
        devices = [
            Device(
                f"d{number}",
                (
                    ("model", Attribute("string", (draw(st.sampled_from(MODELS)),))),
                    ("numa", Attribute("int", (draw(st.integers(0, 1)),))),
                    *(((DEVICE_ATTRIBUTE, Attribute("string", (f"gpu-{number}",))),) if draw(st.booleans()) else ()),
                ),
                consumes=(CounterUse("c", (("slots", ONE),)),) if partitioned and draw(st.booleans()) else (),
            )
            for number in range(gpus)
        ]
        of = published(name, devices)
        if partitioned:
            slots = CounterSet("c", (("slots", Amount(draw(st.integers(0, 3)) * 10**9)),))
            counters = replace(of, name=f"{name}-counters", devices=(), counter_sets=(slots,), count=2)
            slices.append(counters)
            of = replace(of, count=2)
        slices.append(of)
    return nodes, slices


@st.composite
def wanted(draw: st.DrawFn) -> Claim:
    requests = []
    for at in range(draw(st.integers(1, 2))):
        model = draw(st.sampled_from(("", *MODELS)))
        cel = (f'device.attributes["{DRIVER}"].model == "{model}"',) if model else ()
        requests.append(
            Request(f"r{at}", (DeviceRequest(f"r{at}", "gpu", count=draw(st.integers(1, 2)), selectors=cel),))
        )
    kind = draw(st.sampled_from(("", "", "match", "distinct")))
    numa = f"{DRIVER}/numa"
    constraints = {"match": (Constraint(match=numa),), "distinct": (Constraint(distinct=numa),)}.get(kind, ())
    return Claim("", "", tuple(requests), constraints)


@st.composite
def pods_with_claims(draw: st.DrawFn) -> PodClass:
    claims = draw(st.lists(wanted(), min_size=0, max_size=2))
    return claiming(*claims, gpus=draw(st.sampled_from([0, 0, 0, 1])))


def question(count: int, pod: PodClass, required: str = "") -> Ask:
    request = TopologyRequest(required=required) if required else None
    return Ask((PodSetAsk("main", count, pod, levels=LEVELS, request=request),))


@settings(max_examples=150, deadline=None)
@given(
    nodes_and_slices(),
    st.lists(st.tuples(st.integers(1, 4), pods_with_claims(), st.sampled_from(("", "rack"))), min_size=1, max_size=5),
    st.data(),
)
def test_nothing_is_given_twice_and_gangs_are_whole(
    made: tuple[list[Node], list[ResourceSlice]], asks: list[tuple[int, PodClass, str]], data: st.DataObject
) -> None:
    nodes, slices = made
    fleet = fleet_with(nodes, slices)
    held: dict[str, tuple[PodClass, Placement]] = {}
    for at, (count, pod, required) in enumerate(asks):
        ask = question(count, pod, required)
        answer = fleet.place(ask)
        assert fleet.can_place(ask) == isinstance(answer, Found)
        if isinstance(answer, Found):
            assert [len(pod_set.members) for pod_set in answer.placement.pod_sets] == [count]
            if required:
                racks = {
                    dict(n.labels)["rack"]
                    for n in nodes
                    for m in answer.placement.pod_sets[0].members
                    if n.name == m.node
                }
                assert len(racks) == 1
            held[f"workload:ns/{at}"] = (pod, answer.placement)
            fleet.hold(f"workload:ns/{at}", answer.placement)
        forget: bool = data.draw(st.booleans())
        if held and forget:
            gone = data.draw(st.sampled_from(sorted(held)))
            del held[gone]
            fleet.release(gone)
        check(nodes, slices, held.values())
    for holder in held:
        fleet.release(holder)
    assert (fleet.claims.usage.whole, fleet.claims.usage.shared) == ({}, {})


@settings(max_examples=150, deadline=None)
@given(
    nodes_and_slices(3), st.lists(wanted(), min_size=1, max_size=2), st.integers(1, 3), st.lists(wanted(), max_size=1)
)
def test_what_is_refused_has_no_way(
    made: tuple[list[Node], list[ResourceSlice]], claims: list[Claim], count: int, others: list[Claim]
) -> None:
    """One pod set, any nodes: refused only if no distribution over nodes and no choice of devices would do."""
    nodes, slices = made
    fleet = fleet_with(nodes, slices)
    busy = set()
    if others:
        first = fleet.place(question(1, claiming(*others)))
        if isinstance(first, Found):
            fleet.hold("workload:ns/first", first.placement)
            busy = {r.id for m in first.placement.pod_sets[0].members for _, given in m.claims for r in given.results}
    used = {m.node for held in [fleet.held("workload:ns/first")] if held for m in held.pod_sets[0].members}

    answer = fleet.place(question(count, claiming(*claims)))

    room = 0
    for each in nodes:
        slots = min(dict(each.allocatable)["cpu"] // 1000 - (each.name in used), count)
        room += max((n for n in range(1, slots + 1) if can_hold(each, slices, claims, n, busy)), default=0)
    assert isinstance(answer, Found) == (room >= count)


@settings(max_examples=100, deadline=None)
@given(
    nodes_and_slices(), st.lists(st.tuples(st.integers(1, 3), pods_with_claims()), min_size=1, max_size=4), st.data()
)
def test_trials_and_releases_leave_no_trace(
    made: tuple[list[Node], list[ResourceSlice]], asks: list[tuple[int, PodClass]], data: st.DataObject
) -> None:
    nodes, slices = made
    undo = UndoLog()
    fleet = fleet_with(nodes, slices, undo)
    for at, (count, pod) in enumerate(asks):
        before = [*fleet.digest_parts()]
        mark = undo.begin()
        answer = fleet.place(question(count, pod))
        if isinstance(answer, Found):
            fleet.hold(f"workload:ns/{at}", answer.placement)
        if data.draw(st.booleans()):
            of = data.draw(st.sampled_from(slices))
            fleet.claims.set_slice(of.name, data.draw(st.sampled_from((None, replace(of, generation=2)))))
        if at and data.draw(st.booleans()):
            fleet.release(f"workload:ns/{at - 1}")
        undo.rollback(mark)
        assert [*fleet.digest_parts()] == before
        again = fleet.place(question(count, pod))
        assert again == answer, "after a trial the answer is what it was"
        if isinstance(answer, Found):
            fleet.hold(f"workload:ns/{at}", answer.placement)


def test_two_ways_of_asking_share_one_device() -> None:
    """The smallest world in which the law above bites: one GPU, asked for both ways."""
    both = published("n0", 1)
    fleet = fleet_with([node("n0", 4, 1, labels={"block": "b", "rack": "r"})], [both])
    fleet.hold("workload:ns/a", _found(fleet.place(question(1, claiming(gpus=1)))).placement)
    assert not fleet.can_place(question(1, claiming(Claim("", "", (Request("r", (DeviceRequest("r", "gpu"),)),)))))
    assert dict(fleet.free())[GPU] == 0


def _found(answer: object) -> Found:
    assert isinstance(answer, Found)
    return answer
