"""What a decider was given, and when, is enough to make its decisions again: the same plans, byte for byte.

Held for every life of the controllers' process, from its first decision to its last, as `history.journal` keeps it in
production.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from roadstead.core.given import Given, give
from roadstead.core.plan import Plan
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.history.format import encoded_plans, line


@dataclass(slots=True)
class Record:
    """The decisions of one life, in order: what came before each, its time, and its plans as text."""

    decisions: list[tuple[tuple[Given, ...], int, bytes]] = field(default_factory=list)

    def note(self, given: Sequence[Given], now: int, plans: Sequence[Plan]) -> None:
        """An `AdmissionDecider`'s journal."""
        self.decisions.append((tuple(given), now, _text(plans)))


def complaints_about_replay(record: Record, rules: Rules) -> Iterator[str]:
    """The first decision that comes out otherwise."""
    world = World()
    for number, (given, now, told) in enumerate(record.decisions, 1):
        for one in given:
            give(world, one)
        again = _text(decide(world, now, rules).plans)
        if again != told:
            yield f"decision {number} of {len(record.decisions)} comes out otherwise: {told[:300]!r} became {again[:300]!r}"
            return


def _text(plans: Sequence[Plan]) -> bytes:
    return bytes(line(encoded_plans(plans)))
