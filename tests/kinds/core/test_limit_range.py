"""LimitRanges."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.names import LIMIT_RANGES
from roadstead.kinds.object import Json
from tests.kinds.way import check_new, kind_of, texts

KIND = kind_of(LIMIT_RANGES)


def made(*limits: Json) -> tuple[list[Json], list[str]]:
    obj, found = check_new(KIND, {"metadata": {"name": "r"}, "spec": {"limits": list(limits)}})
    return obj["spec"]["limits"], texts(found)


def test_missing_defaults_follow_from_the_others() -> None:
    limits, found = made({"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Gi"}})
    assert not found
    assert limits[0] == {
        "type": "Container",
        "max": {"cpu": "2"},
        "min": {"cpu": "1", "memory": "1Gi"},
        "default": {"cpu": "2"},
        "defaultRequest": {"cpu": "2", "memory": "1Gi"},
    }
    assert made({"type": "Pod", "max": {"cpu": "2000m"}})[0] == [{"type": "Pod", "max": {"cpu": "2"}}]


HERE = "spec.limits[0]"


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"type": "Node"}, f'{HERE}.type: Invalid value: "Node": must be a standard limit type or fully qualified'),
        ({"type": "Pod", "default": {"cpu": "1"}}, f"{HERE}.default: Forbidden: may not be specified when `type` is 'Pod'"),
        ({"type": "Container", "max": {"pods": "1"}}, f'{HERE}.max[pods]: Invalid value: "pods": must be a standard resource for containers'),
        ({"type": "Pod", "max": {"wood": "1"}}, f'{HERE}.max[wood]: Invalid value: "wood": must be a standard resource type or fully qualified'),
        ({"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}}, f'{HERE}.min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'),
        (
            {"type": "Container", "defaultRequest": {"cpu": "3"}, "default": {"cpu": "2"}},
            f'{HERE}.defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than default limit value 2',
        ),
        (
            {"type": "Container", "default": {"cpu": "1"}, "min": {"cpu": "2"}, "defaultRequest": {"cpu": "2"}},
            f'{HERE}.default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
        ),
        (
            {"type": "Container", "default": {"cpu": "3"}, "max": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}},
            f'{HERE}.default[cpu]: Invalid value: "2": default value 3 is greater than max value 2',
        ),
        (
            {"type": "Pod", "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "500m"}},
            f'{HERE}.maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1',
        ),
        (
            {"type": "Pod", "max": {"cpu": "4"}, "min": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}},
            f'{HERE}.maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000',
        ),
        (
            {"type": "Container", "default": {"nvidia.com/gpu": "2"}, "defaultRequest": {"nvidia.com/gpu": "1"}},
            f'{HERE}.defaultRequest[nvidia.com/gpu]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in nvidia.com/gpu',
        ),
        (
            {"type": "PersistentVolumeClaim", "default": {"storage": "1Gi"}},
            f"{HERE}.limits: Required value: either minimum or maximum storage value is required, but neither was provided",
        ),
    ],
)  # fmt: skip
def test_rules(item: Json, why: str) -> None:
    assert why in made(item)[1]


def test_each_type_once() -> None:
    one: Any = {"type": "Pod", "max": {"cpu": "1"}}
    assert made(one, one)[1] == ['spec.limits[1].type: Duplicate value: "Pod"']


def test_storage_is_for_claims() -> None:
    assert made({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}})[1] == []
