"""Kueue's feature gates and how they stand here (kueue.md 1.13). A gate is a switch of Kueue; here most things simply
are so.

A file may say what is so anyway. What it would switch otherwise is an error, in words, except the few that can be
switched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

SWITCHES: Final[Mapping[str, bool]] = {"DisableWaitForPodsReady": False, "PriorityBoost": False}
"""Gates that have their effect, with what they are unless said otherwise."""

ON: Final = frozenset(
    [
        "ManagedJobsNamespaceSelectorAlwaysRespected",
        "PartialAdmission",
        "FlavorFungibility",
        "VisibilityOnDemand",
        "PrioritySortingWithinCohort",
        "FairSharingPreemptWithinNominal",
        "FairSharingPrioritizeNonBorrowing",
        "TopologyAwareScheduling",
        "TASProfileMixed",
        "TASMultiLayerTopology",
        "TASRecomputeAssignmentWithinSchedulingCycle",
        "QuotaCheckStrategy",
        "ReclaimablePods",
        "SchedulingEquivalenceHashing",
        "AdmissionGatedBy",
        "FinishOrphanedWorkloads",
        "MetricsForCohorts",
        "WorkloadIdentifierAnnotations",
        "WorkloadPriorityClassDefaulting",
        "UnadmittedWorkloadsObservability",
        "WorkloadValidateResourcesAreNonNegative",
        "WorkloadValidationForPodSetMetadata",
        "FlavorFungibilityPreserveScanProgress",
        "AdmissionFairSharing",
    ]
)
"""Gates of what is always so here."""

OFF: Final = frozenset(
    [
        "TLSOptions",
        "MultiKueue",
        "LocalQueueMetrics",
        "TASFailedNodeReplacement",
        "TASFailedNodeReplacementFailFast",
        "TASReplaceNodeOnPodTermination",
        "TASReplaceNodeOnNodeTaints",
        "TASHandleOverlappingFlavors",
        "TASValidateWorkloadSliceSize",
        "SkipReassignmentForPodOwnedWorkloads",
        "ElasticJobsViaWorkloadSlices",
        "KueueDRAIntegration",
        "KueueDRAIntegrationExtendedResource",
        "KueueDRAIntegrationPartitionableDevices",
        "KueueDRARejectWorkloadsWhenDRADisabled",
        "MultiKueueAdaptersForCustomJobs",
        "MultiKueueKubeConfigPathValidation",
        "MultiKueueIncrementalDispatcherConfig",
        "MultiKueueIncrementalDispatcherRespectConfigOrder",
        "MultiKueueRemoteSpecSync",
        "AssignQueueLabelsForPods",
        "MetricForWorkloadCreationLatency",
        "CleanupProvisioningRequestsOnEviction",
        "DeferRayServiceFinalizationForRedisCleanup",
        "LWSImmutableGroupSize",
        "RecomputeAssignmentUponPreemptionTargetsOverlap",
        "PodIntegrationValidateGroupOwner",
        "ValidateRayAndSparkJobUpdates",
        "UnadmittedWorkloadsExplicitStatus",
        "ElasticJobsViaWorkloadSlicesWithTAS",
        "TASBalancedPlacement",
        "KueueDRAIntegrationConsumableCapacity",
        "MultiKueueClusterProfile",
        "FailureRecoveryPolicy",
        "CustomMetricLabels",
        "SparkApplicationIntegration",
        "MultiKueueOrchestratedPreemption",
        "ShortWorkloadNames",
        "FastQuotaReleaseInPodIntegration",
        "RejectUpdatesToCQWithInvalidOnFlavors",
        "ConcurrentAdmission",
        "TASRespectNodeAffinityPreferred",
        "MultiKueueManagerQuotaAutomation",
        "PrioritizePreemptorWorkloads",
        "TASReplaceNodeDueToNotReadyOverFixedTime",
    ]
)
"""Gates of what there is not."""

INSIDE: Final = frozenset(
    [
        "TASAssignmentsEncodingByHostnamePrefix",
        "TASCacheNodeMatchResults",
        "TASCachingRemainingResources",
        "TASCacheTopologyTree",
        "RemoveFinalizersWithStrictPatch",
        "VectorizedResourceRequests",
        "SkipAncestorCheckForDeletedWorkloads",
        "WorkloadRequestUseMergePatch",
        "SchedulerLibraryIntegration",
    ]
)
"""Gates of how Kueue works inside: any value is as good here."""

_PARENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "TASFailedNodeReplacementFailFast": ("TASFailedNodeReplacement",),
    "TASReplaceNodeOnPodTermination": ("TASFailedNodeReplacement",),
    "TASReplaceNodeDueToNotReadyOverFixedTime": ("TASFailedNodeReplacement",),
    "ElasticJobsViaWorkloadSlicesWithTAS": ("ElasticJobsViaWorkloadSlices", "TopologyAwareScheduling"),
    "UnadmittedWorkloadsExplicitStatus": ("UnadmittedWorkloadsObservability",),
    "FlavorFungibilityPreserveScanProgress": ("FlavorFungibility",),
}


def known() -> frozenset[str]:
    """Every gate of Kueue's."""
    return ON | OFF | INSIDE | frozenset(SWITCHES)


def problems(wanted: Mapping[str, bool]) -> Iterator[tuple[str, str]]:
    """(gate, what is wrong) for what cannot be had as wanted; unknown gates are not looked at."""
    for name, on in wanted.items():
        for parent in _parents(name):
            if on and wanted.get(parent) is False:
                yield name, f"cannot be on while {parent}, which it rests on, is off"
        if name in ON and not on:
            yield name, "cannot be switched off: it is always so here. Leave it out"
        if name in OFF and on:
            yield name, "cannot be switched on: this is not supported. Leave it out, or say false"


def _parents(name: str) -> tuple[str, ...]:
    if name in _PARENTS:
        return _PARENTS[name]
    if name.startswith("TAS"):
        return ("TopologyAwareScheduling",)
    return ("KueueDRAIntegration",) if name.startswith("KueueDRAIntegration") and name != "KueueDRAIntegration" else ()
