"""Static types, and when one may stand for another (the language definition's gradual typing: `dyn` fits
everywhere)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from roadstead.expr.cel.values import kind_of


@dataclass(frozen=True, slots=True)
class Type:
    """A type by name; `list`, `map` and `optional_type` have parameters. Kind `var`: a type parameter, solved by the
    checker."""

    name: str
    params: tuple[Type, ...] = ()
    var: bool = False

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.params))})" if self.params else self.name


DYN: Final = Type("dyn")
ERROR: Final = Type("!error!")
BOOL: Final = Type("bool")
INT: Final = Type("int")
STRING: Final = Type("string")
BYTES: Final = Type("bytes")
NULL: Final = Type("null_type")
TIMESTAMP: Final = Type("google.protobuf.Timestamp")
DURATION: Final = Type("google.protobuf.Duration")
_PRIMITIVE: Final = frozenset({"bool", "int", "uint", "double", "string", "bytes", "list", "map"})


def list_of(element: Type) -> Type:
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    return Type("optional_type", (value,))


def type_of(value: Type) -> Type:
    return Type("type", (value,))


_SHORT: Final = {
    "Quantity": "kubernetes.Quantity", "Semver": "kubernetes.Semver", "IP": "net.IP", "CIDR": "net.CIDR", "URL": "kubernetes.URL",
    "Format": "kubernetes.NamedFormat", "timestamp": TIMESTAMP.name, "duration": DURATION.name, "null": "null_type",
    "optional": "optional_type",
}  # fmt: skip


@lru_cache(maxsize=512)
def parse_type(text: str) -> Type:
    """A type as declarations write it: `list(A)`, `map(string,dyn)`, `Quantity`. One capital letter is a type
    parameter."""
    text = text.strip()
    name, opening, rest = text.partition("(")
    if not opening:
        return Type(name, var=True) if len(name) == 1 and name.isupper() else Type(_SHORT.get(name, name))
    params = tuple(parse_type(part) for part in split_types(rest[:-1]))
    return Type(_SHORT.get(name, name), params)


def split_types(text: str) -> list[str]:
    """The comma-separated types of a parameter list."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]] if text.strip() else []


Solution = dict[Type, Type]
"""Type parameters and what they stand for."""


def substitute(solution: Solution, of: Type, *, final: bool = False) -> Type:
    """The type with its parameters filled in; with `final` those still unknown become dyn."""
    if of.var:
        found = solution.get(of)
        if found is not None:
            return substitute(solution, found, final=final)
        return DYN if final else of
    if of.params:
        return Type(of.name, tuple(substitute(solution, part, final=final) for part in of.params))
    return of


def assignable(solution: Solution, left: Type, right: Type) -> bool:
    """May a value of `left` stand where `right` is wanted? Solves type parameters on the way (changes `solution`)."""
    if right.var:
        fits, known = _solve(solution, left, right)
        if fits or known:
            return fits
    if left.var:
        return _solve(solution, right, left)[0]
    if left in (DYN, ERROR) or right in (DYN, ERROR):
        return True
    if left == NULL or right == NULL:
        other = right if left == NULL else left
        return other == NULL or other.name not in _PRIMITIVE
    if left.name != right.name:
        return False
    if left.name == "type":
        return True
    return len(left.params) == len(right.params) and all(
        assignable(solution, a, b) for a, b in zip(left.params, right.params, strict=True)
    )


def _solve(solution: Solution, value: Type, parameter: Type) -> tuple[bool, bool]:
    """Let the parameter stand for the type: (does it fit, was the parameter known before)."""
    if value == parameter:
        return True, True
    known = solution.get(parameter)
    if known is not None:
        if value == known:
            return True, True
        if assignable(solution, value, known):
            wider = value if less_specific(value, known) else known
            if not _occurs(solution, parameter, wider):
                solution[parameter] = wider
            return True, True
        return False, True
    if _occurs(solution, parameter, value):
        return False, False
    solution[parameter] = value
    return True, False


def _occurs(solution: Solution, parameter: Type, within: Type) -> bool:
    if within == parameter:
        return True
    if within.var:
        found = solution.get(within)
        return found is not None and _occurs(solution, parameter, found)
    return any(_occurs(solution, parameter, part) for part in within.params)


def less_specific(left: Type, right: Type) -> bool:
    """Is `left` as general as `right`, or more?"""
    if left == DYN or left.var:
        return True
    if right == DYN or right.var or left.name != right.name or len(left.params) != len(right.params):
        return False
    return left.name == "type" or all(less_specific(a, b) for a, b in zip(left.params, right.params, strict=True))


def join(solution: Solution, before: Type | None, now: Type) -> Type:
    """The type of a literal's elements so far: dyn as soon as they disagree."""
    if before is None:
        return now
    if assignable(solution, before, now):
        return before if less_specific(before, now) else now
    return DYN


def fits(kind: Type, value: object, kind_of_value: str) -> bool:
    """Is the value of this type at run time? Of lists and maps the first element decides, as in the reference
    implementation."""
    if kind.var or kind == DYN:
        return True
    if kind.name != kind_of_value:
        return False
    if isinstance(value, (list, tuple)) and value:
        return fits(kind.params[0], value[0], kind_of(value[0]))
    if isinstance(value, dict) and value:
        key, found = next(iter(value.items()))
        return fits(kind.params[0], key, kind_of(key)) and fits(kind.params[1], found, kind_of(found))
    return True
