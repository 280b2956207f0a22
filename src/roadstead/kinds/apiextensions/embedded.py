"""Objects within objects, `x-kubernetes-embedded-resource` (apiextensions-apiserver `schema/objectmeta`).

Their metadata is brought into the form of any object's, unknown fields of it go, and they need apiVersion and kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from roadstead.expr import syntax
from roadstead.kinds import decoding, errors
from roadstead.kinds.errors import FieldError
from roadstead.kinds.leaves import Fault
from roadstead.kinds.object import Json

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def has_embedded(schema: Json) -> bool:
    """Some node of the schema is an object of its own. O(schema)."""
    return bool(schema.get("x-kubernetes-embedded-resource")) or any(has_embedded(inner) for _, inner in _below(schema))


def _below(schema: Json) -> Iterator[tuple[str, Json]]:
    yield from (schema.get("properties") or {}).items()
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield name, schema[name]


def _visit(value: Any, schema: Json, path: str, visit: Callable[[Json, str], None], *, brackets: bool) -> None:
    """Call `visit` with every embedded object. Keys of maps are written in brackets, or like fields."""
    if value.__class__ is dict:
        if schema.get("x-kubernetes-embedded-resource"):
            visit(value, path)
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, inner in list(value.items()):
            if name in properties:
                _visit(inner, properties[name], f"{path}.{name}" if path else name, visit, brackets=brackets)
            elif isinstance(others, dict):
                below = f"{path}[{name}]" if brackets else f"{path}.{name}"
                _visit(inner, others, below, visit, brackets=brackets)
    elif value.__class__ is list and isinstance(schema.get("items"), dict):
        for i, inner in enumerate(value):
            _visit(inner, schema["items"], f"{path}[{i}]", visit, brackets=brackets)


def coerce(value: Any, schema: Json, unknown: list[str]) -> str:
    """Bring the metadata of all embedded objects into form, in place, and list fields nobody knows. Gives what cannot
    be read, as a sentence; "" if all is well."""
    problems: list[str] = []

    def visit(obj: Json, path: str) -> None:
        for name in ("apiVersion", "kind"):
            if name in obj and not isinstance(obj[name], str):
                problems.append(f"{path}.{name}: Invalid value: {errors.go_value(obj[name])}: must be a string")
        metadata = obj.get("metadata")
        if metadata is None:
            return
        shown = errors.go_value(metadata)
        found: list[str] = []
        try:
            decoding.struct_shape(OBJECT_META)(metadata, "", found)
        except Fault as fault:
            why = decoding.describe(OBJECT_META, fault)
            problems.append(f"{path}.metadata: Invalid value: {shown}: {why}")
        if metadata.__class__ is dict:
            metadata.setdefault("creationTimestamp", None)
            if metadata["creationTimestamp"] is None:
                del metadata["creationTimestamp"]
        unknown.extend(f"{path}.metadata.{name}" for name in found)

    _visit(value, schema, "", visit, brackets=True)
    return problems[0] if problems else ""


def validate(value: Any, schema: Json, root: str = "") -> list[FieldError]:
    """What is missing or wrong in the envelopes of embedded objects."""
    found: list[FieldError] = []

    def visit(obj: Json, path: str) -> None:
        for name in ("apiVersion", "kind"):
            where = f"{path}.{name}" if path else name
            given = obj.get(name)
            if name not in obj:
                found.append(errors.required(where))
            elif not isinstance(given, str):
                found.append(errors.invalid(where, given, "must be a string"))
            elif not given:
                found.append(errors.invalid(where, given, "must not be empty"))
            elif name == "apiVersion" and given.count("/") > 1:
                found.append(errors.invalid(where, given, f"unexpected GroupVersion string: {given}"))
            elif name == "kind" and syntax.dns_1035_label(given.lower()):
                why = "may have mixed case, but should otherwise match: " + ",".join(
                    syntax.dns_1035_label(given.lower())
                )
                found.append(errors.invalid(where, given, why))

    _visit(value, schema, root, visit, brackets=True)
    return found
