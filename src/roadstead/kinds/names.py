"""Resources and well-known names, spelled once. Nobody else writes these strings."""

from __future__ import annotations

from typing import Final

from roadstead.kinds.object import Resource

NAMESPACES: Final = Resource("", "v1", "namespaces")
NODES: Final = Resource("", "v1", "nodes")
PODS: Final = Resource("", "v1", "pods")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps")
SECRETS: Final = Resource("", "v1", "secrets")
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts")
EVENTS: Final = Resource("", "v1", "events")
LIMIT_RANGES: Final = Resource("", "v1", "limitranges")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
RUNTIME_CLASSES: Final = Resource("node.k8s.io", "v1", "runtimeclasses")
PRIORITY_CLASSES: Final = Resource("scheduling.k8s.io", "v1", "priorityclasses")
JOBS: Final = Resource("batch", "v1", "jobs")
CRON_JOBS: Final = Resource("batch", "v1", "cronjobs")
SERVICES: Final = Resource("", "v1", "services")
ENDPOINTS: Final = Resource("", "v1", "endpoints")
RESOURCE_QUOTAS: Final = Resource("", "v1", "resourcequotas")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices")
DISRUPTION_BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets")

APPS: Final = "apps"
CONTROLLER_REVISIONS: Final = Resource(APPS, "v1", "controllerrevisions")
DEPLOYMENTS: Final = Resource(APPS, "v1", "deployments")
REPLICA_SETS: Final = Resource(APPS, "v1", "replicasets")
STATEFUL_SETS: Final = Resource(APPS, "v1", "statefulsets")

RBAC: Final = "rbac.authorization.k8s.io"
ROLES: Final = Resource(RBAC, "v1", "roles")
CLUSTER_ROLES: Final = Resource(RBAC, "v1", "clusterroles")
ROLE_BINDINGS: Final = Resource(RBAC, "v1", "rolebindings")
CLUSTER_ROLE_BINDINGS: Final = Resource(RBAC, "v1", "clusterrolebindings")

API_EXTENSIONS: Final = "apiextensions.k8s.io"
DEFINITIONS: Final = Resource(API_EXTENSIONS, "v1", "customresourcedefinitions")

KUEUE: Final = "kueue.x-k8s.io"
RESOURCE_FLAVORS: Final = Resource(KUEUE, "v1beta2", "resourceflavors")
CLUSTER_QUEUES: Final = Resource(KUEUE, "v1beta2", "clusterqueues")
LOCAL_QUEUES: Final = Resource(KUEUE, "v1beta2", "localqueues")
WORKLOADS: Final = Resource(KUEUE, "v1beta2", "workloads")
COHORTS: Final = Resource(KUEUE, "v1beta2", "cohorts")
TOPOLOGIES: Final = Resource(KUEUE, "v1beta2", "topologies")
ADMISSION_CHECKS: Final = Resource(KUEUE, "v1beta2", "admissionchecks")
WORKLOAD_PRIORITY_CLASSES: Final = Resource(KUEUE, "v1beta2", "workloadpriorityclasses")

DEVICES: Final = "resource.k8s.io"
DEVICE_CLASSES: Final = Resource(DEVICES, "v1", "deviceclasses")
DEVICE_TAINT_RULES: Final = Resource(DEVICES, "v1", "devicetaintrules")
RESOURCE_CLAIMS: Final = Resource(DEVICES, "v1", "resourceclaims")
RESOURCE_CLAIM_TEMPLATES: Final = Resource(DEVICES, "v1", "resourceclaimtemplates")
RESOURCE_SLICES: Final = Resource(DEVICES, "v1", "resourceslices")

ROADSTEAD: Final = "roadstead.dev"
PLACEMENTS: Final = Resource(ROADSTEAD, "v1alpha1", "placements")

# --- labels, annotations, finalizers (Kueue's own where Kueue has one)
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
PRIORITY_CLASS_LABEL: Final = "kueue.x-k8s.io/priority-class"
MAX_EXECUTION_LABEL: Final = (
    "kueue.x-k8s.io/max-exec-time-seconds"  # on jobs: how long they may run, all attempts together
)
WORKLOAD_ANNOTATION: Final = "kueue.x-k8s.io/workload"  # on pods: the Workload that admits them
PODSET_LABEL: Final = "kueue.x-k8s.io/podset"  # on pods: which pod set they belong to
JOB_UID_LABEL: Final = "kueue.x-k8s.io/job-uid"  # on Workloads
ADMISSION_GATE_ANNOTATION: Final = "kueue.x-k8s.io/admission-gated-by"
"""On jobs and Workloads: comma list of controllers; while it is not empty, the workload is not admitted (KEP-6915)."""
ELASTIC_ANNOTATION: Final = "kueue.x-k8s.io/elastic-job"
"""On jobs and Workloads: "true" lets the job have fewer pods while it runs (KEP-77)."""
PREBUILT_NAME: Final = "kueue.x-k8s.io/prebuilt-workload-name"
"""On jobs, as annotation or label: the Workload to use instead of one of its own."""
PRIORITY_BOOST_ANNOTATION: Final = "kueue.x-k8s.io/priority-boost"
"""On Workloads: a signed integer, added to the priority where the gate PriorityBoost is on (KEP-7990)."""
IN_USE_FINALIZER: Final = "kueue.x-k8s.io/resource-in-use"
DEFAULT_LOCAL_QUEUE: Final = "default"

JOB_TRACKING_FINALIZER: Final = "batch.kubernetes.io/job-tracking"
JOB_NAME_LABEL: Final = "batch.kubernetes.io/job-name"
JOB_CONTROLLER_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"
JOB_INDEX_ANNOTATION: Final = "batch.kubernetes.io/job-completion-index"
JOB_INDEX_FAILURES_ANNOTATION: Final = "batch.kubernetes.io/job-index-failure-count"
JOB_INDEX_IGNORED_FAILURES_ANNOTATION: Final = "batch.kubernetes.io/job-index-ignored-failure-count"
JOB_CONTROLLER_NAME: Final = "kubernetes.io/job-controller"  # spec.managedBy of Jobs that the built-in controller runs

HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
MEMBER_ANNOTATION: Final = "roadstead.dev/member"  # on bound pods: index of the member in its pod set's Placement
POD_DEVICES_ANNOTATION: Final = "roadstead.dev/devices"  # on bound pods: comma list of device names on their node
NODE_DEVICES_ANNOTATION: Final = "roadstead.dev/node-devices"
"""On nodes: JSON list of {"name", "resource", "index", "healthy"} (what `nvidia.com/gpu: 2` is given from)."""
UNHEALTHY_ANNOTATION: Final = "roadstead.dev/unhealthy-devices"
"""On nodes: comma list of devices (gpu-3, rdma0) that are out of order; on simulated devices, that is how one
breaks."""
SLICES_LABEL: Final = "roadstead.dev/devices-of"
"""On ResourceSlices: the node whose agent keeps them."""
DEVICE_ATTRIBUTE: Final = "roadstead.dev/device"
"""Of devices in ResourceSlices: the name in NODE_DEVICES_ANNOTATION of the thing that they are, or are a part of."""
SHUTDOWN_TAINT: Final = "roadstead.dev/shutdown"
"""Taint key on nodes whose cluster is being stopped in an orderly way: work leaves them and none comes."""
NODE_SIMULATED_LABEL: Final = "roadstead.dev/simulated"
"""On nodes: "devices" = real processes, simulated devices; "all" = pods run as timers."""
RUN_FOR_ANNOTATION: Final = "roadstead.dev/run-for"  # on pods of a simulated node: seconds that they run ("5", "2.5")
"""How long a pod on a fully simulated node runs before it succeeds."""

POD_CLAIM_NAME_ANNOTATION: Final = "resource.kubernetes.io/pod-claim-name"
"""On ResourceClaims made from a template: the `spec.resourceClaims[].name` of their pod."""
CLAIM_FINALIZER: Final = "resource.kubernetes.io/delete-protection"
"""On ResourceClaims from before their allocation is written until nobody uses it."""
ADMIN_ACCESS_LABEL: Final = "resource.kubernetes.io/admin-access"
"""On namespaces: "true" lets claims ask for adminAccess."""

INSTANCES_FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
"""On CustomResourceDefinitions that are being deleted, while objects of theirs are left."""
FOREGROUND_FINALIZER: Final = "foregroundDeletion"
ORPHAN_FINALIZER: Final = "orphan"
