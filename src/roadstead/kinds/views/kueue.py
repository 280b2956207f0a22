"""Queues, flavors and workloads as `kueue.x-k8s.io/v1beta2` writes them (Kueue: apis/kueue/v1beta2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadstead.kinds.object import ObjectMeta
from roadstead.kinds.views.common import Condition, LabelSelectorView, QuantityLike


class ResourceQuotaView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    nominal_quota: QuantityLike = 0
    borrowing_limit: QuantityLike | None = None
    lending_limit: QuantityLike | None = None


class FlavorQuotasView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    resources: tuple[ResourceQuotaView, ...] = ()


class ResourceGroupView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    covered_resources: tuple[str, ...] = ()
    flavors: tuple[FlavorQuotasView, ...] = ()


class BorrowWithinCohortView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    policy: str = "Never"
    max_priority_threshold: int | None = None


class PreemptionView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    within_cluster_queue: str = "Never"
    reclaim_within_cohort: str = "Never"
    borrow_within_cohort: BorrowWithinCohortView | None = None


class FlavorFungibilityView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    when_can_borrow: str = "MayStopSearch"
    when_can_preempt: str = "TryNextFlavor"
    preference: str | None = None


class FairSharingView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    weight: QuantityLike | None = None


class UsageView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    total: QuantityLike = 0
    borrowed: QuantityLike = 0


class FlavorUsageView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    resources: tuple[UsageView, ...] = ()


class AdmissionCheckRuleView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    on_flavors: tuple[str, ...] = ()


class AdmissionChecksStrategyView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    admission_checks: tuple[AdmissionCheckRuleView, ...] = ()


class AdmissionCheckSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    controller_name: str = ""


class AdmissionCheckStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    conditions: tuple[Condition, ...] = ()


class AdmissionCheckView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: AdmissionCheckSpecView = AdmissionCheckSpecView()
    status: AdmissionCheckStatusView = AdmissionCheckStatusView()


class AdmissionScopeView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    admission_mode: str = ""


class ClusterQueueSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    resource_groups: tuple[ResourceGroupView, ...] = ()
    cohort_name: str = ""
    queueing_strategy: str = "BestEffortFIFO"
    namespace_selector: LabelSelectorView | None = None
    flavor_fungibility: FlavorFungibilityView | None = None
    preemption: PreemptionView | None = None
    stop_policy: str | None = None
    fair_sharing: FairSharingView | None = None
    admission_checks_strategy: AdmissionChecksStrategyView | None = None
    admission_scope: AdmissionScopeView | None = None


class AdmissionFairSharingStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    consumed_resources: Mapping[str, QuantityLike] = {}
    last_update: str = ""


class FairSharingStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    weighted_share: int = 0
    admission_fair_sharing_status: AdmissionFairSharingStatusView | None = None


class QueueStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What a ClusterQueue and a LocalQueue both report."""

    conditions: tuple[Condition, ...] = ()
    flavors_reservation: tuple[FlavorUsageView, ...] = ()
    flavors_usage: tuple[FlavorUsageView, ...] = ()
    pending_workloads: int = 0
    reserving_workloads: int = 0
    admitted_workloads: int = 0
    fair_sharing: FairSharingStatusView | None = None


class ClusterQueueView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: ClusterQueueSpecView = ClusterQueueSpecView()
    status: QueueStatusView = QueueStatusView()


class CohortSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    parent_name: str = ""
    resource_groups: tuple[ResourceGroupView, ...] = ()
    fair_sharing: FairSharingView | None = None


class CohortView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: CohortSpecView = CohortSpecView()


class LocalQueueSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    cluster_queue: str = ""
    stop_policy: str | None = None
    fair_sharing: FairSharingView | None = None


class LocalQueueView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: LocalQueueSpecView = LocalQueueSpecView()
    status: QueueStatusView = QueueStatusView()


class TaintView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: str | None = None


class TolerationView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class ResourceFlavorSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    node_labels: Mapping[str, str] = {}
    node_taints: tuple[TaintView, ...] = ()
    tolerations: tuple[TolerationView, ...] = ()
    topology_name: str = ""


class ResourceFlavorView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceFlavorSpecView = ResourceFlavorSpecView()


class WorkloadPriorityClassView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    value: int = 0
    description: str = ""


class PriorityClassRefView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    group: str = ""
    kind: str = ""
    name: str = ""


class TopologyConstraintView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    topology: str = ""
    size: int = 0


class PodSetTopologyRequestView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    required: str | None = None
    preferred: str | None = None
    unconstrained: bool | None = None
    pod_set_group_name: str | None = None
    pod_set_slice_required_topology: str | None = None
    pod_set_slice_size: int | None = None
    podset_slice_required_topology_constraints: tuple[TopologyConstraintView, ...] = ()


class WorkloadPodSetView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One pod set; `template` stays a plain dict because who reads it (requests, comparison) reads all of it."""

    name: str = "main"
    template: Mapping[str, Any] = {}
    count: int = 1
    min_count: int | None = None
    topology_request: PodSetTopologyRequestView | None = None


class WorkloadSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    pod_sets: tuple[WorkloadPodSetView, ...] = ()
    queue_name: str = ""
    priority_class_ref: PriorityClassRefView | None = None
    priority: int | None = None
    active: bool | None = None
    maximum_execution_time_seconds: int | None = None


class TopologySliceView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One slice of v1beta2's compressed topology assignment, kept as it is written."""

    domain_count: int = 0
    values_per_level: tuple[Mapping[str, Any], ...] = ()
    pod_counts: Mapping[str, Any] = {}


class TopologyAssignmentView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    levels: tuple[str, ...] = ()
    slices: tuple[TopologySliceView, ...] = ()


class PodSetAssignmentView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = "main"
    flavors: Mapping[str, str] = {}
    resource_usage: Mapping[str, QuantityLike] = {}
    count: int | None = None
    topology_assignment: TopologyAssignmentView | None = None


class AdmissionView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    cluster_queue: str = ""
    pod_set_assignments: tuple[PodSetAssignmentView, ...] = ()


class RequeueStateView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    count: int | None = None
    requeue_at: str | None = None


class ReclaimablePodView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    count: int = 0


class EvictionStatView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    reason: str = ""
    underlying_cause: str = ""
    count: int = 0


class SchedulingStatsView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    evictions: tuple[EvictionStatView, ...] = ()


class CheckStateView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What one admission check says about a workload; `pod_set_updates` stay plain: who starts the job merges all of
    them."""

    name: str = ""
    state: str = "Pending"
    message: str = ""
    last_transition_time: str | None = None
    requeue_after_seconds: int | None = None
    retry_count: int | None = None
    pod_set_updates: tuple[Mapping[str, Any], ...] = ()


class WorkloadStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    conditions: tuple[Condition, ...] = ()
    admission: AdmissionView | None = None
    requeue_state: RequeueStateView | None = None
    reclaimable_pods: tuple[ReclaimablePodView, ...] = ()
    admission_checks: tuple[CheckStateView, ...] = ()
    scheduling_stats: SchedulingStatsView | None = None
    accumulated_past_execution_time_seconds: int | None = None


class WorkloadView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: WorkloadSpecView = WorkloadSpecView()
    status: WorkloadStatusView = WorkloadStatusView()


class TopologyLevelView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    node_label: str = ""


class TopologySpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    levels: tuple[TopologyLevelView, ...] = ()


class TopologyView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: TopologySpecView = TopologySpecView()
