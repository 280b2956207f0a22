"""From annotations of a pod template to the pod set's topologyRequest."""

from __future__ import annotations

import pytest

from roadstead.integrations import topology
from roadstead.kinds.object import Json

INDEX = "batch.kubernetes.io/job-completion-index"
RACK, BLOCK = "example.com/rack", "example.com/block"
LAYERS = f'[{{"topology": "{BLOCK}", "size": 4}}, {{"topology": "{RACK}", "size": 2}}]'


@pytest.mark.parametrize(
    ("annotations", "wanted"),
    [
        ({}, None),
        ({"required": RACK}, {"required": RACK}),
        ({"preferred": RACK}, {"preferred": RACK}),
        ({"required": BLOCK, "preferred": RACK}, {"required": BLOCK}),
        ({"unconstrained": "true"}, {"unconstrained": True}),
        ({"unconstrained": "maybe"}, None),
        ({"slice-required": RACK, "slice-size": "2"}, {"podSetSliceRequiredTopology": RACK, "podSetSliceSize": 2}),
        (
            {"preferred": BLOCK, "slice-required": RACK, "slice-size": "2"},
            {"preferred": BLOCK, "podSetSliceRequiredTopology": RACK, "podSetSliceSize": 2},
        ),
        ({"slice-required": RACK, "slice-size": "two"}, None),
        (
            {"slice-constraints": LAYERS},
            {
                "podsetSliceRequiredTopologyConstraints": [
                    {"topology": BLOCK, "size": 4},
                    {"topology": RACK, "size": 2},
                ]
            },
        ),
        ({"slice-constraints": "[1]"}, None),
        ({"slice-constraints": "["}, None),
        ({"group": "g", "required": RACK}, {"required": RACK, "podSetGroupName": "g"}),
        ({"group": "g"}, None),
    ],
)
def test_what_is_asked_for(annotations: dict[str, str], wanted: Json | None) -> None:
    names = {
        "required": topology.REQUIRED,
        "preferred": topology.PREFERRED,
        "unconstrained": topology.UNCONSTRAINED,
        "slice-required": topology.SLICE_REQUIRED,
        "slice-size": topology.SLICE_SIZE,
        "slice-constraints": topology.SLICE_CONSTRAINTS,
        "group": topology.GROUP,
    }
    template = {"metadata": {"annotations": {names[key]: value for key, value in annotations.items()}}}
    found = topology.topology_request(template, INDEX)
    assert found == (None if wanted is None else {**wanted, "podIndexLabel": INDEX})


def test_a_template_without_metadata_asks_for_nothing() -> None:
    assert topology.topology_request({}, INDEX) is None
