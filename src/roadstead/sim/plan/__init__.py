"""What one seed draws: a world (`world.py`), what its users do (`story.py`), and what goes wrong (`faults.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.sim.plan.faults import Faults, draw_faults
from roadstead.sim.plan.story import Act, JobPlan, draw_acts, draw_jobs
from roadstead.sim.plan.world import WorldPlan, draw_world

__all__ = ["Act", "Faults", "JobPlan", "Plan", "WorldPlan", "draw"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a seed decides beforehand."""

    seed: int
    world: WorldPlan
    jobs: tuple[JobPlan, ...]
    acts: tuple[Act, ...]
    faults: Faults


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    world = draw_world(seed)
    jobs = draw_jobs(seed, world)
    return Plan(seed, world, jobs, draw_acts(seed, world, jobs), draw_faults(seed, world))
