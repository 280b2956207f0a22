"""Schema facts of the kinds served, as recorded of a real API server: types, required fields, defaults, enums, list types and
merge keys, without prose. `scripts/facts.py` writes the data; nobody edits it.

A schema is the OpenAPI v3 dict with `$ref` shortened to `ref` (a component's name).
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.resources import files
from typing import Any

import orjson

from roadstead.kinds.object import Json


class Facts:
    """kinds: "group/version/Kind" -> component name; schemas: component name -> schema; custom: what CRDs add."""

    def __init__(self, kinds: dict[str, str], schemas: dict[str, Json], custom: dict[str, Json]) -> None:
        self.kinds = kinds
        self.schemas = schemas
        self.custom = custom

    def resolve(self, schema: Json) -> Json:
        """The schema that `schema` refers to, or itself."""
        name = schema.get("ref")
        return schema if name is None else self.schemas[name]


@lru_cache(maxsize=1)
def facts() -> Facts:
    """All packaged facts, read once (about 3 ms)."""
    packed = files(__package__).joinpath("facts.json.gz").read_bytes()
    value: dict[str, Any] = orjson.loads(gzip.decompress(packed))
    return Facts(value["kinds"], value["schemas"], value["custom"])
