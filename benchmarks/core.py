"""Decisions of the deciding core alone: no persistence, no API, one process, one core.

    python benchmarks/core.py [--workloads N] [--queues N]

A decision is one workload admitted, or one workload evaluated and refused. Each story builds its world outside the clock and then
runs cycle + assume until nothing new is decided.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from roadstead.core.cycle import cycle
from roadstead.core.plan import Admit
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.facts import Gone
from roadstead.model.nodes import Device, Node
from roadstead.model.queues import (
    ClusterQueue,
    FlavorQuotas,
    LocalQueue,
    Namespace,
    Preemption,
    PreemptionPolicy,
    Quota,
    ResourceFlavor,
    ResourceGroup,
)
from roadstead.model.selection import LabelSelector
from roadstead.model.workload import PodClass, PodSet, Workload

QUOTA_ONLY = Rules(place_all=False)
SIZES = (1, 5, 20)  # cores; as in Kueue's own load: small, medium, large
SHARES = (70, 20, 10)


@dataclass(frozen=True)
class Result:
    story: str
    admitted: int
    refused: int
    cycles: int
    seconds: float

    def line(self) -> str:
        decisions = self.admitted + self.refused
        return (
            f"{self.story:<64} {self.admitted:>7} admitted {self.refused:>6} refused {self.cycles:>7} cycles "
            f"{self.seconds:7.2f} s  {decisions / self.seconds:>9,.0f} decisions/s  "
            f"{self.seconds / max(1, self.cycles) * 1e6:7.0f} us/cycle"
        )


def a_world(queues: int, flavors: int, cores_each: int, *, policy: PreemptionPolicy = PreemptionPolicy.NEVER) -> World:
    """`queues` ClusterQueues in cohorts of six, each with the same quota of cpu and memory on every flavor."""
    world = World()
    world.apply(Namespace("team"))
    for at in range(flavors):
        world.apply(ResourceFlavor(f"f{at}"))
    quotas = tuple(
        FlavorQuotas(f"f{at}", (("cpu", Quota(cores_each * 1000)), ("memory", Quota(cores_each << 30))))
        for at in range(flavors)
    )
    for at in range(queues):
        name = f"q{at:04}"
        world.apply(
            ClusterQueue(
                name,
                (ResourceGroup(("cpu", "memory"), quotas),),
                f"cohort-{at // 6}",
                namespace_selector=LabelSelector(),
                preemption=Preemption(policy, policy),
            )
        )
        world.apply(LocalQueue("team", name, name))
    return world


def a_workload(at: int, queue: str, cores: int, priority: int = 0) -> Workload:
    pod = PodClass((("cpu", cores * 1000), ("memory", cores << 30)))
    return Workload("team", f"w{at}", f"{at:08}", queue, (PodSet("main", 1, pod),), at, at, priority)


def fill(world: World, workloads: int, queues: int) -> None:
    total = sum(SHARES)
    for at in range(workloads):
        turn = at % total
        size = SIZES[0] if turn < SHARES[0] else SIZES[1] if turn < SHARES[0] + SHARES[1] else SIZES[2]
        world.apply(a_workload(at, f"q{at % queues:04}", size, priority=SIZES.index(size) * 50))


def drive(story: str, world: World, rules: Rules, after: Callable[[World], bool] | None = None) -> Result:
    """Cycle and assume until nothing changes and `after` (which may free something) has no more to offer."""
    admitted = refused = cycles = 0
    gc.collect()
    gc.freeze()
    start = time.process_time()
    while True:
        plan = cycle(world, cycles * 1_000_000, rules)
        changed = world.assume(plan)
        cycles += 1
        admitted += sum(isinstance(command, Admit) for command in plan.commands)
        refused += len(plan.verdicts)
        if not changed and (after is None or not after(world)):
            break
    return Result(story, admitted, refused, cycles, time.process_time() - start)


def everything_fits(workloads: int, queues: int) -> Result:
    world = a_world(queues, 1, workloads * 20)
    fill(world, workloads, queues)
    return drive(f"everything fits, {queues} queues, 1 flavor", world, QUOTA_ONLY)


def second_flavor(workloads: int, queues: int) -> Result:
    """Half of the load goes to the second flavor, and what is left over is refused by class."""
    each = workloads // queues * 4 // 3
    world = a_world(queues, 2, each)
    fill(world, workloads, queues)
    return drive(f"two flavors, quota for about 3 of 4, {queues} queues", world, QUOTA_ONLY)


def churn(workloads: int, queues: int) -> Result:
    """A full cluster: 50 workloads finish, parked ones get their chance, and so on until all ran."""
    world = a_world(queues, 1, max(20, workloads // queues // 20))
    fill(world, workloads, queues)
    now = 0

    def finish(made: World) -> bool:
        nonlocal now
        now += 1
        running = [s.key for holders in made.holders.values() for _, s in holders[:2]][:50]
        for key in running:
            made.apply(Gone(Workload, key))
        made.unpark(now)
        return bool(running)

    return drive(f"full, 50 finish at a time, {queues} queues", world, QUOTA_ONLY, finish)


def preemption(workloads: int, queues: int) -> Result:
    """Full of low priorities; the same load again with higher ones: each has to find its victims."""
    world = a_world(queues, 1, workloads // queues * 3 // 2, policy=PreemptionPolicy.LOWER_PRIORITY)
    fill(world, workloads, queues)
    drive("", world, QUOTA_ONLY)
    for at in range(queues):
        world.apply(a_workload(10_000_000 + at, f"q{at:04}", 20, priority=1000))
    return drive(f"one preemptor a queue among {workloads} holders", world, QUOTA_ONLY)


def placed(workloads: int, nodes: int) -> Result:
    """Embedded: every workload (1 GPU and its share of the node) gets a node and a device."""
    world = World()
    world.apply(Namespace("team"))
    world.apply(ResourceFlavor("f0"))
    resources = (("cpu", 96_000), ("memory", 1 << 40), ("nvidia.com/gpu", 8), ("pods", 110))
    for at in range(nodes):
        name = f"n{at:05}"
        devices = tuple(Device(f"gpu-{i}", "nvidia.com/gpu", i) for i in range(8))
        world.apply(Node(name, (("kubernetes.io/hostname", name),), allocatable=resources, devices=devices))
    quotas = FlavorQuotas("f0", (("cpu", Quota(2**60)), ("memory", Quota(2**60)), ("nvidia.com/gpu", Quota(2**60))))
    group = ResourceGroup(("cpu", "memory", "nvidia.com/gpu"), (quotas,))
    for at in range(10):
        world.apply(ClusterQueue(f"q{at}", (group,), "all", namespace_selector=LabelSelector()))
        world.apply(LocalQueue("team", f"q{at}", f"q{at}"))
    pod = PodClass((("cpu", 8000), ("memory", 64 << 30), ("nvidia.com/gpu", 1)))
    for at in range(workloads):
        world.apply(Workload("team", f"w{at}", f"{at:08}", f"q{at % 10}", (PodSet("main", 1, pod),), at, at))
    return drive(f"placed with devices, {nodes} nodes x 8 GPUs, 10 queues", world, Rules())


def run(workloads: int = 20_000, queues: int = 30) -> Iterator[str]:
    """The lines of `python -m benchmarks core`."""
    yield "Core only: no persistence, no API; one process, one core. A decision: one workload admitted or refused."
    for story in (everything_fits, second_flavor, churn, preemption):
        yield story(workloads, queues).line()
    yield placed(min(workloads, 8000), 1000).line()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", type=int, default=20_000)
    parser.add_argument("--queues", type=int, default=30)
    given = parser.parse_args()
    for line in run(given.workloads, given.queues):
        print(line, flush=True)


if __name__ == "__main__":
    main()
