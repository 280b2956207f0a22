"""Node."""

from __future__ import annotations

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import NODES
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy


class NodeStrategy(Strategy):
    """Node."""


def kind() -> Kind:
    return builtin_kind(NODES, "Node", NodeStrategy(), short_names=("no",), namespaced=False)
