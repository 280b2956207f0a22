"""Structural schemas: what happens to an object of a custom kind on its way in, as apiextensions does it with a CRD's.

Unknown fields go, nulls go, defaults come (apiextensions-apiserver `schema/pruning`, `schema/defaulting`). Compiled once per schema
node into closures that edit in place. Validation of the result is in `checking.py`, embedded objects' metadata in `embedded.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError
from roadstead.kinds.facts import facts
from roadstead.kinds.object import Json

Shape = Callable[[Any, str, list[str]], None]

UNCHECKED: Final = FieldError(
    errors.INVALID,
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors "
    "to complete validation",
)
"""Stands for the rules of a kind that were skipped because the object does not fit its schema."""

_BLOCKING: Final = frozenset(
    {errors.REQUIRED, errors.NOT_SUPPORTED, errors.TOO_LONG, errors.TOO_MANY, errors.TYPE_INVALID}
)
OF_RESOURCES: Final = frozenset({"apiVersion", "kind", "metadata"})
"""Fields that every object has, which no schema needs to name."""


def blocks_rules(found: list[FieldError]) -> bool:
    """True if these errors keep the kind's own rules from being evaluated."""
    return any(error.reason in _BLOCKING for error in found)


def shaper(schema: Json, *, is_root: bool = False) -> Shape | None:
    """Prune and default below a value that is an object or a list, in place; None where there is nothing to do. `is_root`: it is a
    whole object, whose own metadata is somebody else's."""
    in_objects, in_lists = _shapers(schema, is_root=is_root)
    if in_objects is None and in_lists is None:
        return None

    def shape(value: Any, path: str, unknown: list[str]) -> None:
        if value.__class__ is dict:
            if in_objects is not None:
                in_objects(value, path, unknown)
        elif value.__class__ is list and in_lists is not None:
            in_lists(value, path, unknown)

    return shape


def _shapers(schema: Json, *, is_root: bool = False) -> tuple[Shape | None, Shape | None]:
    """What happens to an object at this node, and to a list."""
    schema = facts().resolve(schema)
    preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    in_objects = _object_shaper(schema, preserve=preserve, keeps_meta=is_root)
    return in_objects, _list_shaper(schema.get("items"), preserve=preserve)


def _emptier(value: Any, path: str, unknown: list[str]) -> None:
    """Where a schema knows of nothing: objects become empty, also those in lists."""
    if value.__class__ is dict:
        unknown.extend(f"{path}.{name}" if path else name for name in value)
        value.clear()
    elif value.__class__ is list:
        for i, element in enumerate(value):
            if element.__class__ in _CONTAINERS:
                _emptier(element, f"{path}[{i}]", unknown)


_CONTAINERS: Final = (dict, list)


def _object_shaper(schema: Json, *, preserve: bool, keeps_meta: bool) -> Shape | None:
    properties = {name: facts().resolve(inner) for name, inner in (schema.get("properties") or {}).items()}
    additional = schema.get("additionalProperties")
    others = facts().resolve(additional) if isinstance(additional, dict) else None
    keeps_others = preserve or bool(additional) or others is not None
    meta = OF_RESOURCES if keeps_meta or schema.get("x-kubernetes-embedded-resource") else frozenset()
    pairs = {name: _shapers(inner) for name, inner in properties.items() if name not in meta}
    of_objects = {name: pair[0] for name, pair in pairs.items()}
    of_lists = {name: pair[1] for name, pair in pairs.items()}
    others_shaper: Shape | None = shaper(others) if others is not None else None if preserve else _emptier
    nullable = {name for name, inner in properties.items() if inner.get("nullable")}
    others_nullable = others is None or bool(others.get("nullable"))
    defaults = [
        (name, inner["default"])
        for name, inner in properties.items()
        if inner.get("default") is not None and not (keeps_meta and name in meta)
    ]
    if preserve and others is None and not nullable and not defaults and not properties:
        return None

    def shape(value: Any, path: str, unknown: list[str]) -> None:
        prefix = f"{path}." if path else ""
        drop: list[str] = []
        for name, inner in value.items():
            if name in of_objects:
                cls = inner.__class__
                if cls is str or cls is int:
                    continue
                if cls is dict:
                    below = of_objects[name]
                    if below is not None:
                        below(inner, prefix + name, unknown)
                elif cls is list:
                    below = of_lists[name]
                    if below is not None:
                        below(inner, prefix + name, unknown)
                elif inner is None:
                    if name not in nullable:
                        drop.append(name)
                elif cls is float and inner.is_integer() and abs(inner) < _WHOLE:
                    value[name] = int(inner)
            elif name in meta:
                if inner is None and name in properties and not keeps_meta:
                    drop.append(name)
            elif not keeps_others:
                unknown.append(prefix + name)
                drop.append(name)
            elif inner is None:
                if not others_nullable:
                    drop.append(name)
            elif others_shaper is not None and inner.__class__ in _CONTAINERS:
                others_shaper(inner, prefix + name, unknown)
            elif inner.__class__ is float and inner.is_integer() and abs(inner) < _WHOLE:
                value[name] = int(inner)
        for name in drop:
            del value[name]
        for name, default in defaults:
            if name not in value:
                value[name] = made = copy.deepcopy(default)
                below = (of_objects if made.__class__ is dict else of_lists).get(name)
                if below is not None and made.__class__ in _CONTAINERS:
                    below(made, prefix + name, [])

    return shape


_WHOLE: Final = 1e21
"""Go writes whole numbers below this without an exponent or a fraction."""


def _list_shaper(items: Any, *, preserve: bool) -> Shape | None:
    if not isinstance(items, dict):
        return None if preserve else _emptier
    items = facts().resolve(items)
    of_object, of_list = _shapers(items) if not preserve or items else (None, None)
    default = None if items.get("nullable") else items.get("default")
    if of_object is None and of_list is None and default is None:
        return None

    def shape(value: Any, path: str, unknown: list[str]) -> None:
        for i, inner in enumerate(value):
            if inner.__class__ is str:
                continue
            if inner is None and default is not None:
                value[i] = inner = copy.deepcopy(default)
            if inner.__class__ is dict:
                if of_object is not None:
                    of_object(inner, f"{path}[{i}]", unknown)
            elif inner.__class__ is list:
                if of_list is not None:
                    of_list(inner, f"{path}[{i}]", unknown)
            elif inner.__class__ is float and inner.is_integer() and abs(inner) < _WHOLE:
                value[i] = int(inner)

    return shape
