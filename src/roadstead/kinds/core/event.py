"""Event."""

from __future__ import annotations

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import EVENTS
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Strategy


class EventStrategy(Strategy):
    """Event."""


def kind() -> Kind:
    return builtin_kind(EVENTS, "Event", EventStrategy(), short_names=("ev",))
