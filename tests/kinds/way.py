"""A kind's whole way for an object, without a store: check, default, prepare, validate."""

from __future__ import annotations

import copy

from roadstead.kinds import metadata
from roadstead.kinds.errors import FieldError
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry

CREATED = "2026-01-01T00:00:00Z"


def kind_of(resource: Resource) -> Kind:
    found = default_registry().get(resource)
    assert found is not None
    return found


def check_new(
    kind: Kind, value: Json, *, namespace: str = "default", mode: str = "Ignore"
) -> tuple[Json, list[FieldError]]:
    """What a create makes of an object, and what is wrong with it."""
    obj = copy.deepcopy(value)
    obj.setdefault("apiVersion", kind.resource.api_version)
    obj.setdefault("kind", kind.kind)
    obj.setdefault("metadata", {})
    kind.schema.check(obj, mode)
    kind.strategy.default(obj)
    obj["metadata"] |= {"uid": "u-1", "creationTimestamp": CREATED}
    if kind.namespaced:
        obj["metadata"]["namespace"] = namespace
    kind.strategy.prepare_create(obj)
    return obj, [*metadata.validate_create(kind, obj), *kind.strategy.validate(obj)]


def check_change(kind: Kind, old: Json, value: Json, subresource: str = "") -> tuple[Json, list[FieldError]]:
    """What an update makes of an object, and what is wrong with it."""
    obj = copy.deepcopy(value)
    kind.schema.check(obj)
    kind.strategy.default(obj)
    kind.strategy.prepare_update(obj, old, subresource)
    return obj, [*metadata.validate_update(kind, obj, old), *kind.strategy.validate_update(obj, old, subresource)]


def texts(found: list[FieldError]) -> list[str]:
    return [f"{error.field}: {error.body}" for error in found]
