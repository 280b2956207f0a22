"""Fields of the configuration file, spelled and defaulted as Kueue's (Kueue: apis/config/v1beta2). A field that is None
is not set.

Durations stay text here; `reading` has checked them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadstead.kinds.views.common import LabelSelectorView, QuantityLike


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """Any mapping of the file."""


class Webhook(Part, frozen=True):
    port: int | None = None
    host: str | None = None
    cert_dir: str | None = None


class LeaderElection(Part, frozen=True):
    leader_elect: bool | None = None
    lease_duration: str | None = None
    renew_deadline: str | None = None
    retry_period: str | None = None
    resource_lock: str | None = None
    resource_name: str | None = None
    resource_namespace: str | None = None


class CustomLabel(Part, frozen=True):
    name: str = ""
    source_label_key: str | None = None
    source_annotation_key: str | None = None
    source_kind: str | None = None
    tracked_values: tuple[str, ...] | None = None


class LocalQueueMetrics(Part, frozen=True):
    enable: bool | None = None
    local_queue_selector: LabelSelectorView | None = None


class Metrics(Part, frozen=True):
    bind_address: str | None = None
    enable_cluster_queue_resources: bool | None = None
    custom_labels: tuple[CustomLabel, ...] | None = None
    local_queue_metrics: LocalQueueMetrics | None = None


class Health(Part, frozen=True):
    health_probe_bind_address: str | None = None
    readiness_endpoint_name: str | None = None
    liveness_endpoint_name: str | None = None


class Controllers(Part, frozen=True):
    group_kind_concurrency: Mapping[str, int] | None = None
    cache_sync_timeout: str | None = None


class Tls(Part, frozen=True):
    min_version: str | None = None
    cipher_suites: tuple[str, ...] | None = None
    curve_preferences: tuple[str, ...] | None = None


class InternalCertManagement(Part, frozen=True):
    enable: bool | None = None
    webhook_service_name: str | None = None
    webhook_secret_name: str | None = None


class RequeuingStrategy(Part, frozen=True):
    timestamp: str | None = None
    backoff_limit_count: int | None = None
    backoff_base_seconds: int | None = None
    backoff_max_seconds: int | None = None


class WaitForPodsReadyStanza(Part, frozen=True):
    timeout: str | None = None
    recovery_timeout: str | None = None
    block_admission: bool | None = None
    requeuing_strategy: RequeuingStrategy | None = None


class ClientConnection(Part, frozen=True):
    qps: float | None = None
    burst: int | None = None


class Integrations(Part, frozen=True):
    frameworks: tuple[str, ...] | None = None
    external_frameworks: tuple[str, ...] | None = None
    label_keys_to_copy: tuple[str, ...] | None = None


class FairSharing(Part, frozen=True):
    preemption_strategies: tuple[str, ...] | None = None


class AdmissionFairSharing(Part, frozen=True):
    usage_half_life_time: str | None = None
    usage_sampling_interval: str | None = None
    resource_weights: Mapping[str, float] | None = None


class Transformation(Part, frozen=True):
    input: str = ""
    strategy: str | None = None
    multiply_by: str | None = None
    outputs: Mapping[str, QuantityLike] | None = None


class DeviceClassMapping(Part, frozen=True):
    name: str = ""
    device_class_names: tuple[str, ...] | None = None
    sources: tuple[Mapping[str, Any], ...] | None = None


class Resources(Part, frozen=True):
    quota_check_strategy: str | None = None
    exclude_resource_prefixes: tuple[str, ...] | None = None
    transformations: tuple[Transformation, ...] | None = None
    device_class_mappings: tuple[DeviceClassMapping, ...] | None = None


class WorkloadRetention(Part, frozen=True):
    after_finished: str | None = None
    after_deactivated_by_kueue: str | None = None


class ObjectRetentionPolicies(Part, frozen=True):
    workloads: WorkloadRetention | None = None


class VisibilityServer(Part, frozen=True):
    bind_address: str | None = None
    bind_port: int | None = None


class MultiKueueExternal(Part, frozen=True):
    name: str = ""


class IncrementalDispatcherConfig(Part, frozen=True):
    step_size: int | None = None


class ClusterProfile(Part, frozen=True):
    access_providers: tuple[Mapping[str, Any], ...] | None = None
    credentials_providers: tuple[Mapping[str, Any], ...] | None = None


class MultiKueue(Part, frozen=True):
    gc_interval: str | None = None
    origin: str | None = None
    worker_lost_timeout: str | None = None
    dispatcher_name: str | None = None
    external_frameworks: tuple[MultiKueueExternal, ...] | None = None
    cluster_profile: ClusterProfile | None = None
    incremental_dispatcher_config: IncrementalDispatcherConfig | None = None


class Preemption(Part, frozen=True):
    turns: int | None = None


class Own(Part, frozen=True):
    """What Kueue has no word for."""

    preemption: Preemption | None = None


class Configuration(Part, frozen=True):
    """The whole file. An empty one is the same as none."""

    api_version: str = ""
    kind: str = ""
    namespace: str | None = None
    webhook: Webhook | None = None
    leader_election: LeaderElection | None = None
    metrics: Metrics | None = None
    health: Health | None = None
    pprof_bind_address: str | None = None
    controller: Controllers | None = None
    tls: Tls | None = None
    manage_jobs_without_queue_name: bool | None = None
    managed_jobs_namespace_selector: LabelSelectorView | None = None
    internal_cert_management: InternalCertManagement | None = None
    wait_for_pods_ready: WaitForPodsReadyStanza | None = None
    client_connection: ClientConnection | None = None
    integrations: Integrations | None = None
    multi_kueue: MultiKueue | None = None
    fair_sharing: FairSharing | None = None
    admission_fair_sharing: AdmissionFairSharing | None = None
    resources: Resources | None = None
    feature_gates: Mapping[str, bool] | None = None
    object_retention_policies: ObjectRetentionPolicies | None = None
    visibility_server: VisibilityServer | None = None
    roadstead: Own | None = None
