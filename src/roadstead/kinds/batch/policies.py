"""podFailurePolicy and successPolicy of a Job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.errors import INVALID, FieldError, invalid
from roadstead.kinds.object import Json

ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")
_RULES_LIMIT: Final = 20
_VALUES_LIMIT: Final = 255
_INDEXES_LIMIT: Final = 64 * 1024


def validate_failure_policy(spec: Json, found: list[FieldError]) -> None:
    """Which failures count, and what they do."""
    path = "spec.podFailurePolicy.rules"
    rules = spec["podFailurePolicy"].get("rules") or ()
    if len(rules) > _RULES_LIMIT:
        found.append(errors.too_many(path, len(rules), _RULES_LIMIT))
    pod = spec["template"]["spec"]
    containers = {
        container.get("name") for name in ("containers", "initContainers") for container in pod.get(name) or ()
    }
    for i, rule in enumerate(rules):
        here = f"{path}[{i}]"
        action = rule.get("action", "")
        if not action:
            listed = " ".join(errors.go_value(choice) for choice in ACTIONS)
            found.append(errors.required(f"{here}.action", f"valid values: [{listed}]"))
        elif action == "FailIndex":
            if spec.get("backoffLimitPerIndex") is None:
                found.append(invalid(f"{here}.action", action, "requires the backoffLimitPerIndex to be set"))
        elif action not in ACTIONS:
            found.append(errors.not_supported(f"{here}.action", action, ACTIONS))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None:
            _exit_codes(codes, containers, f"{here}.onExitCodes", found)
        _pod_conditions(conditions, f"{here}.onPodConditions", found)
        if codes is not None and conditions:
            why = "specifying both OnExitCodes and OnPodConditions is not supported"
            found.append(FieldError(INVALID, here, f"Invalid value: {why}"))
        if codes is None and not conditions:
            why = "specifying one of OnExitCodes and OnPodConditions is required"
            found.append(FieldError(INVALID, here, f"Invalid value: {why}"))


def _exit_codes(codes: Json, containers: set[str | None], path: str, found: list[FieldError]) -> None:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    checks.one_of(operator, ("In", "NotIn"), f"{path}.operator", found)
    name = codes.get("containerName")
    if name is not None and name not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        found.append(invalid(f"{path}.containerName", name, why))
    if not values:
        found.append(invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > _VALUES_LIMIT:
        found.append(errors.too_many(f"{path}.values", len(values), _VALUES_LIMIT))
    seen: set[int] = set()
    for j, value in enumerate(values):
        if operator == "In" and value == 0:
            found.append(invalid(f"{path}.values[{j}]", value, "must not be 0 for the In operator"))
        if value in seen:
            found.append(errors.duplicate(f"{path}.values[{j}]", value))
        seen.add(value)
    if values != sorted(values):
        found.append(invalid(f"{path}.values", values, "must be ordered"))


def _pod_conditions(conditions: Sequence[Json], path: str, found: list[FieldError]) -> None:
    if len(conditions) > _RULES_LIMIT:
        found.append(errors.too_many(path, len(conditions), _RULES_LIMIT))
    for j, pattern in enumerate(conditions):
        name = pattern.get("type", "")
        found.extend(invalid(f"{path}[{j}].type", name, why) for why in syntax.qualified_name(name))
        checks.one_of(pattern.get("status", ""), ("False", "True", "Unknown"), f"{path}[{j}].status", found)


def validate_success_policy(spec: Json, found: list[FieldError]) -> None:
    """Which completed indexes make the Job a success."""
    path = "spec.successPolicy.rules"
    rules = spec["successPolicy"].get("rules") or ()
    completions = spec.get("completions") or 0
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        found.append(errors.required(path, why))
    if len(rules) > _RULES_LIMIT:
        found.append(errors.too_many(path, len(rules), _RULES_LIMIT))
    for i, rule in enumerate(rules):
        here = f"{path}[{i}]"
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            why = "at least one of succeededCount or succeededIndexes must be specified"
            found.append(errors.required(here, why))
        total = 0
        if indexes is not None:
            if len(indexes) > _INDEXES_LIMIT:
                found.append(errors.too_long(f"{here}.succeededIndexes", _INDEXES_LIMIT))
            try:
                total = count_indexes(indexes, completions)
            except ValueError as error:
                why = f"error parsing succeededIndexes: {error}"
                found.append(invalid(f"{here}.succeededIndexes", indexes, why))
        if count is not None:
            checks.not_negative(count, f"{here}.succeededCount", found)
            if count > completions:
                why = f"must be less than or equal to {completions} (the number of specified completions)"
                found.append(invalid(f"{here}.succeededCount", count, why))
            if indexes is not None and count > total:
                why = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
                found.append(invalid(f"{here}.succeededCount", count, why))


def count_indexes(text: str, completions: int) -> int:
    """How many indexes `0,2-4` names. ValueError, with the server's sentence, if it is no increasing list below
    `completions`."""
    if not text:
        return 0
    last, total = -1, 0
    for interval in text.split(","):
        low, high = _interval(interval, completions)
        if last >= low:
            raise ValueError(f"non-increasing order, previous: {last}, current: {low}")
        total += high - low + 1
        last = high
    return total


def _interval(text: str, completions: int) -> tuple[int, int]:
    parts = text.split("-")
    if len(parts) > 2:
        quoted = errors.go_quote(text)
        raise ValueError(
            f"the fragment {quoted} violates the requirement that an index interval can have at most two parts separated by '-'"
        )
    values: list[int] = []
    for part in parts:
        if not (part.isascii() and part.isdigit()):
            raise ValueError(f"cannot convert string to integer for index: {errors.go_quote(part)}")
        if int(part) >= completions:
            raise ValueError(f"too large index: {errors.go_quote(part)}")
        values.append(int(part))
    if len(values) == 2 and values[0] >= values[1]:
        raise ValueError(f"non-increasing order, previous: {values[0]}, current: {values[1]}")
    return values[0], values[-1]
