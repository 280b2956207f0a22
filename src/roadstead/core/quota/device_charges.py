"""What quota one pod is charged for its claims (Kueue KEP-2941; kueue.md 7.4).

Where an administrator maps DeviceClasses to quota resources, each device of a mapped class counts under the resource's name, and claims
that cannot be counted beforehand are refused as by Kueue. Without any mapping a claim is charged like a count of devices: under the
extended resource that its class names, where the queue has a quota for that, else it is free of quota and bounded by the devices there
are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeAlias

from roadstead.model.amounts import ResourceName
from roadstead.model.dra import Claim, DeviceClass, PodClaim, Request
from roadstead.model.resources import ResourceRules

Charges: TypeAlias = tuple[tuple[ResourceName, int], ...]


class NotCountedError(Exception):
    """Quota by DeviceClass cannot say what these claims cost; the message says why."""


def claim_charges(
    claims: tuple[PodClaim, ...],
    rules: ResourceRules,
    classes: Mapping[str, DeviceClass],
    covered: Collection[ResourceName],
) -> Charges:
    """Devices by quota resource, by name. `covered`: what the queue has quota for. NotCountedError where a mapping is configured and the
    claims cannot be counted by it. O(requests)."""
    if not claims:
        return ()
    found: Counter[ResourceName] = Counter()
    if rules.device_classes:
        mapped = dict(rules.device_classes)
        for claim in _counted(claims):
            for request in claim.requests:
                found.update(_mapped(request, mapped))
    else:
        for each in claims:
            for request in each.claim.requests if each.claim is not None else ():
                found.update(_by_extended_resource(request, classes, covered))
    return tuple(sorted(found.items()))


def _counted(claims: tuple[PodClaim, ...]) -> list[Claim]:
    if any(each.shared is not None for each in claims):
        raise NotCountedError("quota by DeviceClass does not support the use of ResourceClaims by name; use a template")
    return [each.claim for each in claims if each.claim is not None]


def _mapped(request: Request, mapped: Mapping[str, ResourceName]) -> dict[ResourceName, int]:
    if request.is_list:
        raise NotCountedError(f"quota by DeviceClass does not support firstAvailable (request {request.name})")
    [body] = request.alternatives
    if body.mode != "ExactCount":
        raise NotCountedError(
            f"quota by DeviceClass does not support allocationMode {body.mode} (request {request.name})"
        )
    if body.admin:
        return {}
    if body.device_class not in mapped:
        raise NotCountedError(f"DeviceClass {body.device_class} is not mapped in DRA configuration")
    return {mapped[body.device_class]: body.count}


def _by_extended_resource(
    request: Request, classes: Mapping[str, DeviceClass], covered: Collection[ResourceName]
) -> dict[ResourceName, int]:
    """The most that one of the alternatives costs, by resource."""
    most: dict[ResourceName, int] = {}
    for body in request.alternatives:
        device_class = classes.get(body.device_class)
        name = device_class.extended_resource if device_class is not None else ""
        if name in covered and body.mode == "ExactCount" and not body.admin:
            most[name] = max(most.get(name, 0), body.count)
    return most
