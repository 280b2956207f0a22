"""A definition to begin with, and objects of it."""

from __future__ import annotations

import copy
from typing import Any

from roadstead.kinds.apiextensions import definition
from roadstead.kinds.apiextensions.instances import Readers, defined_kinds
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from tests.kinds.way import check_new


def crd(schema: Json | None = None, *, versions: list[Json] | None = None, **version: Any) -> Json:
    """A definition of Widgets whose spec (of its only version) has this schema."""
    whole: Json = {"type": "object", "properties": {"spec": schema or {"type": "object"}}}
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}, **version}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": versions or [one],
        },
    }


def errors_of(value: Json) -> list[str]:
    """What is wrong with a new definition."""
    _, found = check_new(definition.kind(), value)
    return [f"{error.field}: {error.body}" for error in found]


def accepted(value: Json) -> Json:
    """The definition as it is when its names are accepted."""
    made, found = check_new(definition.kind(), value)
    assert not found, found
    made["status"]["acceptedNames"] = made["spec"]["names"]
    return made


def kinds_of(value: Json) -> list[Kind]:
    return defined_kinds(accepted(value), Readers())


def widget(kind: Kind, spec: Any, **more: Any) -> Json:
    return copy.deepcopy(
        {"apiVersion": kind.resource.api_version, "kind": "Widget", "metadata": {"name": "w"}, "spec": spec, **more}
    )
