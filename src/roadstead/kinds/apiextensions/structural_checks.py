"""What makes a schema structural (apiextensions-apiserver `schema/validation.go`, `schema/complete.go`): every field has a type outside of
logical junctors, and junctors only restrict what is specified already.
"""

from __future__ import annotations

from typing import Final

from roadstead.expr.re2 import PatternError, compile_pattern
from roadstead.kinds.errors import FieldError, forbidden, invalid, required
from roadstead.kinds.object import Json

_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]


def structural_errors(schema: Json, level: str, path: str) -> list[FieldError]:
    """What keeps a schema from being structural. `level`: root, item or field. O(schema)."""
    found: list[FieldError] = []
    kind, items, properties = schema.get("type") or "", schema.get("items"), schema.get("properties") or {}
    preserve, either = (
        bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        bool(schema.get("x-kubernetes-int-or-string")),
    )
    is_embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    if kind == "array" and items is None:
        found.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        found += structural_errors(items, "item", f"{path}.items")
    for name, inner in properties.items():
        found += structural_errors(inner, "field", f"{path}.properties[{name}]")
    additional = schema.get("additionalProperties")
    if additional is not None:
        if level == "root":
            found.append(forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(additional, dict):
            found += structural_errors(additional, "field", f"{path}.additionalProperties")
    if either and preserve:
        where = f"{path}.x-kubernetes-preserve-unknown-fields"
        found.append(invalid(where, True, "must be false if x-kubernetes-int-or-string is true"))
    if either and is_embedded:
        where = f"{path}.x-kubernetes-embedded-resource"
        found.append(invalid(where, True, "must be false if x-kubernetes-int-or-string is true"))
    found += _values(schema, path, level, outer=schema)
    if is_embedded and kind != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        found.append(invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why))
    elif not kind and not either and not preserve:
        where = {"root": "at the root", "item": "for specified array items", "field": "for specified object fields"}[
            level
        ]
        found.append(required(f"{path}.type", f"must not be empty {where}"))
    if is_embedded and additional is not None:
        why = "must not be used if x-kubernetes-embedded-resource is set"
        found.append(forbidden(f"{path}.additionalProperties", why))
    if level == "root" and kind and kind != "object":
        found.append(invalid(f"{path}.type", kind, "must be object at the root"))
    if level == "root" or is_embedded:
        for name in ("kind", "apiVersion"):
            if name in properties and properties[name].get("type") != "string":
                given = properties[name].get("type") or ""
                found.append(invalid(f"{path}.properties[{name}].type", given, "must be string"))
    if "metadata" in properties:
        found += _metadata(
            properties["metadata"], level, f"{path}.properties[metadata]", level == "root" or is_embedded
        )
    if is_embedded and not preserve and not properties:
        why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        found.append(required(f"{path}.properties", why))
    found += _complete(schema, schema, path)
    return found


def _metadata(schema: Json, level: str, path: str, checked: bool) -> list[FieldError]:
    found = []
    if checked and schema.get("type") != "object":
        found.append(invalid(f"{path}.type", schema.get("type") or "", "must be object"))
    if level == "root":
        named = {name for name in schema.get("properties") or {} if name not in ("name", "generateName")}
        others = {name for name in schema if name not in ("type", "properties", "default", "description")}
        if named or others:
            why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            found.append(forbidden(path, why))
    return found


def _values(schema: Json, path: str, level: str, *, outer: Json) -> list[FieldError]:
    """Value validations may stand anywhere; what they say in logical junctors may not shape the object."""
    found: list[FieldError] = []
    if schema.get("anyOf") != _INT_OR_STRING or schema is not outer:
        for i, inner in enumerate(schema.get("anyOf") or ()):
            found += _nested(inner, f"{path}.anyOf[{i}]", level)
    for i, inner in enumerate(schema.get("allOf") or ()):
        is_either = schema is outer and i == 0 and inner.get("anyOf") == _INT_OR_STRING
        found += _nested(inner, f"{path}.allOf[{i}]", level, skips_any_of=is_either)
    for i, inner in enumerate(schema.get("oneOf") or ()):
        found += _nested(inner, f"{path}.oneOf[{i}]", level)
    if isinstance(schema.get("not"), dict):
        found += _nested(schema["not"], f"{path}.not", level)
    if schema.get("pattern"):
        try:
            compile_pattern(schema["pattern"])
        except PatternError as error:
            why = f"must be a valid regular expression, but isn't: {error}"
            found.append(invalid(f"{path}.pattern", schema["pattern"], why))
    return found


_SHAPING: Final = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


def _nested(schema: Json, path: str, level: str, *, skips_any_of: bool = False) -> list[FieldError]:
    shown = {name: inner for name, inner in schema.items() if not (skips_any_of and name == "anyOf")}
    found = _values(shown, path, level, outer={})
    if isinstance(schema.get("items"), dict):
        found += _nested(schema["items"], f"{path}.items", level)
    for name, inner in (schema.get("properties") or {}).items():
        found += _nested(inner, f"{path}.properties[{name}]", "field")
    for name, why in _SHAPING:
        if schema.get(name) or (name == "default" and schema.get(name) is not None):
            found.append(forbidden(f"{path}.{name}", why))
    if "metadata" in (schema.get("properties") or {}):
        found.append(forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context"))
    return found


def _complete(schema: Json, spine: Json | None, path: str) -> list[FieldError]:
    """Every field that a value validation names must be specified outside of it (`validateStructuralCompleteness`)."""
    found: list[FieldError] = []
    for name in ("allOf", "anyOf", "oneOf"):
        for i, inner in enumerate(schema.get(name) or ()):
            found += _skeleton(inner, spine, f"{path}.{name}[{i}]", path)
    if isinstance(schema.get("not"), dict):
        found += _skeleton(schema["not"], spine, f"{path}.not", path)
    return found


def _skeleton(nested: Json, spine: Json | None, path: str, spine_path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for name, inner in (nested.get("properties") or {}).items():
        below = ((spine or {}).get("properties") or {}).get(name)
        where = f"{spine_path}.properties[{name}]"
        if below is None:
            found.append(required(where, f"because it is defined in {path}.properties[{name}]"))
        else:
            found += _skeleton(inner, below, f"{path}.properties[{name}]", where)
    if isinstance(nested.get("items"), dict):
        below = (spine or {}).get("items")
        if not isinstance(below, dict):
            found.append(required(f"{spine_path}.items", f"because it is defined in {path}.items"))
        else:
            found += _skeleton(nested["items"], below, f"{path}.items", f"{spine_path}.items")
    for name in ("allOf", "anyOf", "oneOf"):
        for i, inner in enumerate(nested.get(name) or ()):
            found += _skeleton(inner, spine, f"{path}.{name}[{i}]", spine_path)
    if isinstance(nested.get("not"), dict):
        found += _skeleton(nested["not"], spine, f"{path}.not", spine_path)
    return found
