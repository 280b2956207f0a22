"""Placement decisions per second: `python benchmarks/fleet.py [nodes]`.

Boundary: decisions only, one thread, one core. Counted is `Fleet.place` (the whole answer: nodes, device names,
topology assignment) and `Fleet.hold` of what it found. No persistence, no API, no queues or quota; building the fleet
is outside the clock, which counts CPU seconds of this process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import process_time

from roadstead.core.fleet.ask import Ask, Found, PodSetAsk
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.undo import UndoLog
from roadstead.model.nodes import Device, Node
from roadstead.model.workload import PodClass, TopologyRequest

GPU = "nvidia.com/gpu"
HOST = "kubernetes.io/hostname"
LEVELS = ("block", "rack", HOST)
NODES_PER_RACK = 16
RACKS_PER_BLOCK = 20


def build(count: int) -> Fleet:
    """Nodes of 96 CPUs, 1 TiB and 8 GPUs, 16 to a rack, 20 racks to a block."""
    fleet = Fleet(UndoLog())
    devices = tuple(Device(f"gpu-{i}", GPU, i) for i in range(8))
    for at in range(count):
        rack = at // NODES_PER_RACK
        labels = {"block": f"b{rack // RACKS_PER_BLOCK:03}", "rack": f"r{rack:04}", HOST: f"node-{at:05}"}
        fleet.set_node(
            Node(
                f"node-{at:05}",
                labels=tuple(sorted(labels.items())),
                allocatable=(("cpu", 96_000), ("memory", 1 << 40), (GPU, 8), ("pods", 110)),
                devices=devices,
            )
        )
    return fleet


def pod(cpu: int, memory_gi: int, gpus: int) -> PodClass:
    requests = {"cpu": cpu * 1000, "memory": memory_gi << 30} | ({GPU: gpus} if gpus else {})
    return PodClass(requests=tuple(sorted(requests.items())))


MIX = [
    pod(4, 16, 0),
    pod(8, 64, 1),
    pod(8, 64, 1),
    pod(16, 128, 2),
    pod(2, 8, 0),
    pod(32, 256, 4),
    pod(64, 512, 8),
    pod(8, 32, 1),
]
"""Eight classes of pods, as a cluster sees them interleaved; towards the end the large ones are refused, which counts
too."""


def single_pods(fleet: Fleet, limit: int) -> int:
    asks = [Ask((PodSetAsk("main", 1, each),)) for each in MIX]
    for at in range(limit):
        answer = fleet.place(asks[at % len(asks)])
        if isinstance(answer, Found):
            fleet.hold(f"pod:bench/{limit}-{at}", answer.placement)
    return limit


def many_classes(fleet: Fleet, limit: int) -> int:
    """More kinds of pods than are kept counted."""
    asks = [Ask((PodSetAsk("main", 1, pod(1 + at % 30, 1 + at // 30, at % 3)),)) for at in range(300)]
    for at in range(limit):
        answer = fleet.place(asks[at % len(asks)])
        if isinstance(answer, Found):
            fleet.hold(f"pod:bench/{at}", answer.placement)
    return limit


def gangs(fleet: Fleet, limit: int, size: int, level: str) -> int:
    """Gangs of `size` pods with a whole node's GPUs or one, within one domain of the level."""
    request = TopologyRequest(required=level)
    shapes = [pod(8, 64, 1), pod(64, 512, 8)]
    asks = [Ask((PodSetAsk("main", size, each, levels=LEVELS, request=request),)) for each in shapes]
    placed = 0
    for at in range(limit):
        answer = fleet.place(asks[at % len(asks)])
        if isinstance(answer, Found):
            fleet.hold(f"workload:bench/{at}", answer.placement)
            placed += size
    return placed


def churn(fleet: Fleet, limit: int) -> int:
    """A full fleet: one gang leaves, one comes."""
    asks = [Ask((PodSetAsk("main", 8, pod(8, 64, 1), levels=LEVELS, request=TopologyRequest(required="rack")),))]
    live: list[str] = []
    for at in range(100_000):
        answer = fleet.place(asks[0])
        if not isinstance(answer, Found):
            break
        live.append(f"workload:full/{at}")
        fleet.hold(live[-1], answer.placement)
    placed = 0
    start = process_time()
    for at in range(limit):
        fleet.release(live[at * 7919 % len(live)])
        answer = fleet.place(asks[0])
        assert isinstance(answer, Found)
        fleet.hold(live[at * 7919 % len(live)], answer.placement)
        placed += 8
    report("a full fleet, 8-pod gangs in a rack come and go", placed, process_time() - start)
    return placed


def refusals(fleet: Fleet, limit: int) -> int:
    ask = Ask((PodSetAsk("main", 1, pod(95, 64, 8)),))
    return sum(not isinstance(fleet.place(ask), Found) for _ in range(limit))


def report(what: str, count: int, seconds: float) -> None:
    print(f"{what:<58} {count:>7} in {seconds:6.2f} s {count / seconds:>10,.0f}/s")


def measure(what: str, run: Callable[[], int]) -> None:
    start = process_time()
    count = run()
    report(what, count, process_time() - start)


def main() -> None:
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    print(__doc__)
    print(f"{nodes} nodes x 8 GPUs, Python {sys.version.split()[0]}")
    fleet = build(nodes)
    measure("first question of each of 8 classes", lambda: single_pods(fleet, len(MIX)))
    single_pods(fleet, 8 * len(MIX))  # from here on these classes are kept counted
    measure("single pods, 8 interleaved classes, until it is full", lambda: single_pods(fleet, 4 * nodes))
    measure("single pods, 300 interleaved classes, 2,000 pods", lambda: many_classes(build(nodes), 2000))
    measure("refusals of a pod that no node has room for", lambda: refusals(fleet, 200))
    measure("gangs of 8 in one rack, two classes", lambda: gangs(build(nodes), nodes // 10, 8, "rack"))
    measure("gangs of 64 in one block, two classes", lambda: gangs(build(nodes), nodes // 100, 64, "block"))
    churn(build(nodes), 1000)


if __name__ == "__main__":
    main()
