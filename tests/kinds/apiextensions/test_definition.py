"""What a definition may say, in the words of the real server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from roadstead.kinds.apiextensions import definition
from roadstead.kinds.object import Json
from tests.kinds.apiextensions.widgets import crd, errors_of
from tests.kinds.way import check_change, check_new, texts

SCHEMA = "spec.validation.openAPIV3Schema.properties[spec]"


def field(schema: Json) -> Json:
    return crd({"type": "object", "properties": {"a": schema}})


def test_defaults() -> None:
    made, found = check_new(definition.kind(), crd())
    assert texts(found) == []
    assert made["spec"]["names"]["singular"] == "widget"
    assert made["spec"]["names"]["listKind"] == "WidgetList"
    assert made["spec"]["conversion"] == {"strategy": "None"}
    assert made["status"] == {"conditions": None, "acceptedNames": {"kind": "", "plural": ""}, "storedVersions": ["v1"]}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({}, "properties[a].type: Required value: must not be empty for specified object fields"),
        ({"type": "bogus"}, 'properties[a].type: Unsupported value: "bogus": supported values: "array", "boolean", "integer", "number", "object", "string"'),
        ({"type": "array"}, "properties[a].items: Required value: must be specified"),
        ({"type": "string", "anyOf": [{"type": "string"}]}, "properties[a].anyOf[0].type: Forbidden: must be empty to be structural"),
        ({"type": "string", "pattern": "("}, 'properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ): `(`'),
        ({"type": "integer", "default": "x"}, 'properties[a].default: Invalid value: "string":  in body must be of type integer: "string"'),
        ({"type": "object", "default": {"z": 1}}, 'properties[a].default: Invalid value: {"z":1}: must not have unknown fields'),
        ({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}, "properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"),
        ({"type": "object", "allOf": [{"required": ["b"], "properties": {"b": {}}}]}, f"properties[a].properties[b]: Required value: because it is defined in {SCHEMA}.properties[a].allOf[0].properties[b]"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"),
        ({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "bogus"}, 'properties[a].x-kubernetes-list-type: Unsupported value: "bogus": supported values: "atomic", "set", "map"'),
        ({"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}, "properties[a].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"),
        ({"type": "string", "x-kubernetes-map-type": "atomic"}, 'properties[a].type: Invalid value: "string": must be object if x-kubernetes-map-type is specified'),
        ({"type": "object", "x-kubernetes-embedded-resource": True}, "properties[a].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"),
        ({"type": "string", "x-kubernetes-validations": [{"rule": ""}]}, "properties[a].x-kubernetes-validations[0].rule: Required value: rule is not specified"),
        ({"type": "string", "x-kubernetes-validations": [{"rule": "self.size()"}]}, 'properties[a].x-kubernetes-validations[0].rule: Invalid value: {"rule":"self.size()"}: cel expression must evaluate to a bool'),
        ({"type": "string", "x-kubernetes-validations": [{"rule": "true", "optionalOldSelf": True}]}, "properties[a].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"),
    ],
)  # fmt: skip
def test_schemas(schema: Json, says: str) -> None:
    assert errors_of(field(schema)) == [f"{SCHEMA}.{says}"]


def test_a_rule_that_does_not_compile_is_pointed_at() -> None:
    (found,) = errors_of(field({"type": "string", "x-kubernetes-validations": [{"rule": "self > 5"}]}))
    assert found.endswith(
        "compilation failed: ERROR: <input>:1:6: found no matching overload for '_>_' applied to '(string, int)'\n"
        " | self > 5\n | .....^"
    )


def test_transitions_need_something_to_compare_with() -> None:
    rule = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    assert errors_of(field(rule)) == []
    (found,) = errors_of(field({"type": "array", "items": rule}))
    assert found.endswith(
        f"oldSelf cannot be used on the uncorrelatable portion of the schema within {SCHEMA}.properties[a]"
    )


def change(path: str, value: Any) -> Callable[[Json], None]:
    def apply(made: Json) -> None:
        *steps, last = path.split(".")
        node: Any = made
        for step in steps:
            node = node[int(step)] if step.isdigit() else node[step]
        node[last] = value

    return apply


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (change("metadata.name", "other.example.com"), ['metadata.name: Invalid value: "other.example.com": must be spec.names.plural+"."+spec.group']),
        (change("spec.scope", ""), ["spec.scope: Required value"]),
        (change("spec.scope", "World"), ['spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"']),
        (change("spec.preserveUnknownFields", True), ["spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"]),
        (change("spec.names.listKind", "Widget"), ['spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same']),
        (change("spec.versions.0.deprecationWarning", "old"), ['spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions']),
        (change("spec.versions.0.additionalPrinterColumns", [{"name": "A", "type": "word", "jsonPath": "a"}]),
         ['spec.additionalPrinterColumns[0].type: Invalid value: "word": must be one of boolean,date,integer,number,string',
          'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "a": must be a simple json path starting with .']),
        (change("spec.versions.0.subresources", {"scale": {"specReplicasPath": ".status.n", "statusReplicasPath": ".status.n"}}),
         ['spec.subresources.scale.specReplicasPath: Invalid value: ".status.n": should be a json path under .spec']),
        (change("spec.versions.0.selectableFields", [{"jsonPath": ".spec.nope"}]),
         ['spec.selectableFields[0].jsonPath: Invalid value: ".spec.nope": is an invalid path: does not refer to a valid field']),
        (change("spec.conversion", {"strategy": "X"}), ['spec.conversion.strategy: Unsupported value: "X": supported values: "None", "Webhook"']),
        (change("spec.conversion", {"strategy": "Webhook"}),
         ["spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
          "spec.conversion.conversionReviewVersions: Required value"]),
    ],
)  # fmt: skip
def test_definitions(edit: Callable[[Json], None], says: list[str]) -> None:
    value = crd()
    edit(value)
    assert errors_of(value) == says


def two(**more: Any) -> list[Json]:
    whole = {"openAPIV3Schema": {"type": "object"}}
    return [
        {"name": "v1", "served": True, "storage": True, "schema": whole, **more},
        {"name": "v1beta1", "served": True, "storage": False, "schema": whole},
    ]


def test_webhooks_that_would_have_to_be_called_are_refused() -> None:
    webhook = {"clientConfig": {"url": "https://example.com"}, "conversionReviewVersions": ["v1"]}
    value = crd()
    value["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    assert errors_of(value) == [], "one version is never converted"
    value["spec"]["versions"] = two()
    (found,) = errors_of(value)
    assert "does not call conversion webhooks, and the definition has 2 versions" in found


def test_a_version_that_was_stored_stays() -> None:
    before, _ = check_new(definition.kind(), crd(versions=two()))
    value = {**before, "spec": {**before["spec"], "versions": [{**two()[1], "storage": True}]}}
    after, found = check_change(definition.kind(), before, value)
    assert after["status"]["storedVersions"] == ["v1", "v1beta1"]
    assert [error.field for error in found] == ["status.storedVersions[0]"]


def test_what_was_wrong_before_may_stay() -> None:
    before, _ = check_new(definition.kind(), crd())
    before["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = {}
    value = {**before, "metadata": {**before["metadata"], "labels": {"a": "b"}}}
    value["spec"] = {**before["spec"], "names": {**before["spec"]["names"], "categories": ["all"]}}
    assert texts(check_change(definition.kind(), before, value)[1]) == []


def test_groups_of_the_community_need_an_approval() -> None:
    value = crd()
    value["metadata"]["name"], value["spec"]["group"] = "widgets.sig.k8s.io", "sig.k8s.io"
    (found,) = errors_of(value)
    assert found.startswith(
        "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have"
    )
    value["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, for a test"}
    assert errors_of(value) == []


def test_formats_that_nobody_checks_are_told() -> None:
    assert definition.kind().strategy.warnings(field({"type": "string", "format": "colour"})) == [
        'unrecognized format "colour"'
    ]
    assert definition.kind().strategy.warnings(field({"type": "string", "format": "date-time"})) == []
