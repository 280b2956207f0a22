"""What the server's Go types know and OpenAPI does not say: pointers (whose zero survives), embedded structs and named types.

The first decides what a round trip through the server drops (`hostNetwork: false` goes, `enableServiceLinks: false`
stays); the others only shape the sentence about a value of the wrong type. Types are named as in k8s.io/api.
"""

from __future__ import annotations

from typing import Final

_READ_ONLY: Final = (
    "AWSElasticBlockStoreVolumeSource",
    "AzureFileVolumeSource",
    "CephFSVolumeSource",
    "CinderVolumeSource",
    "FCVolumeSource",
    "FlexVolumeSource",
    "GCEPersistentDiskVolumeSource",
    "GlusterfsVolumeSource",
    "ISCSIVolumeSource",
    "NFSVolumeSource",
    "PersistentVolumeClaimVolumeSource",
    "PortworxVolumeSource",
    "QuobyteVolumeSource",
    "RBDVolumeSource",
    "ScaleIOVolumeSource",
    "StorageOSVolumeSource",
    "VolumeMount",
    "VolumeMountStatus",
)

PLAIN_BOOLEANS: Final = frozenset(
    {(name, "readOnly") for name in _READ_ONLY}
    | {("PodSpec", name) for name in ("hostNetwork", "hostPID", "hostIPC")}
    | {(kind, name) for kind in ("Container", "EphemeralContainer") for name in ("stdin", "stdinOnce", "tty")}
    | {
        ("ISCSIVolumeSource", "chapAuthDiscovery"),
        ("ISCSIVolumeSource", "chapAuthSession"),
        ("ScaleIOVolumeSource", "sslEnabled"),
        ("NodeSpec", "unschedulable"),
        ("PriorityClass", "globalDefault"),
    }
)
"""Optional booleans that are no pointers: false is as good as absent."""

PLAIN_INTEGERS: Final = frozenset(
    {
        ("AWSElasticBlockStoreVolumeSource", "partition"),
        ("Condition", "observedGeneration"),
        ("ContainerImage", "sizeBytes"),
        ("ContainerPort", "hostPort"),
        ("ContainerStateTerminated", "signal"),
        ("Event", "count"),
        ("EventSeries", "count"),
        ("DeviceSubRequest", "count"),
        ("ExactDeviceRequest", "count"),
        ("GCEPersistentDiskVolumeSource", "partition"),
        ("JobStatus", "active"),
        ("JobStatus", "failed"),
        ("JobStatus", "succeeded"),
        ("ObjectMeta", "generation"),
        ("PodCondition", "observedGeneration"),
        ("PodStatus", "observedGeneration"),
    }
    | {
        ("Probe", name)
        for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    }
)
"""Optional integers that are no pointers: 0 is as good as absent."""

POINTER_STRINGS: Final = frozenset(
    {
        ("AllocatedDeviceStatus", "shareID"),
        ("AppArmorProfile", "localhostProfile"),
        ("AzureDiskVolumeSource", "cachingMode"),
        ("AzureDiskVolumeSource", "fsType"),
        ("AzureDiskVolumeSource", "kind"),
        ("CSIVolumeSource", "fsType"),
        ("ClusterTrustBundleProjection", "name"),
        ("ClusterTrustBundleProjection", "signerName"),
        ("Container", "restartPolicy"),
        ("ContainerStatus", "stopSignal"),
        ("Device", "nodeName"),
        ("DeviceAttribute", "string"),
        ("DeviceAttribute", "version"),
        ("DeviceClassSpec", "extendedResourceName"),
        ("DeviceConstraint", "distinctAttribute"),
        ("DeviceConstraint", "matchAttribute"),
        ("DeviceRequestAllocationResult", "shareID"),
        ("DeviceTaintSelector", "device"),
        ("DeviceTaintSelector", "driver"),
        ("DeviceTaintSelector", "pool"),
        ("EphemeralContainer", "restartPolicy"),
        ("GRPCAction", "service"),
        ("HostPathVolumeSource", "type"),
        ("ISCSIVolumeSource", "initiatorName"),
        ("JobSpec", "completionMode"),
        ("JobSpec", "managedBy"),
        ("JobSpec", "podReplacementPolicy"),
        ("JobStatus", "failedIndexes"),
        ("LeaseSpec", "holderIdentity"),
        ("LeaseSpec", "preferredHolder"),
        ("LeaseSpec", "strategy"),
        ("Lifecycle", "stopSignal"),
        ("PersistentVolumeClaimSpec", "storageClassName"),
        ("PersistentVolumeClaimSpec", "volumeAttributesClassName"),
        ("PersistentVolumeClaimSpec", "volumeMode"),
        ("PodDNSConfigOption", "value"),
        ("PodFailurePolicyOnExitCodesRequirement", "containerName"),
        ("PodResourceClaim", "resourceClaimName"),
        ("PodResourceClaim", "resourceClaimTemplateName"),
        ("PodResourceClaimStatus", "resourceClaimName"),
        ("PodSchedulingGroup", "podGroupName"),
        ("PodSecurityContext", "fsGroupChangePolicy"),
        ("PodSecurityContext", "seLinuxChangePolicy"),
        ("PodSecurityContext", "supplementalGroupsPolicy"),
        ("PodSpec", "hostnameOverride"),
        ("PodSpec", "preemptionPolicy"),
        ("PodSpec", "runtimeClassName"),
        ("PriorityClass", "preemptionPolicy"),
        ("NodeAllocatableMapping", "capacityKey"),
        ("ResourceHealth", "message"),
        ("ResourceSliceSpec", "nodeName"),
        ("ResourceSliceSpec", "partitionTypeAttribute"),
        ("SeccompProfile", "localhostProfile"),
        ("SecurityContext", "procMount"),
        ("SuccessPolicyRule", "succeededIndexes"),
        ("TopologySpreadConstraint", "nodeAffinityPolicy"),
        ("TopologySpreadConstraint", "nodeTaintsPolicy"),
        ("TypedLocalObjectReference", "apiGroup"),
        ("TypedObjectReference", "apiGroup"),
        ("TypedObjectReference", "namespace"),
        ("VolumeMount", "mountPropagation"),
        ("VolumeMount", "recursiveReadOnly"),
        ("VolumeMountStatus", "recursiveReadOnly"),
        ("WindowsSecurityContextOptions", "gmsaCredentialSpec"),
        ("WindowsSecurityContextOptions", "gmsaCredentialSpecName"),
        ("WindowsSecurityContextOptions", "runAsUserName"),
    }
)
"""Optional strings that are pointers: an empty one is kept."""

NULL_TIMES: Final = frozenset(
    {
        ("ContainerStateRunning", "startedAt"),
        ("ContainerStateTerminated", "finishedAt"),
        ("ContainerStateTerminated", "startedAt"),
        ("Event", "eventTime"),
        ("Event", "firstTimestamp"),
        ("Event", "lastTimestamp"),
        ("EventSeries", "lastObservedTime"),
        ("JobCondition", "lastProbeTime"),
        ("JobCondition", "lastTransitionTime"),
        ("NodeCondition", "lastHeartbeatTime"),
        ("NodeCondition", "lastTransitionTime"),
        ("PodCondition", "lastProbeTime"),
        ("PodCondition", "lastTransitionTime"),
    }
)
"""Times that are neither pointers nor omitted: null where unset."""

LOCAL_REFERENCES: Final = (
    "ConfigMapEnvSource",
    "ConfigMapKeySelector",
    "ConfigMapProjection",
    "ConfigMapVolumeSource",
    "SecretEnvSource",
    "SecretKeySelector",
    "SecretProjection",
)
"""Types that embed a LocalObjectReference."""

EMBEDDED: Final[dict[tuple[str, str], str]] = {(kind, "name"): "LocalObjectReference" for kind in LOCAL_REFERENCES} | {
    ("Probe", field): "ProbeHandler" for field in ("exec", "httpGet", "tcpSocket", "grpc")
}
"""(type, field) -> the embedded struct that declares the field; volumes are handled by `embedded`."""

NAMED_TYPES: Final[dict[tuple[str, str], str]] = {
    ("Container", "imagePullPolicy"): "v1.PullPolicy",
    ("Container", "restartPolicy"): "v1.ContainerRestartPolicy",
    ("Container", "terminationMessagePolicy"): "v1.TerminationMessagePolicy",
    ("ContainerPort", "protocol"): "v1.Protocol",
    ("DeviceAllocationConfiguration", "source"): "v1.AllocationConfigSource",
    ("DeviceConstraint", "distinctAttribute"): "v1.FullyQualifiedName",
    ("DeviceConstraint", "matchAttribute"): "v1.FullyQualifiedName",
    ("DeviceRequestAllocationResult", "shareID"): "types.UID",
    ("DeviceSubRequest", "allocationMode"): "v1.DeviceAllocationMode",
    ("DeviceTaint", "effect"): "v1.DeviceTaintEffect",
    ("DeviceToleration", "effect"): "v1.DeviceTaintEffect",
    ("DeviceToleration", "operator"): "v1.DeviceTolerationOperator",
    ("EmptyDirVolumeSource", "medium"): "v1.StorageMedium",
    ("EphemeralContainer", "imagePullPolicy"): "v1.PullPolicy",
    ("EphemeralContainer", "terminationMessagePolicy"): "v1.TerminationMessagePolicy",
    ("ExactDeviceRequest", "allocationMode"): "v1.DeviceAllocationMode",
    ("HTTPGetAction", "scheme"): "v1.URIScheme",
    ("HostPathVolumeSource", "type"): "v1.HostPathType",
    ("JobCondition", "status"): "v1.ConditionStatus",
    ("JobCondition", "type"): "v1.JobConditionType",
    ("JobSpec", "completionMode"): "v1.CompletionMode",
    ("JobSpec", "podReplacementPolicy"): "v1.PodReplacementPolicy",
    ("LabelSelectorRequirement", "operator"): "v1.LabelSelectorOperator",
    ("NamespaceStatus", "phase"): "v1.NamespacePhase",
    ("NodeCondition", "status"): "v1.ConditionStatus",
    ("NodeCondition", "type"): "v1.NodeConditionType",
    ("NodeSelectorRequirement", "operator"): "v1.NodeSelectorOperator",
    ("NodeStatus", "phase"): "v1.NodePhase",
    ("ObjectMeta", "uid"): "types.UID",
    ("OwnerReference", "uid"): "types.UID",
    ("ObjectReference", "uid"): "types.UID",
    ("PodCondition", "status"): "v1.ConditionStatus",
    ("PodCondition", "type"): "v1.PodConditionType",
    ("PodFailurePolicyRule", "action"): "v1.PodFailurePolicyAction",
    ("PodReadinessGate", "conditionType"): "v1.PodConditionType",
    ("PodSpec", "dnsPolicy"): "v1.DNSPolicy",
    ("PodSpec", "preemptionPolicy"): "v1.PreemptionPolicy",
    ("PodSpec", "restartPolicy"): "v1.RestartPolicy",
    ("PodStatus", "phase"): "v1.PodPhase",
    ("PodStatus", "qosClass"): "v1.PodQOSClass",
    ("PriorityClass", "preemptionPolicy"): "v1.PreemptionPolicy",
    ("ResourceClaimConsumerReference", "uid"): "types.UID",
    ("ResourceRequirements", "limits"): "v1.ResourceList",
    ("ResourceRequirements", "requests"): "v1.ResourceList",
    ("Secret", "type"): "v1.SecretType",
    ("Taint", "effect"): "v1.TaintEffect",
    ("Toleration", "effect"): "v1.TaintEffect",
    ("Toleration", "operator"): "v1.TolerationOperator",
    ("TopologySpreadConstraint", "whenUnsatisfiable"): "v1.UnsatisfiableConstraintAction",
    ("VolumeMount", "mountPropagation"): "v1.MountPropagationMode",
}
"""Fields whose Go type is a named string or map."""


def embedded(kind: str, field: str) -> str:
    """The embedded struct of `kind` that declares `field`, or ""."""
    if kind == "Volume" and field != "name":
        return "VolumeSource"
    if kind == "EphemeralContainer" and field != "targetContainerName":
        return "EphemeralContainerCommon"
    return EMBEDDED.get((kind, field), "")
