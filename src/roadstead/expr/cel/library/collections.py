"""Lists (Kubernetes' own functions and the CEL project's extension, version 3), sets, and optionals."""

from __future__ import annotations

from functools import cmp_to_key
from itertools import pairwise
from typing import Any, Final

from roadstead.expr.cel.declarations import Library
from roadstead.expr.cel.errors import EvaluationError
from roadstead.expr.cel.library.standard import add
from roadstead.expr.cel.values import NONE, Duration, Optional, compare, equal, kind_of

# --- Kubernetes' list functions (apiserver pkg/cel/library/lists.go)

_SORTABLE: Final = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")


def is_sorted(items: list[Any]) -> bool:
    return all(compare(a, b) <= 0 for a, b in pairwise(items))


def total(items: list[Any]) -> Any:
    if not items:
        return 0
    found: Any = Duration(0) if isinstance(items[0], Duration) else type(items[0])(0)
    for item in items:
        found = add(found, item)
    return found


def least(items: list[Any]) -> Any:
    return _extreme(items, -1, "min")


def greatest(items: list[Any]) -> Any:
    return _extreme(items, 1, "max")


def _extreme(items: list[Any], side: int, name: str) -> Any:
    if not items:
        raise EvaluationError(f"{name} called on empty list")
    found = items[0]
    for item in items[1:]:
        if compare(item, found) == side:
            found = item
    return found


def index_in(items: list[Any], value: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, value)), -1)


def last_index_in(items: list[Any], value: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(items[at], value)), -1)


K8S_LISTS: Final = Library(
    "\n".join(
        (
            "isSorted: " + "; ".join(f"list({kind}).() -> bool" for kind in _SORTABLE),
            "sum: " + "; ".join(f"list({kind}).() -> {kind}" for kind in ("int", "uint", "double", "duration")),
            "min: " + "; ".join(f"list({kind}).() -> {kind}" for kind in _SORTABLE),
            "max: " + "; ".join(f"list({kind}).() -> {kind}" for kind in _SORTABLE),
            "indexOf: list(A).(A) -> int",
            "lastIndexOf: list(A).(A) -> int",
        )
    ),
    {
        "isSorted": is_sorted, "sum": total, "min": least, "max": greatest,
        "indexOf": index_in, "lastIndexOf": last_index_in,
    },
)  # fmt: skip

# --- the lists extension


def cut(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    found: list[Any] = []
    for item in items:
        if isinstance(item, list) and depth > 0:
            found.extend(flatten(item, depth - 1))
        else:
            found.append(item)
    return found


def distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not any(equal(item, each) for each in found):
            found.append(item)
    return found


def sort(items: list[Any]) -> list[Any]:
    if items and any(kind_of(item) != kind_of(items[0]) for item in items):
        raise EvaluationError("list elements must have the same type")
    return sorted(items, key=cmp_to_key(compare))


def numbers(count: int) -> list[int]:
    if count > 1_000_000:
        raise EvaluationError(f"lists.range({count}) is too large")
    return list(range(count))


LISTS: Final = Library(
    "\n".join(
        (
            "slice: list(A).(int, int) -> list(A)",
            "flatten: list(list(A)).() -> list(A); list(dyn).(int) -> list(dyn)",
            "distinct: list(A).() -> list(A)",
            "reverse: list(A).() -> list(A)",
            "sort: " + "; ".join(f"list({kind}).() -> list({kind})" for kind in _SORTABLE),
            "lists.range: (int) -> list(int)",
        )
    ),
    {
        "slice": cut, "flatten": flatten, "distinct": distinct, "reverse": lambda items: items[::-1], "sort": sort,
        "lists.range": numbers,
    },
)  # fmt: skip

# --- sets


def holds_all(items: list[Any], wanted: list[Any]) -> bool:
    return all(any(equal(item, each) for item in items) for each in wanted)


def same_set(left: list[Any], right: list[Any]) -> bool:
    return holds_all(left, right) and holds_all(right, left)


def overlap(left: list[Any], right: list[Any]) -> bool:
    return any(equal(item, each) for item in left for each in right)


SETS: Final = Library(
    """
sets.contains: (list(A), list(A)) -> bool
sets.equivalent: (list(A), list(A)) -> bool
sets.intersects: (list(A), list(A)) -> bool
""",
    {"sets.contains": holds_all, "sets.equivalent": same_set, "sets.intersects": overlap},
)

# --- optionals


def _value(held: Optional) -> Any:
    if not held.present:
        raise EvaluationError("optional.none() dereference")
    return held.value


def _not_zero(value: Any) -> Optional:
    zero = value is None or value is False or (kind_of(value) in _EMPTY and not value)
    return NONE if zero else Optional(True, value)


_EMPTY: Final = frozenset({"int", "uint", "double", "string", "bytes", "list", "map"})


def _only_values(items: list[Any]) -> list[Any]:
    return [item.value for item in items if item.present]


def _replaced(*_: Any) -> Any:
    raise EvaluationError("no such overload")


OPTIONALS: Final = Library(
    """
optional.of: (A) -> optional(A)
optional.ofNonZeroValue: (A) -> optional(A)
optional.none: () -> optional(A)
optional.unwrap: (list(optional(A))) -> list(A)
unwrapOpt: list(optional(A)).() -> list(A)
value: optional(A).() -> A
hasValue: optional(A).() -> bool
or: optional(A).(optional(A)) -> optional(A)
orValue: optional(A).(A) -> A
first: list(A).() -> optional(A)
last: list(A).() -> optional(A)
""",
    {
        "optional.of": lambda value: Optional(True, value),
        "optional.ofNonZeroValue": _not_zero,
        "optional.none": lambda: NONE,
        "optional.unwrap": _only_values,
        "unwrapOpt": _only_values,
        "value": _value,
        "hasValue": lambda held: held.present,
        "or": _replaced,  # the evaluator evaluates the second operand only if it must
        "orValue": _replaced,
        "first": lambda items: Optional(True, items[0]) if items else NONE,
        "last": lambda items: Optional(True, items[-1]) if items else NONE,
    },
)
