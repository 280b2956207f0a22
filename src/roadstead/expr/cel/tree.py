"""The syntax tree. Nodes compare by identity, so that a checker can keep their types in a dict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Node:
    at: int
    """Offset of the node in the text, for messages."""


@dataclass(slots=True, eq=False)
class Literal(Node):
    value: Any


@dataclass(slots=True, eq=False)
class Ident(Node):
    name: str


@dataclass(slots=True, eq=False)
class Select(Node):
    """`operand.field`; `test` for has(), `optional` for `operand.?field`."""

    operand: Node
    field: str
    test: bool = False
    optional: bool = False


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function, operators included (`_+_`, `_[_]`, `_?_:_`); `_&&_` and `_||_` take any number of arguments."""

    function: str
    target: Node | None
    args: list[Node]


@dataclass(slots=True, eq=False)
class ListNode(Node):
    elements: list[Node]
    optional: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class MapNode(Node):
    entries: list[tuple[Node, Node]]
    optional: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """A macro over a list or map: all, exists, existsOne, map, filter, transformList, transformMap, transformMapEntry,
    sortBy.

    `names` holds one variable (element or key) or two (index or key, and value). `condition` is the filter of the
    three- and four-argument forms.
    """

    kind: str
    range: Node
    names: tuple[str, ...]
    body: Node
    condition: Node | None = None


@dataclass(slots=True, eq=False)
class Bind(Node):
    """`cel.bind(name, value, body)`."""

    name: str
    value: Node
    body: Node


@dataclass(slots=True, eq=False)
class OptionalMap(Node):
    """`operand.optMap(name, body)`; `flat` for optFlatMap, whose body is an optional itself."""

    operand: Node
    name: str
    body: Node
    flat: bool


def children(node: Node) -> list[Node]:
    """The direct children, in the order of evaluation."""
    match node:
        case Select():
            return [node.operand]
        case Call():
            return ([node.target] if node.target is not None else []) + node.args
        case ListNode():
            return node.elements
        case MapNode():
            return [part for entry in node.entries for part in entry]
        case Comprehension():
            return [node.range, *([node.condition] if node.condition is not None else []), node.body]
        case Bind():
            return [node.value, node.body]
        case OptionalMap():
            return [node.operand, node.body]
        case _:
            return []
