"""ConfigMap."""

from __future__ import annotations

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import CONFIG_MAPS
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy


class ConfigMapStrategy(Strategy):
    """ConfigMap."""


def kind() -> Kind:
    return builtin_kind(CONFIG_MAPS, "ConfigMap", ConfigMapStrategy(), short_names=("cm",))
