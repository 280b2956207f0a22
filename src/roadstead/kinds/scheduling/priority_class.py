"""PriorityClass."""

from __future__ import annotations

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import PRIORITY_CLASSES
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy


class PriorityClassStrategy(Strategy):
    """PriorityClass."""


def kind() -> Kind:
    return builtin_kind(
        PRIORITY_CLASSES, "PriorityClass", PriorityClassStrategy(), short_names=("pc",), namespaced=False
    )
