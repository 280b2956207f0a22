"""How rules see objects: a schema node as a CEL type, a value below it as a CEL value (k8s.io/apiserver
`pkg/cel/common`).

Only what the schema specifies is seen. Names that CEL cannot write are escaped (KEP-2876).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, Final

from roadstead.expr.cel.declarations import Environment, Function, build
from roadstead.expr.cel.errors import EvaluationError
from roadstead.expr.cel.library.collections import K8S_LISTS, LISTS, OPTIONALS, SETS
from roadstead.expr.cel.library.kubernetes import IP, NAMED_FORMATS, QUANTITY, SEMVER, URL
from roadstead.expr.cel.library.regex import REGEX
from roadstead.expr.cel.library.standard import STANDARD
from roadstead.expr.cel.library.strings import STRINGS
from roadstead.expr.cel.library.times import parse_duration, parse_timestamp
from roadstead.expr.cel.types import (
    BOOL,
    BYTES,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
    optional_of,
    parse_type,
)
from roadstead.expr.cel.values import KeyedList
from roadstead.kinds.object import Json

DOUBLE: Final = Type("double")
Convert = Callable[[Any], Any]

_RESERVED: Final = frozenset(
    {
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop",
        "package", "namespace", "return", "var", "void", "while",
    }
)  # fmt: skip
_IDENTIFIER: Final = re.compile(r"[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*", re.ASCII)
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}

ROOT_FIELDS: Final[Json] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
    },
}
"""What rules on a whole object see of its envelope."""


def escape(name: str) -> str | None:
    """A property's name as rules write it; None if there is no way to."""
    if not _IDENTIFIER.fullmatch(name):
        return None
    if name in _RESERVED:
        return f"__{name}__"
    return re.sub(r"__|[./-]", lambda found: _ESCAPES[found[0]], name)


def with_envelope(schema: Json) -> Json:
    """The schema of a whole object as its rules see it."""
    return {**schema, "type": "object", "properties": {**(schema.get("properties") or {}), **ROOT_FIELDS}}


def _functions() -> dict[str, Function]:
    return build(
        (STANDARD, STRINGS, REGEX, K8S_LISTS, LISTS, SETS, OPTIONALS, QUANTITY, SEMVER, IP, URL, NAMED_FORMATS)
    )


_FUNCTIONS: Final = _functions()
_NAMED: Final = {
    name: Type(name)
    for name in (
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "list",
        "map",
        "null_type",
        "type",
        "optional_type",
    )
} | {
    parse_type(short).name: parse_type(short)
    for short in ("Quantity", "Semver", "IP", "CIDR", "URL", "Format", "timestamp", "duration")
}


class Declared:
    """The types of one schema node and of all below: their fields by type name."""

    def __init__(self, schema: Json) -> None:
        self.fields: dict[str, dict[str, Type]] = {}
        self.type = self._type(schema, "selfType")

    def environment(self, *, old_is_optional: bool) -> Environment:
        """What a rule on this node may use."""
        assert self.type is not None
        old = optional_of(self.type) if old_is_optional else self.type
        return Environment(_FUNCTIONS, {"self": self.type, "oldSelf": old}, self.fields, _NAMED)

    def _type(self, schema: Json, name: str) -> Type | None:
        """None for a node of which nothing is known: rules do not see it."""
        if schema.get("x-kubernetes-int-or-string"):
            return DYN
        if schema.get("x-kubernetes-embedded-resource") and name != "selfType":
            schema = with_envelope(schema)
        match schema.get("type"):
            case "array":
                items = schema.get("items")
                element = self._type(items, f"{name}.@items") if isinstance(items, dict) else None
                return list_of(element) if element is not None else None
            case "object":
                additional = schema.get("additionalProperties")
                if isinstance(additional, dict):
                    value = self._type(additional, f"{name}.@values")
                    return map_of(STRING, value) if value is not None else None
                found: dict[str, Type] = {}
                for key, inner in (schema.get("properties") or {}).items():
                    escaped = escape(key)
                    below = self._type(inner, f"{name}.{key}")
                    if escaped is not None and below is not None:
                        found[escaped] = below
                self.fields[name] = found
                return Type(name)
            case "string":
                return _TEXTS.get(schema.get("format", ""), STRING)
            case "boolean":
                return BOOL
            case "integer":
                return INT
            case "number":
                return DOUBLE
        return None


_TEXTS: Final = {"byte": BYTES, "duration": DURATION, "date-time": TIMESTAMP, "date": TIMESTAMP}


def converter(schema: Json) -> Convert:
    """JSON values of this node -> CEL values. What does not fit the schema is passed as it is."""
    if schema.get("x-kubernetes-int-or-string"):
        return _as_it_is
    if schema.get("x-kubernetes-embedded-resource"):
        schema = with_envelope(schema)
    match schema.get("type"):
        case "object":
            return _object(schema)
        case "array":
            return _array(schema)
        case "number":
            return lambda value: float(value) if value.__class__ is int else value
        case "integer":
            return lambda value: int(value) if value.__class__ is float and value.is_integer() else value
        case "string" if schema.get("format") in _TEXTS:
            return _text(schema["format"])
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _object(schema: Json) -> Convert:
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        inner = converter(additional)
        return lambda value: {key: inner(item) for key, item in value.items()} if value.__class__ is dict else value
    known: dict[str, tuple[str, Convert]] = {}
    for name, below in (schema.get("properties") or {}).items():
        escaped = escape(name)
        if escaped is not None:
            known[name] = (escaped, converter(below))

    def convert(value: Any) -> Any:
        if value.__class__ is not dict:
            return value
        found = {}
        for name, item in value.items():
            one = known.get(name)
            if one is not None:
                found[one[0]] = None if item is None else one[1](item)
        return found

    return convert


def _array(schema: Json) -> Convert:
    items = schema.get("items")
    inner = converter(items) if isinstance(items, dict) else _as_it_is
    kind = schema.get("x-kubernetes-list-type")
    keys = [escape(key) or key for key in schema.get("x-kubernetes-list-map-keys") or ()]

    def convert(value: Any) -> Any:
        if value.__class__ is not list:
            return value
        elements = [None if item is None else inner(item) for item in value]
        return KeyedList(elements, keys) if kind == "set" or (kind == "map" and keys) else elements

    return convert


def _text(form: str) -> Convert:
    def convert(value: Any) -> Any:
        if value.__class__ is not str:
            return value
        try:
            if form == "byte":
                return base64.b64decode(value, validate=True)
            if form == "duration":
                return parse_duration(value)
            return parse_timestamp(f"{value}T00:00:00Z" if form == "date" else value)
        except (EvaluationError, binascii.Error, ValueError):
            return value

    return convert
