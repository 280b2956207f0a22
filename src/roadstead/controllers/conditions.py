"""Editing metav1 conditions in decoded objects."""

from __future__ import annotations

from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time

MESSAGE_LIMIT = 32768
"""Characters of a condition's message (metav1.Condition)."""


def set_condition(obj: Json, type: str, status: bool, reason: str, message: str, now: int) -> bool:
    """Set a condition of a decoded whole object, in place; True if anything changed.

    lastTransitionTime moves only when the status does (apimachinery `meta.SetStatusCondition`).
    """
    conditions = obj.setdefault("status", {}).setdefault("conditions", [])
    wanted = {
        "type": type,
        "status": "True" if status else "False",
        "reason": reason,
        "message": message[:MESSAGE_LIMIT],
    }
    generation = obj["metadata"].get("generation")
    if generation:
        wanted["observedGeneration"] = generation
    for condition in conditions:
        if condition["type"] == type:
            if all(condition.get(name) == value for name, value in wanted.items()):
                return False
            moved = condition.get("status") != wanted["status"] or not condition.get("lastTransitionTime")
            condition.update(wanted)
            if moved:
                condition["lastTransitionTime"] = format_time(now)
            return True
    conditions.append({**wanted, "lastTransitionTime": format_time(now)})
    return True


def get_condition(obj: Json, type: str) -> Json | None:
    """The condition of this type in a decoded object, or None."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition["type"] == type:
            found: Json = condition
            return found
    return None


def is_true(obj: Json, type: str) -> bool:
    found = get_condition(obj, type)
    return found is not None and found.get("status") == "True"
