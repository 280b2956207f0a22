"""A pod as the agent reads it: everything that running it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadstead.kinds.object import ObjectMeta
from roadstead.node.agent.probe_views import ContainerPort, Lifecycle, Probe

Quantity = str | int | float


class FieldRef(msgspec.Struct, frozen=True, rename="camel"):
    field_path: str = ""


class ResourceFieldRef(msgspec.Struct, frozen=True, rename="camel"):
    resource: str = ""
    container_name: str = ""
    divisor: Quantity | None = None


class KeyRef(msgspec.Struct, frozen=True, rename="camel"):
    key: str = ""
    name: str = ""
    optional: bool | None = None


class EnvSource(msgspec.Struct, frozen=True, rename="camel"):
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None


class EnvVar(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str = ""
    value_from: EnvSource | None = None


class NameRef(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    optional: bool | None = None


class EnvFrom(msgspec.Struct, frozen=True, rename="camel"):
    prefix: str = ""
    config_map_ref: NameRef | None = None
    secret_ref: NameRef | None = None


class VolumeMount(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    mount_path: str = ""
    read_only: bool = False
    sub_path: str = ""
    sub_path_expr: str = ""


class ClaimRef(msgspec.Struct, frozen=True, rename="camel"):
    """A claim that a container uses: all of it, or the devices of one request."""

    name: str = ""
    request: str = ""


class Resources(msgspec.Struct, frozen=True, rename="camel"):
    requests: Mapping[str, Quantity] = {}
    limits: Mapping[str, Quantity] = {}
    claims: tuple[ClaimRef, ...] = ()


class Container(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    resources: Resources = Resources()
    volume_mounts: tuple[VolumeMount, ...] = ()
    volume_devices: tuple[Any, ...] = ()
    restart_policy: str = ""
    restart_policy_rules: tuple[Any, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    stdin: bool = False
    tty: bool = False
    termination_message_policy: str = ""


class KeyToPath(msgspec.Struct, frozen=True, rename="camel"):
    key: str
    path: str
    mode: int | None = None


class DownwardItem(msgspec.Struct, frozen=True, rename="camel"):
    path: str
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    mode: int | None = None


class ConfigMapVolume(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int | None = None
    optional: bool | None = None


class SecretVolume(msgspec.Struct, frozen=True, rename="camel"):
    secret_name: str = ""
    name: str = ""  # how projected volumes call it
    items: tuple[KeyToPath, ...] = ()
    default_mode: int | None = None
    optional: bool | None = None


class DownwardVolume(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[DownwardItem, ...] = ()
    default_mode: int | None = None


class TokenProjection(msgspec.Struct, frozen=True, rename="camel"):
    path: str = ""
    audience: str = ""
    expiration_seconds: int | None = None


class ProjectedSource(msgspec.Struct, frozen=True, rename="camel"):
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")
    service_account_token: TokenProjection | None = None


class ProjectedVolume(msgspec.Struct, frozen=True, rename="camel"):
    sources: tuple[ProjectedSource, ...] = ()
    default_mode: int | None = None


class EmptyDir(msgspec.Struct, frozen=True, rename="camel"):
    medium: str = ""


class HostPath(msgspec.Struct, frozen=True, rename="camel"):
    path: str = ""
    type: str = ""


class Volume(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    empty_dir: EmptyDir | None = None
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")
    projected: ProjectedVolume | None = None
    host_path: HostPath | None = None


class HostAlias(msgspec.Struct, frozen=True, rename="camel"):
    ip: str = ""
    hostnames: tuple[str, ...] = ()


class ReadinessGate(msgspec.Struct, frozen=True, rename="camel"):
    condition_type: str = ""


class PodClaim(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart_policy: str = "Always"
    active_deadline_seconds: int | None = None
    hostname: str = ""
    subdomain: str = ""
    service_account_name: str = ""
    termination_grace_period_seconds: int | None = None
    host_aliases: tuple[HostAlias, ...] = ()
    readiness_gates: tuple[ReadinessGate, ...] = ()
    resource_claims: tuple[PodClaim, ...] = ()

    @property
    def grace_seconds(self) -> float:
        """Between TERM and KILL when nobody says otherwise."""
        given = self.termination_grace_period_seconds
        return 30.0 if given is None else float(given)

    @property
    def all_containers(self) -> tuple[Container, ...]:
        return self.init_containers + self.containers


class Running(msgspec.Struct, frozen=True, rename="camel"):
    started_at: str | None = None


class Terminated(msgspec.Struct, frozen=True, rename="camel"):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = msgspec.field(default="", name="containerID")


class Waiting(msgspec.Struct, frozen=True, rename="camel"):
    reason: str = ""
    message: str = ""


class ContainerState(msgspec.Struct, frozen=True, rename="camel"):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    container_id: str = msgspec.field(default="", name="containerID")
    restart_count: int = 0
    ready: bool = False
    started: bool | None = None
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodClaimStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Which claim was made for an entry; without a name the pod needs none."""

    name: str = ""
    resource_claim_name: str | None = None


class RequestMapping(msgspec.Struct, frozen=True, rename="camel"):
    """Which request of the claim stands for a container's extended resource (KEP-5004)."""

    container_name: str = ""
    resource_name: str = ""
    request_name: str = ""


class ExtendedClaimStatus(msgspec.Struct, frozen=True, rename="camel"):
    resource_claim_name: str = ""
    request_mappings: tuple[RequestMapping, ...] = ()


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    reason: str = ""
    start_time: str | None = None
    pod_ip: str = msgspec.field(default="", name="podIP")
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    resource_claim_statuses: tuple[PodClaimStatus, ...] = ()
    extended_resource_claim_status: ExtendedClaimStatus | None = None

    @property
    def is_final(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


class Pod(msgspec.Struct, frozen=True, rename="camel"):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def hostname(self) -> str:
        """What the pod calls itself: spec.hostname, else its name (without what a host name may not hold), at most
        63."""
        return (self.spec.hostname or self.metadata.name.replace(".", "-"))[:63].rstrip("-")

    def status_of(self, container: str) -> ContainerStatus | None:
        both = self.status.container_statuses + self.status.init_container_statuses
        return next((status for status in both if status.name == container), None)
