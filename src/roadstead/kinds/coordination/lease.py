"""Lease."""

from __future__ import annotations

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import LEASES
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy


class LeaseStrategy(Strategy):
    """Lease."""


def kind() -> Kind:
    return builtin_kind(LEASES, "Lease", LeaseStrategy())
