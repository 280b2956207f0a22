"""All that a World is given from outside between two decisions, as values: whoever keeps them, in order, can replay the
decisions."""

from __future__ import annotations

from typing import TypeAlias

from roadstead.core.plan import Forgotten
from roadstead.core.world import World
from roadstead.model.facts import Fact

Given: TypeAlias = Fact | Forgotten


def give(world: World, given: Given) -> None:
    """Let the world take a fact, or take back a command. Costs as `World.apply` and `World.forget` do."""
    if isinstance(given, Forgotten):
        world.forget(given.command)
    else:
        world.apply(given)
