"""Reading objects without ever raising: what another server's looser validation let through becomes a note, not an
exception."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec
import orjson

from roadstead.expr.quantity import QuantityError, canonical
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.times import parse_time
from roadstead.kinds.views.kueue import TaintView, TolerationView
from roadstead.model.selection import Taint, Toleration

View = TypeVar("View", bound=msgspec.Struct)

Lookup: TypeAlias = Callable[[Resource, str, str], Object | None]
"""(resource, namespace, name) -> the newest version known, e.g. `Read.get`."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something in an object that could not be used as it is, and what was done instead."""

    resource: Resource
    key: tuple[str, str]
    message: str


Notes: TypeAlias = list[str]
"""What was wrong with the object at hand, in sentences."""


def view(obj: Object, of: type[View], notes: Notes) -> View | None:
    """The object as a Struct. Nulls where the schema has none count as absent (Go servers drop them); None with a note
    if the object does not have the kind's shape."""
    try:
        return obj.view(of)
    except (msgspec.ValidationError, msgspec.DecodeError):
        pass
    try:
        return msgspec.convert(_without_nulls(orjson.loads(obj.raw)), of)
    except (msgspec.ValidationError, msgspec.DecodeError, orjson.JSONDecodeError) as error:
        notes.append(f"cannot be read as {obj.kind or of.__name__}: {error}")
        return None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value if each is not None]
    return value


def amount(resource: str, quantity: str | int | float, notes: Notes, where: str) -> int | None:
    """The canonical amount, or None with a note."""
    try:
        return canonical(resource, quantity)
    except QuantityError as error:
        notes.append(f"{where}: {quantity!r} is no quantity: {error}")
        return None


def amounts(quantities: Mapping[str, str | int | float], notes: Notes, where: str) -> tuple[tuple[str, int], ...]:
    """Canonical amounts, sorted by resource; negative ones count as 0, unreadable ones are left out with a note."""
    found = []
    for name, quantity in quantities.items():
        value = amount(name, quantity, notes, f"{where}[{name}]")
        if value is not None:
            found.append((name, max(value, 0)))
    return tuple(sorted(found))


def time_of(text: str | None, notes: Notes, where: str) -> int:
    """Nanoseconds since the epoch; 0 where there is no time, or with a note where it is none."""
    if not text:
        return 0
    try:
        return parse_time(text)
    except ValueError as error:
        notes.append(f"{where}: {error}")
        return 0


def taint_of(taint: TaintView) -> Taint:
    return Taint(taint.key, taint.value, taint.effect)


def toleration_of(toleration: TolerationView) -> Toleration:
    return Toleration(
        toleration.key,
        toleration.operator or "Equal",
        toleration.value,
        toleration.effect,
        toleration.toleration_seconds,
    )
