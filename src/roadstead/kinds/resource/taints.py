"""Taints on devices and what tolerates them (KEP-5055)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json
from roadstead.kinds.resource import checks

EFFECTS: Final = ("NoExecute", "NoSchedule", "None")
OPERATORS: Final = ("Equal", "Exists")


def validate_taint(taint: Json, path: str, found: list[FieldError], old: Json | None = None) -> None:
    """`old`: the taint as it is stored; its effect may stay whatever it is."""
    checks.label_key(taint.get("key", ""), f"{path}.key", found)
    if taint.get("value"):
        checks.label_value(taint["value"], f"{path}.value", found)
    effect = taint.get("effect", "")
    if old is None or old.get("effect", "") != effect:
        if not effect:
            found.append(errors.required(f"{path}.effect"))
        elif effect not in EFFECTS:
            found.append(errors.not_supported(f"{path}.effect", effect, EFFECTS))


def default_tolerations(body: Json) -> None:
    """Of a request: equality is meant where nothing is said."""
    for toleration in body.get("tolerations") or ():
        toleration.setdefault("operator", "Equal")


def validate_toleration(toleration: Any, path: str, found: list[FieldError]) -> None:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    if key:
        checks.label_key(key, f"{path}.key", found)
    if operator == "Exists":
        if value:
            found.append(invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        checks.label_value(value, f"{path}.value", found)
    elif not operator:
        found.append(errors.required(f"{path}.operator"))
    else:
        found.append(errors.not_supported(f"{path}.operator", operator, OPERATORS, keep_order=True))
    if effect and effect not in EFFECTS:
        found.append(errors.not_supported(f"{path}.effect", effect, EFFECTS))
