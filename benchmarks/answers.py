"""Questions about the queue: why a workload waits, what would bind next, what would help; and plan.

The core alone, in one process, on worlds that have settled; milliseconds of wall time per question (median and worst).
Beside them how many of those who wait hear a change that would start them now, and for how many none is known.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator

from msgspec.structs import replace

from benchmarks.core import a_workload, a_world, gpu_gang, gpu_queue, racks
from roadstead.core.explain.explanation import explain
from roadstead.core.explain.foresight import foresee
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.model.queues import Namespace, PreemptionPolicy
from roadstead.model.workload import Workload

QUOTA_ONLY = Rules(place_all=False)
NOW = 1_000_000_000_000
ASKED = 200


def ask(story: str, world: World, rules: Rules, newcomer: Workload) -> str:
    """One line: questions about ASKED of those who wait, and plans of `newcomer` with and without priority."""
    decide(world, NOW, rules)
    waiting = sorted(key for key, standing in world.workloads.items() if standing.hold is None)
    chosen = random.Random(1).sample(waiting, min(ASKED, len(waiting)))
    seconds, helped, behind = [], 0, 0
    for key in chosen:
        began = time.perf_counter()
        found = explain(world, key, NOW, rules)
        seconds.append(time.perf_counter() - began)
        helped += bool(found.suggestions)
        behind += bool(found.behind)
    plans = []
    for priority in (0, 100) * 10:
        began = time.perf_counter()
        foresee(world, [replace(newcomer, priority=priority)], NOW, rules)
        plans.append(time.perf_counter() - began)
    return (
        f"{story}, {len(waiting):,} of {len(world.workloads):,} wait: why {_ms(seconds)}, plan {_ms(plans)}; "
        f"{helped / len(chosen):.0%} hear a change that starts them now, for {1 - helped / len(chosen):.0%} none is known; "
        f"{behind / len(chosen):.0%} would meet something else next"
    )


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms (worst {max(seconds) * 1000:.0f})"


def queues_only(workloads: int, queues: int, policy: PreemptionPolicy) -> str:
    world = a_world(queues, 2, 20, policy=policy)
    for at in range(workloads):
        world.apply(a_workload(at, f"q{at % queues:04}", (7, 11, 13)[at % 3], priority=at % 2))
    kind = "without preemption" if policy is PreemptionPolicy.NEVER else "with preemption"
    return ask(f"{queues} queues of quota, {kind}", world, QUOTA_ONLY, a_workload(workloads, "q0000", 2))


def with_machines(nodes: int, gangs: int) -> str:
    world = World()
    world.apply(Namespace("team"))
    racks(world, nodes)
    gpu_queue(world)
    for at in range(gangs):
        world.apply(gpu_gang(at, 1 + at % 4, (3, 5, 6, 8)[at % 4]))
    return ask(f"{nodes} nodes of 8 GPUs, gangs", world, Rules(), gpu_gang(gangs, 2, 4))


def run() -> Iterator[str]:
    """One line a story."""
    yield queues_only(20_000, 30, PreemptionPolicy.NEVER)
    yield queues_only(5_000, 30, PreemptionPolicy.LOWER_PRIORITY)
    yield with_machines(200, 2_000)


if __name__ == "__main__":
    for line in run():
        print(line, flush=True)
