"""What goes wrong in a seed: how bad the network is all along, and single blows at single moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead.kinds.names import JOBS, NODES, PLACEMENTS, PODS, WORKLOADS
from roadstead.sim.chance import Chance
from roadstead.sim.plan.story import STORY_SECONDS
from roadstead.sim.plan.world import WorldPlan

LAGGING: Final = {"jobs": JOBS, "pods": PODS, "workloads": WORKLOADS, "placements": PLACEMENTS, "nodes": NODES}


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that goes wrong at `at` seconds, for `seconds`: `sim.mishaps` says what the verbs mean."""

    at: float
    verb: str
    target: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Faults:
    """`rates`: probabilities by name of `network.Weather`, for the controllers and for the agents."""

    rates: tuple[tuple[str, float], ...]
    agent_rates: tuple[tuple[str, float], ...]
    crash_writes: tuple[tuple[int, str], ...]
    """The controllers' process is killed at these writes, counted from the start of the run: before or after."""
    blows: tuple[Blow, ...]
    disk_seconds: float
    """A commit takes up to so long."""


FAIR: Final = Faults((), (), (), (), 0.0)
"""Nothing goes wrong."""

_RATES: Final = (
    ("slow", 0.1),
    ("lost_request", 0.03),
    ("lost_answer", 0.05),
    ("late", 0.04),
    ("throttled", 0.05),
    ("conflict", 0.08),
    ("failed_read", 0.05),
    ("broken_watch", 0.01),
    ("expired_watch", 0.1),
)


def draw_faults(seed: int, world: WorldPlan) -> Faults:
    chance = Chance.named(seed, "faults")
    if chance.happens(0.1):
        return FAIR  # a fair day now and then: the story alone
    agents = sorted({node.agent for node in world.nodes})
    blows = []
    for _ in range(chance.one_of(0, 1, 2, 3, 4, 6)):
        verb = chance.one_of(
            "server", "server", "controllers", "agent", "agent", "cut-agent", "cut-controllers", "reboot", "lag", "lag",
            "break", "expire", "full-disk", "bad-disk", "clock", "lose-shim", "deaf", "stall",
        )  # fmt: skip
        target = ""
        if verb in ("agent", "cut-agent", "clock"):
            target = str(chance.choice(agents))
        elif verb in ("reboot", "lose-shim"):
            target = chance.choice(world.nodes).name
        elif verb in ("lag", "stall"):
            target = chance.choice(sorted(LAGGING))
        seconds = chance.one_of(0.0, 0.5, 3.0, 12.0, 60.0)
        if verb in ("agent", "cut-agent", "reboot") and chance.happens(0.1):
            seconds = 420.0  # long enough for the cluster to give the node up
        blows.append(Blow(round(chance.random() * STORY_SECONDS, 3), verb, target, seconds))
    crashes = [
        (int(1 + chance.random() ** 2 * 300), chance.one_of("before", "after"))
        for _ in range(chance.one_of(0, 0, 1, 2, 4))
    ]
    return Faults(
        _draw_rates(chance),
        _draw_rates(chance),
        tuple(sorted(set(crashes))),
        tuple(sorted(blows, key=lambda blow: blow.at)),
        chance.one_of(0.0, 0.001, 0.01, 0.05),
    )


def _draw_rates(chance: Chance) -> tuple[tuple[str, float], ...]:
    return tuple((name, most * chance.random()) for name, most in _RATES if chance.happens(0.3))
