"""A pod's claims before it is bound: each is written as allocated, as was decided, and reserved for the pod (upstream:
PreBind).

The allocation and the consumer are one write, so that no crash leaves devices that nobody answers for. What is written
already is written no more: after a crash anywhere the next look does the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from roadstead.controllers.claims.names import BY_DEVICE, claim_for, claims_of
from roadstead.kinds.names import RESOURCE_CLAIMS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.resource.claim_status import MAX_CONSUMERS
from roadstead.kinds.times import format_time, parse_time
from roadstead.kinds.views.claim import ClaimView, DeviceResultView
from roadstead.kinds.views.common import has_condition
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import SECOND, Key, Read

BINDING_TIMEOUT: Final = 600 * SECOND
"""So long a driver may take to make a device ready (kube-scheduler's `bindingTimeout`)."""


class Readiness(Enum):
    """Of a pod's claims."""

    READY = "ready"
    """All are allocated, or will be by the writes that were gathered."""
    WAITING = "waiting"
    """Something has to happen first; somebody will notice when it does."""
    IN_USE = "in use"
    """A device is still held by another claim that will let go of it."""
    PREPARING = "preparing"
    """A driver is still making a device ready (KEP-5007)."""
    FAILED = "failed"
    """A driver could not make a device ready, or took too long: it is given back."""


@dataclass(slots=True)
class Writes:
    """Changes of claims that are to be written, one for each claim however many pods share it."""

    values: dict[Key, Json] = field(default_factory=dict)
    next_timeout: int | None = None
    """When the first driver has taken too long."""

    def of(self, claim: Object) -> Json:
        """The claim as it will be, the caller's to edit."""
        known = self.values.get(claim.key)
        return claim.decode() if known is None else copy.deepcopy(known)

    def put(self, claim: Object, value: Json) -> None:
        self.values[claim.key] = value

    @property
    def stage(self) -> tuple[Update, ...]:
        return tuple(Update(RESOURCE_CLAIMS, value, "status") for value in self.values.values())

    def look_again(self, at: int) -> None:
        self.next_timeout = at if self.next_timeout is None else min(self.next_timeout, at)


def prepare(pod: Object, given: Mapping[str, Mapping[str, Any]], read: Read, writes: Writes, now: int) -> Readiness:
    """Gather what has to be written before a pod can be bound. `given`: the pod's names for its claims -> the
    AllocationResult that was decided for each. O(devices of the pod)."""
    claims: list[tuple[Object, Mapping[str, Any] | None]] = []
    for entry, name in claims_of(pod):
        if name is None:
            continue
        claim = claim_for(pod, entry, name, read)
        if claim is None or claim.meta.deletion_timestamp is not None:
            return Readiness.WAITING
        claims.append((claim, given.get(entry.name)))
    changed: list[tuple[Object, Json]] = []
    for claim, allocation in claims:
        value = writes.of(claim)
        status: Json = value.setdefault("status", {})
        current = status.get("allocation")
        if current is None:
            if allocation is None:
                return Readiness.WAITING
            if any(other.key != claim.key for other in holders(allocation, read)):
                return Readiness.IN_USE
            status["allocation"] = {**allocation, "allocationTimestamp": format_time(now)}
        elif allocation is not None and not is_same(current, allocation):
            return _take_back(claim, value, pod, writes)
        is_new = reserve(value, pod)
        if len(status["reservedFor"]) > MAX_CONSUMERS:
            return Readiness.WAITING
        if current is None or is_new:
            changed.append((claim, value))
    for claim, value in changed:
        writes.put(claim, value)
    return _prepared(pod, [claim for claim, _ in claims], changed, writes, now)


def _take_back(claim: Object, value: Json, pod: Object, writes: Writes) -> Readiness:
    """It was allocated by an earlier decision that came to nothing. If nobody else uses it, it is allocated anew."""
    others = [each for each in value["status"].get("reservedFor") or () if each.get("uid") != pod.meta.uid]
    if not others:
        for name in ("allocation", "reservedFor", "devices"):
            value["status"].pop(name, None)
        writes.put(claim, value)
    return Readiness.WAITING


def is_same(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """The same devices for the same requests; when it was written does not matter."""
    return essence(current) == essence(wanted)


def essence(allocation: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """What tells allocations apart: which devices, for which requests."""
    return tuple(
        tuple(str(result.get(name) or "") for name in ("request", "driver", "pool", "device", "shareID"))
        for result in _results(allocation)
    )


def _results(allocation: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (allocation.get("devices") or {}).get("results") or ()


def holders(allocation: Mapping[str, Any], read: Read) -> Iterator[Object]:
    """Claims that hold a device of this allocation now. `BY_DEVICE` must be among the indexes."""
    for result in _results(allocation):
        if not result.get("adminAccess"):
            parts = (result["driver"], result["pool"], result["device"], result.get("shareID") or "")
            yield from read.by_index(RESOURCE_CLAIMS, BY_DEVICE, "/".join(part for part in parts if part))


def reserve(claim: Json, pod: Object) -> bool:
    """Add the pod to a claim's consumers; False if it is one."""
    consumers = claim["status"].setdefault("reservedFor", [])
    if any(each.get("uid") == pod.meta.uid for each in consumers):
        return False
    consumers.append({"resource": "pods", "name": pod.meta.name, "uid": pod.meta.uid})
    return True


def allocated(claim: Object, allocation: Mapping[str, Any] | None, pod: Object, now: int) -> Update | None:
    """The claim as given to a pod, None if it says so already. Without `allocation`: it has one."""
    value = claim.decode()
    status: Json = value.setdefault("status", {})
    is_new = status.get("allocation") is None and allocation is not None
    if is_new:
        status["allocation"] = {**(allocation or {}), "allocationTimestamp": format_time(now)}
    return Update(RESOURCE_CLAIMS, value, "status") if reserve(value, pod) or is_new else None


# ---------------------------------------------------------------------- binding conditions


def _prepared(
    pod: Object, claims: Iterable[Object], changed: Sequence[tuple[Object, Json]], writes: Writes, now: int
) -> Readiness:
    """Are the devices ready that their drivers must first prepare? A failure, or too long a wait, gives them back."""
    fresh = {claim.key for claim, _ in changed}
    answer = Readiness.READY
    for claim in claims:
        if claim.key in fresh:
            allocation = (writes.of(claim).get("status") or {}).get("allocation") or {}
            if any(result.get("bindingConditions") for result in _results(allocation)):
                answer = Readiness.PREPARING
            continue
        status = claim.view(ClaimView).status
        allocated = status.allocation
        waited = [result for result in (allocated.results if allocated else ()) if result.binding_conditions]
        if allocated is None or not waited:
            continue
        until = parse_time(allocated.allocation_timestamp or format_time(now)) + BINDING_TIMEOUT
        reports = {device.name: device.conditions or () for device in status.devices or ()}
        if until <= now or any(has_failed(result, reports.get(result.name, ())) for result in waited):
            _take_back(claim, claim.decode(), pod, writes)
            return Readiness.FAILED
        if not all(is_ready(result, reports.get(result.name, ())) for result in waited):
            writes.look_again(until)
            answer = Readiness.PREPARING
    return answer


def is_ready(result: DeviceResultView, conditions: Sequence[Any]) -> bool:
    return all(has_condition(conditions, type) for type in result.binding_conditions or ())


def has_failed(result: DeviceResultView, conditions: Sequence[Any]) -> bool:
    return any(has_condition(conditions, type) for type in result.binding_failure_conditions or ())
