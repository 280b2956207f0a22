"""The rules of kueue.md 4.4, row by row: which hosts a request gets, and the same answer from the Placement."""

from __future__ import annotations

from collections import Counter

import pytest

from roadstead.model.refusals import Code, Verdict
from roadstead.model.workload import TopologyRequest

from .build import HOST, ask, by_node, found, racks, refused

A = {"b1/r1/n1": 2, "b1/r1/n2": 2, "b1/r2/n3": 1, "b2/r1/n4": 3}
B = {"b1/r1/n1": 4, "b1/r1/n2": 3, "b1/r2/n3": 6, "b1/r2/n4": 2}


def required(level: str) -> TopologyRequest:
    return TopologyRequest(required=level)


def preferred(level: str) -> TopologyRequest:
    return TopologyRequest(preferred=level)


UNCONSTRAINED = TopologyRequest(unconstrained=True)


@pytest.mark.parametrize(
    ("free", "request_", "count", "expected"),
    [
        pytest.param(A, required("rack"), 4, {"n1": 2, "n2": 2}, id="a rack that holds exactly four"),
        pytest.param(A, required("rack"), 3, {"n4": 3}, id="the rack of three fits better than the one of four"),
        pytest.param(A, preferred("rack"), 5, {"n1": 2, "n2": 2, "n3": 1}, id="no rack holds five: one block does"),
        pytest.param(A, preferred("rack"), 6, {"n1": 2, "n2": 1, "n4": 3}, id="two blocks, then racks of four and two"),
        pytest.param(A, preferred("rack"), 7, {"n1": 2, "n2": 2, "n4": 3}, id="two blocks, two racks"),
        pytest.param(A, required("block"), 4, {"n1": 2, "n2": 2}, id="within a block few racks are used"),
        pytest.param(A, UNCONSTRAINED, 2, {"n1": 2}, id="the least free node that fits"),
        pytest.param(A, UNCONSTRAINED, 3, {"n4": 3}, id="only one node holds three"),
        pytest.param(A, UNCONSTRAINED, 6, {"n1": 2, "n2": 2, "n3": 1, "n4": 1}, id="least free nodes first"),
        pytest.param(
            A,
            TopologyRequest(required="block", slice_level=HOST, slice_size=2),
            4,
            {"n1": 2, "n2": 2},
            id="pairs of pods stay on a host",
        ),
        pytest.param(
            A,
            TopologyRequest(preferred="block", slice_level="rack", slice_size=3),
            6,
            {"n1": 2, "n2": 1, "n4": 3},
            id="slices of three stay within a rack",
        ),
        pytest.param(B, required("rack"), 3, {"n2": 3}, id="best rack, then best node"),
        pytest.param(B, required("rack"), 7, {"n1": 4, "n2": 3}, id="a whole rack"),
        pytest.param(B, preferred("rack"), 8, {"n3": 6, "n4": 2}, id="the other whole rack"),
        pytest.param(B, preferred("rack"), 9, {"n2": 3, "n3": 6}, id="a block: the largest node, then the best fit for the rest"),
        pytest.param(B, UNCONSTRAINED, 5, {"n3": 5}, id="the only node that holds five"),
        pytest.param(
            B,
            TopologyRequest(required="block", slice_level="rack", slice_size=4),
            8,
            {"n3": 6, "n4": 2},
            id="two slices of four fit best into the rack of eight",
        ),
    ],
)  # fmt: skip
def test_domains(free: dict[str, int], request_: TopologyRequest, count: int, expected: dict[str, int]) -> None:
    answer = racks(free).place(ask(count, request=request_))
    assert by_node(answer) == expected
    members = found(answer).placement.pod_sets[0].members
    assert Counter(member.node for member in members) == expected
    assert [member.node for member in members] == sorted(member.node for member in members)  # rank follows the domains


def test_a_rack_too_small_even_when_empty_must_be_asked_for_otherwise() -> None:
    refusal = refused(racks(A).place(ask(5, request=required("rack"))))
    assert (refusal.code, refusal.verdict, refusal.subject) == (Code.TOPOLOGY_TOO_SMALL, Verdict.CHANGE, "rack")
    assert (refusal.resource, refusal.needed, refusal.available, refusal.limit) == ("cpu", 5000, 4000, 4000)
