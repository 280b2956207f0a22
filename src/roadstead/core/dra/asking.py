"""Claims made ready for the search: everything that can be refused before a device is tried.

All requests of all claims are looked at in order; the first thing that is wrong ends the attempt (dra.md 4.2). For
allocation mode All the devices are listed here, so their selectors run even where a search would not get to them.
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
        try:
            found.append(_asked(context, claim))
        except AllocationError as error:
            error.claim = claim
            raise
    return tuple(found)


def _asked(context: Context, claim: Claim) -> Asked:
    requests, least = [], 0
    for request in claim.requests:
        options = _options(context, claim, request)
        fewest = min((option.count for option in options), default=0)
        if least + fewest > MAX_RESULTS:
            raise AllocationError(
                "too_many_devices",
                f"request {request.name} asks for {fewest} devices; with the {least} of the requests before it these are more "
                f"than the {MAX_RESULTS} that a claim may have",
            )
        least += fewest
        requests.append(options)
    for number, constraint in enumerate(claim.constraints):
        _check_constraint(constraint, number, context.features)
    return Asked(claim, tuple(requests))


def _check_constraint(constraint: Constraint, number: int, features: Features) -> None:
    known = constraint.match or (constraint.distinct and features.consumable_capacity)
    if not known:
        raise AllocationError(
            "constraint_empty", f"constraints[{number}] is empty, or of a kind that is not known here"
        )


def _options(context: Context, claim: Claim, request: Request) -> tuple[Option, ...]:
    if request.is_list and not context.features.prioritized_list:
        raise AllocationError(
            "prioritized_list_disabled",
            f"request {request.name} has alternatives (firstAvailable), and the feature DRAPrioritizedList is off",
        )
    where = f"request {request.name}"
    return tuple(
        _option(context, claim, request, body, f"{where}/{body.name}" if request.is_list else where)
        for body in request.alternatives
    )


def _option(context: Context, claim: Claim, request: Request, body: DeviceRequest, where: str) -> Option:
    features = context.features
    if body.capacity and not features.consumable_capacity:
        raise AllocationError(
            "capacity_disabled",
            f"{where} asks for capacity, and the feature DRAConsumableCapacity is off",
        )
    if body.derived and not features.derived_attributes:
        raise AllocationError("derived_attribute", f"{where} has derived attributes, and the feature for them is off")
    for number, expression in enumerate(body.selectors):
        if expression is None:
            raise AllocationError(
                "selector_empty", f"selectors[{number}] of {where} is empty, or of a kind that is not known here"
            )
    if body.admin is not None and not features.admin_access:
        raise AllocationError(
            "admin_access_disabled", f"{where} asks for admin access, and the feature for that is off"
        )
    if not body.device_class:
        raise AllocationError("class_missing", f"{where} names no DeviceClass, or is of a kind that is not known here")
    device_class = context.classes.get(body.device_class)
    if device_class is None:
        raise AllocationError(
            "class_not_found",
            f"{where} names DeviceClass {body.device_class}, which does not exist",
            device_class=body.device_class,
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
        raise AllocationError("mode_unsupported", f"{where} has allocationMode {body.mode}, which is not known here")
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
                kind, f"{where} asks for all devices, and resource pool {'/'.join(pool.id)} is {state}"
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
        known = selectable(candidate, context.node, option.name, option.body, option.device_class, context.features)
        option.selectable[id(candidate)] = known
    return known
