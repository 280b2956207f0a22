"""Kueue's encoding of topology assignments, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.ingest.topology import EncodingError, decode, encode
from roadstead.kinds.object import Json
from roadstead.model.workload import TopologyAssignment


def test_common_parts_are_written_once() -> None:
    assignment = TopologyAssignment(
        ("rack", "kubernetes.io/hostname"), ((("r1", "node-1.lan"), 2), (("r1", "node-2.lan"), 2))
    )
    assert encode(assignment) == {
        "levels": ["rack", "kubernetes.io/hostname"],
        "slices": [
            {
                "domainCount": 2,
                "valuesPerLevel": [
                    {"universal": "r1"},
                    {"individual": {"prefix": "node-", "suffix": ".lan", "roots": ["1", "2"]}},
                ],
                "podCounts": {"universal": 2},
            }
        ],
    }


def test_the_older_form_is_read_too() -> None:
    old = {"levels": ["rack"], "domains": [{"values": ["r1"], "count": 2}, {"values": ["r2"], "count": 1}]}
    assert decode(old) == TopologyAssignment(("rack",), ((("r1",), 2), (("r2",), 1)))


@given(
    st.integers(1, 3).flatmap(
        lambda levels: st.lists(
            st.tuples(st.tuples(*[st.text("ab-1.", max_size=5)] * levels), st.integers(1, 9)), max_size=6
        ).map(lambda domains: TopologyAssignment(tuple("abc"[:levels]), tuple(domains)))
    )
)
def test_what_is_encoded_is_decoded_to_the_same(assignment: TopologyAssignment) -> None:
    assert decode(encode(assignment)) == assignment


@pytest.mark.parametrize(
    "piece",
    [
        {},
        {"domainCount": 2, "valuesPerLevel": [{"individual": {"roots": ["1"]}}], "podCounts": {"universal": 1}},
        {"domainCount": 1, "valuesPerLevel": [], "podCounts": {"universal": 1}},
        {"domainCount": 2, "valuesPerLevel": [{"universal": "a"}], "podCounts": {"individual": [1]}},
        {"domainCount": "x", "valuesPerLevel": [{"universal": "a"}], "podCounts": {"universal": 1}},
        {"domainCount": 1, "valuesPerLevel": [3], "podCounts": {"universal": 1}},
    ],
)
def test_lengths_that_disagree_are_refused(piece: Json) -> None:
    with pytest.raises(EncodingError):
        decode({"levels": ["rack"], "slices": [piece]})
