"""LimitRange (v1): what containers and pods of a namespace get when they do not say, and what they may ask for
(kubernetes `SetDefaults_LimitRangeItem`, `ValidateLimitRange`)."""

from __future__ import annotations

from typing import Final

from roadstead.expr import quantity, syntax
from roadstead.expr.quantity import Quantity, parse
from roadstead.kinds import errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core.resources import container_name_problems, may_overcommit, name_problems
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import LIMIT_RANGES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy

CONTAINER: Final = "Container"
POD: Final = "Pod"
VOLUME_CLAIM: Final = "PersistentVolumeClaim"
_TYPES: Final = (POD, CONTAINER, VOLUME_CLAIM)
_ONE: Final = parse("1")
_AMOUNTS: Final = ("max", "min", "default", "defaultRequest")


class LimitRangeStrategy(Strategy):
    """Limit ranges: one item per type; numbers that contradict one another are refused."""

    create_on_update = True

    def default(self, obj: Json) -> None:
        for item in _items(obj):
            if item.get("type") == CONTAINER:
                _default_container(item)

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        seen: set[str] = set()
        for i, item in enumerate(_items(obj)):
            path = f"spec.limits[{i}]"
            kind = item.get("type", "")
            _type(kind, f"{path}.type", found)
            if kind in seen:
                found.append(errors.duplicate(f"{path}.type", kind))
            seen.add(kind)
            _item(item, kind, path, found)
        return found


def _items(obj: Json) -> list[Json]:
    return (obj.get("spec") or {}).get("limits") or []


def _default_container(item: Json) -> None:
    """A missing default limit is the maximum; a missing default request is the default limit, else the minimum."""
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    if limits:
        item["default"] = limits
    if requests:
        item["defaultRequest"] = requests


def _type(kind: str, path: str, found: list[FieldError]) -> None:
    problems = syntax.qualified_name(kind)
    found.extend(invalid(path, kind, why) for why in problems)
    if not problems and "/" not in kind and kind not in _TYPES:
        found.append(invalid(path, kind, "must be a standard limit type or fully qualified"))


def _item(item: Json, kind: str, path: str, found: list[FieldError]) -> None:
    allowed = ("max", "min") if kind == POD else _AMOUNTS
    for name in allowed:
        _names(item, name, kind, path, found)
    if kind == POD:
        why = "may not be specified when `type` is 'Pod'"
        found.extend(
            errors.forbidden(f"{path}.{name}", why) for name in ("default", "defaultRequest") if item.get(name)
        )
    if kind == VOLUME_CLAIM and not any("storage" in (item.get(name) or {}) for name in ("min", "max")):
        why = "either minimum or maximum storage value is required, but neither was provided"
        found.append(errors.required(f"{path}.limits", why))
    _names(item, "maxLimitRequestRatio", kind, path, found)
    amounts = {name: {key: parse(text) for key, text in (item.get(name) or {}).items()} for name in allowed}
    ratios = {key: parse(text) for key, text in (item.get("maxLimitRequestRatio") or {}).items()}
    for resource in sorted({key for each in amounts.values() for key in each}):
        values = {name: each[resource] for name, each in amounts.items() if resource in each}
        _relations(resource, values, path, found)
        if resource in ratios:
            _ratio(resource, ratios[resource], values, path, found)
        _no_overcommit(resource, values, path, found)


def _names(item: Json, name: str, kind: str, path: str, found: list[FieldError]) -> None:
    problems_of = container_name_problems if kind in (POD, CONTAINER) else name_problems
    for resource in item.get(name) or {}:
        found.extend(invalid(f"{path}.{name}[{resource}]", resource, why) for why in problems_of(resource))


_ORDERED: Final = (
    # (smaller, greater, field of the error, whose value it shows, words for both)
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request value {} is greater than max value {}"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest", "default request value {} is greater than default limit value {}"),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)  # fmt: skip


def _relations(resource: str, values: dict[str, Quantity], path: str, found: list[FieldError]) -> None:
    for smaller, greater, field, shown, words in _ORDERED:
        low, high = values.get(smaller), values.get(greater)
        if low is not None and high is not None and low > high:
            found.append(invalid(f"{path}.{field}[{resource}]", str(values[shown]), words.format(low, high)))


def _ratio(resource: str, ratio: Quantity, values: dict[str, Quantity], path: str, found: list[FieldError]) -> None:
    here = f"{path}.maxLimitRequestRatio[{resource}]"
    if ratio < _ONE:
        found.append(invalid(here, str(ratio), f"ratio {ratio} is less than 1"))
    low, high = values.get("min"), values.get("max")
    if low is not None and high is not None and low.nano:
        most = high.nano / low.nano
        if ratio.nano / _ONE.nano > most:
            found.append(invalid(here, str(ratio), f"ratio {ratio} is greater than max/min = {most:f}"))


def _no_overcommit(resource: str, values: dict[str, Quantity], path: str, found: list[FieldError]) -> None:
    limit, request = values.get("default"), values.get("defaultRequest")
    if may_overcommit(resource) or limit is None or request is None or not quantity.compare(str(limit), str(request)):
        return
    why = f"default value {limit} must equal to defaultRequest value {request} in {resource}"
    found.append(invalid(f"{path}.defaultRequest[{resource}]", str(request), why))


def kind() -> Kind:
    return builtin_kind(LIMIT_RANGES, "LimitRange", LimitRangeStrategy(), short_names=("limits",))
