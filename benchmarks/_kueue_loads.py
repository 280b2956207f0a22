"""Kueue's own performance loads as data: cohorts, queues, classes of workloads, and the objects they are made of.

From Kueue's test/performance/scheduler/configs (v0.19): `baseline`, `large-scale`, `tas`. `scaled` makes a shorter load
of the same shape: fewer workloads a queue, at the same intervals and runtimes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

Json = dict[str, Any]

KUEUE: Final = "kueue.x-k8s.io/v1beta2"
RACK: Final = "cloud.provider.com/topology-rack"
BLOCK: Final = "cloud.provider.com/topology-block"
HOSTNAME: Final = "kubernetes.io/hostname"
TAS_LABEL: Final = "tas-node-group"
RUNNING_LABEL: Final = "kueue.x-k8s.io/performance-scheduler-running-ms"
CLASS_LABEL: Final = "kueue.x-k8s.io/performance-scheduler-class"


@dataclass(frozen=True, slots=True)
class Class:
    """One set of workloads of every queue: so many, one every `interval` ms, each running for `runtime` ms once
    admitted."""

    name: str
    count: int
    interval: int
    runtime: int
    priority: int
    milli_cpu: int
    pods: int = 1
    topology: str = ""  # required | preferred | balanced
    slice_size: int = 0

    @property
    def total_milli(self) -> int:
        return self.milli_cpu * self.pods


@dataclass(frozen=True, slots=True)
class Load:
    """`cohorts` of `queues` ClusterQueues each, with a quota of `nominal` cores that may borrow `borrowing` more."""

    name: str
    cohorts: int
    queues: int
    classes: tuple[Class, ...]
    nominal: int = 20
    borrowing: int = 100
    blocks: int = 0
    racks: int = 0
    nodes: int = 0

    @property
    def workloads(self) -> int:
        return self.cohorts * self.queues * sum(each.count for each in self.classes)

    @property
    def ideal_seconds(self) -> float:
        """Work of one queue on its own quota."""
        return sum(each.count * each.runtime * each.total_milli for each in self.classes) / 1e6 / self.nominal

    @property
    def creation_seconds(self) -> float:
        """How long creating takes the slowest class."""
        return max(each.count * each.interval for each in self.classes) / 1e3

    @property
    def queue_names(self) -> list[str]:
        return [f"cq-0-{at}-cohort-{cohort}" for cohort in range(self.cohorts) for at in range(self.queues)]

    @property
    def has_topology(self) -> bool:
        return self.nodes > 0

    def scaled(self, share: float) -> Load:
        """The same with a share of the workloads."""
        classes = tuple(replace(each, count=max(1, round(each.count * share))) for each in self.classes)
        return replace(self, classes=classes)


_Numbers = tuple[int, int, int, int, int]


def _plain(small: _Numbers, medium: _Numbers, large: _Numbers) -> tuple[Class, ...]:
    return (Class("small", *small), Class("medium", *medium), Class("large", *large))


BASELINE: Final = Load(
    "baseline", 5, 6,
    _plain((350, 100, 200, 50, 1000), (100, 500, 500, 100, 5000), (50, 1200, 1000, 200, 20000)),
)  # fmt: skip
LARGE_SCALE: Final = Load(
    "large-scale", 10, 100,
    _plain((35, 60, 150, 50, 1000), (11, 300, 350, 100, 5000), (4, 700, 700, 200, 20000)),
)  # fmt: skip
_SMALL, _MEDIUM, _LARGE = (100, 200, 50, 500, 2), (500, 500, 100, 1250, 4), (1200, 1000, 200, 2500, 8)
TAS: Final = Load(
    "tas", 5, 6,
    (
        Class("small-required-rack", 120, *_SMALL, "required"),
        Class("small-preferred-rack", 120, *_SMALL, "preferred"),
        Class("small-balanced-rack", 110, *_SMALL, "balanced", 1),
        Class("medium-required-rack", 34, *_MEDIUM, "required"),
        Class("medium-preferred-rack", 33, *_MEDIUM, "preferred"),
        Class("medium-balanced-rack", 33, *_MEDIUM, "balanced", 2),
        Class("large-required-rack", 17, *_LARGE, "required"),
        Class("large-preferred-rack", 17, *_LARGE, "preferred"),
        Class("large-balanced-rack", 16, *_LARGE, "balanced", 4),
    ),
    blocks=1, racks=10, nodes=64,
)  # fmt: skip


# ---------------------------------------------------------------------- objects


def flavor_name(load: Load) -> str:
    return "tas-flavor" if load.has_topology else "default-flavor"


def infrastructure(load: Load) -> Iterator[tuple[str, Json]]:
    """(collection path, object) of flavor, topology and nodes."""
    flavor: Json = {
        "apiVersion": KUEUE,
        "kind": "ResourceFlavor",
        "metadata": {"name": flavor_name(load)},
    }
    if load.has_topology:
        levels = [{"nodeLabel": label} for label in (BLOCK, RACK, HOSTNAME)]
        topology = {"apiVersion": KUEUE, "kind": "Topology", "metadata": {"name": "default-topology"}}
        yield f"/apis/{KUEUE}/topologies", {**topology, "spec": {"levels": levels}}
        flavor["spec"] = {"nodeLabels": {TAS_LABEL: "tas"}, "topologyName": "default-topology"}
        for block in range(load.blocks):
            for rack in range(load.racks):
                for at in range(load.nodes):
                    labels = {TAS_LABEL: "tas", BLOCK: f"b{block}", RACK: f"b{block}-r{rack}"}
                    yield "/api/v1/nodes", node(f"b{block}-r{rack}-n{at}", labels, "96", "256Gi")
    yield f"/apis/{KUEUE}/resourceflavors", flavor


def node(name: str, labels: Json, cpu: str, memory: str, pods: str = "110") -> Json:
    """A node that is ready, with its status (to be written beside it)."""
    room = {"cpu": cpu, "memory": memory, "pods": pods}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {HOSTNAME: name, **labels}},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "played"}],
        },
    }


def queue(load: Load, name: str) -> Iterator[tuple[str, Json]]:
    """(collection path, object) of a namespace, a ClusterQueue and the LocalQueue that leads to it, all of one name."""
    yield "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    quota = {"name": "cpu", "nominalQuota": str(load.nominal), "borrowingLimit": str(load.borrowing)}
    yield (
        f"/apis/{KUEUE}/clusterqueues",
        {
            "apiVersion": KUEUE,
            "kind": "ClusterQueue",
            "metadata": {"name": name},
            "spec": {
                "cohortName": "cohort-" + name.partition("-cohort-")[2],
                "namespaceSelector": {},
                "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
                "resourceGroups": [
                    {
                        "coveredResources": ["cpu"],
                        "flavors": [{"name": flavor_name(load), "resources": [quota]}],
                    }
                ],
            },
        },
    )
    yield (
        f"/apis/{KUEUE}/namespaces/{name}/localqueues",
        {
            "apiVersion": KUEUE,
            "kind": "LocalQueue",
            "metadata": {"name": name, "namespace": name},
            "spec": {"clusterQueue": name},
        },
    )


def workload(each: Class, queue_name: str, name: str) -> Json:
    """A Workload as Kueue's runner makes it: without a job behind it."""
    pod_set: Json = {
        "name": "main",
        "count": each.pods,
        "template": {
            "spec": {
                "containers": [{"name": "c", "image": "c", "resources": {"requests": {"cpu": f"{each.milli_cpu}m"}}}],
                "restartPolicy": "Never",
            }
        },
    }
    if each.topology == "balanced":
        pod_set["topologyRequest"] = {
            "podSetSliceRequiredTopology": RACK,
            "podSetSliceSize": each.slice_size,
        }
    elif each.topology:
        pod_set["topologyRequest"] = {each.topology: RACK}
    return {
        "apiVersion": KUEUE,
        "kind": "Workload",
        "metadata": {
            "name": name,
            "namespace": queue_name,
            "labels": {RUNNING_LABEL: str(each.runtime), CLASS_LABEL: each.name},
        },
        "spec": {"queueName": queue_name, "priority": each.priority, "active": True, "podSets": [pod_set]},
    }
