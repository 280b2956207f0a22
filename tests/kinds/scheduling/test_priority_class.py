"""PriorityClasses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.names import PRIORITY_CLASSES
from roadstead.kinds.object import Json
from tests.kinds.way import check_change, check_new, kind_of, texts

KIND = kind_of(PRIORITY_CLASSES)


def problems(name: str = "high", **fields: Any) -> list[str]:
    return texts(check_new(KIND, {"metadata": {"name": name}} | fields)[1])


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("high", {"value": 1_000_000_001}, "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
        ("high", {"value": 1, "preemptionPolicy": "X"}, 'preemptionPolicy: Unsupported value: "X": supported values: "Never", "PreemptLowerPriority"'),
        ("system-x", {"value": 1}, "system-x is not a known system priority class"),
        ("system-node-critical", {"value": 1}, "value of system-node-critical PriorityClass must be 2000001000"),
    ],
)  # fmt: skip
def test_rules(name: str, fields: Json, text: str) -> None:
    assert any(text in problem for problem in problems(name, **fields))


def test_defaults_and_what_never_changes() -> None:
    old, found = check_new(KIND, {"metadata": {"name": "high"}, "value": 5, "globalDefault": False})
    assert texts(found) == []
    assert old["preemptionPolicy"] == "PreemptLowerPriority"
    assert "globalDefault" not in old
    new = copy.deepcopy(old) | {"value": 6, "preemptionPolicy": "Never"}
    assert texts(check_change(KIND, old, new)[1]) == [
        "value: Forbidden: may not be changed in an update.",
        'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]
