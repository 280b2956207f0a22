"""Claims made ready for the search: everything that can be refused before a device is tried.

All requests of all claims are looked at in order; the first thing that is wrong ends the attempt (dra.md 4.2). For allocation mode
All the devices are listed here, so their selectors run even where a search would not get to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roadstead.core.dra import capacity
from roadstead.core.dra.candidates import Candidate
from roadstead.core.dra.constraints import covers
from roadstead.core.dra.features import Features
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import AllocationError
from roadstead.core.dra.pools import View
from roadstead.core.dra.selecting import selectable
from roadstead.model.dra import MAX_RESULTS, Amount, Claim, Constraint, DeviceClass, DeviceRequest, Request


@dataclass(slots=True, eq=False)
class Option:
    """One way to satisfy a request, with what is known of every device once it was asked."""

    claim: Claim
    request: Request
    body: DeviceRequest
    device_class: DeviceClass
    name: str
    """As results name it: `request` or `request/alternative`."""
    wanted: dict[str, Amount]
    constraints: tuple[int, ...]
    """Places in the claim's list of those that look at it."""
    count: int = 0
    every: tuple[Candidate, ...] | None = None
    """Mode All: the devices."""
    selectable: dict[int, bool] = field(default_factory=dict)

    @property
    def admin(self) -> bool:
        return bool(self.body.admin)


@dataclass(slots=True, eq=False)
class Asked:
    """A claim with its requests' options."""

    claim: Claim
    options: tuple[tuple[Option, ...], ...]


@dataclass(slots=True, eq=False)
class Context:
    """What an attempt on a node knows."""

    node: NodeFacts
    view: View
    classes: Mapping[str, DeviceClass]
    features: Features


def ask(context: Context, claims: Sequence[Claim]) -> tuple[Asked, ...]:
    """AllocationError for the first thing that is wrong. O(requests), and O(devices) for each request of mode All."""
    found = []
    for claim in claims:
        where = f"claim {claim.namespace}/{claim.name}"
        requests, least = [], 0
        for request in claim.requests:
            options = _options(context, claim, request, where)
            fewest = min((option.count for option in options), default=0)
            if least + fewest > MAX_RESULTS:
                raise AllocationError(
                    "too_many_devices",
                    f"{where}, request {request.name}: adding {fewest} devices exceeds the claim limit of {MAX_RESULTS}, "
                    f"with {least} already accounted for",
                )
            least += fewest
            requests.append(options)
        for number, constraint in enumerate(claim.constraints):
            _check_constraint(constraint, f"{where}, constraint #{number}", context.features)
        found.append(Asked(claim, tuple(requests)))
    return tuple(found)


def _check_constraint(constraint: Constraint, where: str, features: Features) -> None:
    known = constraint.match or (constraint.distinct and features.consumable_capacity)
    if not known:
        raise AllocationError("constraint_empty", f"{where}: empty constraint (unsupported constraint type?)")


def _options(context: Context, claim: Claim, request: Request, where: str) -> tuple[Option, ...]:
    if request.is_list and not context.features.prioritized_list:
        raise AllocationError(
            "prioritized_list_disabled",
            f"{where}, request {request.name}: has subrequests, but the DRAPrioritizedList feature is disabled",
        )
    return tuple(
        _option(context, claim, request, body, f"{where}, {'subrequest' if request.is_list else 'request'} {body.name}")
        for body in request.alternatives
    )


def _option(context: Context, claim: Claim, request: Request, body: DeviceRequest, where: str) -> Option:
    features = context.features
    if body.capacity and not features.consumable_capacity:
        raise AllocationError(
            "capacity_disabled",
            f"{where}: has capacity requests, but the DRAConsumableCapacity feature is disabled",
        )
    if body.derived and not features.derived_attributes:
        raise AllocationError(
            "derived_attribute", f"{where}: cannot handle request with derived attributes, the feature is disabled"
        )
    for number, expression in enumerate(body.selectors):
        if expression is None:
            raise AllocationError(
                "selector_empty", f"{where}, selector #{number}: CEL expression empty (unsupported selector type?)"
            )
    if body.admin is not None and not features.admin_access:
        raise AllocationError(
            "admin_access_disabled", f"{where}: admin access is requested, but the feature is disabled"
        )
    if not body.device_class:
        raise AllocationError("class_missing", f"{where}: missing device class name (unsupported request type?)")
    device_class = context.classes.get(body.device_class)
    if device_class is None:
        raise AllocationError(
            "class_not_found",
            f"{where}: could not retrieve device class {body.device_class}: "
            f'deviceclass.resource.k8s.io "{body.device_class}" not found',
        )
    alternative = body.name if request.is_list else ""
    option = Option(
        claim=claim,
        request=request,
        body=body,
        device_class=device_class,
        name=f"{request.name}/{alternative}" if alternative else request.name,
        wanted=dict(body.capacity),
        constraints=tuple(
            number for number, each in enumerate(claim.constraints) if covers(each, request.name, alternative)
        ),
    )
    if body.mode == "ExactCount":
        option.count = body.count
    elif body.mode == "All":
        option.every = _every(context, option, where)
        option.count = len(option.every)
    else:
        raise AllocationError("mode_unsupported", f"{where}: unsupported count mode {body.mode}")
    return option


def _every(context: Context, option: Option, where: str) -> tuple[Candidate, ...]:
    """Mode All: all devices that are selectable and have the capacity when nothing of them is in use, in use or not."""
    found = []
    for pool in context.view.pools:
        if not pool.usable:
            kind, state = ("all_pool_invalid", "currently invalid") if pool.complete else (
                "all_pool_incomplete", "currently being updated",
            )  # fmt: skip
            raise AllocationError(
                kind, f"{where}: asks for all devices, but resource pool {'/'.join(pool.id)} is {state}"
            )
        for candidate in pool.candidates:
            if is_selectable(context, option, candidate) and _has_capacity(context, option, candidate):
                found.append(candidate)
    return tuple(found)


def _has_capacity(context: Context, option: Option, candidate: Candidate) -> bool:
    if not context.features.consumable_capacity:
        return True
    consumed = capacity.consumption(candidate.device, option.wanted, fractional=context.features.fractional_ranges)
    return consumed is not None and capacity.fits(consumed, candidate.device, {}, {})


def is_selectable(context: Context, option: Option, candidate: Candidate) -> bool:
    """`selecting.selectable`, remembered for the attempt."""
    known = option.selectable.get(id(candidate))
    if known is None:
        known = selectable(candidate, context.node, option.claim, option.body, option.device_class, context.features)
        option.selectable[id(candidate)] = known
    return known
