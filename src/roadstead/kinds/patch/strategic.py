"""Strategic merge patch, driven by the schema's patch strategies and merge keys.

Follows apimachinery `strategicpatch` function by function (mergeMap, mergeSlice, normalizeElementOrder), because the
order of merged lists is observable: elements of the patch keep the patch's order, elements that only the server has are
woven in where they stood.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from roadstead.kinds.errors import StatusError, bad_request
from roadstead.kinds.object import Json
from roadstead.kinds.patch.refused import go_text
from roadstead.kinds.schema import Schema

DIRECTIVE: Final = "$patch"
DELETE_FROM: Final = "$deleteFromPrimitiveList"
SET_ORDER: Final = "$setElementOrder"
RETAIN_KEYS: Final = "$retainKeys"

_BAD_PRIMITIVES: Final = "invalid patch format of primitive list"
_BAD_ORDER: Final = "invalid patch format of setElementOrder list"
_BAD_RETAIN: Final = "invalid patch format of retainKeys"


def apply(obj: Json, patch: Json, schema: Schema) -> Json:
    """The object with the patch merged into it. StatusError 400 for malformed directives; errors that the real server
    has no mapping for are 500 without a reason, as there."""
    return _Merge(schema).merge_map(copy.deepcopy(obj), copy.deepcopy(patch), schema.raw)


def _plain(message: str) -> StatusError:
    return StatusError(500, "", message)


class _Merge:
    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    # --- maps

    def merge_map(self, original: Json, patch: Json, node: Json | None) -> Json:
        if DIRECTIVE in patch:
            return self._directive(patch)
        self._retain_keys(original, patch)
        self._ordered_lists(original, patch, node)
        for key, value in patch.items():
            deletes = key.startswith(DELETE_FROM)
            if deletes:
                key = _list_name(key, _BAD_PRIMITIVES)
            if value is None:
                original.pop(key, None)
                continue
            if key not in original:
                if not deletes:
                    original[key] = _without_directives(value)
                continue
            have = original[key]
            if isinstance(have, dict) and isinstance(value, dict):
                inner, strategies, _ = self._meta(node, key)
                original[key] = value if "replace" in strategies else self.merge_map(have, value, inner)
            elif isinstance(have, list) and isinstance(value, list):
                inner, strategies, merge_key = self._meta(node, key)
                original[key] = self.merge_list(have, value, inner, strategies, merge_key, deletes=deletes)
            elif not deletes:
                original[key] = _without_directives(value)
        return original

    def _directive(self, patch: Json) -> Json:
        directive = patch[DIRECTIVE]
        if directive == "replace":
            rest = {key: value for key, value in patch.items() if key != DIRECTIVE}
            return {key: _without_directives(value) for key, value in rest.items()}
        if directive == "delete":
            return {}
        raise _plain(f"unknown patch type: {go_text(directive)} in map: {go_text(patch)}")

    def _retain_keys(self, original: Json, patch: Json) -> None:
        if RETAIN_KEYS not in patch:
            return
        keys = patch.pop(RETAIN_KEYS)
        if not isinstance(keys, list):
            raise bad_request(_BAD_RETAIN)
        for key, value in patch.items():
            if value is not None and not key.startswith((DELETE_FROM, SET_ORDER)) and key not in keys:
                raise bad_request(_BAD_RETAIN)
        for key in [key for key in original if key not in keys]:
            del original[key]

    def _meta(self, node: Json | None, key: str) -> tuple[Json | None, list[str], str]:
        """Schema, patch strategies and merge key of a field."""
        field = None if node is None else self.schema.property(node, key)
        if field is None:
            return None, [], ""
        strategies = field.get("x-kubernetes-patch-strategy", "").split(",")
        inner = self.schema.items(field) if field.get("type") == "array" else field
        return inner, strategies, field.get("x-kubernetes-patch-merge-key", "")

    # --- lists

    def merge_list(
        self,
        original: list[Any],
        patch: list[Any],
        item: Json | None,
        strategies: list[str],
        merge_key: str,
        *,
        deletes: bool,
    ) -> list[Any]:
        if not deletes and "merge" not in strategies:
            replaced: list[Any] = _without_directives(patch)
            return replaced
        if not original and not patch:
            return original
        sample = (original or patch)[0]
        if not isinstance(sample, dict):
            if deletes:
                return [element for element in original if element not in patch]
            merged = _unique([*original, *patch])
            return _normal_order(merged, patch, original, "")
        if not merge_key:
            raise _plain("cannot merge lists without merge key")
        original, patch = self._special_elements(original, patch, merge_key)
        merged = self._elements([*original], patch, item, merge_key)
        return _normal_order(merged, patch, original, merge_key)

    def _special_elements(self, original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
        plain: list[Any] = []
        replaces = False
        for element in patch:
            if not isinstance(element, dict) or DIRECTIVE not in element:
                plain.append(element)
                continue
            match element[DIRECTIVE]:
                case "delete":
                    if merge_key not in element:
                        raise _no_merge_key(element, merge_key)
                    original = [have for have in original if _key(have, merge_key) != element[merge_key]]
                case "replace":
                    replaces = True
                case "merge":
                    raise _plain("merging lists cannot yet be specified in the patch")
                case directive:
                    raise _plain(f"unknown patch type: {go_text(directive)} in map: {go_text(element)}")
        return (plain, []) if replaces else (original, plain)

    def _elements(self, original: list[Any], patch: list[Any], item: Json | None, merge_key: str) -> list[Any]:
        for element in patch:
            if not isinstance(element, dict) or merge_key not in element:
                raise _no_merge_key(element, merge_key)
            at = next((i for i, have in enumerate(original) if _key(have, merge_key) == element[merge_key]), -1)
            if at < 0:
                original.append(_without_directives(element))
            else:
                original[at] = self.merge_map(original[at], {**element}, item)
        return original

    def _ordered_lists(self, original: Json, patch: Json, node: Json | None) -> None:
        """$setElementOrder/FIELD: merge FIELD at once and put it into that order."""
        for directive in [key for key in patch if key.startswith(SET_ORDER)]:
            order = patch.pop(directive)
            if not isinstance(order, list):
                raise bad_request(_BAD_ORDER)
            key = _list_name(directive, _BAD_ORDER)
            item, strategies, merge_key = self._meta(node, key)
            have, change = original.get(key), patch.get(key)
            for value in (have, change):
                if value is not None and not isinstance(value, list):
                    raise bad_request(_BAD_ORDER)
            if change:
                _check_order(change, order, merge_key)
            if have is None and change is None:
                continue
            if change is None:
                merged = have or []
            elif have is None:
                merged = _without_directives(change)
            else:
                merged = self.merge_list([*have], change, item, strategies, merge_key, deletes=False)
            original[key] = _normal_order(merged, order, have or [], merge_key)
            patch.pop(key, None)


def _list_name(directive: str, problem: str) -> str:
    _, slash, name = directive.partition("/")
    if not slash or not name:
        raise bad_request(problem)
    return name


def _key(element: Any, merge_key: str) -> Any:
    if not isinstance(element, dict):
        return None
    return element.get(merge_key)


def _no_merge_key(element: Any, merge_key: str) -> StatusError:
    return _plain(f"map: {go_text(element)} does not contain declared merge key: {merge_key}")


def _unique(values: list[Any]) -> list[Any]:
    seen: list[Any] = []
    for value in values:
        if value not in seen:
            seen.append(value)
    return seen


def _check_order(patch: list[Any], order: list[Any], merge_key: str) -> None:
    """What the patch contains must appear in the order list, in the same order."""
    remaining = iter(order)
    for element in patch:
        if isinstance(element, dict) and element.get(DIRECTIVE) == "delete":
            continue
        same = _same(merge_key)
        if not any(same(element, other) for other in remaining):
            raise _plain(
                f"The order in patch list:\n{go_text(patch)}\n doesn't match {SET_ORDER} list:\n{go_text(order)}\n"
            )


def _same(merge_key: str) -> Callable[[Any, Any], bool]:
    if merge_key:
        return lambda left, right: bool(_key(left, merge_key) == _key(right, merge_key))
    return lambda left, right: bool(left == right)


def _position(order: list[Any], element: Any, merge_key: str) -> int:
    same = _same(merge_key)
    return next((i for i, other in enumerate(order) if same(element, other)), -1)


def _normal_order(merged: list[Any], patch_order: list[Any], server_order: list[Any], merge_key: str) -> list[Any]:
    """Elements of the patch in its order, the server's own woven in by where they stood (mergeSortedSlice)."""
    patched = [element for element in merged if _position(patch_order, element, merge_key) >= 0]
    server = [element for element in merged if _position(patch_order, element, merge_key) < 0]
    patched.sort(key=lambda element: _position(patch_order, element, merge_key))
    server.sort(key=lambda element: _rank(_position(server_order, element, merge_key), server_order))
    out: list[Any] = []
    i = j = 0
    while i < len(server) and j < len(patched):
        left = _position(server_order, server[i], merge_key)
        right = _position(server_order, patched[j], merge_key)
        if left >= 0 and right >= 0 and left < right:
            out.append(server[i])
            i += 1
        else:
            out.append(patched[j])
            j += 1
    return out + server[i:] + patched[j:]


def _rank(position: int, order: list[Any]) -> int:
    return position if position >= 0 else len(order)


def _without_directives(value: Any) -> Any:
    """A value of the patch that has nothing to merge with: directives go, they never reach storage."""
    if isinstance(value, dict):
        if value.get(DIRECTIVE) == "delete":
            return {}
        kept: Json = {}
        for key, inner in value.items():
            if key in (DIRECTIVE, RETAIN_KEYS) or key.startswith((DELETE_FROM, SET_ORDER)) or inner is None:
                continue
            kept[key] = _without_directives(inner)
        return kept
    if isinstance(value, list):
        return [_without_directives(element) for element in value if not _is_directive(element)]
    return value


def _is_directive(element: Any) -> bool:
    """A list element that removes something, or stands for the list."""
    return isinstance(element, dict) and (
        element.get(DIRECTIVE) == "delete" or (element.get(DIRECTIVE) == "replace" and len(element) == 1)
    )
