"""Small checks that many kinds share, with the real server's sentences. Each appends what it finds to `found`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from roadstead.expr import quantity, syntax
from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid

NOT_NEGATIVE: Final = "must be greater than or equal to 0"
MAX_INT32: Final = 2**31 - 1


def amount(value: Any, path: str, found: list[FieldError]) -> quantity.Quantity:
    """A quantity that is not negative; 0 if it is none."""
    try:
        parsed = quantity.parse(value)
    except quantity.QuantityError as error:
        found.append(invalid(path, value, str(error)))
        return quantity.Quantity(0)
    if parsed.nano < 0:
        found.append(invalid(path, str(parsed), NOT_NEGATIVE))
    return parsed


def not_negative(value: int | None, path: str, found: list[FieldError]) -> None:
    """An integer that may be absent but not below 0."""
    if value is not None and value < 0:
        found.append(invalid(path, value, NOT_NEGATIVE))


def between(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def port_number(value: int, path: str, found: list[FieldError]) -> None:
    if not 1 <= value <= 65535:
        found.append(invalid(path, value, between(1, 65535)))


def port(value: Any, path: str, found: list[FieldError]) -> None:
    """A port by number or by name."""
    if isinstance(value, str):
        found.extend(invalid(path, value, why) for why in syntax.port_name(value))
    else:
        port_number(value or 0, path, found)


def dns_label(value: str, path: str, found: list[FieldError]) -> None:
    found.extend(invalid(path, value, why) for why in syntax.dns_label(value))


def no_backsteps(value: str, path: str, found: list[FieldError]) -> None:
    if ".." in value.split("/"):
        found.append(invalid(path, value, "must not contain '..'"))


def local_path(value: str, path: str, found: list[FieldError]) -> None:
    """A path below a volume's root."""
    if value.startswith("/"):
        found.append(invalid(path, value, "must be a relative path"))
    no_backsteps(value, path, found)


def file_mode(value: int | None, path: str, found: list[FieldError]) -> None:
    if value is not None and not 0 <= value <= 0o777:
        found.append(invalid(path, value, "must be a number between 0 and 0777 (octal), both inclusive"))


def one_of(value: str, choices: Sequence[str], path: str, found: list[FieldError], *, keep_order: bool = False) -> None:
    """A string out of a set; missing is its own error."""
    if not value:
        found.append(errors.required(path))
    elif value not in choices:
        found.append(errors.not_supported(path, value, choices, keep_order=keep_order))


def label_selector(selector: Mapping[str, Any] | None, path: str, found: list[FieldError]) -> None:
    """A LabelSelector object (apimachinery `ValidateLabelSelector`)."""
    if not selector:
        return
    for key, value in (selector.get("matchLabels") or {}).items():
        found.extend(invalid(f"{path}.matchLabels", key, why) for why in syntax.label_key(key))
        found.extend(invalid(f"{path}.matchLabels", value, why) for why in syntax.label_value(value))
    for i, expression in enumerate(selector.get("matchExpressions") or ()):
        requirement(expression, f"{path}.matchExpressions[{i}]", found)


def requirement(asked: Mapping[str, Any], path: str, found: list[FieldError], *, compares: bool = False) -> None:
    """One of matchExpressions. Those of node terms also compare (`Gt`, `Lt`)."""
    operator, values = asked.get("operator", ""), asked.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            found.append(errors.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(errors.forbidden(f"{path}.values", why))
    elif compares and operator in ("Gt", "Lt"):
        if len(values) != 1:
            why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            found.append(errors.required(f"{path}.values", why))
    else:
        found.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = asked.get("key", "")
    found.extend(invalid(f"{path}.key", key, why) for why in syntax.label_key(key))
    for i, value in enumerate(values):
        found.extend(invalid(f"{path}.values[{i}]", value, why) for why in syntax.label_value(value))
