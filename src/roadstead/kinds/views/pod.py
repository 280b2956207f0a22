"""Pods as `v1` writes them."""

from __future__ import annotations

import msgspec

from roadstead.kinds.object import Object, ObjectMeta
from roadstead.kinds.views.common import Condition
from roadstead.kinds.views.kueue import TolerationView

ENDED_PHASES = ("Succeeded", "Failed")


class TerminatedView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    exit_code: int = 0
    reason: str = ""
    finished_at: str | None = None


class WaitingView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    reason: str = ""
    message: str = ""


class ContainerStateView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    waiting: WaitingView | None = None
    terminated: TerminatedView | None = None


class ContainerStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerStateView | None = None


class SchedulingGateView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""


class PodClaimView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One of `spec.resourceClaims`: a claim by name, or a template of one."""

    name: str = ""
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class PodClaimStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Which claim was made for one of `spec.resourceClaims`; without a name the pod needs none."""

    name: str = ""
    resource_claim_name: str | None = None


class PodSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    node_name: str = ""
    scheduling_gates: tuple[SchedulingGateView, ...] | None = None
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    tolerations: tuple[TolerationView, ...] | None = None
    priority: int | None = None
    priority_class_name: str = ""
    resource_claims: tuple[PodClaimView, ...] | None = None


class PodStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatusView, ...] | None = None
    init_container_statuses: tuple[ContainerStatusView, ...] | None = None
    resource_claim_statuses: tuple[PodClaimStatusView, ...] | None = None


class PodView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpecView = PodSpecView()
    status: PodStatusView = PodStatusView()

    @property
    def has_ended(self) -> bool:
        """True once no process of this pod runs or will run."""
        return self.status.phase in ENDED_PHASES


def node_of(pod: Object) -> str:
    """The node that a pod is bound to; "" if to none. Decodes nothing. Raises msgspec.ValidationError if the pod has no
    shape of one."""
    return pod.brief.node if pod.brief is not None else pod.view(PodView).spec.node_name


def has_ended(pod: Object) -> bool:
    """`PodView.has_ended`, decoding nothing; raises as `node_of` does."""
    return pod.brief.phase in ENDED_PHASES if pod.brief is not None else pod.view(PodView).has_ended
