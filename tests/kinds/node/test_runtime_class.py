"""RuntimeClasses."""

from __future__ import annotations

import pytest

from roadstead.kinds.names import RUNTIME_CLASSES
from roadstead.kinds.object import Json
from tests.kinds.way import check_change, check_new, kind_of, texts

KIND = kind_of(RUNTIME_CLASSES)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"handler": "runsc", "overhead": {"podFixed": {"cpu": "100m"}}}, []),
        ({"handler": "runsc", "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]}}, []),
        ({"handler": "Run C"}, ["handler: Invalid value"]),
        ({"handler": ""}, ["handler: Required value"]),
        ({"handler": "r", "overhead": {"podFixed": {"wood": "1"}}}, ['overhead.limits[wood]: Invalid value: "wood"'] * 2),
        ({"handler": "r", "scheduling": {"nodeSelector": {"a b": "c"}}}, ["scheduling.nodeSelector: Invalid value"]),
        ({"handler": "r", "scheduling": {"tolerations": [{"operator": "Exists"}] * 2}}, ["scheduling.tolerations[1]: Duplicate value"]),
    ],
)  # fmt: skip
def test_rules(fields: Json, found: list[str]) -> None:
    problems = texts(check_new(KIND, {"metadata": {"name": "r"}, **fields})[1])
    assert len(problems) == len(found)
    assert all(problem.startswith(start) for problem, start in zip(problems, found, strict=True)), problems


def test_the_handler_never_changes() -> None:
    old, _ = check_new(KIND, {"metadata": {"name": "r"}, "handler": "a"})
    assert texts(check_change(KIND, old, {**old, "handler": "b"})[1]) == [
        'handler: Invalid value: "b": field is immutable'
    ]
