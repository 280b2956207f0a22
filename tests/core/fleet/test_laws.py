"""Laws of the Fleet: for every fleet and every ask, in every order of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.core.fleet.ask import Ask, Found, PodSetAsk
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.fleet.forest import Forest
from roadstead.core.undo import UndoLog
from roadstead.model.nodes import Node
from roadstead.model.selection import Taint, Toleration
from roadstead.model.workload import Placement, PodClass, TopologyRequest

from .build import GPU, HOST, LEVELS, fleet, node, pods

TAINT = Taint("maint", "true")


@st.composite
def nodes(draw: st.DrawFn) -> list[Node]:
    made = []
    for at in range(draw(st.integers(1, 7))):
        block, rack = draw(st.integers(1, 2)), draw(st.integers(1, 2))
        gpus = draw(st.integers(0, 4))
        made.append(
            node(
                f"n{at}",
                draw(st.integers(0, 6)),
                gpus,
                labels={
                    "block": f"b{block}",
                    "rack": f"b{block}-r{rack}",
                    "disk": draw(st.sampled_from(["ssd", "hdd"])),
                },
                taints=[TAINT] if draw(st.integers(0, 5)) == 0 else [],
                pods=draw(st.sampled_from([2, 4, 110])),
                ready=draw(st.integers(0, 7)) != 0,
                unhealthy=draw(st.sets(st.integers(0, gpus), max_size=1)),
            )
        )
    return made


@st.composite
def requests(draw: st.DrawFn, count: int) -> TopologyRequest | None:
    kind = draw(st.sampled_from(["none", "required", "preferred", "unconstrained", "slices"]))
    if kind == "none":
        return None
    level = draw(st.sampled_from(LEVELS))
    if kind == "required":
        return TopologyRequest(required=level)
    if kind == "preferred":
        return TopologyRequest(preferred=level)
    if kind == "unconstrained":
        return TopologyRequest(unconstrained=True)
    at = LEVELS.index(level)
    size = draw(st.integers(1, count))
    slice_level = draw(st.sampled_from(LEVELS[at:]))
    layers: tuple[tuple[str, int], ...] = ()
    if slice_level != HOST and size % 2 == 0 and draw(st.booleans()):
        layers = ((slice_level, size), (HOST, 2))
    return TopologyRequest(required=level, slice_level=slice_level, slice_size=size, slice_layers=layers)


@st.composite
def classes(draw: st.DrawFn) -> PodClass:
    made = pods(draw(st.integers(0, 3)), draw(st.integers(0, 2)))
    return PodClass(
        requests=made.requests,
        node_selector=(("disk", "ssd"),) if draw(st.integers(0, 3)) == 0 else (),
        tolerations=(Toleration("maint", "Exists"),) if draw(st.booleans()) else (),
    )


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    levels = draw(st.sampled_from([LEVELS, ("rack", HOST), (HOST,), ("block", "rack")]))
    if draw(st.integers(0, 4)) == 0:  # a leader and its workers
        level = draw(st.sampled_from(levels))
        request = draw(
            st.sampled_from([TopologyRequest(required=level, group="g"), TopologyRequest(preferred=level, group="g")])
        )
        sets = [
            PodSetAsk("leader", 1, draw(classes()), levels=levels, request=request),
            PodSetAsk("workers", draw(st.integers(1, 6)), draw(classes()), levels=levels, request=request),
        ]
        return Ask(tuple(draw(st.permutations(sets))))
    sets = []
    for at in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 6))
        request_ = draw(requests(max(count, 1)))
        named = {request_.required, request_.preferred, request_.slice_level} - {""} if request_ else set()
        sets.append(
            PodSetAsk(
                f"p{at}",
                count,
                draw(classes()),
                levels=levels if named <= set(levels) else LEVELS,
                request=request_,
            )
        )
    return Ask(tuple(sets))


def state(of: Fleet) -> list[object]:
    return list(of.digest_parts())


def check_nothing_twice(of: Fleet, holders: Iterable[str]) -> None:
    """No device has two holders, nothing is overcommitted, and unhealthy devices are nobody's."""
    used: dict[str, Counter[str]] = {}
    devices: Counter[tuple[str, str]] = Counter()
    for holder in holders:
        placement = of.held(holder)
        assert placement is not None
        for pod_set in placement.pod_sets:
            for member in pod_set.members:
                used.setdefault(member.node, Counter())["pods"] += 1
                used[member.node].update(dict(pod_set.requests))
                devices.update((member.node, device) for device in member.devices)
                assert len(member.devices) == dict(pod_set.requests).get(GPU, 0)
    assert all(count == 1 for count in devices.values())
    for name, amounts in used.items():
        found = of.node(name)
        assert found is not None
        allocatable = dict(found.allocatable)
        assert all(amount <= allocatable.get(resource, 0) for resource, amount in amounts.items() if amount)
        healthy = {device.name for device in found.devices if device.healthy}
        assert {device for on, device in devices if on == name} <= healthy


@settings(max_examples=200, deadline=None)
@given(nodes(), st.lists(asks(), min_size=1, max_size=8))
def test_what_is_found_can_be_held_whole_and_nothing_is_promised_twice(made: list[Node], wanted: list[Ask]) -> None:
    subject = fleet(*made)
    holders = []
    for at, ask in enumerate(wanted):
        before = state(subject)
        answer = subject.place(ask)
        assert state(subject) == before
        assert subject.place(ask) == answer
        if not isinstance(answer, Found):
            continue
        assert [len(each.members) for each in answer.placement.pod_sets] == [each.count for each in ask.pod_sets]
        for pod_set, placed, topology in zip(ask.pod_sets, answer.placement.pod_sets, answer.topologies, strict=True):
            assert sum(count for _, count in topology.domains) == pod_set.count
            check_rank_order(subject, pod_set, [member.node for member in placed.members])
            check_matches(subject, pod_set, [member.node for member in placed.members])
            check_together(subject, pod_set, [member.node for member in placed.members])
        holder = f"workload:ns/{at}"
        subject.hold(holder, answer.placement)
        holders.append(holder)
        check_nothing_twice(subject, holders)


def check_matches(of: Fleet, pod_set: PodSetAsk, names: list[str]) -> None:
    for name in names:
        found = of.node(name)
        assert found is not None
        assert found.ready
        assert not found.taints or pod_set.pod.tolerations
        assert set(pod_set.pod.node_selector) <= set(found.labels)


def check_rank_order(of: Fleet, pod_set: PodSetAsk, names: list[str]) -> None:
    """Members follow the domains in order of all their label values (Kueue 4.4)."""
    labels = {name: dict(found.labels) for name in names if (found := of.node(name)) is not None}
    ranks = [(*(labels[name][level] for level in pod_set.levels), name) for name in names]
    assert ranks == sorted(ranks)


def check_together(of: Fleet, pod_set: PodSetAsk, names: list[str]) -> None:
    """All in one domain of the required level; each slice in one domain of its level."""
    request = pod_set.request
    if request is None or not names:
        return
    labels = {name: dict(found.labels) for name in names if (found := of.node(name)) is not None}
    if request.required:
        assert len({labels[name][request.required] for name in names}) == 1
    for level, size in request.slice_layers or ((request.slice_level, request.slice_size),):
        if level and size > 1:
            per_domain = Counter(labels[name][level] for name in names)
            broken = [domain for domain, count in per_domain.items() if count % size]
            assert len(broken) <= (1 if len(names) % size else 0)


@settings(max_examples=100, deadline=None)
@given(nodes(), st.lists(asks(), min_size=1, max_size=6), st.data())
def test_an_answer_depends_on_what_is_held_not_on_how_it_came_about(
    made: list[Node], wanted: list[Ask], data: st.DataObject
) -> None:
    """Questions, holds, releases, node changes and trials in any order: a Fleet made afresh from the outcome agrees."""
    undo = UndoLog()
    subject = fleet(*made, undo=undo)
    for at, ask in enumerate(wanted):
        match data.draw(st.sampled_from(["hold", "hold", "release", "trial", "node", "gone"])):
            case "hold":
                answer = subject.place(ask)
                if isinstance(answer, Found):
                    subject.hold(f"{data.draw(st.sampled_from(['workload', 'pod']))}:ns/{at}", answer.placement)
            case "release":
                subject.release(f"workload:ns/{data.draw(st.integers(0, max(at, 1)))}")
            case "trial":
                before, mark = state(subject), undo.begin()
                for holder in [f"workload:ns/{i}" for i in range(at)]:
                    subject.release(holder)
                answer = subject.place(ask)
                if isinstance(answer, Found):
                    subject.hold("workload:ns/trial", answer.placement)
                subject.remove_node(made[0].name)
                undo.rollback(mark)
                assert state(subject) == before
            case "node":
                subject.set_node(data.draw(st.sampled_from(data.draw(nodes()))))
            case "gone":
                subject.remove_node(data.draw(st.sampled_from(made)).name)
    fresh = Fleet(UndoLog())
    parts = list(subject.digest_parts())
    for _, name, value in data.draw(st.permutations(parts)):
        if isinstance(value, Node):
            fresh.set_node(value)
        elif isinstance(value, Placement):
            fresh.hold(name, value)
    assert list(fresh.digest_parts()) == parts
    for ask in wanted:
        for question in (ask, Ask(ask.pod_sets, assume_empty=True), Ask(ask.pod_sets, exact=False)):
            assert fresh.place(question) == subject.place(question)


@settings(max_examples=100, deadline=None)
@given(nodes(), st.lists(asks(), min_size=1, max_size=6))
def test_counts_kept_up_to_date_equal_counts_made_afresh(made: list[Node], wanted: list[Ask]) -> None:
    subject = fleet(*made)
    for at, ask in enumerate(wanted):
        answer = subject.place(ask)
        if isinstance(answer, Found):
            subject.hold(f"workload:ns/{at}", answer.placement)
        if at % 3 == 2:
            subject.release(f"workload:ns/{at - 1}")
        for demand in subject._counting.kept():
            kept = subject._counting.forest(demand)
            afresh = Forest(demand, list(subject._lines.values()), 0, 0, subject.claim_room)
            assert counts(kept) == counts(afresh)
            assert +kept.left_out == +afresh.left_out
            assert kept.shortages.counts() == afresh.shortages.counts()


def counts(forest: Forest) -> list[dict[tuple[str, ...], tuple[int, int, int, int, int]]]:
    return [
        {values: (d.pods, d.slices, d.leaders, d.pods_with_leader, d.slices_with_leader) for values, d in level.items()}
        for level in forest.domains
    ]


@settings(max_examples=100, deadline=None)
@given(nodes(), st.lists(asks(), min_size=2, max_size=6))
def test_who_can_be_placed_now_could_be_placed_in_an_empty_fleet(made: list[Node], wanted: list[Ask]) -> None:
    subject = fleet(*made)
    for at, ask in enumerate(wanted):
        answer = subject.place(ask)
        if isinstance(answer, Found) and len(ask.pod_sets) == 1:
            assert isinstance(subject.could_ever_place(ask), Found)
            subject.hold(f"workload:ns/{at}", answer.placement)


@settings(max_examples=60, deadline=None)
@given(nodes(), st.integers(1, 4), st.integers(0, 2))
def test_a_single_class_without_constraints_is_refused_only_if_it_does_not_fit(
    made: list[Node], cpu: int, gpus: int
) -> None:
    """Gangs of one class on any nodes: the largest that is placed is what fits node by node."""
    subject = fleet(*made)
    pod = pods(cpu, gpus)
    room = 0
    for each in made:
        if not each.ready or each.taints:
            continue
        allocatable = dict(each.allocatable)
        healthy = sum(device.healthy for device in each.devices)
        fits = min(allocatable["pods"], allocatable["cpu"] // (cpu * 1000))
        room += min(fits, healthy // gpus) if gpus else fits
    assert isinstance(subject.place(Ask((PodSetAsk("main", room, pod),))), Found)
    assert not isinstance(subject.place(Ask((PodSetAsk("main", room + 1, pod),))), Found)
