"""Placements: a device once, and never another decision in the same object."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.names import PLACEMENTS
from roadstead.kinds.object import Json
from tests.kinds.way import check_change, check_new, kind_of, texts

KIND = kind_of(PLACEMENTS)


def placement(*members: Json, **pod_set: Any) -> Json:
    sets = [{"name": "main", "requests": {"nvidia.com/gpu": "1"}, "members": list(members)} | pod_set]
    return {"metadata": {"name": "p"}, "spec": {"workload": {"name": "w", "uid": "u"}, "podSets": sets}}


def problems(value: Json) -> list[str]:
    return texts(check_new(KIND, value)[1])


def test_a_decision_is_kept_as_it_is() -> None:
    value = placement({"node": "n1", "devices": ["gpu-0", "gpu-3"]}, {"node": "n2"})
    obj, found = check_new(KIND, value, mode="Strict")
    assert texts(found) == []
    assert obj["spec"] == value["spec"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"metadata": {"name": "p"}}, "spec: Required value"),
        (placement({}), "spec.podSets[0].members[0].node: Required value"),
        (placement({"node": "Bad_Node"}), "spec.podSets[0].members[0].node in body should match"),
        (
            placement({"node": "n", "devices": ["a", "a"]}),
            'spec.podSets[0].members[0].devices[1]: Duplicate value: "a"',
        ),
        (placement({"node": "n"}, requests={"cpu": "lots"}), "spec.podSets[0].requests.cpu in body should match"),
        (placement({"node": "n"}, name="Main"), "spec.podSets[0].name in body should match"),
    ],
)
def test_rules(value: Json, text: str) -> None:
    found = problems(value)
    assert any(text in problem for problem in found), found


def test_a_device_is_given_once_per_node() -> None:
    assert problems(placement({"node": "n1", "devices": ["gpu-0"]}, {"node": "n2", "devices": ["gpu-0"]})) == []
    assert problems(placement({"node": "n1", "devices": ["gpu-0"]}, {"node": "n1", "devices": ["gpu-1", "gpu-0"]})) == [
        'spec.podSets[0].members[1].devices[1]: Invalid value: "gpu-0": node "n1" gives device "gpu-0" to another member already'
    ]


def test_the_spec_never_changes() -> None:
    old, _ = check_new(KIND, placement({"node": "n1"}))
    new = copy.deepcopy(old)
    new["spec"]["podSets"][0]["members"][0]["node"] = "n2"
    assert texts(check_change(KIND, old, new)[1]) == [
        "spec: Forbidden: a placement does not change; delete it and create another"
    ]
    new = copy.deepcopy(old)
    new["metadata"]["labels"] = {"a": "b"}
    assert texts(check_change(KIND, old, new)[1]) == []


def test_our_own_schema_describes_itself() -> None:
    def undescribed(schema: Json, path: str) -> list[str]:
        found = [] if "description" in schema or "ref" in schema or path.endswith("[]") else [path]
        for name, inner in schema.get("properties", {}).items():
            found += undescribed(inner, f"{path}.{name}")
        if "items" in schema:
            found += undescribed(schema["items"], f"{path}[]")
        return found

    assert (
        undescribed(KIND.schema.raw, "") == [".spec.podSets[].members[].devices[]"]
        or undescribed(KIND.schema.raw, "") == []
    )
