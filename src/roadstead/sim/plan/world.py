"""The world of a seed: nodes with devices, flavors, ClusterQueues that may borrow from each other, LocalQueues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from roadstead.kinds.names import CLUSTER_QUEUES, LOCAL_QUEUES, NAMESPACES, RESOURCE_FLAVORS
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Create
from roadstead.sim.chance import Chance

POOL_LABEL: Final = "sim.roadstead.dev/pool"
GPU: Final = "nvidia.com/gpu"
GPUS: Final[Mapping[str, int]] = {"cpu": 0, "l4x1": 1, "rtx4090x2": 2, "h100x4": 4}
"""Profiles that are used, and how many devices each has."""
TEAM: Final = "team"
"""A second namespace, beside `default`."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    name: str
    profile: str
    cpu: int
    pool: str
    agent: int
    """Number of the agent that looks after it."""

    @property
    def gpus(self) -> int:
        return GPUS[self.profile]


@dataclass(frozen=True, slots=True)
class Quota:
    nominal: int
    borrow: int | None = None
    lend: int | None = None


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """A ClusterQueue with a LocalQueue of the same name in each namespace. `quotas`: flavor -> (cpu, GPUs)."""

    name: str
    cohort: str
    strategy: str
    preemption: tuple[tuple[str, str], ...]
    quotas: tuple[tuple[str, Quota, Quota], ...]

    def manifest(self) -> Json:
        preemption: Json = dict(self.preemption)
        if "borrowWithinCohort" in preemption:
            preemption["borrowWithinCohort"] = {"policy": preemption["borrowWithinCohort"]}
        return {
            "apiVersion": CLUSTER_QUEUES.api_version,
            "kind": "ClusterQueue",
            "metadata": {"name": self.name},
            "spec": {
                "namespaceSelector": {},
                "queueingStrategy": self.strategy,
                **({"cohortName": self.cohort} if self.cohort else {}),
                "preemption": preemption,
                "resourceGroups": [
                    {
                        "coveredResources": ["cpu", GPU],
                        "flavors": [
                            {"name": flavor, "resources": [_quota("cpu", cpu), _quota(GPU, gpus)]}
                            for flavor, cpu, gpus in self.quotas
                        ],
                    }
                ],
            },
        }


def _quota(name: str, quota: Quota) -> Json:
    value: Json = {"name": name, "nominalQuota": str(quota.nominal)}
    if quota.borrow is not None:
        value["borrowingLimit"] = str(quota.borrow)
    if quota.lend is not None:
        value["lendingLimit"] = str(quota.lend)
    return value


@dataclass(frozen=True, slots=True)
class WorldPlan:
    nodes: tuple[NodePlan, ...]
    pools: tuple[str, ...]
    """Flavors with a node label each; empty: one flavor `all` for every node."""
    queues: tuple[QueuePlan, ...]
    workers: int
    """Of each controller."""
    history: int
    """Changes that the server keeps for watches."""

    @property
    def flavors(self) -> tuple[str, ...]:
        return self.pools or ("all",)

    def nodes_of(self, flavor: str) -> list[NodePlan]:
        return [node for node in self.nodes if not self.pools or node.pool == flavor]

    def furniture(self) -> list[Create]:
        """What an administrator creates first."""
        made = [Create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})]
        for flavor in self.flavors:
            spec = {"nodeLabels": {POOL_LABEL: flavor}} if self.pools else {}
            value = {"apiVersion": RESOURCE_FLAVORS.api_version, "kind": "ResourceFlavor", "metadata": {"name": flavor}}
            made.append(Create(RESOURCE_FLAVORS, {**value, "spec": spec}))
        for queue in self.queues:
            made.append(Create(CLUSTER_QUEUES, queue.manifest()))
            for namespace in ("default", TEAM):
                local = {
                    "apiVersion": LOCAL_QUEUES.api_version,
                    "kind": "LocalQueue",
                    "metadata": {"name": queue.name, "namespace": namespace},
                    "spec": {"clusterQueue": queue.name},
                }
                made.append(Create(LOCAL_QUEUES, local))
        return made


def draw_world(seed: int) -> WorldPlan:
    chance = Chance.named(seed, "world")
    pools = ("blue", "red") if chance.happens(0.35) else ()
    agents = chance.randint(1, 2)
    nodes = tuple(
        NodePlan(
            f"n{number}",
            chance.one_of("cpu", "l4x1", "rtx4090x2", "rtx4090x2", "h100x4"),
            chance.one_of(2, 4, 8),
            chance.choice(pools) if pools else "",
            chance.randrange(agents),
        )
        for number in range(chance.randint(1, 4))
    )
    cohort = chance.one_of("", "everybody", "everybody")
    count = chance.randint(1, 3)
    flavors = pools or ("all",)
    fleet = {
        flavor: (
            sum(node.cpu for node in nodes if not pools or node.pool == flavor),
            sum(node.gpus for node in nodes if not pools or node.pool == flavor),
        )
        for flavor in flavors
    }
    queues = []
    for number in range(count):
        preemption = [("withinClusterQueue", chance.one_of("Never", "LowerPriority", "LowerOrNewerEqualPriority"))]
        if cohort:
            preemption.append(("reclaimWithinCohort", chance.one_of("Never", "LowerPriority", "Any")))
            if chance.happens(0.3):
                preemption.append(("borrowWithinCohort", "LowerPriority"))
        quotas = tuple(
            (flavor, _draw_quota(chance, cpu, count, cohort), _draw_quota(chance, gpus, count, cohort))
            for flavor, (cpu, gpus) in fleet.items()
        )
        strategy = chance.one_of("BestEffortFIFO", "StrictFIFO")
        queues.append(QueuePlan(f"q{number}", cohort, strategy, tuple(preemption), quotas))
    return WorldPlan(nodes, pools, tuple(queues), chance.one_of(1, 2, 4), chance.one_of(60, 400, 50_000))


def _draw_quota(chance: Chance, fleet: int, queues: int, cohort: str) -> Quota:
    """Around a fair share of what the nodes have; now and then more than that, so that nodes and not quota are
    scarce."""
    nominal = fleet if chance.happens(0.2) else max(0, round(fleet / queues * chance.uniform(0.6, 1.5)))
    if not cohort:
        return Quota(nominal)
    borrow = chance.randint(0, fleet) if chance.happens(0.3) else None
    lend = chance.randint(0, nominal) if chance.happens(0.3) else None
    return Quota(nominal, borrow, lend)
