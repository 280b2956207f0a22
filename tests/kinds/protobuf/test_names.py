"""The messages and the schema facts say the same of every field: a struct that JSON embeds cannot go unnoticed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from roadstead.kinds.facts import facts
from roadstead.kinds.object import Json
from roadstead.kinds.protobuf.decode import EMBEDDED, SPECIAL
from roadstead.kinds.protobuf.descriptors import message_name, pool
from roadstead.kinds.served import default_registry

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
BINDING = "io.k8s.api.core.v1.Binding"
BUILT_IN = sorted(
    {DELETE_OPTIONS, BINDING}
    | {kind.schema.component for kind in default_registry() if kind.has_protobuf and not kind.is_custom}
)
TEXT_FORMS = ("Quantity", "Time", "MicroTime")


def component_of(found: Descriptor) -> str:
    return f"io.k8s.{found.full_name.removeprefix('k8s.io.')}"


def fields_of(found: Descriptor) -> dict[str, FieldDescriptor]:
    """The fields of a message as JSON has them."""
    result: dict[str, FieldDescriptor] = {}
    for field in found.fields:
        if (found.name, field.name) in EMBEDDED:
            assert field.message_type is not None
            inner = fields_of(field.message_type)
            assert not inner.keys() & result.keys(), found.full_name
            result |= inner
        else:
            result[field.name] = field
    return result


def form_of(field: FieldDescriptor, *, one: bool = False) -> tuple[str, ...]:
    """What a field's JSON is made of, outermost first: ("array", "PodCondition"), ("object", "Quantity"),
    ("integer",)."""
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return ("object", *form_of(inner.fields_by_name["value"]))
    if field.is_repeated and not one:
        return ("array", *form_of(field, one=True))
    if inner is not None:
        return (inner.name,)
    return (
        {
            field.TYPE_STRING: "string",
            field.TYPE_BYTES: "bytes",
            field.TYPE_BOOL: "boolean",
            field.TYPE_INT32: "integer",
            field.TYPE_INT64: "integer",
        }[field.type],
    )


def schema_form(schema: Json) -> tuple[str, ...]:
    """The same of a schema."""
    if "ref" in schema:
        return (schema["ref"].rpartition(".")[2],)
    if schema["type"] == "array":
        return ("array", *schema_form(schema["items"]))
    if schema["type"] == "object" and "additionalProperties" in schema:
        return ("object", *schema_form(schema["additionalProperties"]))
    return ("bytes",) if schema.get("format") == "byte" else (schema["type"],)


def reached(component: str) -> dict[str, Descriptor]:
    """The structs below a component, by component."""
    result: dict[str, Descriptor] = {}
    todo = [pool().FindMessageTypeByName(message_name(component))]
    while todo:
        found = todo.pop()
        if component_of(found) in result:
            continue
        result[component_of(found)] = found
        for field in fields_of(found).values():
            inner = field.message_type
            if inner is not None and inner.GetOptions().map_entry:
                inner = inner.fields_by_name["value"].message_type
            if inner is not None and inner.name not in SPECIAL:
                todo.append(inner)
    return result


@pytest.mark.parametrize("component", BUILT_IN)
def test_every_field_of_a_message_is_in_the_schema_with_the_same_form(component: str) -> None:
    for name, found in reached(component).items():
        properties = dict(facts().schemas[name]["properties"])
        if ({"apiVersion", "kind"} <= properties.keys() and "metadata" in properties) or name == DELETE_OPTIONS:
            del properties["apiVersion"], properties["kind"]  # of the envelope
        in_message = {key: form_of(field) for key, field in fields_of(found).items()}
        in_schema = {key: schema_form(value) for key, value in properties.items()}
        assert in_message == in_schema, name


def test_whatever_is_embedded_exists() -> None:
    structs = {found.name: found for component in BUILT_IN for found in reached(component).values()}
    embedded = [structs[name].fields_by_name[field].message_type for name, field in EMBEDDED]
    assert {found.name for found in embedded if found is not None} == {
        "VolumeSource",
        "EphemeralContainerCommon",
        "ProbeHandler",
        "LocalObjectReference",
        "DeviceConfiguration",
    }


def test_messages_with_a_form_of_their_own_are_known_by_name() -> None:
    structs = {found.full_name for component in BUILT_IN for found in reached(component).values()}
    names = Counter(full.rpartition(".")[2] for full in structs)
    assert [name for name in {*SPECIAL, *(name for name, _ in EMBEDDED)} if names[name] > 1] == []
    twice = {
        "EndpointPort",  # of Endpoints, and of EndpointSlices
        "ResourceClaim",  # of pods, and the kind
    }
    assert {name for name, count in names.items() if count > 1} == twice
