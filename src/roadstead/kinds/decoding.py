"""Built-in kinds on their way in: what a round trip through the server's Go types does to a decoded JSON object.

In one walk: values of the wrong type are found (the first one, in document order, is the error), unknown fields are
dropped and listed, nulls and zero values that Go omits are dropped, fields that Go always writes are added, and
quantities, times and bytes get their canonical text. Compiled once per component into closures; about 0.2 us per field.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from roadstead.kinds import leaves
from roadstead.kinds.facts import facts, go
from roadstead.kinds.leaves import OMIT, Fault, Shape, anything, go_kind, leaf
from roadstead.kinds.object import Json


def short_name(component: str) -> str:
    """`io.k8s.api.core.v1.PodSpec` -> `PodSpec`."""
    return component.rpartition(".")[2]


# --- composites


def _list(struct: str, item: Shape, item_type: str, empty: Callable[[], Any], *, keeps_empty: bool) -> Shape:
    go_type = f"[]{item_type}"

    def shape(value: Any, path: str, unknown: list[str]) -> Any:
        if value.__class__ is not list:
            raise Fault(path, struct=struct, go_type=go_type, value=value)
        if not value:
            return value if keeps_empty else OMIT
        for i, element in enumerate(value):
            if element is None:
                element = empty()
            new = item(element, f"{path}[{i}]", unknown)
            if new is not element or value[i] is None:
                value[i] = new
        return value

    return shape


def _text_list(struct: str, *, keeps_empty: bool) -> Shape:
    def shape(value: Any, path: str, unknown: list[str]) -> Any:
        if value.__class__ is not list:
            raise Fault(path, struct=struct, go_type="[]string", value=value)
        if not value:
            return value if keeps_empty else OMIT
        for i, element in enumerate(value):
            if element.__class__ is not str:
                if element is not None:
                    raise Fault(f"{path}[{i}]", struct=struct, go_type="string", value=element)
                value[i] = ""
        return value

    return shape


def _map(struct: str, item: Shape, go_type: str) -> Shape:
    def shape(value: Any, path: str, unknown: list[str]) -> Any:
        if value.__class__ is not dict:
            raise Fault(path, struct=struct, go_type=go_type, value=value)
        if not value:
            return OMIT
        for key, element in value.items():
            new = item(element, path, unknown)
            if new is not element:
                value[key] = new
        return value

    return shape


def _text_map(struct: str, go_type: str) -> Shape:
    def shape(value: Any, path: str, unknown: list[str]) -> Any:
        if value.__class__ is not dict:
            raise Fault(path, struct=struct, go_type=go_type, value=value)
        if not value:
            return OMIT
        for key, element in value.items():
            if element.__class__ is not str:
                if element is not None:
                    raise Fault(path, struct=struct, go_type="string", value=element)
                value[key] = ""
        return value

    return shape


_TEXT: Final = 0  # a plain string that goes when empty: inlined, because most fields are of this kind
_TEXT_KEPT: Final = 1
_SHAPED: Final = 2

_JSON_SCHEMA: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


def _schema_or_else(value: Any, path: str, unknown: list[str]) -> Any:
    """Where a JSON schema may also be a boolean, a list of schemas or a list of names."""
    if value.__class__ is dict:
        return struct_shape(_JSON_SCHEMA)(value, path, unknown)
    if value.__class__ is list:
        for i, element in enumerate(value):
            if element.__class__ is dict:
                value[i] = struct_shape(_JSON_SCHEMA)(element, f"{path}[{i}]", unknown)
    return value


_SPECIAL: Final[dict[str, Shape]] = {
    "JSONSchemaPropsOrArray": _schema_or_else,
    "JSONSchemaPropsOrBool": _schema_or_else,
    "JSONSchemaPropsOrStringArray": _schema_or_else,
    "Quantity": leaves.amount,
    "Time": leaves.time,
    "MicroTime": leaves.micro_time,
    "IntOrString": leaves.int_or_string,
    "RawExtension": anything,
}


def _object(component: str, go_type: str) -> Shape:
    """The shape of one struct, filled in on first use (types refer to each other)."""
    struct = short_name(component)
    properties: dict[str, tuple[int, Shape, str]] = {}
    always: list[tuple[str, Callable[[], Any]]] = []
    ready = False

    def prepare() -> None:
        nonlocal ready
        schema = facts().schemas[component]
        required = set(schema.get("required", ()))
        for name, field in schema["properties"].items():
            properties[name] = _field(struct, name, field, name in required, always)
        ready = True

    def shape(value: Any, path: str, unknown: list[str]) -> Any:
        if not ready:
            prepare()
        if value.__class__ is not dict:
            raise Fault(path, struct="", go_type=go_type, value=value)
        prefix = f"{path}." if path else ""
        drop: list[str] | None = None
        find = properties.get
        for name, inner in value.items():
            found = find(name)
            if found is not None and inner is not None:
                code, shape_of, text_type = found
                if code == _SHAPED:
                    new = shape_of(inner, prefix + name, unknown)
                    if new is inner:
                        continue
                    if new is not OMIT:
                        value[name] = new
                        continue
                elif inner.__class__ is not str:
                    raise Fault(prefix + name, struct=struct, go_type=text_type, value=inner)
                elif inner or code == _TEXT_KEPT:
                    continue
            elif found is None:
                unknown.append(prefix + name)
            if drop is None:
                drop = [name]
            else:
                drop.append(name)
        if drop is not None:
            for name in drop:
                del value[name]
        for name, make in always:
            if name not in value:
                value[name] = make()
        return value

    return shape


def _field(
    struct: str, name: str, schema: Json, is_required: bool, always: list[tuple[str, Callable[[], Any]]]
) -> tuple[int, Shape, str]:
    zero_written = "default" in schema and schema["default"] in ("", 0, False, {})
    reference = schema.get("ref")
    if reference is not None:
        shape, _ = _referred(struct, reference)
        if (struct, name) in go.NULL_TIMES:
            always.append((name, lambda: None))
        elif zero_written and short_name(reference) not in _SPECIAL:
            always.append((name, lambda: shape({}, "", [])))
        return _SHAPED, shape, ""
    kind = schema.get("type")
    if kind == "array":
        return _SHAPED, _array(struct, schema, keeps_empty=is_required), ""
    if kind == "object":
        return _SHAPED, _mapping(struct, name, schema), ""
    keeps = is_required or zero_written or _is_pointer(struct, name, str(kind))
    shape, go_type = leaf(schema, struct, name, keeps_zero=keeps)
    if zero_written or (is_required and kind != "string"):
        zero = schema.get("default", {"string": "", "boolean": False}.get(str(kind), 0))
        always.append((name, lambda: zero))
    if kind == "string" and schema.get("format") != "byte":
        return _TEXT_KEPT if keeps else _TEXT, shape, go_type
    return _SHAPED, shape, go_type


def _is_pointer(struct: str, name: str, kind: str) -> bool:
    if kind == "boolean":
        return (struct, name) not in go.PLAIN_BOOLEANS
    if kind == "integer":
        return (struct, name) not in go.PLAIN_INTEGERS
    if kind == "number":
        return True
    return (struct, name) in go.POINTER_STRINGS


def _referred(struct: str, component: str) -> tuple[Shape, str]:
    name = short_name(component)
    special = _SPECIAL.get(name)
    if special is not None:
        return special, f"v1.{name}" if name in ("Time", "MicroTime") else name
    schema = facts().schemas[component]
    if "properties" not in schema:
        return anything, name
    return struct_shape(component), f"v1.{name}"


def _array(struct: str, schema: Json, *, keeps_empty: bool) -> Shape:
    items = schema["items"]
    if "ref" in items:
        shape, go_type = _referred(struct, items["ref"])
        return _list(struct, shape, go_type, dict, keeps_empty=keeps_empty)
    if items.get("type") == "string":
        return _text_list(struct, keeps_empty=keeps_empty)
    shape, go_type = leaf(items, struct, "", keeps_zero=True)
    return _list(struct, shape, go_type, int, keeps_empty=keeps_empty)


def _mapping(struct: str, name: str, schema: Json) -> Shape:
    items = schema.get("additionalProperties")
    if items is None:
        return anything
    named = go.NAMED_TYPES.get((struct, name), "")
    if "ref" in items:
        shape, go_type = _referred(struct, items["ref"])
        return _map(struct, shape, named or f"map[string]{go_type}")
    if items.get("type") == "string" and items.get("format") != "byte":
        return _text_map(struct, named or "map[string]string")
    if items.get("type") == "array":
        return _map(struct, _array(struct, items, keeps_empty=True), "map[string][]string")
    shape, go_type = leaf(items, struct, "", keeps_zero=True)
    return _map(struct, shape, named or f"map[string]{go_type}")


@lru_cache(maxsize=1024)
def struct_shape(component: str) -> Shape:
    """The compiled shape of a component with properties."""
    return _object(component, f"v1.{short_name(component)}")


# --- the sentence


def go_path(component: str, path: str) -> str:
    """A JSON path as Go's decoder prints it: without indexes, with the names of embedded structs."""
    parts: list[str] = []
    schema: Json | None = facts().schemas[component]
    struct = short_name(component)
    for step in re.sub(r"\[\d+\]", "", path).split("."):
        through = go.embedded(struct, step)
        if through:
            parts.append(through)
        parts.append(step)
        if schema is None:
            continue
        inner = schema.get("properties", {}).get(step)
        while inner is not None and "ref" not in inner:
            inner = inner.get("items") or inner.get("additionalProperties")
        if inner is None:
            schema = None
        else:
            struct = short_name(inner["ref"])
            schema = facts().schemas[inner["ref"]]
    return ".".join(parts)


def describe(component: str, fault: Fault) -> str:
    """The whole reason, as the real server prints it after "cannot be handled as a KIND: "."""
    if fault.why:
        return fault.why
    value = fault.value
    what = go_kind(value)
    if what == "number" and (isinstance(value, float) or fault.go_type.startswith("int")):
        what = f"number {value}"
    struct = fault.struct or _owner(component, fault.path)
    return f"json: cannot unmarshal {what} into Go struct field {struct}.{go_path(component, fault.path)} of type {fault.go_type}"


def _owner(component: str, path: str) -> str:
    """The struct that declares the last field of a path."""
    schema: Json = facts().schemas[component]
    struct = short_name(component)
    for step in re.sub(r"\[\d+\]", "", path).split(".")[:-1]:
        inner: Json | None = schema.get("properties", {}).get(step)
        while inner is not None and "ref" not in inner:
            inner = inner.get("items") or inner.get("additionalProperties")
        if inner is None:
            break
        struct = short_name(inner["ref"])
        schema = facts().schemas[inner["ref"]]
    return struct
