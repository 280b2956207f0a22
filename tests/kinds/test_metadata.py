"""Names, labels, annotations, owners, finalizers."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds import metadata
from roadstead.kinds.names import CONFIG_MAPS, LOCAL_QUEUES, NAMESPACES
from roadstead.kinds.object import Json, Resource
from tests.kinds.way import kind_of, texts

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1"}


def problems(resource: Resource = CONFIG_MAPS, **given: Any) -> list[str]:
    value: Json = {"metadata": {"name": "a", "namespace": "default"} | given}
    return texts(metadata.validate_create(kind_of(resource), value))


@pytest.mark.parametrize(
    ("given", "field", "text"),
    [
        ({"name": ""}, "metadata.name", "Required value: name or generateName is required"),
        ({"name": "Bad_Name"}, "metadata.name", "a lowercase RFC 1123 subdomain must consist of"),
        ({"name": ".."}, "metadata.name", 'Invalid value: ".."'),
        ({"generateName": "Bad"}, "metadata.generateName", "a lowercase RFC 1123 subdomain"),
        ({"namespace": ""}, "metadata.namespace", "Required value"),
        ({"labels": {"bad key!": "a"}}, "metadata.labels", 'Invalid value: "bad key!": name part must consist of'),
        ({"labels": {"a": "bad value!"}}, "metadata.labels", 'Invalid value: "bad value!": a valid label must be'),
        ({"labels": {"k" * 64: "a"}}, "metadata.labels", "name part must be no more than 63 bytes"),
        ({"annotations": {"a b": "x"}}, "metadata.annotations", 'Invalid value: "a b": name part'),
        ({"annotations": {"a": "x" * 262144}}, "metadata.annotations", "Too long: may not be more than 262144 bytes"),
        ({"annotations": {"a": "é" * 131072}}, "metadata.annotations", "Too long: may not be more than 262144 bytes"),
        ({"finalizers": ["odd"]}, "metadata.finalizers[0]", "name is neither a standard finalizer name nor is it fully qualified"),
        ({"finalizers": ["orphan", "foregroundDeletion"]}, "metadata.finalizers", "cannot be both set"),
        ({"ownerReferences": [OWNER | {"apiVersion": "a/b/c"}]}, "metadata.ownerReferences.apiVersion", "version must not be empty"),
        ({"ownerReferences": [OWNER | {"uid": ""}]}, "metadata.ownerReferences.uid", 'Invalid value: "": must not be empty'),
        ({"ownerReferences": [OWNER | {"kind": "Event"}]}, "metadata.ownerReferences", "/v1, Kind=Event is disallowed from being an owner"),
        (
            {"ownerReferences": [OWNER | {"controller": True}, OWNER | {"controller": True, "uid": "2", "name": "p"}]},
            "metadata.ownerReferences",
            'Found "true" in references for ConfigMap/o and ConfigMap/p',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(given: Json, field: str, text: str) -> None:
    found = problems(**given)
    assert any(error.startswith(f"{field}: ") and text in error for error in found), found


@pytest.mark.parametrize(
    "given",
    [
        {"labels": {"x.y/z": "", "a": "A_b.c"}},
        {"annotations": {"UPPER/key": "any text"}},
        {"finalizers": ["orphan", "example.com/f"]},
        {"ownerReferences": [OWNER]},
        {"generateName": "train-"},
        {"name": "a.b-c.9"},
    ],
)
def test_what_is_allowed(given: Json) -> None:
    assert problems(**given) == []


def test_kinds_have_rules_of_their_own_for_names() -> None:
    assert problems(NAMESPACES, name="a.b", namespace="") == [
        'metadata.name: Invalid value: "a.b": must not contain dots'
    ]
    assert problems(NAMESPACES, name="a") == ["metadata.namespace: Forbidden: not allowed on this type"]


def test_custom_kinds_may_have_odd_finalizers_and_are_warned() -> None:
    assert problems(LOCAL_QUEUES, finalizers=["odd"]) == []
    value = {"metadata": {"finalizers": ["odd", "example.com/f"]}}
    (warning,) = metadata.warnings(value, is_custom=True)
    assert warning.startswith('metadata.finalizers: "odd": prefer a domain-qualified finalizer name')


def test_a_terminating_object_gets_no_new_finalizers() -> None:
    old = {"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/a", "x/b"]}}
    new = {"metadata": {"name": "a", "finalizers": ["x/b", "x/c"]}}
    found = texts(metadata.validate_update(kind_of(CONFIG_MAPS), new, old))
    why = 'no new finalizers can be added if the object is being deleted, found new finalizers []string{"x/c"}'
    assert found == [f"metadata.finalizers: Forbidden: {why}"] * 2
    assert metadata.validate_update(kind_of(CONFIG_MAPS), {"metadata": {"name": "a", "finalizers": []}}, old) == []
