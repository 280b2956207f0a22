"""Values at run time.

bool, int, float, str, bytes, None, list and dict stand for themselves; the classes here are for what Python lacks.
Kinds are named as CEL names types. Equality and order are CEL's: numbers compare across types, other types are never
equal.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from roadstead.expr.cel.errors import EvaluationError
from roadstead.expr.quantity import Quantity

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1

Value = Any
"""A CEL value; see the module's docstring for what stands for what."""


class Uint(int):
    """An unsigned integer: a type of its own in CEL."""

    __slots__ = ()


class DomainMap(dict[str, Any]):
    """A map in which an unknown key has a default value, although it is not `in` it (`device.attributes`,
    `device.capacity`)."""

    __slots__ = ("default",)

    def __init__(self, entries: Mapping[str, Any], default: Any) -> None:
        super().__init__(entries)
        self.default = default


class KeyedList(list[Any]):
    """A list that is a set (no `keys`) or a map (by these fields of its elements): the order of such a list means
    nothing, and adding one merges (KEP-2876, "field paths and correlation"; k8s.io/apiserver
    `pkg/cel/common/values.go`)."""

    __slots__ = ("keys",)

    def __init__(self, elements: Sequence[Any], keys: Sequence[str] = ()) -> None:
        super().__init__(elements)
        self.keys = tuple(keys)

    def identity(self, element: Any) -> Any:
        """What makes two elements the same: for a set the element itself."""
        return {key: element.get(key) for key in self.keys} if self.keys else element

    def position(self, element: Any) -> int:
        """Where the same element is, -1 if it is nowhere. O(length)."""
        wanted = self.identity(element)
        return next((i for i, own in enumerate(self) if equal(self.identity(own), wanted)), -1)

    def __add__(self, others: Any) -> KeyedList:
        merged = KeyedList(self, self.keys)
        for element in others:
            at = merged.position(element)
            if at < 0:
                merged.append(element)
            elif self.keys:
                merged[at] = element
        return merged

    def is_equal(self, other: Sequence[Any]) -> bool:
        """The same elements in any order."""
        if len(self) != len(other):
            return False
        places = [self.position(element) for element in other]
        return all(at >= 0 and equal(self[at], element) for at, element in zip(places, other, strict=True))


@dataclass(frozen=True, slots=True)
class Duration:
    nano: int


@dataclass(frozen=True, slots=True)
class Timestamp:
    nano: int
    """Since the epoch, UTC."""


@dataclass(frozen=True, slots=True)
class TypeValue:
    """What `type(x)` gives; parameters do not matter (`type([1]) == list`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    present: bool
    value: Value = None


NONE: Final = Optional(False)


@dataclass(frozen=True, slots=True)
class Semver:
    """A version by semver 2.0.0. Build metadata takes no part in comparison."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()
    build: str = ""

    def key(self) -> tuple[Any, ...]:
        """Sorts by precedence: numbers below words in a pre-release, a release above all its pre-releases."""
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, parts)


@dataclass(frozen=True, slots=True)
class Cidr:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    bits: int

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network(f"{self.address}/{self.bits}", strict=False)


@dataclass(frozen=True, slots=True)
class Url:
    scheme: str
    host: str
    """With port, as written."""
    path: str
    query: tuple[tuple[str, tuple[str, ...]], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Format:
    """A named format (`format.dns1123Label()`): `check` gives what is wrong with a text, nothing if it is
    well-formed."""

    name: str
    check: Callable[[str], Sequence[str]]


_KINDS: Final[dict[type, str]] = {
    bool: "bool", int: "int", Uint: "uint", float: "double", str: "string", bytes: "bytes", type(None): "null_type",
    list: "list", tuple: "list", KeyedList: "list", dict: "map", DomainMap: "map", Duration: "google.protobuf.Duration",
    Timestamp: "google.protobuf.Timestamp", TypeValue: "type", Optional: "optional_type", Quantity: "kubernetes.Quantity",
    Semver: "kubernetes.Semver", ipaddress.IPv4Address: "net.IP", ipaddress.IPv6Address: "net.IP", Cidr: "net.CIDR",
    Url: "kubernetes.URL", Format: "kubernetes.NamedFormat",
}  # fmt: skip
NUMBERS: Final = frozenset({"int", "uint", "double"})
_OPAQUE: Final = frozenset(
    {"kubernetes.Quantity", "kubernetes.Semver", "net.IP", "net.CIDR", "kubernetes.URL", "kubernetes.NamedFormat"}
)


def kind_of(value: Value) -> str:
    """The name of the value's type."""
    return _KINDS.get(type(value), "object")


def equal(left: Value, right: Value) -> bool:
    """CEL's `==`. EvaluationError where a Kubernetes type is compared with another type."""
    kind, other = kind_of(left), kind_of(right)
    if kind != other:
        if left is None or right is None:
            return False
        if kind in _OPAQUE:
            raise EvaluationError("no such overload")
        return kind in NUMBERS and other in NUMBERS and bool(left == right)
    if kind == "list":
        if type(left) is KeyedList:
            return left.is_equal(right)
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    if kind == "map":
        if len(left) != len(right):
            return False
        for key, value in left.items():
            found = find_key(right, key)
            if found is MISSING or not equal(value, found):
                return False
        return True
    if kind == "optional_type":
        return left.present == right.present and (not left.present or equal(left.value, right.value))
    if kind == "kubernetes.Quantity":
        return bool(left.nano == right.nano)
    if kind == "kubernetes.Semver":
        return bool(left.key() == right.key())
    return bool(left == right)


MISSING: Final = object()


def find_key(mapping: Mapping[Any, Any], key: Value) -> Any:
    """The value under a key, MISSING if there is none. Whole numbers find each other whatever their type; a bool is no
    number."""
    kind = kind_of(key)
    if kind not in ("string", "int", "uint", "bool", "double"):
        raise EvaluationError(f"unsupported key type: {kind}")
    if kind == "string":
        return mapping.get(key, MISSING)
    for own, value in mapping.items():
        if own == key and (type(own) is bool) == (kind == "bool"):
            return value
    return MISSING


_ORDERED: Final = frozenset({"bool", "string", "bytes", "google.protobuf.Timestamp", "google.protobuf.Duration"})


def compare(left: Value, right: Value) -> int:
    """-1, 0, 1. EvaluationError if the two have no order."""
    kind, other = kind_of(left), kind_of(right)
    if kind in NUMBERS and other in NUMBERS:
        if left != left or right != right:
            raise EvaluationError("NaN values cannot be ordered")
        return int(left > right) - int(left < right)
    if kind != other or kind not in _ORDERED:
        raise EvaluationError("no such overload")
    if kind.startswith("google"):
        left, right = left.nano, right.nano
    elif kind == "string":
        left, right = left.encode(), right.encode()
    return int(left > right) - int(left < right)


def checked_int(value: int) -> int:
    """The value if it is a 64-bit integer. EvaluationError otherwise."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def checked_uint(value: int) -> Uint:
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise EvaluationError("unsigned integer overflow")
