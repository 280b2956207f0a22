"""Secret."""

from __future__ import annotations

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import SECRETS
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy


class SecretStrategy(Strategy):
    """Secret."""


def kind() -> Kind:
    return builtin_kind(SECRETS, "Secret", SecretStrategy())
