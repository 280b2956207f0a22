"""ResourceClaims, their templates, slices and taint rules as `resource.k8s.io/v1` writes them, for whoever reads."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from roadstead.kinds.object import ObjectMeta
from roadstead.kinds.views.common import Condition


class DeviceName(NamedTuple):
    """A device, or (with `share`) one share of it."""

    driver: str
    pool: str
    device: str
    share: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


class DeviceTolerationView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class DeviceTaintView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: str | None = None


class DeviceResultView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One device that a claim was given."""

    request: str = ""
    driver: str = ""
    pool: str = ""
    device: str = ""
    share_id: str | None = msgspec.field(default=None, name="shareID")
    admin_access: bool | None = None
    tolerations: tuple[DeviceTolerationView, ...] | None = None
    binding_conditions: tuple[str, ...] | None = None
    binding_failure_conditions: tuple[str, ...] | None = None

    @property
    def name(self) -> DeviceName:
        return DeviceName(self.driver, self.pool, self.device, self.share_id or "")


class DeviceResultsView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    results: tuple[DeviceResultView, ...] | None = None


class FieldRequirementView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = None


class NodeTermView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    match_fields: tuple[FieldRequirementView, ...] | None = None


class NodeTermsView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    node_selector_terms: tuple[NodeTermView, ...] | None = None


class AllocationView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    devices: DeviceResultsView = DeviceResultsView()
    node_selector: NodeTermsView | None = None
    allocation_timestamp: str | None = None

    @property
    def results(self) -> tuple[DeviceResultView, ...]:
        return self.devices.results or ()

    @property
    def node(self) -> str:
        """The one node that it can be used on; "" if it says so of none."""
        terms = (self.node_selector.node_selector_terms if self.node_selector is not None else None) or ()
        for field in (terms[0].match_fields if len(terms) == 1 else None) or ():
            if field.key == "metadata.name" and field.operator == "In" and len(field.values or ()) == 1:
                return (field.values or ("",))[0]
        return ""


class ConsumerView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Who uses a claim: a pod, or something else that speaks for several."""

    api_group: str = ""
    resource: str = ""
    name: str = ""
    uid: str = ""

    @property
    def is_pod(self) -> bool:
        return self.resource == "pods" and not self.api_group


class AllocatedDeviceView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What a driver reports about a device that is allocated."""

    driver: str = ""
    pool: str = ""
    device: str = ""
    share_id: str | None = msgspec.field(default=None, name="shareID")
    conditions: tuple[Condition, ...] | None = None

    @property
    def name(self) -> DeviceName:
        return DeviceName(self.driver, self.pool, self.device, self.share_id or "")


class ClaimStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    allocation: AllocationView | None = None
    reserved_for: tuple[ConsumerView, ...] | None = None
    devices: tuple[AllocatedDeviceView, ...] | None = None


class ClaimView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    status: ClaimStatusView = ClaimStatusView()

    @property
    def consumers(self) -> tuple[ConsumerView, ...]:
        return self.status.reserved_for or ()


class PoolView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    generation: int = 0


class SliceDeviceView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    taints: tuple[DeviceTaintView, ...] | None = None


class SliceSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    driver: str = ""
    pool: PoolView = PoolView()
    devices: tuple[SliceDeviceView, ...] | None = None


class SliceView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: SliceSpecView = SliceSpecView()


class TaintSelectorView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    driver: str | None = None
    pool: str | None = None
    device: str | None = None

    def selects(self, device: DeviceName) -> bool:
        """Every criterion that is there must fit; none: every device."""
        return (
            self.driver in (None, device.driver)
            and self.pool in (None, device.pool)
            and self.device in (None, device.device)
        )


class TaintRuleSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    device_selector: TaintSelectorView | None = None
    taint: DeviceTaintView = DeviceTaintView()


class TaintRuleStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    conditions: tuple[Condition, ...] | None = None


class TaintRuleView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: TaintRuleSpecView = TaintRuleSpecView()
    status: TaintRuleStatusView = TaintRuleStatusView()
