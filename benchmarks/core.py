"""Decisions of the deciding core alone: no persistence, no API, one process, one core.

    python benchmarks/core.py [--workloads N] [--queues N]

A decision is one workload admitted, or one workload evaluated and refused; times are CPU seconds of the process. Each
story builds its world outside the clock and then runs cycle + assume until nothing new is decided.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.plan import Admit
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.history.format import files_in
from roadstead.history.journal import Journal
from roadstead.history.replay import replay
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
    Topology,
)
from roadstead.model.selection import LabelSelector
from roadstead.model.workload import Pod, PodClass, PodSet, TopologyRequest, Workload, WorkloadState
from roadstead.runtime import collector

QUOTA_ONLY = Rules(place_all=False)
GPU = "nvidia.com/gpu"
HOST = "kubernetes.io/hostname"
LEVELS = ("block", "rack", HOST)
MIX = ((4, 16, 0), (8, 64, 1), (8, 64, 1), (16, 128, 2), (2, 8, 0), (32, 256, 4), (64, 512, 8), (8, 32, 1))
"""Cores, GiB and GPUs of pods."""
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
    collector.put_aside()
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


def racks(world: World, nodes: int) -> None:
    """Nodes of 96 CPUs, 1 TiB and 8 GPUs with device names, 16 to a rack, 20 racks to a block, and a flavor with that
    topology."""
    world.apply(Namespace("team"))
    world.apply(Topology("racks", LEVELS))
    world.apply(ResourceFlavor("f0", topology="racks"))
    resources = (("cpu", 96_000), ("memory", 1 << 40), (GPU, 8), ("pods", 110))
    devices = tuple(Device(f"gpu-{i}", GPU, i) for i in range(8))
    for at in range(nodes):
        name = f"n{at:05}"
        labels = (("block", f"b{at // 320:03}"), (HOST, name), ("rack", f"r{at // 16:04}"))
        world.apply(Node(name, labels, allocatable=resources, devices=devices))


def gpu_queue(world: World, policy: PreemptionPolicy = PreemptionPolicy.NEVER) -> None:
    quotas = FlavorQuotas("f0", (("cpu", Quota(2**60)), ("memory", Quota(2**60)), (GPU, Quota(2**60))))
    group = ResourceGroup(("cpu", "memory", GPU), (quotas,))
    world.apply(ClusterQueue("q", (group,), "", namespace_selector=LabelSelector(), preemption=Preemption(policy)))
    world.apply(LocalQueue("team", "q", "q"))


def gpu_gang(at: int, pods: int, gpus: int, priority: int = 0, topology: TopologyRequest | None = None) -> Workload:
    pod = PodClass((("cpu", 8000 * gpus), ("memory", 64 * gpus << 30), (GPU, gpus)))
    return Workload(
        "team", f"w{at}", f"{at:08}", "q", (PodSet("main", pods, pod, topology=topology),), at, at, priority
    )


def lone_pods(nodes: int, pods: int) -> str:
    """Pods outside queues, eight kinds interleaved, all of them waiting at once."""
    world = World()
    racks(world, nodes)
    for at in range(pods):
        cpu, memory, gpus = MIX[at % len(MIX)]
        requests = {"cpu": cpu * 1000, "memory": memory << 30} | ({GPU: gpus} if gpus else {})
        world.apply(Pod("team", f"p{at}", f"{at:08}", PodClass(tuple(sorted(requests.items()))), at))
    collector.put_aside()
    start = time.process_time()
    plans = decide(world, 1, Rules()).plans
    seconds = time.process_time() - start
    bound = sum(len(plan.commands) for plan in plans)
    return f"{f'{pods} pods outside queues, 8 kinds, {nodes} nodes':<64} {bound:>7} bound {pods - bound:>9} refused {seconds:25.2f} s  {pods / seconds:>9,.0f} pods/s"


def gangs(nodes: int, count: int, size: int) -> str:
    """Queued gangs of 1-GPU pods that must stay within one rack: quota, place and devices of every member."""
    world = World()
    racks(world, nodes)
    gpu_queue(world)
    for at in range(count):
        world.apply(gpu_gang(at, size, 1, topology=TopologyRequest(required="rack")))
    found = drive("", world, Rules())
    return f"{f'gangs of {size} within a rack, {nodes} nodes, 1 queue':<64} {found.admitted:>7} admitted {found.seconds:38.2f} s  {found.admitted * size / found.seconds:>9,.0f} pods/s"


def preemption_with_places(nodes: int, holders: int, pods: int) -> str:
    """A full fleet; a gang of whole nodes that must stay within one block asks others to go: one cycle, which finds its
    victims."""
    world = World()
    racks(world, nodes)
    gpu_queue(world, PreemptionPolicy.LOWER_PRIORITY)
    for at in range(holders):
        world.apply(gpu_gang(at, nodes // holders + (at < nodes % holders), 8, priority=at * 7919 % 100))
    assert drive("", world, Rules()).admitted == holders
    world.apply(gpu_gang(10_000_000, pods, 8, 1000, TopologyRequest(required="block")))
    times = []
    for _ in range(5):
        start = time.process_time()
        plan = cycle(world, 1, Rules())
        times.append(time.process_time() - start)
    return (
        f"{f'victims among {holders} placed gangs, {nodes} nodes, {pods} in one block':<64} {len(plan.commands):>7} victims "
        f"{min(times) * 1000:39.1f} ms a cycle"
    )


def journaled(decisions: int) -> Iterator[str]:
    """What the journal costs the thread that decides, and what its own thread spends, for jobs that come, are placed
    and end."""
    world = World()
    racks(world, 64)
    gpu_queue(world)
    record = 0.0
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), world, Rules())
        begin, begin_thread = time.process_time(), time.thread_time()
        for at in range(decisions):
            given = [gpu_gang(at, 1, 1)]
            if at >= 400:
                given.append(replace(gpu_gang(at - 400, 1, 1), state=WorkloadState.FINISHED))
            for fact in given:
                world.apply(fact)
            plans = decide(world, at, Rules()).plans
            before = time.thread_time()
            journal.record(given, at, plans)
            record += time.thread_time() - before
        decided = time.thread_time() - begin_thread
        journal.close()
        spent = time.process_time() - begin - decided
        size = sum(path.stat().st_size for path in files_in(Path(folder)))
        files = len(files_in(Path(folder)))
        begin = time.process_time()
        assert replay(files_in(Path(folder))).decisions == decisions
        again = time.process_time() - begin
    yield (
        f"journal of {decisions} decisions: {record / decisions * 1e6:.1f} us CPU each on the deciding thread, "
        f"{size / decisions:.0f} bytes each in {files} file(s)"
    )
    yield (
        f"   CPU each: deciding {decided / decisions * 1e6:.0f} us, writing in the journal's thread {spent / decisions * 1e6:.0f} us; "
        f"replayed at {decisions / again:,.0f} decisions/s"
    )


def run(workloads: int = 20_000, queues: int = 30) -> Iterator[str]:
    """The lines of `python -m benchmarks core`."""
    collector.begin()
    yield (
        "Core only: no persistence, no API; one process, one core, the garbage collector set as in the server. "
        "A decision: one workload admitted or refused."
    )
    for story in (everything_fits, second_flavor, churn, preemption):
        yield story(workloads, queues).line()
    yield placed(min(workloads, 8000), 1000).line()
    yield lone_pods(5000, workloads)
    yield gangs(5000, workloads // 8, 8)
    yield preemption_with_places(2000, 700, 100)
    yield from journaled(workloads // 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", type=int, default=20_000)
    parser.add_argument("--queues", type=int, default=30)
    given = parser.parse_args()
    for line in run(given.workloads, given.queues):
        print(line, flush=True)


if __name__ == "__main__":
    main()
