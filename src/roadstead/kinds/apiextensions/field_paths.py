"""Paths that a definition names fields by: `.spec.x`, `['a.b']` (apiextensions-apiserver `cel.ValidFieldPath`)."""

from __future__ import annotations

import re
from typing import Final

from roadstead.kinds.object import Json

_TOKEN: Final = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+")
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


class BadPath(ValueError):
    """It leads nowhere, or cannot be read. The message is the API server's."""


def resolved(path: str, schema: Json, *, brackets: bool = True) -> tuple[str, Json]:
    """(the path as errors print it, the schema at its end). Raises BadPath. O(path)."""
    tokens = iter(_TOKEN.findall(path))
    shown = ""
    for token in tokens:
        if token == "[" and not brackets:
            raise BadPath("array notation is not allowed")
        if token not in (".", "["):
            raise BadPath(f"expected [ or . but got: {token}")
        name = next(tokens, None)
        if token == "[":
            if name is None:
                raise BadPath("unexpected end of JSON path")
            if len(name) < 2 or not (name.startswith("'") and name.endswith("'")):
                raise BadPath(f"expected single quoted string but got {name}")
            name = _unquoted(name[1:-1])
        elif name is None:
            raise BadPath("unexpected end of JSON path")
        if schema.get("properties"):
            inner = schema["properties"].get(name)
            shown = f"{shown}.{name}" if shown else name
        elif isinstance(schema.get("additionalProperties"), dict):
            inner = schema["additionalProperties"]
            shown = f"{shown}[{name}]"
        else:
            inner = None
        if inner is None:
            raise BadPath("does not refer to a valid field")
        schema = inner
        if token == "[":
            closing = next(tokens, None)
            if closing is None:
                raise BadPath("unexpected end of JSON path")
            if closing != "]":
                raise BadPath(f"expected ] but got {closing}")
    return shown, schema


def _unquoted(text: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        try:
            return _ESCAPES[found[0][1]]
        except KeyError:
            raise BadPath(f"invalid string literal: invalid escape char {found[0]}") from None

    return re.sub(r"\\.", replaced, text)
