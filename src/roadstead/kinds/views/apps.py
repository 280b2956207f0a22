"""Deployments, ReplicaSets and StatefulSets as `apps/v1` writes them."""

from __future__ import annotations

from typing import Any

import msgspec

from roadstead.kinds.object import Json, ObjectMeta
from roadstead.kinds.views.common import Condition


class ProgressCondition(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A condition of a Deployment, which also says when it was last looked at."""

    type: str = ""
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    last_update_time: str | None = None


class RollingView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`rollingUpdate` of Deployments and StatefulSets."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None
    partition: int | None = None


class UpdateStrategyView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    type: str = "RollingUpdate"
    rolling_update: RollingView | None = None


class DeploymentSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    replicas: int = 1
    selector: dict[str, Any] | None = None
    template: Json = {}
    strategy: UpdateStrategyView = UpdateStrategyView()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    paused: bool = False
    progress_deadline_seconds: int | None = None


class DeploymentStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[ProgressCondition, ...] = ()
    collision_count: int | None = None


class DeploymentView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpecView = DeploymentSpecView()
    status: DeploymentStatusView = DeploymentStatusView()


class ReplicaSetSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    replicas: int = 1
    selector: dict[str, Any] | None = None
    template: Json = {}
    min_ready_seconds: int = 0


class ReplicaSetStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    terminating_replicas: int | None = None
    conditions: tuple[Condition, ...] = ()


class ReplicaSetView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpecView = ReplicaSetSpecView()
    status: ReplicaSetStatusView = ReplicaSetStatusView()


class OrdinalsView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    start: int = 0


class StatefulSetSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    replicas: int = 1
    selector: dict[str, Any] | None = None
    template: Json = {}
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    update_strategy: UpdateStrategyView = UpdateStrategyView()
    revision_history_limit: int | None = None
    min_ready_seconds: int = 0
    ordinals: OrdinalsView | None = None


class StatefulSetStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    current_revision: str = ""
    update_revision: str = ""
    collision_count: int | None = None


class StatefulSetView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: StatefulSetSpecView = StatefulSetSpecView()
    status: StatefulSetStatusView = StatefulSetStatusView()


class ControllerRevisionView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    revision: int = 0
    data: Json = {}
