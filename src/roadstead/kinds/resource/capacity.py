"""How much a device has, and which shares of it may be asked for (KEP-5075, fractional ranges as of Kubernetes
1.37)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr.quantity import Quantity, parse
from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

MAX_CHOICES: Final = 10


def validate_capacity(capacity: Json, path: str, found: list[FieldError]) -> None:
    """Of a device that may be given to several at once."""
    policy = capacity.get("requestPolicy")
    if policy is None:
        return
    here = f"{path}.requestPolicy"
    whole = parse(capacity["value"])
    choices, between = policy.get("validValues"), policy.get("validRange")
    if choices and between is not None:
        why = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        found.append(errors.forbidden(here, why))
        return
    for name, value in (("validValues", choices), ("validRange", between)):
        if value and policy.get("default") is None:
            found.append(errors.required(f"{here}.default", f"required when {name} is defined"))
            return
    if choices:
        _choices(parse(policy["default"]), whole, choices, f"{here}.validValues", found)
    elif between is not None:
        _between(parse(policy["default"]), whole, between, f"{here}.validRange", found)


def validate_undivided_capacity(capacity: Json, path: str, found: list[FieldError]) -> None:
    """Of a device that is given as a whole."""
    if capacity.get("requestPolicy") is not None:
        found.append(errors.forbidden(f"{path}.requestPolicy", "allowMultipleAllocations must be true"))


def _choices(default: Quantity, whole: Quantity, choices: list[Any], path: str, found: list[FieldError]) -> None:
    values = [parse(choice) for choice in choices]
    for i in range(1, len(values)):
        if values[i - 1] > values[i]:
            found.append(invalid(f"{path}[{i}]", str(values[i]), "values must be sorted in ascending order"))
    known = False
    if len(values) > MAX_CHOICES:
        found.append(errors.too_many(path, len(values), MAX_CHOICES))
    else:
        for i, value in enumerate(values):
            if value > whole:
                found.append(invalid(f"{path}[{i}]", str(value), f"option is larger than capacity value: {whole}"))
            known = known or value.nano == default.nano
        for i, value in enumerate(values):
            if any(value.value == earlier.value for earlier in values[:i]):
                found.append(errors.duplicate(f"{path}[{i}]", str(value.value)))
    if not known:
        found.append(invalid(path, str(default), "default value is not valid according to the requestPolicy"))


def _between(default: Quantity, whole: Quantity, between: Json, path: str, found: list[FieldError]) -> None:
    if between.get("min") is None:
        found.append(errors.required(f"{path}.min", "required when validRange is defined"))
        return
    least = parse(between["min"])
    most = parse(between["max"]) if between.get("max") is not None else None
    step = parse(between["step"]) if between.get("step") is not None else None
    if least > whole:
        found.append(invalid(f"{path}.min", str(least), f"min is larger than capacity value: {whole}"))
    if default < least:
        found.append(invalid(f"{path}.min", str(default), f"default is less than min: {least}"))
    if most is not None:
        if least > most:
            found.append(invalid(f"{path}.max", str(least), f"min is larger than max: {most}"))
        if most > whole:
            found.append(invalid(f"{path}.max", str(most), f"max is larger than capacity value: {whole}"))
        if default > most:
            found.append(invalid(f"{path}.max", str(default), f"default is more than max: {most}"))
    if step is None:
        return
    here = f"{path}.step"
    if step.nano <= 0:
        found.append(invalid(here, str(step), "must be greater than zero"))
        return
    reached = Quantity(least.nano + step.nano, least.format)
    if reached > whole:
        found.append(invalid(here, str(step), f"one step {reached} is larger than capacity value: {whole}"))
    for value in (default, most):
        if value is not None and not _is_reached(value, least, step):
            why = f"value is not a multiple of a given step ({step}) from ({least})"
            found.append(invalid(here, str(value), why))


def _is_reached(value: Quantity, least: Quantity, step: Quantity) -> bool:
    """Is the value some steps above the least? Whole numbers, rounded up, unless one of the three is a fraction."""
    if value.is_whole and least.is_whole and step.is_whole:
        return (value.value - least.value) % step.value == 0
    return (value.nano - least.nano) % step.nano == 0
