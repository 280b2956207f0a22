"""One small story, told once for every write of the controllers, with a crash before or after it: nothing may come out
differently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from roadstead.sim.plan import Plan
from roadstead.sim.plan.faults import FAIR, Blow, Faults
from roadstead.sim.plan.story import Act, JobPlan
from roadstead.sim.plan.world import NodePlan, QueuePlan, Quota, WorldPlan
from roadstead.sim.simulation import Simulation, simulate
from roadstead.sim.verdict import Verdict, try_plan

WHEN: Final = ("before", "after")


def a_job(name: str, at: float, **changes: object) -> JobPlan:
    """A small Job, but for these fields of JobPlan."""
    values: dict[str, object] = {
        "name": name,
        "namespace": "default",
        "at": at,
        "queue": "q",
        "indexed": False,
        "completions": 1,
        "parallelism": 1,
        "cpu": 1,
        "gpus": 1,
        "run_for": 3.0,
        "failures": 0,
        "backoff_limit": 1,
        "priority": "",
        "stubborn": False,
        "grace": 1,
        "per_index": False,
        "replacement": "",
        "pool": "",
    }
    return JobPlan(**{**values, **changes})  # type: ignore[arg-type]  # a story in a few words; JobPlan checks nothing at run time


def story(
    crash: tuple[int, str] | None = None,
    more_acts: Sequence[Act] = (),
    blows: Sequence[Blow] = (),
    more_jobs: Sequence[JobPlan] = (),
) -> Plan:
    """A gang, a job that preempts it, one that fails once, one that is deleted while it runs; two devices on one
    node."""
    world = WorldPlan(
        (NodePlan("n0", "rtx4090x2", 4, "", 0),),
        (),
        (
            QueuePlan(
                "q", "", "BestEffortFIFO", (("withinClusterQueue", "LowerPriority"),), (("all", Quota(4), Quota(2)),)
            ),
        ),
        workers=2,
        history=400,
    )
    jobs = (
        a_job("gang", 1.0, indexed=True, completions=2, parallelism=2, run_for=20.0, priority="low"),
        a_job("urgent", 5.0, gpus=2, priority="high"),
        a_job("clumsy", 6.0, gpus=0, failures=1),
        a_job("unwanted", 7.0, gpus=0, run_for=45.0),
        *more_jobs,
    )
    acts = tuple(sorted((Act(20.0, "delete", "unwanted", "Background"), *more_acts), key=lambda act: act.at))
    faults = Faults(FAIR.rates, FAIR.agent_rates, (crash,) if crash is not None else (), tuple(blows), 0.001)
    return Plan(0, world, jobs, acts, faults)


def count_writes() -> int:
    """How many writes the controllers need for the story when nothing goes wrong."""
    told: Simulation = simulate(story())
    assert not told.complaints, told.complaints
    return told.mishaps.writes


def crash_everywhere(numbers: Iterable[int]) -> Iterator[tuple[tuple[int, str], Verdict]]:
    """(crash, verdict) for a crash before and after each of these writes, counted from 1."""
    for number in numbers:
        for when in WHEN:
            yield (number, when), try_plan(story((number, when)))
