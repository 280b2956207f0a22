"""ServiceAccount."""

from __future__ import annotations

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import SERVICE_ACCOUNTS
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy


class ServiceAccountStrategy(Strategy):
    """ServiceAccount."""


def kind() -> Kind:
    return builtin_kind(SERVICE_ACCOUNTS, "ServiceAccount", ServiceAccountStrategy(), short_names=("sa",))
