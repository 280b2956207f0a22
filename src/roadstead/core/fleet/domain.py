"""One topology domain: a node of the tree in which a `Forest` counts."""

from __future__ import annotations

from typing import TypeAlias

from roadstead.core.fleet.ledger import NodeLine

Values: TypeAlias = tuple[str, ...]
"""Label values of levels 0..i: what a domain of level i is known by."""


class Domain:
    """One topology domain and what fits into it. Pods and slices `with_leader` fit beside one leader."""

    __slots__ = (
        "children",
        "leaders",
        "level",
        "lines",
        "parent",
        "pods",
        "pods_with_leader",
        "slices",
        "slices_with_leader",
        "values",
    )

    def __init__(self, values: Values, level: int, parent: Domain | None) -> None:
        self.values = values
        self.level = level
        self.parent = parent
        self.children: dict[Values, Domain] = {}
        self.lines: dict[str, NodeLine] = {}  # of a leaf
        self.pods = 0
        self.slices = 0
        self.leaders = 0
        self.pods_with_leader = 0
        self.slices_with_leader = 0
