"""Cycles repeated to a fixpoint: what the world decides if nothing happens meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead.core.cycle import cycle
from roadstead.core.memory import Unparked
from roadstead.core.plan import Plan
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.refusals import Code, Level, Refusal, Verdict

MAX_CYCLES: Final = 100_000
"""`decide` stops after so many cycles and says so."""

MAX_IDLE_CYCLES: Final = 40
"""So many cycles in a row without a command: nothing more will come. More than one is allowed, because a workload may
stay at the head while flavors are left to try (kueue.md 3.5.5)."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """Plans in the order in which they were made. `exhausted`: a bound was hit, and this says which."""

    plans: tuple[Plan, ...]
    exhausted: Refusal | None = None


def settle(world: World, now: int, rules: Rules, *, max_cycles: int = MAX_CYCLES) -> Settlement:
    """What `decide` would decide, on a trial: the world is left as found."""
    with world.trial():
        return _until_nothing_new(world, now, rules, max_cycles)


def decide(world: World, now: int, rules: Rules, *, max_cycles: int = MAX_CYCLES) -> Settlement:
    """Cycle, assume, cycle again ... until nothing new is decided. The plans are assumed; should it fail, the world is
    as before.

    Evictions asked for do not free quota here (the victims still run), so their preemptors wait. Parked workloads get
    their chance first where something was freed. Bounds: `max_cycles` in all, MAX_IDLE_CYCLES in a row without a
    command; the former is reported in `exhausted`.
    """
    mark = world.undo.begin()
    try:
        settlement = _until_nothing_new(world, now, rules, max_cycles)
    except BaseException:
        world.undo.rollback(mark)
        raise
    world.undo.keep(mark)
    return settlement


def _until_nothing_new(world: World, now: int, rules: Rules, max_cycles: int) -> Settlement:
    plans: list[Plan] = []
    idle = 0
    if world.unpark_requested or (world.next_timer is not None and world.next_timer <= now):
        wake = Plan(memory=(Unparked(now),))
        world.assume(wake)
        plans.append(wake)
    for _ in range(max_cycles):
        plan = cycle(world, now, rules)
        changed = world.assume(plan)
        plans.append(plan)
        idle = 0 if plan.commands else idle + 1
        if not changed or idle >= MAX_IDLE_CYCLES:
            return Settlement(tuple(plans))
    return Settlement(
        tuple(plans),
        Refusal(Code.CYCLES_EXHAUSTED, Verdict.ASK, Level.WORKLOAD, needed=max_cycles + 1, limit=max_cycles),
    )
