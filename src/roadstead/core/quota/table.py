"""ClusterQueues compiled for deciding: which group covers a resource, slots per flavor, and whether the queue is active."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from roadstead.core.quota.tree import QuotaNode, QuotaTree, Slot
from roadstead.model.amounts import PODS, FlavorName, ResourceName
from roadstead.model.queues import AdmissionCheck, ClusterQueue, PreemptionPolicy, ResourceFlavor, StopPolicy, Topology


class Inactive(StrEnum):
    """Reasons of ClusterQueue condition Active=False that the core can see (kueue.md 1.2), in the order tested."""

    TERMINATING = "Terminating"
    STOPPED = "Stopped"
    FLAVOR_NOT_FOUND = "FlavorNotFound"
    CHECK_NOT_FOUND = "AdmissionCheckNotFound"
    CHECK_INACTIVE = "AdmissionCheckInactive"
    TOPOLOGY_NOT_FOUND = "TopologyNotFound"
    COHORT_CYCLE = "CohortCycle"


@dataclass(frozen=True, slots=True)
class GroupTable:
    """One resource group: flavors in the order in which they are tried."""

    resources: tuple[ResourceName, ...]
    flavors: tuple[FlavorName, ...]
    slots: tuple[Mapping[ResourceName, Slot], ...]  # by flavor index


@dataclass(frozen=True, slots=True)
class QueueTable:
    """A ClusterQueue with everything looked up that facts alone decide. Rebuilt when queues, cohorts or flavors change."""

    fact: ClusterQueue
    node: QuotaNode
    groups: tuple[GroupTable, ...]
    group_of: Mapping[ResourceName, int]
    inactive: tuple[str, ...]
    missing_flavors: tuple[FlavorName, ...]
    has_topology: bool  # some flavor has one
    is_topology_only: bool  # every flavor has a topology: pod sets without a request are placed too (kueue.md 4.2)
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What flavor assignment worked out for a class of workloads in this queue. Goes with the table."""

    @property
    def name(self) -> str:
        return self.fact.name

    @property
    def is_active(self) -> bool:
        return not self.inactive

    @property
    def covers_pods(self) -> bool:
        return PODS in self.group_of

    @property
    def can_always_reclaim(self) -> bool:
        return self.fact.preemption.reclaim_within_cohort is PreemptionPolicy.ANY

    @property
    def can_preempt_while_borrowing(self) -> bool:
        return self.fact.preemption.borrow_within_cohort is not PreemptionPolicy.NEVER


def compile_queue(
    queue: ClusterQueue,
    tree: QuotaTree,
    flavors: Mapping[FlavorName, ResourceFlavor],
    topologies: Mapping[str, Topology],
    checks: Mapping[str, AdmissionCheck] = MappingProxyType({}),
) -> QueueTable:
    """O(cells of the queue)."""
    node = tree.queue(queue.name)
    groups: list[GroupTable] = []
    group_of: dict[ResourceName, int] = {}
    missing: list[FlavorName] = []
    missing_topology = False
    names: list[FlavorName] = []
    for at, group in enumerate(queue.resource_groups):
        slots = []
        for quotas in group.flavors:
            names.append(quotas.flavor)
            slots.append({resource: tree.slot((quotas.flavor, resource)) for resource, _ in quotas.quotas})
            flavor = flavors.get(quotas.flavor)
            if flavor is None:
                missing.append(quotas.flavor)
            elif flavor.topology and flavor.topology not in topologies:
                missing_topology = True
        for resource in group.resources:
            group_of[resource] = at
        groups.append(GroupTable(group.resources, tuple(q.flavor for q in group.flavors), tuple(slots)))
    inactive: list[str] = []
    if queue.terminating:
        inactive.append(Inactive.TERMINATING)
    if queue.stop is not StopPolicy.NONE:
        inactive.append(Inactive.STOPPED)
    if missing:
        inactive.append(Inactive.FLAVOR_NOT_FOUND)
    if any(rule.check not in checks for rule in queue.checks):
        inactive.append(Inactive.CHECK_NOT_FOUND)
    if any(not check.active for rule in queue.checks if (check := checks.get(rule.check)) is not None):
        inactive.append(Inactive.CHECK_INACTIVE)
    inactive.extend(queue.inactive_reasons)
    if missing_topology:
        inactive.append(Inactive.TOPOLOGY_NOT_FOUND)
    if node.cyclic:
        inactive.append(Inactive.COHORT_CYCLE)
    with_topology = [(flavor := flavors.get(name)) is not None and bool(flavor.topology) for name in names]
    return QueueTable(
        queue, node, tuple(groups), group_of, tuple(inactive), tuple(missing), any(with_topology),
        bool(names) and all(with_topology),
    )  # fmt: skip
