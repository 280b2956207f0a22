"""Structural schemas: the sentences of custom kinds."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds import checking, structural
from roadstead.kinds.errors import FieldError
from roadstead.kinds.object import Json

SCHEMA: Json = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["group"],
            "properties": {
                "group": {"type": "string", "minLength": 1, "maxLength": 8, "pattern": "^[a-z0-9-]+$"},
                "weight": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 1000, "default": 7},
                "share": {"type": "number"},
                "paused": {"type": "boolean"},
                "strategy": {"type": "string", "enum": ["FIFO", "Priority"]},
                "until": {"type": "string", "format": "date-time"},
                "note": {"type": "string", "nullable": True},
                "limits": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "integer"}},
                "tags": {"type": "array", "maxItems": 3, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "flavors": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                },
                "quota": {"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+$"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
    },
}
CHECK = checking.checker(SCHEMA)
SHAPE = structural.shaper(SCHEMA)


def problems(spec: Any) -> list[tuple[str, str, str]]:
    found: list[FieldError] = []
    CHECK({"spec": spec}, "", found)
    return [(error.field, error.body, error.reason.removeprefix("FieldValue")) for error in found]


def shaped(spec: Json) -> tuple[Json, list[str]]:
    assert SHAPE is not None
    value: Json = {"spec": spec}
    unknown: list[str] = []
    SHAPE(value, "", unknown)
    return value["spec"], unknown


@pytest.mark.parametrize(
    ("spec", "field", "body", "reason"),
    [
        ({}, "spec.group", "Required value", "Required"),
        ({"group": 5}, "spec.group", 'Invalid value: "integer": spec.group in body must be of type string: "integer"', "TypeInvalid"),
        ({"group": ""}, "spec.group", 'Invalid value: "": spec.group in body should be at least 1 chars long', "Invalid"),
        ({"group": "B"}, "spec.group", "Invalid value: \"B\": spec.group in body should match '^[a-z0-9-]+$'", "Invalid"),
        ({"group": "a\n"}, "spec.group", "Invalid value: \"a\\n\": spec.group in body should match '^[a-z0-9-]+$'", "Invalid"),
        ({"group": "abcdefghi"}, "spec.group", "Too long: may not be more than 8 bytes", "TooLong"),
        ({"group": "a", "weight": -1}, "spec.weight", "Invalid value: -1: spec.weight in body should be greater than or equal to 0", "Invalid"),
        ({"group": "a", "weight": 1001}, "spec.weight", "Invalid value: 1001: spec.weight in body should be less than or equal to 1000", "Invalid"),
        ({"group": "a", "weight": "x"}, "spec.weight", 'Invalid value: "string": spec.weight in body must be of type integer: "string"', "TypeInvalid"),
        ({"group": "a", "share": "x"}, "spec.share", 'Invalid value: "string": spec.share in body must be of type number: "string"', "TypeInvalid"),
        ({"group": "a", "paused": 1}, "spec.paused", 'Invalid value: "integer": spec.paused in body must be of type boolean: "integer"', "TypeInvalid"),
        ({"group": "a", "strategy": "X"}, "spec.strategy", 'Unsupported value: "X": supported values: "FIFO", "Priority"', "NotSupported"),
        ({"group": "a", "until": "bad"}, "spec.until", 'Invalid value: "bad": spec.until in body must be of type date-time: "bad"', "TypeInvalid"),
        ({"group": "a", "limits": {"x": "1"}}, "spec.limits.x", 'Invalid value: "string": spec.limits.x in body must be of type integer: "string"', "TypeInvalid"),
        ({"group": "a", "limits": {"x": 1, "y": 1, "z": 1}}, "spec.limits", "Too many: 3: must have at most 2 items", "TooMany"),
        ({"group": "a", "tags": list("abcd")}, "spec.tags", "Too many: 4: must have at most 3 items", "TooMany"),
        ({"group": "a", "tags": ["x", "x"]}, "spec.tags[1]", 'Duplicate value: "x"', "Duplicate"),
        ({"group": "a", "flavors": [{"name": "a"}, {"name": "a"}]}, "spec.flavors[1]", 'Duplicate value: {"name":"a"}', "Duplicate"),
        ({"group": "a", "flavors": {}}, "spec.flavors", 'Invalid value: "object": spec.flavors in body must be of type array: "object"', "TypeInvalid"),
        ({"group": "a", "quota": "x"}, "spec.quota", "Invalid value: \"x\": spec.quota in body should match '^[0-9]+$'", "Invalid"),
    ],
)  # fmt: skip
def test_sentences(spec: Json, field: str, body: str, reason: str) -> None:
    assert problems(spec) == [(field, body, reason)]


@pytest.mark.parametrize(
    "spec",
    [
        {"group": "a", "note": None},
        {"group": "a", "quota": 5},
        {"group": "a", "share": 1},
        {"group": "a", "limits": {"x": 1}},
    ],
)
def test_what_fits(spec: Json) -> None:
    assert problems(spec) == []


def test_a_fraction_where_an_int32_belongs_is_told_twice() -> None:
    assert [field for field, _, _ in problems({"group": "a", "weight": 1.5})] == ["spec.weight", "<nil>"]


def test_pruning_defaults_and_nulls() -> None:
    spec, unknown = shaped(
        {
            "group": "a",
            "zzz": 1,
            "weight": None,
            "note": None,
            "share": None,
            "limits": {"x": None, "y": 1},
            "free": {"any": None},
        }
    )
    assert unknown == ["spec.zzz"]
    assert spec == {"group": "a", "weight": 7, "note": None, "limits": {"y": 1}, "free": {"any": None}}


def test_only_some_errors_keep_the_rules_from_running() -> None:
    def blocks(spec: Json) -> bool:
        found: list[FieldError] = []
        CHECK({"spec": spec}, "", found)
        return structural.blocks_rules(found)

    assert blocks({})
    assert blocks({"group": "a", "strategy": "X"})
    assert not blocks({"group": "B"})
    assert not blocks({"group": "a", "weight": 1001})


def test_the_status_endpoint_names_paths_from_the_status_on() -> None:
    check = checking.checker({"type": "object", "properties": {"phase": {"type": "string"}}}, "status")
    found: list[FieldError] = []
    check({"phase": 1}, "status", found)
    check("x", "status", found)
    assert [error.body for error in found] == [
        'Invalid value: "integer": phase in body must be of type string: "integer"',
        'Invalid value: "string":  in body must be of type object: "string"',
    ]
