"""Builders that this folder's tests share: fleets in a line or two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from roadstead.core.fleet.ask import Answer, Ask, Found, PodSetAsk
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.undo import UndoLog
from roadstead.model.nodes import Device, Node
from roadstead.model.refusals import Refusal
from roadstead.model.selection import Taint
from roadstead.model.workload import PodClass, TopologyRequest

HOST = "kubernetes.io/hostname"
GPU = "nvidia.com/gpu"
LEVELS = ("block", "rack", HOST)


def node(
    name: str,
    cpu: int = 0,
    gpus: int = 0,
    *,
    labels: Mapping[str, str] | None = None,
    taints: Iterable[Taint] = (),
    pods: int = 110,
    ready: bool = True,
    unschedulable: bool = False,
    unhealthy: Iterable[int] = (),
) -> Node:
    """A node with whole CPUs and, if asked for, GPUs gpu-0, gpu-1 ... listed as devices."""
    allocatable = {"cpu": cpu * 1000, "pods": pods} | ({GPU: gpus} if gpus else {})
    bad = set(unhealthy)
    return Node(
        name,
        labels=tuple(sorted({HOST: name, **(labels or {})}.items())),
        taints=tuple(taints),
        unschedulable=unschedulable,
        ready=ready,
        allocatable=tuple(sorted(allocatable.items())),
        devices=tuple(Device(f"gpu-{i}", GPU, i, healthy=i not in bad) for i in range(gpus)),
    )


def fleet(*nodes: Node, undo: UndoLog | None = None) -> Fleet:
    made = Fleet(undo or UndoLog())
    for each in nodes:
        made.set_node(each)
    return made


def racks(free: Mapping[str, int]) -> Fleet:
    """A fleet of one-CPU slots from {"block/rack/node": free pods}."""
    made = Fleet(UndoLog())
    for path, slots in free.items():
        block, rack, name = path.split("/")
        made.set_node(node(name, slots, labels={"block": block, "rack": f"{block}-{rack}"}))
    return made


def pods(cpu: int = 1, gpus: int = 0) -> PodClass:
    requests = {"cpu": cpu * 1000} | ({GPU: gpus} if gpus else {})
    return PodClass(requests=tuple(sorted(requests.items())))


def ask(
    count: int,
    pod: PodClass | None = None,
    request: TopologyRequest | None = None,
    levels: tuple[str, ...] = LEVELS,
    name: str = "main",
) -> Ask:
    return Ask((PodSetAsk(name, count, pod or pods(), levels=levels, request=request),))


def one(count: int = 1, pod: PodClass | None = None) -> Ask:
    """Pods without a topology request, on any node."""
    return Ask((PodSetAsk("main", count, pod or pods()),))


def found(answer: Answer) -> Found:
    assert isinstance(answer, Found), answer
    return answer


def refused(answer: Answer) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer


def by_node(answer: Answer, pod_set: int = 0) -> dict[str, int]:
    """Pods per host, in the order of the assignment."""
    return {values[-1]: count for values, count in found(answer).topologies[pod_set].domains}
