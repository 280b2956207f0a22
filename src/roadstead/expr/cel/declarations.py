"""Which functions exist, with which overloads.

A declaration is a line `name: overload; overload`, an overload `(A, int) -> B` for a global function and `A.(int) -> B`
for a member. One capital letter is a type parameter. Implementations are found by name and get the arguments, receiver
first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roadstead.expr.cel.types import Type, parse_type, split_types
from roadstead.expr.cel.values import kind_of

Implementation = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Overload:
    member: bool
    args: tuple[Type, ...]
    """The receiver first, if it is a member."""
    result: Type


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    overloads: tuple[Overload, ...]
    run: Implementation


@dataclass(frozen=True, slots=True)
class Library:
    """A set of functions that were introduced together."""

    declarations: str
    implementations: Mapping[str, Implementation]


@dataclass(slots=True)
class Environment:
    """What an expression may use: functions, and variables with their types."""

    functions: dict[str, Function] = field(default_factory=dict)
    variables: dict[str, Type] = field(default_factory=dict)
    fields: dict[str, dict[str, Type]] = field(default_factory=dict)
    """Object type -> its fields: selecting another one is a compile error."""
    types: dict[str, Type] = field(default_factory=dict)
    """Identifiers that name a type."""


def build(libraries: Iterable[Library]) -> dict[str, Function]:
    """The functions of several libraries; overloads of one name add up, the first library's first."""
    found: dict[str, Function] = {}
    for library in libraries:
        for line in library.declarations.strip().splitlines():
            name, _, rest = line.strip().partition(": ")
            overloads = tuple(parse_overload(part) for part in rest.split(";"))
            before = found.get(name)
            run = library.implementations[name]
            if before is not None:
                overloads, run = before.overloads + overloads, _either(before, run, overloads)
            found[name] = Function(name, overloads, run)
    return found


def _either(before: Function, run: Implementation, overloads: tuple[Overload, ...]) -> Implementation:
    """Two libraries implement one name (`string(ip)`, `.size()`): the receiver's or first argument's type tells which
    is meant."""
    own = {overload.args[0].name for overload in overloads}
    first = before.run
    return lambda *args: run(*args) if kind_of(args[0]) in own else first(*args)


def parse_overload(text: str) -> Overload:
    """`string.(int, int) -> string`."""
    left, _, result = text.strip().rpartition("->")
    receiver, _, args = left.strip().rpartition(".(") if ".(" in left else ("", "", left.strip()[1:])
    types = [parse_type(part) for part in split_types(args.strip()[:-1])]
    if receiver:
        types.insert(0, parse_type(receiver))
    return Overload(bool(receiver), tuple(types), parse_type(result))
