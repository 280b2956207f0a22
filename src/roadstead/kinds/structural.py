"""Custom kinds: a structural schema that prunes, defaults and validates, as apiextensions does with a CRD's.

`shape` runs on the way in (unknown fields go, nulls go, defaults come); `validate` answers with the field errors of the
result. Both are compiled once per schema node. Rules in CEL are not here: each kind writes its own in Python.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from roadstead.kinds import errors, times
from roadstead.kinds.errors import FieldError
from roadstead.kinds.facts import facts
from roadstead.kinds.object import Json

Shape = Callable[[Any, str, list[str]], None]
Check = Callable[[Any, str, list[FieldError]], None]

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


def blocks_rules(found: list[FieldError]) -> bool:
    """True if these errors keep the kind's own rules from being evaluated."""
    return any(error.reason in _BLOCKING for error in found)


def type_name(value: Any) -> str:
    """A value's type in the words of the schema."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


# --- on the way in


def shaper(schema: Json) -> Shape | None:
    """Prune and default below a value, in place; None where there is nothing to do."""
    schema = facts().resolve(schema)
    if "properties" in schema:
        return _object_shaper(schema)
    inner = schema.get("additionalProperties")
    if isinstance(inner, dict):
        return _map_shaper(shaper(inner), nullable=bool(facts().resolve(inner).get("nullable")))
    items = schema.get("items")
    if isinstance(items, dict):
        below = shaper(items)
        return None if below is None else _list_shaper(below)
    if schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        return _object_shaper({**schema, "properties": {}})
    return None


def _object_shaper(schema: Json) -> Shape:
    preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    properties = {name: facts().resolve(inner) for name, inner in schema["properties"].items()}
    shapers = {name: shaper(inner) for name, inner in properties.items()}
    nullable = {name for name, inner in properties.items() if inner.get("nullable")}
    defaults = [(name, inner["default"]) for name, inner in properties.items() if "default" in inner]

    def shape(value: Any, path: str, unknown: list[str]) -> None:
        if value.__class__ is not dict:
            return
        prefix = f"{path}." if path else ""
        drop: list[str] = []
        for name, inner in value.items():
            if name not in shapers:
                if not preserve:
                    unknown.append(prefix + name)
                    drop.append(name)
            elif inner is None:
                if name not in nullable:
                    drop.append(name)
            else:
                below = shapers[name]
                if below is not None:
                    below(inner, prefix + name, unknown)
        for name in drop:
            del value[name]
        for name, default in defaults:
            if name not in value:
                value[name] = copy.deepcopy(default)
                below = shapers[name]
                if below is not None:
                    below(value[name], prefix + name, unknown)

    return shape


def _map_shaper(below: Shape | None, *, nullable: bool) -> Shape:
    def shape(value: Any, path: str, unknown: list[str]) -> None:
        if value.__class__ is not dict:
            return
        if not nullable:
            for name in [name for name, inner in value.items() if inner is None]:
                del value[name]
        if below is not None:
            for name, inner in value.items():
                below(inner, f"{path}.{name}", unknown)

    return shape


def _list_shaper(below: Shape) -> Shape:
    def shape(value: Any, path: str, unknown: list[str]) -> None:
        if value.__class__ is list:
            for i, inner in enumerate(value):
                below(inner, f"{path}[{i}]", unknown)

    return shape


# --- validation


def _pattern(text: str) -> re.Pattern[str]:
    """An RE2 pattern for Python: `$` is the end of the text, never the place before a last newline; `(?i)` may follow `^`."""
    folded = text.replace("^(?i)", "^", 1)
    flags = re.ASCII if folded == text else re.ASCII | re.IGNORECASE
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", folded), flags)


def _type_error(path: str, root: str, value: Any, wanted: str) -> FieldError:
    name = type_name(value)
    body = f'Invalid value: "{name}": {_relative(path, root)} in body must be of type {wanted}: "{name}"'
    return FieldError(errors.TYPE_INVALID, path, body)


def _relative(path: str, root: str) -> str:
    """The path as the schema validator names it: relative to the subtree that is validated."""
    if not root:
        return path
    return path[len(root) :].removeprefix(".")


def checker(schema: Json, root: str = "") -> Check:
    """Validation of one node and all below. `root` is left out of the names in sentences (the status endpoint's way)."""
    schema = facts().resolve(schema)
    if schema.get("nullable"):
        check = checker({key: value for key, value in schema.items() if key != "nullable"}, root)
        return lambda value, path, found: None if value is None else check(value, path, found)
    if schema.get("x-kubernetes-int-or-string"):
        return _int_or_string(schema, root)
    match schema.get("type"):
        case "object":
            return _object_checker(schema, root)
        case "array":
            return _array_checker(schema, root)
        case "string":
            return _string_checker(schema, root)
        case "integer" | "number":
            return _number_checker(schema, root)
        case "boolean":
            return _boolean_checker(root)
        case _:
            return _nothing


def _nothing(value: Any, path: str, found: list[FieldError]) -> None:
    return None


def _boolean_checker(root: str) -> Check:
    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if value.__class__ is not bool:
            found.append(_type_error(path, root, value, "boolean"))

    return check


def _string_rules(schema: Json, root: str) -> Callable[[str, str, list[FieldError]], None] | None:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    pattern = _pattern(schema["pattern"]) if "pattern" in schema else None
    choices = schema.get("enum")
    form = schema.get("format")
    if not (low or high is not None or pattern or choices or form == "date-time"):
        return None

    def rules(value: str, path: str, found: list[FieldError]) -> None:
        if choices is not None and value not in choices:
            found.append(errors.not_supported(path, value, choices, keep_order=True))
        # the first of length and pattern that fails is the one that is told
        if high is not None and len(value) > high:
            found.append(errors.too_long(path, high))
        elif len(value) < low:
            found.append(
                errors.invalid(path, value, f"{_relative(path, root)} in body should be at least {low} chars long")
            )
        elif pattern is not None and not pattern.search(value):
            why = f"{_relative(path, root)} in body should match '{schema['pattern']}'"
            found.append(errors.invalid(path, value, why))
        if form == "date-time" and not times.is_time(value):
            quoted = errors.go_value(value)
            body = f"Invalid value: {quoted}: {_relative(path, root)} in body must be of type date-time: {quoted}"
            found.append(FieldError(errors.TYPE_INVALID, path, body))

    return rules


def _string_checker(schema: Json, root: str) -> Check:
    rules = _string_rules(schema, root)

    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if value.__class__ is not str:
            found.append(_type_error(path, root, value, "string"))
        elif rules is not None:
            rules(value, path, found)

    return check


def _bounds(schema: Json, root: str, value: float, path: str, found: list[FieldError]) -> None:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        found.append(
            errors.invalid(path, value, f"{_relative(path, root)} in body should be greater than or equal to {low}")
        )
    if high is not None and value > high:
        found.append(
            errors.invalid(path, value, f"{_relative(path, root)} in body should be less than or equal to {high}")
        )


def _number_checker(schema: Json, root: str) -> Check:
    kind, form = schema["type"], schema.get("format", "")
    limit = {"int32": 2**31, "int64": 2**63}.get(form)

    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if value.__class__ is int or (kind == "number" and value.__class__ is float):
            if limit is not None and not -limit <= value < limit:
                where = _relative(path, root)
                body = f'Invalid value: "": Checked value must be of type integer with format {form} in {where}'
                found.append(FieldError(errors.INVALID, "<nil>", body))
            _bounds(schema, root, value, path, found)
        elif value.__class__ is float and form:
            where = _relative(path, root)
            body = f'Invalid value: "float64": {where} in body must be of type {form}: "float64"'
            found.append(FieldError(errors.TYPE_INVALID, path, body))
            body = f'Invalid value: "": Checked value must be of type integer with format {form} in {where}'
            found.append(FieldError(errors.INVALID, "<nil>", body))
        else:
            found.append(_type_error(path, root, value, kind))

    return check


def _int_or_string(schema: Json, root: str) -> Check:
    rules = _string_rules(schema, root)

    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if value.__class__ is str:
            if rules is not None:
                rules(value, path, found)
        elif value.__class__ is not int:
            found.append(_type_error(path, root, value, "integer,string"))

    return check


def _array_checker(schema: Json, root: str) -> Check:
    item = checker(schema.get("items", {}), root)
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    list_type = schema.get("x-kubernetes-list-type")
    keys: list[str] = schema.get("x-kubernetes-list-map-keys", [])
    key_defaults = {
        key: facts().resolve(schema.get("items", {})).get("properties", {}).get(key, {}).get("default") for key in keys
    }

    def duplicates(value: list[Any], path: str) -> Iterator[FieldError]:
        seen: set[Any] = set()
        for i, element in enumerate(value):
            if list_type == "map":
                if element.__class__ is not dict:
                    continue
                shown = {key: element.get(key, key_defaults[key]) for key in keys}
                identity: Any = tuple(repr(part) for part in shown.values())
            else:
                shown, identity = element, repr(element)
            if identity in seen:
                yield errors.duplicate(f"{path}[{i}]", shown)
            seen.add(identity)

    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if value.__class__ is not list:
            found.append(_type_error(path, root, value, "array"))
            return
        if len(value) < low:
            found.append(
                errors.invalid(path, value, f"{_relative(path, root)} in body should have at least {low} items")
            )
        if high is not None and len(value) > high:
            found.append(errors.too_many(path, len(value), high))
        for i, element in enumerate(value):
            item(element, f"{path}[{i}]", found)
        if list_type in ("map", "set") and len(value) > 1:
            found.extend(duplicates(value, path))

    return check


def _object_checker(schema: Json, root: str) -> Check:
    properties = {name: checker(inner, root) for name, inner in schema.get("properties", {}).items()}
    required: list[str] = schema.get("required", [])
    high = schema.get("maxProperties")
    inner = schema.get("additionalProperties")
    others = checker(inner, root) if isinstance(inner, dict) else None

    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if value.__class__ is not dict:
            found.append(_type_error(path, root, value, "object"))
            return
        prefix = f"{path}." if path else ""
        for name in required:
            if name not in value:
                found.append(errors.required(prefix + name))
        if high is not None and len(value) > high:
            found.append(errors.too_many(path, len(value), high))
        for name, element in value.items():
            one = properties.get(name, others)
            if one is not None:
                one(element, prefix + name, found)

    return check
