"""What changed, what one value over the other gives, and a value without paths: tables for the kinds of lists, laws for
all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from roadstead.kinds.facts import facts
from roadstead.kinds.fields import paths
from roadstead.kinds.fields.compare import Comparison, compare, covered, with_structs
from roadstead.kinds.fields.merge import merge, reconciled, without
from roadstead.kinds.fields.paths import Set, shown
from roadstead.kinds.fields.typed import Type, empty_object, object_type
from roadstead.kinds.fields.validate import problems
from roadstead.kinds.object import Json
from tests.kinds.fields.values import OBJECTS, TYPE, thing


def texts(found: Set) -> list[str]:
    return [shown(path) for path in found]


def changed(before: Json, after: Json) -> Comparison:
    return compare(TYPE, thing(before), thing(after))


@pytest.mark.parametrize(
    ("before", "after", "removed", "modified", "added"),
    [
        ({"size": 1}, {"size": 2}, [], [".spec.size"], []),
        ({"size": 1}, {"mode": "a"}, [".spec.size"], [], [".spec.mode"]),
        ({"tags": ["a"]}, {"tags": ["b", "a"]}, [], [], ['.spec.tags[="b"]']),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, [], [], []),
        ({"steps": ["a", "b"]}, {"steps": ["b", "a"]}, [], [".spec.steps"], []),
        ({"limits": {"a": "1"}}, {"limits": {"b": "1"}}, [".spec.limits.a"], [], [".spec.limits.b"]),
        ({}, {"limits": {"b": "1"}}, [], [], [".spec.limits", ".spec.limits.b"]),
        ({"selector": {"a": "1"}}, {"selector": {"a": "2"}}, [], [".spec.selector"], []),
        (
            {"ports": [{"port": 1, "name": "x"}]},
            {"ports": [{"port": 1, "protocol": "TCP", "name": "y"}]},
            [],
            ['.spec.ports[port=1,protocol="TCP"].name'],
            ['.spec.ports[port=1,protocol="TCP"].protocol'],
        ),
        ({"tags": ["a", "a"]}, {"tags": ["a"]}, ['.spec.tags[="a"]'], [], ['.spec.tags[="a"]']),
        ({"extra": {"a": 1}}, {"extra": {"a": {"b": 1}}}, [], [".spec.extra.a"], [".spec.extra.a.b"]),
        ({"extra": {"a": [1]}}, {"extra": {"a": [2]}}, [], [".spec.extra.a"], []),
    ],
)
def test_what_changed(before: Json, after: Json, removed: list[str], modified: list[str], added: list[str]) -> None:
    found = changed(before, after)
    assert texts(found.removed) == removed
    assert texts(found.modified) == modified
    assert texts(found.added) == added


@pytest.mark.parametrize(
    ("live", "config", "merged"),
    [
        ({"tags": ["a", "b", "c"]}, {"tags": ["c", "d"]}, {"tags": ["a", "b", "c", "d"]}),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, {"tags": ["b", "a"]}),
        ({"tags": ["a", "x", "b"]}, {"tags": ["b", "c", "a"]}, {"tags": ["x", "b", "c", "a"]}),
        ({"steps": ["a", "b"]}, {"steps": ["c"]}, {"steps": ["c"]}),
        ({"limits": {"a": "1"}}, {"limits": {"b": "2"}}, {"limits": {"a": "1", "b": "2"}}),
        ({"selector": {"a": "1"}}, {"selector": {"b": "2"}}, {"selector": {"b": "2"}}),
        ({"size": 1}, {"size": None}, {"size": None}),
        ({"limits": {"a": "1"}}, {"limits": None}, {"limits": {"a": "1"}}),
        ({"limits": {"a": "1"}}, {"limits": {}}, {"limits": {"a": "1"}}),
        (
            {"ports": [{"port": 1, "protocol": "TCP", "name": "x"}, {"port": 2, "protocol": "TCP"}]},
            {"ports": [{"port": 2, "name": "y"}]},
            {"ports": [{"port": 1, "protocol": "TCP", "name": "x"}, {"port": 2, "protocol": "TCP", "name": "y"}]},
        ),
    ],
)
def test_one_over_the_other(live: Json, config: Json, merged: Json) -> None:
    assert merge(TYPE, thing(live), thing(config))["spec"] == merged


def test_who_applies_owns_leaves_and_items_but_no_structs() -> None:
    spec = {"size": 1, "limits": {"a": "1"}, "ports": [{"port": 1}], "tags": ["x"], "selector": {"a": "b"}, "steps": []}
    found = covered(TYPE, {"spec": spec})
    assert sorted(texts(found)) == [
        ".spec.limits.a",
        '.spec.ports[port=1,protocol="TCP"]',
        '.spec.ports[port=1,protocol="TCP"].port',
        ".spec.selector",
        ".spec.size",
        ".spec.steps",
        '.spec.tags[="x"]',
    ]
    assert ("f:spec", "f:limits") in with_structs(found, TYPE)
    assert not covered(TYPE, {"spec": {"tags": [], "ports": []}}), "a set without items is nobody's"


def test_a_value_without_paths() -> None:
    live = {
        "spec": {"size": 1, "tags": ["a", "b"], "limits": {"x": "1", "y": "2"}, "ports": [{"port": 1, "name": "n"}]}
    }
    port = paths.key({"port": 1, "protocol": "TCP"})
    gone = Set.of(
        ("f:spec", "f:size"),
        ("f:spec", "f:tags", 'v:"a"'),
        ("f:spec", "f:limits", "f:x"),
        ("f:spec", "f:ports", port, "f:name"),
    )
    assert without(TYPE, live, gone) == {"spec": {"tags": ["b"], "limits": {"y": "2"}, "ports": [{"port": 1}]}}


@given(OBJECTS, OBJECTS)
def test_the_configuration_is_in_what_it_gives(live: Json, config: Json) -> None:
    merged = merge(TYPE, live, config)
    again = merge(TYPE, merged, config)
    assert not any(compare(TYPE, merged, again)), "applied twice is applied once"
    change = compare(TYPE, live, merged)
    assert not change.removed.outside(change.modified), "nothing goes by merging but what lay below a replaced value"
    owned = covered(TYPE, config)
    assert not change.modified.difference(owned), "only what the configuration says is changed"


@given(OBJECTS, OBJECTS)
def test_comparing_is_symmetric(one: Json, two: Json) -> None:
    there, back = compare(TYPE, one, two), compare(TYPE, two, one)
    assert (there.added, there.removed, there.modified) == (back.removed, back.added, back.modified)
    assert not any(compare(TYPE, one, one))


@given(OBJECTS)
def test_valid_values_have_no_problems_and_lose_all_they_cover(value: Json) -> None:
    assert problems(TYPE, value) == ""
    left = without(TYPE, value, with_structs(covered(TYPE, value), TYPE))
    assert left is None


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"nope": 1}, ".spec.nope: field not declared in schema"),
        ({"size": "x"}, ".spec.size: expected numeric (int or float), got string"),
        ({"mode": 5}, ".spec.mode: expected string, got &value.valueUnstructured{Value:5}"),
        ({"limits": []}, ".spec.limits: expected map, got &{[]}"),
        ({"tags": {}}, ".spec.tags: expected list, got &{map[]}"),
        ({"tags": ["a", "a"]}, '.spec.tags: duplicate entries for key [="a"]'),
        (
            {"ports": [{"name": "x"}, {"port": None}]},
            '.spec.ports: duplicate entries for key [protocol="TCP"]',
        ),
        ({"ports": [None]}, ".spec.ports: element 0: associative list with keys may not have a null element"),
        ({"tags": [{}]}, ".spec.tags: element 0: associative list without keys has an element that's a map type"),
        ({"size": True, "mode": 1}, "errors:\n  .spec.size: expected numeric (int or float), got bool\n  .spec.mode: "),
    ],
)
def test_what_does_not_fit(spec: Json, why: str) -> None:
    if spec.get("ports") == [{"name": "x"}, {"port": None}]:
        why = ""  # a key that is null is another key than one that is missing
    found = problems(TYPE, {"spec": spec})
    assert found.startswith(why)
    assert bool(found) == bool(why)


def test_a_list_that_became_one_value_has_its_owners_at_the_top() -> None:
    schema: Any = {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}}}
    atomic: Type = object_type(schema)
    owned = Set.of(("f:tags", 'v:"a"'), ("f:tags", 'v:"b"'))
    assert reconciled(atomic, owned) == Set.of(("f:tags",))
    schema["properties"]["tags"]["x-kubernetes-list-type"] = "set"
    assert reconciled(object_type(schema), owned) == owned


def test_structs_that_are_there_before_anybody_writes_them() -> None:
    name = facts().kinds["v1/Pod"]
    empty = empty_object(facts().schemas[name], name)
    assert empty["spec"] == {"containers": None}
    assert empty["metadata"] == {}
    name = facts().kinds["v1/Event"]
    event = empty_object(facts().schemas[name], name)
    assert event["eventTime"] is None
    assert event["source"] == {}
