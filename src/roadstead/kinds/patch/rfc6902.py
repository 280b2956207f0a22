"""JSON patch (RFC 6902) as the API server applies it: `add remove replace move copy test`.

The server's library is laxer than the RFC where an object lacks the last key of a path: `replace` sets it, `copy` and
`test` read it as null. Array positions may be negative, counting from the end.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from roadstead.kinds.object import Json
from roadstead.kinds.patch.refused import not_applicable


def apply(obj: Json, operations: Sequence[Json]) -> Json:
    """The object after all operations; StatusError 422, and no change at all, if one of them does not apply."""
    document: Any = copy.deepcopy(obj)
    for operation in operations:
        document = _apply(document, operation)
    if not isinstance(document, dict):
        raise not_applicable()
    return document


def _apply(document: Any, operation: Json) -> Any:
    path = _pointer(operation, "path")
    value = copy.deepcopy(operation.get("value"))
    match operation.get("op"):
        case "add":
            _add(*_container(document, path), value)
        case "remove":
            _remove(*_container(document, path))
        case "replace":
            if not path:
                return value
            container, key = _container(document, path)
            _get(container, key)
            container[key if isinstance(container, dict) else _position(key, len(container))] = value
        case "move":
            source, key = _container(document, _pointer(operation, "from"))
            moved = _get(source, key)
            _remove(source, key)
            _add(*_container(document, path), moved)
        case "copy":
            source, key = _container(document, _pointer(operation, "from"))
            _add(*_container(document, path), copy.deepcopy(_get(source, key)))
        case "test":
            found = _get(*_container(document, path)) if path else document
            if not _equal(found, value):
                raise not_applicable()
        case _:
            raise not_applicable()
    return document


def _pointer(operation: Json, field: str) -> tuple[str, ...]:
    text = operation.get(field)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise not_applicable()
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")) if text else ()


def _container(document: Any, path: tuple[str, ...]) -> tuple[Any, str]:
    """The object or array that holds the last step of a path, and that step."""
    if not path:
        raise not_applicable()
    container = document
    for key in path[:-1]:
        container = _get(container, key)
    if not isinstance(container, dict | list):
        raise not_applicable()
    return container, path[-1]


def _position(key: str, length: int) -> int:
    """An array position below `length`."""
    digits = key[1:] if key.startswith(("-", "+")) else key
    if not (digits.isascii() and digits.isdigit()):
        raise not_applicable()
    at = int(key)
    if at < 0:
        at += length
    if not 0 <= at < length:
        raise not_applicable()
    return at


def _get(container: Any, key: str) -> Any:
    """The value, None where an object lacks the key."""
    if isinstance(container, dict):
        return container.get(key)
    if isinstance(container, list):
        return container[_position(key, len(container))]
    raise not_applicable()


def _add(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_position(key, len(container) + 1), value)


def _remove(container: Any, key: str) -> None:
    if isinstance(container, dict):
        if key not in container:
            raise not_applicable()
        del container[key]
    else:
        del container[_position(key, len(container))]


def _equal(left: Any, right: Any) -> bool:
    """JSON equality: true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)
