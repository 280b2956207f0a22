"""A change is not refused for what it leaves as it was (KEP-4008; apiextensions-apiserver
`validation/ratcheting.go`)."""

from __future__ import annotations

from typing import Any, Final

import orjson

from roadstead.kinds.errors import FieldError
from roadstead.kinds.object import Json

_MISSING: Final = object()


def unchanged(found: list[FieldError], new: Json, old: Json, schema: Json) -> list[FieldError]:
    """The errors that a change from `old` to `new` brought: those are left out whose value, or a value around it, did
    not change. O(errors x depth), and comparing what is compared."""
    return [error for error in found if not _is_old(error.field, new, old, schema)]


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return bool(left == right) and orjson.dumps(left, option=_SORTED) == orjson.dumps(right, option=_SORTED)


_SORTED: Final = orjson.OPT_SORT_KEYS


def _is_old(path: str, new: Any, old: Any, schema: Json) -> bool:
    """Some value on the way of the path, its end included, can be compared and is what it was."""
    while True:
        step = _step(path, new, old, schema)
        if step is None:
            return False
        path, new, old, schema = step
        if old is _MISSING:
            return False
        if same(new, old):
            return True


def _step(path: str, new: Any, old: Any, schema: Json) -> tuple[str, Any, Any, Json] | None:
    """One step into the values that `path` leads to, with what is left of the path; None at the end, or where nothing
    is there."""
    if not path or path == "<nil>":
        return None
    if isinstance(new, list):
        index, _, rest = path.removeprefix("[").partition("]")
        if not index.isdigit() or int(index) >= len(new):
            return None
        element = new[int(index)]
        items = schema.get("items")
        return (
            rest.removeprefix("."),
            element,
            _counterpart(element, old, schema),
            items if isinstance(items, dict) else {},
        )
    if not isinstance(new, dict):
        return None
    found = [name for name in new if path == name or path.startswith((f"{name}.", f"{name}[", f"[{name}]"))]
    if not found:
        return None
    name = max(found, key=len)
    rest = path.removeprefix(f"[{name}]") if path.startswith("[") else path.removeprefix(name)
    before = old.get(name, _MISSING) if isinstance(old, dict) else _MISSING
    inner = (schema.get("properties") or {}).get(name)
    if inner is None:
        additional = schema.get("additionalProperties")
        inner = additional if isinstance(additional, dict) else {}
    return rest.removeprefix("."), new[name], before, inner


def _counterpart(element: Any, old: Any, schema: Json) -> Any:
    """What the element was: only elements of maps can be told apart."""
    keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    if not keys or not isinstance(old, list) or not isinstance(element, dict):
        return _MISSING
    wanted = [element.get(key) for key in keys]
    for before in old:
        if isinstance(before, dict) and [before.get(key) for key in keys] == wanted:
            return before
    return _MISSING
