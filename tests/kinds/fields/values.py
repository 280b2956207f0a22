"""A schema with every way of merging, and values of it, for laws. Lists and maps that merge hold something: if empty,
nobody owns them, neither on a real server."""

from __future__ import annotations

from hypothesis import strategies as st

from roadstead.kinds.fields.apply import Place
from roadstead.kinds.fields.paths import Set
from roadstead.kinds.fields.typed import object_type
from roadstead.kinds.object import Json

SCHEMA: Json = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer"},
                "mode": {"type": "string"},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                            "name": {"type": "string"},
                        },
                    },
                },
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "steps": {"type": "array", "items": {"type": "string"}},
                "limits": {"type": "object", "additionalProperties": {"type": "string"}},
                "selector": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "additionalProperties": {"type": "string"},
                },
                "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"ready": {"type": "integer"}}},
    },
}
TYPE = object_type(SCHEMA, is_custom=True)
BUILT_IN = Place("v1", "Thing", "", lambda version: TYPE if version == "v1" else None, lambda version, where: Set(), {})
CUSTOM = Place("v1", "Thing", "", BUILT_IN.type_of, BUILT_IN.reset, {}, is_custom=True)

NAMES = st.sampled_from(["a", "b", "c"])
_PORTS = st.dictionaries(
    st.tuples(st.integers(1, 3), st.sampled_from(["TCP", "UDP"])), st.none() | NAMES, min_size=1, max_size=3
).map(
    lambda ports: [
        {"port": port, "protocol": protocol} | ({"name": name} if name else {})
        for (port, protocol), name in ports.items()
    ]
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.integers(0, 3),
        "mode": NAMES,
        "ports": _PORTS,
        "tags": st.lists(NAMES, unique=True, min_size=1, max_size=3),
        "steps": st.lists(NAMES, max_size=2),
        "limits": st.dictionaries(NAMES, NAMES, min_size=1, max_size=3),
        "selector": st.dictionaries(NAMES, NAMES, max_size=2),
        "extra": st.dictionaries(
            NAMES,
            st.integers(0, 2) | st.dictionaries(NAMES, st.integers(0, 2), min_size=1, max_size=2),
            min_size=1,
            max_size=2,
        ),
    },
)


def thing(spec: Json, **metadata: object) -> Json:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "t", **metadata}, "spec": spec}


OBJECTS = SPECS.filter(bool).map(thing)
