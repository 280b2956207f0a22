"""What a run may cost (KEP-2876, "resource constraints"; cel-go `interpreter/runtimecost.go`).

A name, a field and a call cost 1, a list 10, a map 30; going through a string, list or map costs a tenth of its length.
A run that spends more than LIMIT ends with CostExceeded, which no operator hides. Expressions without loops, bindings
or functions that make texts longer cannot get near it (they are 10 KiB at most), so they run without a meter.
"""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr.cel.errors import CostExceeded
from roadstead.expr.cel.tree import (
    Bind,
    Call,
    Comprehension,
    Ident,
    ListNode,
    MapNode,
    Node,
    OptionalMap,
    Select,
    children,
)

LIMIT: Final = 1_000_000
"""Of a selector on one device (resource.k8s.io `CELSelectorExpressionMaxCost`)."""

_GROWING: Final = frozenset({"replace", "join", "format", "lists.range", "strings.quote"})
_FREE: Final = frozenset({"_&&_", "_||_", "_?_:_"})


class Meter:
    """What is left to spend in one run."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = LIMIT

    def reset(self) -> None:
        self.left = LIMIT

    def spend(self, cost: int) -> None:
        """CostExceeded when nothing is left."""
        self.left -= cost
        if self.left < 0:
            raise CostExceeded("operation cancelled: actual cost limit exceeded")

    def traverse(self, value: Any) -> None:
        """Pay for going through a value once."""
        if isinstance(value, (str, bytes, list, dict)):
            self.spend((len(value) + 9) // 10)


def step_cost(node: Node) -> int:
    """What evaluating the node costs beside its children."""
    match node:
        case Select():
            return 0 if node.test else 1
        case Call():
            return 0 if node.function in _FREE else 1
        case Ident():
            return 1
        case ListNode():
            return 10
        case MapNode():
            return 30
        case Comprehension():
            return 1
        case _:
            return 0


def needs_meter(root: Node) -> bool:
    """Could a run become long? O(nodes)."""
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, (Comprehension, Bind, OptionalMap)):
            return True
        if isinstance(node, Call) and node.function in _GROWING:
            return True
        pending.extend(children(node))
    return False
