"""Nouns of Dynamic Resource Allocation (resource.k8s.io/v1, Kubernetes 1.37): what is offered, wanted, in use and
given.

Frozen and hashable; lists are tuples, maps are tuples of pairs. Amounts are whole nano-units with the notation in which
they are written back. Fields that a feature gate guards are always here: the allocator is told which gates are on.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from roadstead.model.selection import NodeTerm, Taint, Toleration

MAX_RESULTS: Final = 32
"""Devices of one claim (`AllocationResultsMaxSize`)."""


class Amount(NamedTuple):
    """A quantity: nano-units, and the notation to print it in (`expr.quantity`)."""

    nano: int
    notation: str = "DecimalSI"


class DeviceId(NamedTuple):
    driver: str
    pool: str
    device: str


# --- what is offered


class Attribute(msgspec.Struct, frozen=True):
    """A typed value or, with `is_list`, several. `kind`: int, bool, string, version; empty if the object carried no
    known one."""

    kind: str
    values: tuple[int | bool | str, ...]
    is_list: bool = False


class RequestPolicy(msgspec.Struct, frozen=True):
    """Which shares of a capacity may be asked for (KEP-5075). `least` is set if there is a range."""

    default: Amount | None = None
    valid: tuple[Amount, ...] = ()
    least: Amount | None = None
    most: Amount | None = None
    step: Amount | None = None


class Capacity(msgspec.Struct, frozen=True):
    value: Amount
    policy: RequestPolicy | None = None


class CounterSet(msgspec.Struct, frozen=True):
    """What partitions of one physical thing share (KEP-4815)."""

    name: str
    counters: tuple[tuple[str, Amount], ...]


class CounterUse(msgspec.Struct, frozen=True):
    """What a device takes from a counter set. `groups`: only devices with a group in common may use the set at once
    (KEP-5963)."""

    counter_set: str
    counters: tuple[tuple[str, Amount], ...]
    groups: tuple[str, ...] = ()


class NodeChoice(msgspec.Struct, frozen=True):
    """For which nodes: one by name, all, those that a term selects, or as each device says. None of it: for no node."""

    name: str = ""
    all: bool = False
    term: NodeTerm | None = None
    by_device: bool = False


class Device(msgspec.Struct, frozen=True):
    name: str
    attributes: tuple[tuple[str, Attribute], ...] = ()
    capacity: tuple[tuple[str, Capacity], ...] = ()
    consumes: tuple[CounterUse, ...] = ()
    nodes: NodeChoice = NodeChoice()
    """Only looked at if the slice leaves the choice to its devices."""
    taints: tuple[Taint, ...] = ()
    binds_to_node: bool = False
    binding_conditions: tuple[str, ...] = ()
    binding_failure_conditions: tuple[str, ...] = ()
    shareable: bool = False


class ResourceSlice(msgspec.Struct, frozen=True):
    name: str
    driver: str
    pool: str
    generation: int
    count: int
    """How many slices the pool has in this generation."""
    nodes: NodeChoice
    devices: tuple[Device, ...] = ()
    counter_sets: tuple[CounterSet, ...] = ()


class OpaqueConfig(msgspec.Struct, frozen=True):
    driver: str
    parameters: str
    """JSON text, for the driver alone."""


class DeviceClass(msgspec.Struct, frozen=True):
    name: str
    selectors: tuple[str | None, ...] = ()
    """CEL; None where the object has a selector of another kind."""
    config: tuple[OpaqueConfig, ...] = ()
    extended_resource: str = ""
    """Pods that ask for this resource may be given devices of the class (KEP-5004)."""


class DeviceTaintRule(msgspec.Struct, frozen=True):
    """Taints devices from outside their slices (KEP-5055). An empty criterion fits every device; `selects` off: the
    rule fits none."""

    name: str
    taint: Taint
    driver: str = ""
    pool: str = ""
    device: str = ""
    selects: bool = True

    def fits(self, device: DeviceId) -> bool:
        return (
            self.selects
            and self.driver in ("", device.driver)
            and self.pool in ("", device.pool)
            and self.device in ("", device.device)
        )


# --- what is wanted


class DeviceRequest(msgspec.Struct, frozen=True):
    """One way to satisfy a request: the request itself, or one of its alternatives."""

    name: str
    device_class: str
    mode: str = "ExactCount"
    count: int = 1
    selectors: tuple[str | None, ...] = ()
    admin: bool | None = None
    tolerations: tuple[Toleration, ...] = ()
    capacity: tuple[tuple[str, Amount], ...] = ()
    derived: tuple[tuple[str, str], ...] = ()
    """Attributes by CEL, for constraints (KEP-6080)."""


class Request(msgspec.Struct, frozen=True):
    """Exactly one alternative without a list, or the alternatives of a `firstAvailable` in order of preference
    (KEP-4816)."""

    name: str
    alternatives: tuple[DeviceRequest, ...]
    is_list: bool = False


class Constraint(msgspec.Struct, frozen=True):
    """Over the devices of some requests (none named: all): one attribute is the same, or differs."""

    requests: tuple[str, ...] = ()
    match: str = ""
    distinct: str = ""


class ClaimConfig(msgspec.Struct, frozen=True):
    requests: tuple[str, ...]
    config: OpaqueConfig


class Claim(msgspec.Struct, frozen=True):
    namespace: str
    name: str
    requests: tuple[Request, ...]
    constraints: tuple[Constraint, ...] = ()
    config: tuple[ClaimConfig, ...] = ()


class PodClaim(msgspec.Struct, frozen=True):
    """One of a pod's `spec.resourceClaims`: `claim`, what its template says, for one claim per pod (without namespace
    and name); or `shared`, the (namespace, name) of a ResourceClaim. Neither, and the pod has to wait: for the template
    named `missing`, or, without one, for whoever makes the claim."""

    name: str
    claim: Claim | None = None
    shared: tuple[str, str] | None = None
    missing: str = ""


# --- what is given


class DeviceResult(msgspec.Struct, frozen=True):
    """A device for a request. `share`: one share of it; `share_id` is empty until it is written (`ingest.dra`)."""

    request: str
    id: DeviceId
    admin: bool | None = None
    tolerations: tuple[Toleration, ...] = ()
    share: bool = False
    consumed: tuple[tuple[str, Amount], ...] = ()
    binding_conditions: tuple[str, ...] = ()
    binding_failure_conditions: tuple[str, ...] = ()
    share_id: str = ""


class ConfigResult(msgspec.Struct, frozen=True):
    from_class: bool
    requests: tuple[str, ...]
    """Empty: all."""
    config: OpaqueConfig


class Allocation(msgspec.Struct, frozen=True):
    """What one claim was given, and from where it can be used (None: from everywhere)."""

    results: tuple[DeviceResult, ...] = ()
    config: tuple[ConfigResult, ...] = ()
    nodes: NodeTerm | None = None


class Share(msgspec.Struct, frozen=True):
    """A share of a device in use."""

    id: DeviceId
    consumed: tuple[tuple[str, Amount], ...] = ()


MAX_CONSUMERS: Final = 256
"""Pods that may use one claim (`ResourceClaimReservedForMaxSize`)."""


class ResourceClaim(msgspec.Struct, frozen=True):
    """A ResourceClaim's facts. `consumers`: uids of the pods in `status.reservedFor`; `owner_pod`: uid of the pod that
    it was made for from a template, else empty."""

    namespace: str
    name: str
    uid: str
    claim: Claim
    allocation: Allocation | None = None
    consumers: tuple[str, ...] = ()
    owner_pod: str = ""
    deleting: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return (self.namespace, self.name)
