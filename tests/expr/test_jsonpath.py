"""The JSONPath of printer columns."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.expr import jsonpath

DOCUMENT: dict[str, Any] = {
    "spec": {"replicas": 2, "on": False, "list": [10, 20, 30], "a.b": "dotted"},
    "metadata": {"labels": {"x.y/z": "v"}},
    "status": {
        "conditions": [{"type": "Ready", "status": "True", "n": 3}, {"type": "Other", "status": "False", "n": 5}]
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.replicas", [2]),
        (".spec.on", [False]),
        ("{.spec.replicas}", [2]),
        ("$.spec.replicas", [2]),
        (".spec.list[1]", [20]),
        (".spec.list[-1]", [30]),
        (".spec.list[9]", []),
        (".spec.list[*]", [10, 20, 30]),
        (".spec['a.b']", ["dotted"]),
        (r".spec.a\.b", ["dotted"]),
        ('.metadata.labels["x.y/z"]', ["v"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Other')].status", ["False"]),
        (".status.conditions[?(@.n>3)].type", ["Other"]),
        (".status.conditions[?(@.n<=3)].type", ["Ready"]),
        (".status.conditions[?(@.type!='Ready')].n", [5]),
        (".status.conditions[?(@.missing)].n", []),
        (".nothing.here", []),
        (".spec.replicas.deeper", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert jsonpath.parse(path).find(DOCUMENT) == found
    assert jsonpath.parse(path).first(DOCUMENT) == (found[0] if found else None)


def test_what_is_not_understood_is_said_with_an_example() -> None:
    with pytest.raises(jsonpath.JSONPathError, match=r"write it like \.spec\.x\[0\]\.y"):
        jsonpath.parse(".spec[?]")


def test_text_of_values() -> None:
    assert jsonpath.text("a") == "a"
    assert jsonpath.text(True) == "true"
    assert jsonpath.text({"a": [1]}) == '{"a":[1]}'
