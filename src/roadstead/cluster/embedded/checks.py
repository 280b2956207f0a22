"""Where a write meets its kind: schema, defaults, validation. One place, so that every path into the store asks the same."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from roadstead.cluster.embedded.requests import WriteOptions
from roadstead.kinds.errors import invalid_object
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

_generic: Any = (
    importlib.import_module("roadstead.kinds.metadata")
    if importlib.util.find_spec("roadstead.kinds.metadata")
    else None
)


def check_and_default(kind: Kind, obj: Json, options: WriteOptions) -> list[str]:
    """Types are right (else StatusError 400) and defaults filled in, in place. Gives warnings about unknown and duplicate
    fields, or refuses them, as `options.field_validation` says."""
    check: Any = getattr(kind.schema, "check", None)
    found = check(obj, options.field_validation) if check else []
    kind.strategy.default(obj)
    return list(found)


def validate_new(kind: Kind, obj: Json) -> None:
    """Raises StatusError 422 naming every field that is wrong."""
    errors = [*(_generic.validate_create(kind, obj) if _generic else ()), *kind.strategy.validate(obj)]
    if errors:
        metadata = obj["metadata"]
        name = metadata.get("name") or metadata.get("generateName") or ""
        raise invalid_object(kind.resource.group, kind.kind, name, errors)


def validate_change(kind: Kind, new: Json, old: Json, subresource: str) -> None:
    """Raises StatusError 422 naming every field that is wrong or may not change."""
    generic = _generic.validate_update(kind, new, old) if _generic else ()
    errors = [*generic, *kind.strategy.validate_update(new, old, subresource)]
    if errors:
        raise invalid_object(kind.resource.group, kind.kind, new["metadata"]["name"], errors)
