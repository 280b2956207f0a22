"""Queues, quotas and flavors as the core sees them (Kueue's ClusterQueue, Cohort, LocalQueue, ResourceFlavor,
Topology)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from roadstead.model.amounts import FlavorName, ResourceName
from roadstead.model.selection import LabelSelector, Taint, Toleration


class QueueingStrategy(StrEnum):
    STRICT_FIFO = "StrictFIFO"
    BEST_EFFORT_FIFO = "BestEffortFIFO"


class StopPolicy(StrEnum):
    NONE = "None"
    HOLD = "Hold"
    HOLD_AND_DRAIN = "HoldAndDrain"


class PreemptionPolicy(StrEnum):
    """withinClusterQueue and reclaimWithinCohort take their values from here; each allows some of them."""

    NEVER = "Never"
    LOWER_PRIORITY = "LowerPriority"
    LOWER_OR_NEWER_EQUAL_PRIORITY = "LowerOrNewerEqualPriority"
    ANY = "Any"


class Quota(msgspec.Struct, frozen=True):
    """Quota of one cell. `None` limits: may borrow without bound, lends everything."""

    nominal: int
    borrowing_limit: int | None = None
    lending_limit: int | None = None


class FlavorQuotas(msgspec.Struct, frozen=True):
    flavor: FlavorName
    quotas: tuple[tuple[ResourceName, Quota], ...]


class ResourceGroup(msgspec.Struct, frozen=True):
    """Resources that always get the same flavor, and the flavors to try, in order."""

    resources: tuple[ResourceName, ...]
    flavors: tuple[FlavorQuotas, ...]


class Preemption(msgspec.Struct, frozen=True):
    within_cluster_queue: PreemptionPolicy = PreemptionPolicy.NEVER
    reclaim_within_cohort: PreemptionPolicy = PreemptionPolicy.NEVER
    borrow_within_cohort: PreemptionPolicy = PreemptionPolicy.NEVER
    borrow_max_priority: int | None = None  # borrowWithinCohort.maxPriorityThreshold


class FlavorFungibility(msgspec.Struct, frozen=True):
    when_can_borrow: str = "MayStopSearch"  # MayStopSearch | TryNextFlavor
    when_can_preempt: str = "TryNextFlavor"
    preference: str = "BorrowingOverPreemption"  # BorrowingOverPreemption | PreemptionOverBorrowing


class CheckRule(msgspec.Struct, frozen=True):
    """One entry of admissionChecksStrategy: a check, and the flavors whose assignment asks for it (none named: any;
    KEP-1432)."""

    check: str
    on_flavors: tuple[FlavorName, ...] = ()


class AdmissionCheck(msgspec.Struct, frozen=True):
    """Somebody else who has to agree after quota is reserved (KEP-993)."""

    name: str
    controller: str
    active: bool = False  # its condition Active is True


class ClusterQueue(msgspec.Struct, frozen=True):
    name: str
    resource_groups: tuple[ResourceGroup, ...] = ()
    cohort: str = ""
    strategy: QueueingStrategy = QueueingStrategy.BEST_EFFORT_FIFO
    namespace_selector: LabelSelector | None = None  # None selects no namespace
    preemption: Preemption = Preemption()
    fungibility: FlavorFungibility = FlavorFungibility()
    stop: StopPolicy = StopPolicy.NONE
    fair_weight_milli: int = 1000
    terminating: bool = False
    inactive_reasons: tuple[str, ...] = ()  # conditions outside the core's sight
    checks: tuple[CheckRule, ...] = ()
    usage_based: bool = (
        False  # admissionScope UsageBasedAdmissionFairSharing: its LocalQueues take turns by what they used
    )


class Cohort(msgspec.Struct, frozen=True):
    name: str
    parent: str = ""
    resource_groups: tuple[ResourceGroup, ...] = ()
    fair_weight_milli: int = 1000


class LocalQueue(msgspec.Struct, frozen=True):
    namespace: str
    name: str
    cluster_queue: str
    stop: StopPolicy = StopPolicy.NONE
    fair_weight_milli: int = 1000
    consumed: tuple[tuple[ResourceName, int], ...] = ()
    """What its workloads used, decayed, as last sampled: thousandths of plain units (Admission Fair Sharing,
    KEP-4136)."""
    sampled_at: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return (self.namespace, self.name)


class ResourceFlavor(msgspec.Struct, frozen=True):
    name: FlavorName
    node_labels: tuple[tuple[str, str], ...] = ()
    node_taints: tuple[Taint, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    topology: str = ""  # Topology name; "" = quota only (unless the rules place every flavor)


class Topology(msgspec.Struct, frozen=True):
    name: str
    levels: tuple[str, ...]  # node label keys, coarsest first


class Namespace(msgspec.Struct, frozen=True):
    name: str
    labels: tuple[tuple[str, str], ...] = ()
