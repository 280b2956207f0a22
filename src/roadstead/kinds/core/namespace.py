"""Namespace."""

from __future__ import annotations

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy


class NamespaceStrategy(Strategy):
    """Namespace."""


def kind() -> Kind:
    return builtin_kind(NAMESPACES, "Namespace", NamespaceStrategy(), short_names=("ns",), namespaced=False)
