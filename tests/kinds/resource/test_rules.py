"""Rules that the recorded answers do not show: changes, columns, taint rules (served since 1.37), what a Placement may
say of claims."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.names import (
    DEVICE_CLASSES,
    DEVICE_TAINT_RULES,
    PLACEMENTS,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
)
from roadstead.kinds.object import Json, Resource
from tests.kinds.way import check_change, check_new, kind_of, texts

REQUEST: Json = {"name": "r", "exactly": {"deviceClassName": "c"}}
CLAIM: Json = {"metadata": {"name": "a"}, "spec": {"devices": {"requests": [REQUEST]}}}
TEMPLATE: Json = {"metadata": {"name": "a"}, "spec": {"spec": CLAIM["spec"]}}
RULE: Json = {
    "metadata": {"name": "a"},
    "spec": {
        "deviceSelector": {"driver": "d.com", "pool": "p/q", "device": "e"},
        "taint": {"key": "k", "value": "v", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"},
    },
}
SLICE: Json = {
    "metadata": {"name": "a"},
    "spec": {
        "driver": "d.com",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
        "nodeName": "n",
        "devices": [{"name": "e", "taints": [{"key": "k", "effect": "NoSchedule"}]}],
    },
}
NOW = 1767225600 + 90.0


def changed(resource: Resource, value: Json, edit: Any, subresource: str = "") -> list[str]:
    kind = kind_of(resource)
    old, found = check_new(kind, value)
    assert texts(found) == []
    new = copy.deepcopy(old)
    edit(new)
    return texts(check_change(kind, old, new, subresource)[1])


def test_what_a_claim_or_template_asks_for_never_changes() -> None:
    def edit(claim: Json) -> None:
        claim["spec"]["devices"]["requests"][0]["exactly"]["count"] = 2

    [text] = changed(RESOURCE_CLAIMS, CLAIM, edit)
    assert text.startswith("spec: Invalid value: ")
    assert text.endswith("field is immutable")
    [text] = changed(RESOURCE_CLAIM_TEMPLATES, TEMPLATE, lambda value: edit(value["spec"]))
    assert text.startswith("spec: Invalid value: ")
    assert text.endswith("field is immutable")


@pytest.mark.parametrize(
    ("field", "value"), [("driver", "x.com"), ("nodeName", "m"), ("pool", {"name": "q", "resourceSliceCount": 1})]
)
def test_a_slice_stays_with_its_driver_pool_and_node(field: str, value: Any) -> None:
    [text] = changed(RESOURCE_SLICES, SLICE, lambda obj: obj["spec"].update({field: value}))
    assert text.endswith("field is immutable")


def test_taints_of_a_device_that_do_not_change_are_not_looked_at_again() -> None:
    kind = kind_of(RESOURCE_SLICES)
    old, _ = check_new(kind, SLICE)
    old["spec"]["devices"][0]["taints"] = [{"key": "k", "effect": "FromTheFuture"}]
    new = copy.deepcopy(old)
    new["spec"]["pool"]["generation"] = 2
    assert texts(check_change(kind, old, new)[1]) == []
    new["spec"]["devices"][0]["taints"].append({"key": "l", "effect": "NoSchedule"})
    assert len(texts(check_change(kind, old, new)[1])) == 1


def test_expressions_of_a_class_that_do_not_change_are_not_compiled_again() -> None:
    kind = kind_of(DEVICE_CLASSES)
    old, _ = check_new(kind, {"metadata": {"name": "a"}, "spec": {"selectors": [{"cel": {"expression": "true"}}]}})
    old["spec"]["selectors"][0]["cel"]["expression"] = "fromTheFuture()"
    new = copy.deepcopy(old)
    new["spec"]["extendedResourceName"] = "example.com/gpu"
    assert texts(check_change(kind, old, new)[1]) == []
    new["spec"]["selectors"].append({"cel": {"expression": "true"}})
    assert len(texts(check_change(kind, old, new)[1])) == 1


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (RULE["spec"], []),
        ({"taint": {"key": "k", "effect": "None"}}, []),
        ({"deviceSelector": {}, "taint": {"key": "k", "effect": "NoSchedule"}}, []),
        (
            {"deviceSelector": {"driver": "", "pool": "A", "device": "B_"}, "taint": {"key": "", "effect": "x"}},
            [
                "spec.deviceSelector.driver: Required value",
                "spec.deviceSelector.pool: Invalid value",
                "spec.deviceSelector.device: Invalid value",
                "spec.taint.key: Invalid value",
                "spec.taint.key: Invalid value",
                'spec.taint.effect: Unsupported value: "x": supported values: "NoExecute", "NoSchedule", "None"',
            ],
        ),
        ({"taint": {"key": "k"}}, ["spec.taint.effect: Required value"]),
    ],
)
def test_taint_rules(spec: Json, expected: list[str]) -> None:
    _, found = check_new(kind_of(DEVICE_TAINT_RULES), {"metadata": {"name": "a"}, "spec": spec})
    assert len(found) == len(expected)
    for text, start in zip(texts(found), expected, strict=True):
        assert text.startswith(start)


def test_a_rules_status_holds_at_most_eight_conditions() -> None:
    condition = {"status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}

    def edit(rule: Json) -> None:
        rule["status"]["conditions"] = [{"type": f"t{number}", **condition} for number in range(9)]

    assert changed(DEVICE_TAINT_RULES, RULE, edit, "status") == [
        "status.conditions: Too many: 9: must have at most 8 items"
    ]


@pytest.mark.parametrize(
    ("resource", "value", "cells"),
    [
        (DEVICE_CLASSES, {"metadata": {"name": "a"}}, ["a", "90s"]),
        (RESOURCE_CLAIMS, CLAIM, ["a", "pending", "90s"]),
        (RESOURCE_CLAIM_TEMPLATES, TEMPLATE, ["a", "90s"]),
        (RESOURCE_SLICES, SLICE, ["a", "n", "d.com", "p", "90s"]),
        (DEVICE_TAINT_RULES, RULE, ["a", "k", "v", "NoExecute", "90s", "90s"]),
    ],
)
def test_columns(resource: Resource, value: Json, cells: list[str]) -> None:
    kind = kind_of(resource)
    obj, _ = check_new(kind, value)
    assert kind.strategy.cells(obj, NOW) == cells


@pytest.mark.parametrize(
    ("status", "deleted", "state"),
    [
        ({}, False, "pending"),
        ({}, True, "deleted"),
        ({"allocation": {}}, False, "allocated"),
        ({"allocation": {}, "reservedFor": [{}]}, False, "allocated,reserved"),
        ({"allocation": {}, "reservedFor": [{}]}, True, "deleted,allocated,reserved"),
    ],
)
def test_the_state_of_a_claim(status: Json, deleted: bool, state: str) -> None:
    kind = kind_of(RESOURCE_CLAIMS)
    obj, _ = check_new(kind, CLAIM)
    obj["status"] = status
    if deleted:
        obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert kind.strategy.cells(obj, NOW)[1] == state


def placement(*members: Json) -> list[str]:
    spec = {"workload": {"name": "w", "uid": "u"}, "podSets": [{"name": "main", "members": list(members)}]}
    kind = kind_of(PLACEMENTS)
    obj, found = check_new(kind, {"metadata": {"name": "a"}, "spec": spec}, mode="Strict")
    return texts([*kind.schema.validate(obj), *found])


def member(device: str, **result: Any) -> Json:
    given = {"request": "r", "driver": "d.com", "pool": "n", "device": device, **result}
    return {"node": "n", "claims": [{"name": "c", "allocation": {"devices": {"results": [given]}}}]}


def test_a_placement_gives_a_device_to_one_claim_or_to_one_that_is_shared() -> None:
    assert placement(member("a"), member("b")) == []
    assert placement(member("a"), member("a")) == [], "one claim for both"
    assert placement(member("a"), member("a", request="s")) == [
        'spec.podSets[0].members[1].claims[0].allocation.devices.results[0]: Invalid value: "d.com/n/a": '
        "it is given to another member's claim already"
    ]
    assert placement(member("a"), member("a", request="s", adminAccess=True)) == []
    assert placement(member("a", shareID="1"), member("a", shareID="2")) == []


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([{"name": "gpu", "resourceClaimName": "a-gpu-1"}, {"name": "net"}], []),
        (
            [{"name": "disk"}],
            [
                'status.resourceClaimStatuses[0].name: Invalid value: "disk": '
                "must match the name of an entry in `spec.resourceClaims`"
            ],
        ),
        (
            [{"name": "gpu"}, {"name": "gpu"}],
            ['status.resourceClaimStatuses[1].name: Duplicate value: "gpu"'],
        ),
        ([{"name": "gpu", "resourceClaimName": "A"}], ["status.resourceClaimStatuses[0].resourceClaimName: Invalid"]),
    ],
)
def test_which_claims_were_made_for_a_pod(statuses: list[Json], expected: list[str]) -> None:
    claims = [{"name": name, "resourceClaimTemplateName": "t"} for name in ("gpu", "net")]
    spec = {"containers": [{"name": "c", "image": "i:1"}], "resourceClaims": claims}
    value = {"metadata": {"name": "a"}, "spec": spec}
    found = changed(PODS, value, lambda pod: pod["status"].update(resourceClaimStatuses=statuses), "status")
    assert len(found) == len(expected)
    for text, start in zip(found, expected, strict=True):
        assert text.startswith(start)
