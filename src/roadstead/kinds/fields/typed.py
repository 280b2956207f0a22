"""What a schema says of how values merge: which lists are maps or sets, which maps are one value, what is a scalar.

Made of OpenAPI v3 schema dicts with `x-kubernetes-list-type`, `-list-map-keys`, `-map-type`,
`-preserve-unknown-fields`; the translation is kube-openapi's (schemaconv), the rules of types structured-merge-diff's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from roadstead.kinds.facts import facts
from roadstead.kinds.facts.go import NULL_TIMES
from roadstead.kinds.object import Json

NUMERIC: Final = "numeric"
STRING: Final = "string"
BOOLEAN: Final = "boolean"
UNTYPED: Final = "untyped"

OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_RAW: Final = "io.k8s.apimachinery.pkg.runtime.RawExtension"


class ListType:
    """`keys` of a list that is a map; a set has none. Neither (atomic): the list is one value."""

    __slots__ = ("associative", "element", "keys")

    def __init__(self, element: Type, *, associative: bool = False, keys: tuple[str, ...] = ()) -> None:
        self.element = element
        self.associative = associative
        self.keys = keys


class MapType:
    """A struct, a map, or both. `element` is the type of what is no declared field; None: nothing else may be there."""

    __slots__ = ("atomic", "defaults", "element", "fields")

    def __init__(
        self, fields: dict[str, Type], element: Type | None, *, atomic: bool = False, defaults: Json | None = None
    ) -> None:
        self.fields = fields
        self.element = element
        self.atomic = atomic
        self.defaults: Json = {} if defaults is None else defaults

    def of(self, name: str) -> Type:
        """The type of one field or entry."""
        found = self.fields.get(name) or self.element
        return UNKNOWN if found is None else found


class Type:
    """What a value may be: a scalar, a list, a map. Most allow one of the three."""

    __slots__ = ("deduced", "list", "map", "scalar")

    def __init__(
        self, scalar: str = "", list: ListType | None = None, map: MapType | None = None, *, deduced: bool = False
    ) -> None:
        self.scalar = scalar
        self.list = list
        self.map = map
        self.deduced = deduced
        """Follows from the value alone."""

    def sort(self, found: Any) -> str:
        """As which of the three a value counts: what it is, where that is allowed; else the first that is."""
        if isinstance(found, dict):
            if self.map is not None:
                return "map"
        elif isinstance(found, list):
            if self.list is not None:
                return "list"
        elif found is not None and self.scalar:
            return "scalar"
        if self.map is not None:
            return "map"
        return "scalar" if self.scalar else "list"


def _atomic() -> Type:
    """Anything; lists and maps of it are one value."""
    made = Type(UNTYPED)
    made.list = ListType(made)
    made.map = MapType({}, made, atomic=True)
    return made


def _deduced(atomic: Type) -> Type:
    """Anything; maps are granular, lists are one value."""
    made = Type(UNTYPED, deduced=True)
    made.list = ListType(atomic)
    made.map = MapType({}, made)
    return made


ATOMIC: Final = _atomic()
DEDUCED: Final = _deduced(ATOMIC)
UNKNOWN: Final = DEDUCED
"""The type of a field that no schema declares: it is refused where that matters, and compared by what it is
elsewhere."""


class _Compiler:
    """Schema dicts to types. Named schemas are made once and may refer to themselves."""

    def __init__(self, resolve: Callable[[str], Json]) -> None:
        self._resolve = resolve
        self._named: dict[tuple[str, str], Type] = {}

    def type_of(self, schema: Json, preserve: bool = False) -> Type:
        """The type of a schema; `preserve`: unknown fields are kept, as something above it says."""
        name = _reference(schema)
        if name:
            return self._type_named(name, schema.get("x-kubernetes-map-type", ""))
        made = Type()
        self._fill(made, schema, preserve)
        return made

    def _type_named(self, name: str, relation: str) -> Type:
        found = self._named.get((name, relation))
        if found is not None:
            return found
        made = self._named[(name, relation)] = Type()
        if name == _QUANTITY:
            made.scalar = UNTYPED
        elif name == _RAW:
            made.scalar, made.list, made.map = ATOMIC.scalar, ATOMIC.list, ATOMIC.map
        else:
            schema = self._resolve(name)
            if relation:
                schema = {**schema, "x-kubernetes-map-type": relation}
            self._fill(made, schema, False)
        return made

    def _fill(self, made: Type, schema: Json, preserve: bool) -> None:
        preserve = preserve or schema.get("x-kubernetes-preserve-unknown-fields") is True
        match schema.get("type", ""):
            case "":
                made.scalar = UNTYPED
                made.list = self._list(schema, preserve)
                made.map = self._map(schema, preserve)
            case "object":
                made.map = self._map(schema, preserve)
            case "array":
                made.list = self._list(schema, preserve)
            case "integer" | "number":
                made.scalar = NUMERIC
            case "boolean":
                made.scalar = BOOLEAN
            case "string" if schema.get("format", "") in ("", "byte"):
                made.scalar = STRING
            case _:
                made.scalar = UNTYPED

    def _map(self, schema: Json, preserve: bool) -> MapType:
        properties: Json = dict(schema.get("properties") or {})
        if schema.get("x-kubernetes-embedded-resource"):
            properties.update(_IDENTITY)
        more = schema.get("additionalProperties")
        element: Type | None
        if isinstance(more, dict):
            element = self.type_of(more, preserve)
        elif more is None:
            element = DEDUCED if preserve or not properties else None
        else:
            element = DEDUCED if more else None
        return MapType(
            {name: self.type_of(inner, preserve) for name, inner in properties.items()},
            element,
            atomic=schema.get("x-kubernetes-map-type") == "atomic",
            defaults={name: inner["default"] for name, inner in properties.items() if "default" in inner},
        )

    def _list(self, schema: Json, preserve: bool) -> ListType:
        items = schema.get("items")
        element = self.type_of(items, preserve) if isinstance(items, dict) else ATOMIC
        listed = schema.get("x-kubernetes-list-type")
        if listed is not None:
            keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if listed == "map" else ()
            return ListType(element, associative=listed in ("map", "set"), keys=keys)
        if schema.get("x-kubernetes-patch-strategy") in ("merge", "merge,retainKeys"):
            merge_key = schema.get("x-kubernetes-patch-merge-key")
            return ListType(element, associative=True, keys=(merge_key,) if merge_key else ())
        return ListType(element)


_IDENTITY: Final[Json] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"ref": OBJECT_META},
}


def _reference(schema: Json) -> str:
    """The component that a schema stands for, "" if it is one itself."""
    all_of = schema.get("allOf")
    for place in (schema, *(all_of if isinstance(all_of, list) and len(all_of) == 1 else ())):
        found = place.get("ref") or place.get("$ref")
        if isinstance(found, str):
            return found.rpartition("/")[2]
    return ""


@lru_cache(maxsize=1)
def _compiler() -> _Compiler:
    return _Compiler(lambda name: facts().schemas[name])


def object_type(schema: Json, *, is_custom: bool = False) -> Type:
    """The type of a kind's objects. References in the schema (`ref`, or `$ref` by its last part) are to packaged
    components. Custom kinds have the server's own apiVersion, kind and metadata, whatever theirs say. O(schema), with
    what it refers to compiled once per process."""
    if is_custom:
        schema = {**schema, "type": "object", "properties": {**(schema.get("properties") or {}), **_IDENTITY}}
    return _compiler().type_of(schema)


def empty_object(schema: Json, component: str = "") -> Json:
    """What Go's zero value of a built-in kind looks like: structs that are no pointers are there before anybody writes
    them, so nobody who fills them in owns the struct itself. `component` is the schema's name."""
    found = _zero(schema, component.rpartition(".")[2])
    for name in ("apiVersion", "kind"):
        found.pop(name, None)
    return found


def _zero(schema: Json, name_of_type: str) -> Json:
    made: Json = {}
    required = schema.get("required") or ()
    for name, inner in (schema.get("properties") or {}).items():
        reference = _reference(inner)
        default = inner.get("default")
        if default == {} and reference:
            made[name] = _zero(facts().schemas[reference], reference.rpartition(".")[2])
        elif (name_of_type, name) in NULL_TIMES:
            made[name] = None
        elif name in required or default in ("", 0, False):
            made[name] = default if default in ("", 0, False) and default is not None else None
    return made
