"""Conditions that a driver sets before pods are bound to its devices (KEP-5007), of devices and of what was
allocated."""

from __future__ import annotations

from typing import Final

from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json
from roadstead.kinds.resource import checks

MAX_CONDITIONS: Final = 4


def validate_binding_conditions(value: Json, path: str, found: list[FieldError]) -> None:
    """Both lists or none; nothing twice, nothing in both."""
    wanted = value.get("bindingConditions") or []
    failures = value.get("bindingFailureConditions") or []
    checks.each(wanted, MAX_CONDITIONS, checks.label_key, f"{path}.bindingConditions", found)
    checks.each(failures, MAX_CONDITIONS, checks.label_key, f"{path}.bindingFailureConditions", found)
    for i, condition in enumerate(wanted):
        if condition in wanted[:i]:
            found.append(errors.duplicate(f"{path}.bindingConditions[{i}]", condition))
    for i, condition in enumerate(failures):
        here = f"{path}.bindingFailureConditions[{i}]"
        if condition in failures[:i]:
            found.append(errors.duplicate(here, condition))
        if condition in wanted:
            found.append(invalid(here, condition, "bindingFailureConditions must not overlap with bindingConditions"))
    if failures and not wanted:
        why = "bindingConditions are required to use bindingFailureConditions"
        found.append(invalid(f"{path}.bindingConditions", None, why))
    if wanted and not failures:
        why = "bindingFailureConditions are required to use bindingConditions"
        found.append(invalid(f"{path}.bindingFailureConditions", None, why))
