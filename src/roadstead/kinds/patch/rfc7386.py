"""JSON merge patch (RFC 7386): null deletes, objects merge, everything else replaces."""

from __future__ import annotations

import copy
from typing import Any

from roadstead.kinds.object import Json


def apply(obj: Json, patch: Json) -> Json:
    """The object with the patch merged into it. O(size of the patch) beyond one copy of the object."""
    result: Json = _merge(obj, patch)
    return result


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = {**target} if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
