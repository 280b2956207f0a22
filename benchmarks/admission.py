"""Admission at size, the deciding core alone: 50,000 workloads in 1,000 queues, contended and not; one cycle's latency;
victims.

No persistence, no API, one process, one core; times are CPU seconds. A decision is one workload admitted, or one
evaluated and refused. *Contended*: quota for about a third; two of each queue finish at a time, those who waited get
their chance, until all have run. *Latency*: all queues are full, nearly 50,000 wait; one workload finishes, those who
waited for its quota get their chance, and what is timed is all cycles until nothing more is decided. *Victims*: 700
workloads of low priorities hold the GPUs of 2,000 nodes of 8 (quota only), lent by one queue to 20 others; the lender
asks for 800 back: one cycle, which finds its victims.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.core import GPU, QUOTA_ONLY, a_workload, drive
from roadstead.core.cycle import cycle
from roadstead.core.plan import Evict
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.model.facts import Gone
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
from roadstead.runtime import collector

WORKLOADS = 50_000
SIZES = ((1, 0), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0), (5, 50), (5, 50), (20, 100))
"""(cores, priority) in turn: seven small ones, two medium, one large."""
CORES_OF_TEN = sum(cores for cores, _ in SIZES)
FAIR = Rules(place_all=False, fair_sharing=("LessThanOrEqualToFinalShare", "LessThanInitialShare"))


def a_world(cohorts: int, queues: int, flavors: int, cores: int) -> World:
    """`queues` ClusterQueues in each cohort, `cores` of quota in each, spread over its flavors; reclaim Any, within
    LowerPriority."""
    world = World()
    world.apply(Namespace("team"))
    for at in range(flavors):
        world.apply(ResourceFlavor(f"f{at}"))
    each = -(-cores // flavors)
    quotas = tuple(
        FlavorQuotas(f"f{at}", (("cpu", Quota(each * 1000)), ("memory", Quota(each << 30)))) for at in range(flavors)
    )
    group = ResourceGroup(("cpu", "memory"), quotas)
    policies = Preemption(PreemptionPolicy.LOWER_PRIORITY, PreemptionPolicy.ANY)
    for at in range(cohorts * queues):
        name = f"q{at:04}"
        selector = LabelSelector()
        world.apply(ClusterQueue(name, (group,), f"c{at // queues}", namespace_selector=selector, preemption=policies))
        world.apply(LocalQueue("team", name, name))
    return world


def fill(world: World, workloads: int, queues: int) -> None:
    """The same mix for every queue, in turns."""
    for at in range(workloads):
        cores, priority = SIZES[at // queues % len(SIZES)]
        world.apply(a_workload(at, f"q{at % queues:04}", cores, priority))


def uncontended(cohorts: int, queues: int, flavors: int) -> str:
    total = cohorts * queues
    world = a_world(cohorts, queues, flavors, flavors * CORES_OF_TEN * WORKLOADS // total // 10)
    fill(world, WORKLOADS, total)
    found = drive(_where(cohorts, queues, flavors) + ", room for all", world, QUOTA_ONLY)
    assert found.admitted == WORKLOADS, found
    return found.line()


def contended(cohorts: int, queues: int, flavors: int) -> str:
    total = cohorts * queues
    world = a_world(cohorts, queues, flavors, max(flavors * 20, CORES_OF_TEN * WORKLOADS // total // 100))
    fill(world, WORKLOADS, total)
    now = 0

    def finish(made: World) -> bool:
        nonlocal now
        now += 1
        running = [s.key for holders in made.holders.values() for _, s in holders[:2]]
        for key in running:
            made.apply(Gone(Workload, key))
        made.unpark(now)
        return bool(running)

    found = drive(_where(cohorts, queues, flavors) + ", two of each queue finish at a time", world, QUOTA_ONLY, finish)
    assert found.admitted == WORKLOADS, found
    return found.line()


def latency(cohorts: int, queues: int, flavors: int, rounds: int = 100) -> str:
    total = cohorts * queues
    world = a_world(cohorts, queues, flavors, flavors * 20)
    fill(world, WORKLOADS, total)
    decide(world, 0, QUOTA_ONLY)
    waiting = sum(standing.hold is None for standing in world.workloads.values())
    collector.put_aside()
    times = []
    for at in range(rounds):
        holders = world.holders[f"q{at * 7919 % total:04}"]
        world.apply(Gone(Workload, holders[-1][1].key))
        begin = time.process_time()
        decide(world, at, QUOTA_ONLY)
        times.append(time.process_time() - begin)
    times.sort()
    return (
        f"{_where(cohorts, queues, flavors)}, {waiting:,} wait, one finishes: median {statistics.median(times) * 1e3:.2f} ms, "
        f"99th {times[rounds * 99 // 100] * 1e3:.2f} ms until all is decided"
    )


def _where(cohorts: int, queues: int, flavors: int) -> str:
    return f"{cohorts} cohort{'s' * (cohorts > 1)} x {queues} queues x {flavors} flavor{'s' * (flavors > 1)}"


def victims(rules: Rules, name: str, *, nodes: int = 2000, holders: int = 700, borrowers: int = 20) -> str:
    world = World()
    world.apply(Namespace("team"))
    world.apply(ResourceFlavor("f0"))
    gpus = nodes * 8
    policies = Preemption(PreemptionPolicy.LOWER_PRIORITY, PreemptionPolicy.ANY)
    for at in range(borrowers + 1):
        quota = Quota(gpus if at == borrowers else 0)
        group = ResourceGroup((GPU,), (FlavorQuotas("f0", ((GPU, quota),)),))
        world.apply(ClusterQueue(f"q{at}", (group,), "all", namespace_selector=LabelSelector(), preemption=policies))
        world.apply(LocalQueue("team", f"q{at}", f"q{at}"))
    for at in range(holders):
        size = gpus // holders + (at < gpus % holders)
        world.apply(_gang(at, f"q{at % borrowers}", size, priority=at * 7919 % 100))
    assert drive("", world, QUOTA_ONLY).admitted == holders
    world.apply(_gang(10_000_000, f"q{borrowers}", gpus // 20, priority=1000))
    times, found = [], 0
    for _ in range(5):
        begin = time.process_time()
        plan = cycle(world, 1, rules)
        times.append(time.process_time() - begin)
        found = sum(isinstance(command, Evict) for command in plan.commands)
    assert found, "nobody was asked to go"
    return (
        f"victims among {holders} holders of {nodes} nodes' GPUs in {borrowers} queues, {name}: {found} found, "
        f"{min(times) * 1e3:.1f} ms a cycle (floor 50, target 5)"
    )


def _gang(at: int, queue: str, gpus: int, priority: int) -> Workload:
    pod = PodClass(((GPU, 1),))
    return Workload("team", f"w{at}", f"{at:08}", queue, (PodSet("main", gpus, pod),), at, at, priority)


def run() -> Iterator[str]:
    """Measure; one line each."""
    collector.begin()
    yield uncontended(100, 10, 4)
    yield contended(100, 10, 4)
    yield uncontended(1, 1000, 4)
    yield contended(1, 1000, 4)
    yield latency(100, 10, 4)
    yield latency(1, 1000, 4)
    yield victims(QUOTA_ONLY, "classic")
    yield victims(FAIR, "fair sharing")
