"""What became of one seed, as a value that travels between processes, and as text for people."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from roadstead.sim.judges.ends import what_stands
from roadstead.sim.plan import Plan, draw
from roadstead.sim.simulation import Simulation, simulate

SHOWN_COMPLAINTS = 5
SHOWN_LINES = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """`complaints` is empty if all was well. `digest` covers the whole history: equal digests, equal runs."""

    seed: int
    complaints: tuple[str, ...]
    digest: str
    events: int
    virtual_seconds: float
    cpu_seconds: float
    compared: int
    """How often the decider's world was held against one built anew."""
    tail: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    plan: Plan | None = None

    @property
    def is_good(self) -> bool:
        return not self.complaints


def try_seed(seed: int, show: Callable[[str], None] | None = None) -> Verdict:
    """Draw the seed's plan and carry it out. Never raises for what the simulated parts do."""
    return try_plan(draw(seed), show)


def try_plan(plan: Plan, show: Callable[[str], None] | None = None) -> Verdict:
    """Carry out a plan."""
    began = time.process_time()
    try:
        simulation = simulate(plan, show)
    except Exception:
        text = f"the simulation itself failed: {traceback.format_exc()}"
        return Verdict(plan.seed, (text,), "", 0, 0.0, time.process_time() - began, 0, plan=plan)
    return _verdict(simulation, time.process_time() - began)


def _verdict(simulation: Simulation, cpu_seconds: float) -> Verdict:
    failed = bool(simulation.complaints)
    return Verdict(
        simulation.plan.seed,
        tuple(simulation.complaints),
        simulation.history.digest(),
        simulation.events,
        simulation.loop.time(),
        cpu_seconds,
        simulation.compared,
        tuple(simulation.history.tail) if failed else (),
        tuple(what_stands(simulation.past)) if failed else (),
        simulation.plan if failed else None,
    )


def explain(verdict: Verdict) -> Iterator[str]:
    """A failed seed for people: what is wrong, what had been planned to go wrong, what happened last, how to see it
    again."""
    if verdict.plan is not None:
        world, faults = verdict.plan.world, verdict.plan.faults
        yield f"seed {verdict.seed}: {len(world.nodes)} nodes, {len(world.queues)} queues, {len(verdict.plan.jobs)} jobs"
        yield from (f"  {node}" for node in world.nodes)
        yield from (f"  {queue}" for queue in world.queues)
        yield "what goes wrong by plan:"
        yield f"  rates for the controllers: {_rates(faults.rates)}"
        yield f"  rates for the agents: {_rates(faults.agent_rates)}"
        crashes = ", ".join(f"{when} write {number}" for number, when in faults.crash_writes)
        yield f"  the controllers die {crashes or 'at no write'}"
        yield from (f"  at {blow.at:.3f} s: {blow.verb} {blow.target} for {blow.seconds} s" for blow in faults.blows)
    if verdict.tail:
        yield "the last that happened:"
        yield from (f"  {line}" for line in verdict.tail[-SHOWN_LINES:])
    if verdict.state:
        yield "what is stored:"
        yield from (f"  {line}" for line in verdict.state)
    yield f"seed {verdict.seed} FAILED: {len(verdict.complaints)} complaint(s)"
    yield from (f"  {complaint}" for complaint in verdict.complaints[:SHOWN_COMPLAINTS])
    yield f"Again, every step shown: roadstead sim --seed {verdict.seed} --trace"


def _rates(rates: tuple[tuple[str, float], ...]) -> str:
    return ", ".join(f"{name} {rate:.3f}" for name, rate in rates) or "none"
