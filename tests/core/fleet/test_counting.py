"""Demands that are asked about seldom are counted otherwise, and answered alike."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.core.fleet.ask import Ask, Found, PodSetAsk
from roadstead.core.fleet.counting import FLAT_QUESTIONS, FORESTS_MAX
from roadstead.core.fleet.flat import Flat
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.fleet.forest import Forest
from roadstead.core.fleet.shape import shape_of
from roadstead.core.undo import UndoLog
from roadstead.model.nodes import Node
from roadstead.model.selection import NodeTerm, Requirement
from roadstead.model.workload import PodClass, TopologyRequest

from .build import HOST, by_node, fleet, node, one, pods
from .test_laws import classes, nodes


@st.composite
def flat_asks(draw: st.DrawFn) -> Ask:
    requests = [
        None,
        TopologyRequest(required=HOST),
        TopologyRequest(preferred=HOST),
        TopologyRequest(unconstrained=True),
    ]
    return Ask(
        tuple(
            PodSetAsk(f"p{at}", draw(st.integers(0, 7)), draw(classes()), request=draw(st.sampled_from(requests)))
            for at in range(draw(st.integers(1, 2)))
        )
    )


def keep_counted(subject: Fleet, ask: Ask) -> None:
    """Give every demand of the ask a Forest."""
    for empty in (False, True):
        for pod_set in ask.pod_sets:
            demand, _ = shape_of(pod_set, None, assume_empty=empty, exact=True)
            subject._counting.forest(demand)


@settings(max_examples=150, deadline=None)
@given(nodes(), st.lists(flat_asks(), min_size=1, max_size=6), st.data())
def test_seldom_and_often_asked_demands_get_the_same_answers(
    made: list[Node], wanted: list[Ask], data: st.DataObject
) -> None:
    seldom, often = fleet(*made), fleet(*made)
    for at, ask in enumerate(wanted):
        keep_counted(often, ask)
        answer = often.place(ask)
        assert seldom.place(ask) == answer
        if isinstance(answer, Found) and data.draw(st.booleans()):
            holder = data.draw(st.sampled_from(["workload:ns/", "pod:ns/"])) + str(at)
            for each in (seldom, often):
                each.hold(holder, answer.placement)
        if data.draw(st.integers(0, 3)) == 0:
            changed = data.draw(st.sampled_from(data.draw(nodes())))
            for each in (seldom, often):
                each.set_node(changed)
                each.release("workload:ns/0")


def counts_of(subject: Fleet, ask: Ask) -> Forest | Flat:
    demand, _ = shape_of(ask.pod_sets[0], None, assume_empty=False, exact=True)
    return subject.counts(demand)


def test_a_demand_that_is_asked_about_often_is_kept_counted() -> None:
    subject = fleet(node("a", 4))
    kinds = [type(counts_of(subject, one())) for _ in range(FLAT_QUESTIONS + 2)]
    assert kinds == [Flat] * FLAT_QUESTIONS + [Forest] * 2


def test_more_kinds_of_pods_than_are_kept_do_not_chase_each_other_out() -> None:
    subject = fleet(node("a", 64))
    asks = [one(1, PodClass(requests=(("cpu", cpu),))) for cpu in range(1, FORESTS_MAX + 30)]
    for _ in range(FLAT_QUESTIONS + 2):
        for ask in asks:
            assert isinstance(subject.place(ask), Found)
    kept = subject._counting.kept()
    for ask in asks:
        assert isinstance(subject.place(ask), Found)
    assert len(kept) == FORESTS_MAX
    assert set(subject._counting.kept()) == set(kept)


def test_demands_that_fell_silent_make_room() -> None:
    subject = fleet(node("a", 64))
    for cpu in range(1, FORESTS_MAX + 1):
        for _ in range(FLAT_QUESTIONS + 1):
            subject.place(one(1, PodClass(requests=(("cpu", cpu),))))
    new = one(1, pods(3))
    for _ in range(20 * FORESTS_MAX):
        subject.place(new)
    assert isinstance(counts_of(subject, new), Forest)


def test_who_asks_for_a_node_by_name_is_not_answered_by_its_likes() -> None:
    subject = fleet(node("a", 4), node("b", 4))
    by_field = PodClass(node_affinity=(NodeTerm(fields=(Requirement("metadata.name", "In", ("b",)),)),))
    by_label = PodClass(node_selector=((HOST, "b"),))
    assert by_node(subject.place(one(1, by_field))) == {"b": 1}
    assert by_node(subject.place(one(1, by_label))) == {"b": 1}


def test_two_nodes_of_one_hostname_are_one_domain() -> None:
    subject = Fleet(UndoLog())
    for name in ("a", "b"):
        subject.set_node(Node(name, labels=((HOST, "same"),), allocatable=(("cpu", 2000), ("pods", 10))))
    wanted = Ask((PodSetAsk("main", 4, pods(1), request=TopologyRequest(required=HOST)),))
    answer = subject.place(wanted)
    assert by_node(answer) == {"same": 4}
    assert isinstance(answer, Found)
    assert [member.node for member in answer.placement.pod_sets[0].members] == ["a", "a", "b", "b"]
