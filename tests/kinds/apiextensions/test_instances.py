"""Objects of a definition: pruned, defaulted, validated, by rules too; as they were stored and as they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.apiextensions.instances import Readers, defined_kinds
from roadstead.kinds.object import Json, Object
from roadstead.kinds.registry import EVERY_VERSION, Kind, Registry
from roadstead.kinds.schema import DecodeError
from tests.kinds.apiextensions.widgets import accepted, crd, kinds_of, widget
from tests.kinds.way import check_change, check_new, texts


def of(schema: Json, **version: Any) -> Kind:
    (kind,) = kinds_of(crd(schema, **version))
    return kind


def obj(properties: Json, **more: Any) -> Json:
    return {"type": "object", "properties": properties, **more}


def test_unknown_fields_go_and_defaults_come() -> None:
    kind = of(
        obj(
            {
                "n": {"type": "integer", "default": 3},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            }
        )
    )
    value = widget(kind, {"z": 1, "n": None, "free": {"a": {"b": None}}}, extra=1)
    assert kind.schema.check(value, "Warn") == ['unknown field "extra"', 'unknown field "spec.z"']
    assert value["spec"] == {"n": 3, "free": {"a": {"b": None}}}
    with pytest.raises(DecodeError, match="strict decoding error: unknown field"):
        kind.schema.check(widget(kind, {"z": 1}), "Strict")


def test_below_what_is_kept_the_known_is_pruned_again() -> None:
    known = obj({"a": {"type": "integer"}})
    kind = of({**obj({"known": known}), "x-kubernetes-preserve-unknown-fields": True})
    value = widget(kind, {"other": {"x": 1}, "known": {"a": 1, "b": 2}})
    kind.schema.check(value)
    assert value["spec"] == {"other": {"x": 1}, "known": {"a": 1}}


@pytest.mark.parametrize(
    ("schema", "value", "says"),
    [
        ({"type": "string"}, True, 'spec.a: Invalid value: "boolean": spec.a in body must be of type string: "boolean"'),
        ({"type": "integer", "exclusiveMinimum": True, "minimum": 0}, 0, "spec.a: Invalid value: 0: spec.a in body should be greater than 0"),
        ({"type": "number", "maximum": 0.5}, 0.75, "spec.a: Invalid value: 0.75: spec.a in body should be less than or equal to 0.5"),
        ({"type": "integer", "multipleOf": 3}, 4, "spec.a: Invalid value: 4: spec.a in body should be a multiple of 3"),
        ({"type": "array", "minItems": 2, "items": {"type": "string"}}, ["x"], "spec.a: Invalid value: 1: spec.a in body should have at least 2 items"),
        ({"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}, {}, "spec.a: Invalid value: 0: spec.a in body should have at least 1 properties"),
        ({"type": "integer", "enum": [1, 2]}, 3, 'spec.a: Unsupported value: 3: supported values: "1", "2"'),
        ({"type": "string", "format": "ipv4"}, "1.2.3", 'spec.a: Invalid value: "1.2.3": spec.a in body must be of type ipv4: "1.2.3"'),
        ({"type": "string", "not": {"pattern": "^x"}}, "xy", '<nil>: Invalid value: "": "spec.a" must not validate the schema (not)'),
        ({"x-kubernetes-int-or-string": True}, 1.5, 'spec.a: Invalid value: "number": spec.a in body must be of type integer,string: "number"'),
    ],
)  # fmt: skip
def test_sentences(schema: Json, value: Any, says: str) -> None:
    kind = of(obj({"a": schema}))
    assert says in texts(check_new(kind, widget(kind, {"a": value}))[1])


@pytest.mark.parametrize(("form", "good", "bad"), [
    ("date", "2026-02-28", "2026-02-30"), ("date-time", "2026-01-01T00:00:00Z", "x"), ("duration", "1h30m", "soon"),
    ("uuid", "5e9c7e3a-0b1f-4c9b-8f0a-0123456789ab", "5e9c"), ("byte", "aGk=", "a"), ("email", "a@example.com", "a"),
    ("hostname", "a.example.com", "a_b"), ("ipv6", "::1", "1.2.3.4"), ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
    ("uri", "https://example.com/x", "example"), ("mac", "01:23:45:67:89:ab", "01:23"), ("isbn10", "0321751043", "0321751044"),
    ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"), ("hexcolor", "#fff", "#ff"), ("rgbcolor", "rgb(1, 2, 255)", "rgb(1,2,256)"),
    ("ssn", "111-22-3333", "111"), ("bsonobjectid", "0" * 24, "0"), ("k8s-short-name", "a-b", "A"),
])  # fmt: skip
def test_formats(form: str, good: str, bad: str) -> None:
    kind = of(obj({"a": {"type": "string", "format": form}}))
    assert texts(check_new(kind, widget(kind, {"a": good}))[1]) == []
    assert texts(check_new(kind, widget(kind, {"a": bad}))[1]) != []


RULED = obj(
    {
        "min": {"type": "integer"},
        "max": {"type": "integer"},
        "name": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is for good"}]},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "maxItems": 9, "items": {"type": "string"}},
        "a.b": {"type": "integer"},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
            "items": obj(
                {"id": {"type": "string"}, "n": {"type": "integer"}},
                required=["id"],
                **{"x-kubernetes-validations": [{"rule": "!has(self.n) || self.n >= oldSelf.n", "fieldPath": ".n"}]},
            ),
        },
    },
    **{
        "x-kubernetes-validations": [
            {"rule": "!has(self.min) || !has(self.max) || self.min <= self.max", "messageExpression": "'min ' + string(self.min)"},
            {"rule": "!has(self.a__dot__b) || self.a__dot__b < 3", "reason": "FieldValueForbidden"},
            {"rule": "!has(self.tags) || self.tags == ['x', 'y'] || !('x' in self.tags)", "message": "x needs y"},
        ]
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"min": 2, "max": 1}, ["spec: Invalid value: min 2"]),
        ({"a.b": 5}, ["spec: Forbidden: failed rule: !has(self.a__dot__b) || self.a__dot__b < 3"]),
        ({"tags": ["y", "x"]}, []),
        ({"tags": ["x"]}, ["spec: Invalid value: x needs y"]),
        ({"name": "a", "parts": [{"id": "p", "n": 1}]}, []),
    ],
)
def test_rules(spec: Json, says: list[str]) -> None:
    kind = of(RULED)
    assert texts(check_new(kind, widget(kind, spec))[1]) == says


def test_rules_about_the_past() -> None:
    kind = of(RULED)
    old, _ = check_new(kind, widget(kind, {"name": "a", "parts": [{"id": "p", "n": 5}, {"id": "q", "n": 1}]}))
    new = {**old, "spec": {"name": "b", "parts": [{"id": "q", "n": 2}, {"id": "p", "n": 4}, {"id": "new", "n": 0}]}}
    found = check_change(kind, old, new)[1]
    assert texts(found) == [
        'spec.name: Invalid value: "b": is for good',
        "spec.parts[1].n: Invalid value: failed rule: !has(self.n) || self.n >= oldSelf.n",
    ]


def test_rules_wait_until_the_object_fits() -> None:
    kind = of(RULED)
    found = texts(check_new(kind, widget(kind, {"min": "x", "max": 1}))[1])
    assert len(found) == 2
    assert "some validation rules were not checked" in found[1]


def test_a_rule_that_costs_too_much_ends_the_checks() -> None:
    items = {"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [
        {"rule": "self.all(a, self.all(b, self.all(c, a + b + c >= 0)))"}
    ]}  # fmt: skip
    kind = of(obj({"a": items}))
    (found,) = texts(check_new(kind, widget(kind, {"a": [0] * 200}))[1])
    assert "no further validation rules will be run due to call cost exceeds limit" in found


def test_what_was_wrong_before_may_stay() -> None:
    loose = of(obj({"a": {"type": "string"}, "b": {"type": "string"}}))
    tight = of(obj({"a": {"type": "string", "maxLength": 2}, "b": {"type": "string", "maxLength": 2}}))
    old, _ = check_new(loose, widget(loose, {"a": "long", "b": "ok"}))
    assert texts(check_change(tight, old, {**old, "spec": {"a": "long", "b": "yes"[:2]}})[1]) == []
    assert [error.field for error in check_change(tight, old, {**old, "spec": {"a": "longer", "b": "ok"}})[1]] == [
        "spec.a"
    ]


def test_true_is_not_one() -> None:
    kind = of(obj({"a": {"type": "boolean"}}))
    old, _ = check_new(kind, widget(kind, {"a": True}))
    assert [error.field for error in check_change(kind, old, {**old, "spec": {"a": 1}})[1]] == ["spec.a"]


def test_objects_within_objects() -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    kind = of(obj({"t": inner}))
    value = widget(kind, {"t": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n", "bogus": 1}, "free": 1}})
    assert kind.schema.check(value, "Warn") == ['unknown field "spec.t.metadata.bogus"']
    assert value["spec"]["t"] == {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "free": 1}
    assert texts(check_new(kind, widget(kind, {"t": {}}))[1]) == [
        "spec.t.apiVersion: Required value",
        "spec.t.kind: Required value",
    ]


def test_status_and_generation_are_as_the_definition_says() -> None:
    plain, split = of(obj({})), of(obj({}), subresources={"status": {}})
    assert not plain.strategy.has_status
    assert split.strategy.has_status
    assert split.subresource("status") is not None


def test_a_scale_says_how_many() -> None:
    paths = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.s"}
    kind = of(obj({"n": {"type": "integer"}}), subresources={"scale": paths})
    assert kind.strategy.scale is not None
    value = widget(kind, {"n": 3}, status={"n": 2, "s": "a=b"})
    shown = kind.strategy.scale.view(value)
    assert (shown["spec"], shown["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})
    kind.strategy.scale.set(value, 5)
    assert value["spec"] == {"n": 5}
    assert texts(check_new(kind, widget(kind, {"n": -1}))[1]) == [
        ".spec.n: Invalid value: -1: should be a non-negative integer"
    ]


def versions() -> Json:
    whole = {
        "openAPIV3Schema": {"type": "object", "properties": {"spec": obj({"a": {"type": "integer", "default": 1}})}}
    }
    return crd(
        versions=[
            {"name": "v1", "served": True, "storage": True, "schema": whole},
            {"name": "v1beta1", "served": True, "storage": False, "schema": whole},
        ]
    )


def test_versions_are_kept_together_and_shown_apart() -> None:
    stable, beta = kinds_of(versions())
    assert stable.stored == beta.stored
    assert beta.stored.version == EVERY_VERSION
    stored = Object.of(
        beta.stored, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    )
    assert beta.read(stored).decode() == {
        "apiVersion": "example.com/v1beta1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"a": 1},
    }
    assert beta.to_store({"apiVersion": "example.com/v1beta1"}) == {"apiVersion": "example.com/v1"}
    assert not beta.is_stale(stored)


def test_who_reads_since_before_reads_by_the_new_schema() -> None:
    readers = Readers()
    (kind, _) = defined_kinds(accepted(versions()), readers)
    stored = Object.of(
        kind.stored, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    )
    assert kind.read(stored).decode()["spec"] == {"a": 1}
    later = versions()
    for version in later["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["a"]["default"] = 2
    defined_kinds(accepted(later), readers)
    assert kind.read(stored).decode()["spec"] == {"a": 2}


def test_nobody_defines_anew_what_is_there_for_good() -> None:
    own = of(obj({}))
    registry = Registry([own])
    registry.define(kinds_of(crd(obj({"other": {"type": "string"}}))))
    assert list(registry) == [own]
    assert registry.version == 1
    assert registry.fork().version == 0
