"""Objects of resource.k8s.io/v1 to nouns, and allocations back to objects.

Objects are decoded JSON with defaults filled in; of the wrong shape they raise one of BAD. `ingest.devices` makes facts
of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

from roadstead.expr.quantity import Quantity, parse
from roadstead.model.dra import (
    Allocation,
    Amount,
    Attribute,
    Capacity,
    Claim,
    ClaimConfig,
    ConfigResult,
    Constraint,
    CounterSet,
    CounterUse,
    Device,
    DeviceClass,
    DeviceId,
    DeviceRequest,
    DeviceResult,
    DeviceTaintRule,
    NodeChoice,
    OpaqueConfig,
    Request,
    RequestPolicy,
    ResourceSlice,
    Share,
)
from roadstead.model.selection import NodeTerm, Requirement, Taint, Toleration

Json = Mapping[str, Any]

SHARES: Final = UUID("6a3d5f5e-4b0c-5d0e-9a57-7f0b8a2c1d46")
"""Namespace of the ids of shares."""

BAD: Final = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What reading an object of the wrong shape raises (a QuantityError is a ValueError)."""

_SCALARS: Final = ("int", "bool", "string", "version")
_LISTS: Final = {"ints": "int", "bools": "bool", "strings": "string", "versions": "version"}


def amount(text: str | int | float) -> Amount:
    """QuantityError if it is no quantity."""
    found = parse(text)
    return Amount(found.nano, found.format)


def text_of(value: Amount) -> str:
    """Canonical text."""
    return str(Quantity(value.nano, value.notation))


def _amounts(values: Json | None) -> tuple[tuple[str, Amount], ...]:
    return tuple((name, amount(value)) for name, value in (values or {}).items())


# --- slices and classes


def slice_of(value: Json) -> ResourceSlice:
    """A ResourceSlice."""
    spec = value["spec"]
    return ResourceSlice(
        name=value["metadata"]["name"],
        driver=spec["driver"],
        pool=spec["pool"]["name"],
        generation=spec["pool"].get("generation", 0),
        count=spec["pool"].get("resourceSliceCount", 0),
        nodes=_nodes(spec),
        devices=tuple(device_of(each) for each in spec.get("devices") or ()),
        counter_sets=tuple(
            CounterSet(
                each["name"], tuple((name, amount(c["value"])) for name, c in (each.get("counters") or {}).items())
            )
            for each in spec.get("sharedCounters") or ()
        ),
    )


def _nodes(value: Json) -> NodeChoice:
    selector = value.get("nodeSelector")
    terms = (selector or {}).get("nodeSelectorTerms") or ()
    return NodeChoice(
        name=value.get("nodeName") or "",
        all=bool(value.get("allNodes")),
        term=_term(terms[0] if terms else {}) if selector is not None else None,
        by_device=bool(value.get("perDeviceNodeSelection")),
    )


def _term(value: Json) -> NodeTerm:
    return NodeTerm(
        tuple(_requirement(each) for each in value.get("matchExpressions") or ()),
        tuple(_requirement(each) for each in value.get("matchFields") or ()),
    )


def _requirement(value: Json) -> Requirement:
    return Requirement(value["key"], value.get("operator", ""), tuple(value.get("values") or ()))


def device_of(value: Json) -> Device:
    return Device(
        name=value["name"],
        attributes=tuple((name, _attribute(each)) for name, each in sorted((value.get("attributes") or {}).items())),
        capacity=tuple((name, _capacity(each)) for name, each in sorted((value.get("capacity") or {}).items())),
        consumes=tuple(
            CounterUse(
                each["counterSet"],
                tuple((name, amount(counter["value"])) for name, counter in (each.get("counters") or {}).items()),
                tuple(each.get("compatibilityGroups") or ()),
            )
            for each in value.get("consumesCounters") or ()
        ),
        nodes=_nodes(value),
        taints=tuple(
            Taint(each["key"], each.get("value", ""), each.get("effect", "")) for each in value.get("taints") or ()
        ),
        binds_to_node=bool(value.get("bindsToNode")),
        binding_conditions=tuple(value.get("bindingConditions") or ()),
        binding_failure_conditions=tuple(value.get("bindingFailureConditions") or ()),
        shareable=bool(value.get("allowMultipleAllocations")),
    )


def _attribute(value: Json) -> Attribute:
    for kind in _SCALARS:
        if value.get(kind) is not None:
            return Attribute(kind, (value[kind],))
    for name, kind in _LISTS.items():
        if value.get(name) is not None:
            return Attribute(kind, tuple(value[name]), is_list=True)
    return Attribute("", ())


def _capacity(value: Json) -> Capacity:
    policy = value.get("requestPolicy")
    return Capacity(amount(value["value"]), None if policy is None else _policy(policy))


def _policy(value: Json) -> RequestPolicy:
    between = value.get("validRange") or {}

    def at(of: Json, name: str) -> Amount | None:
        return amount(of[name]) if of.get(name) is not None else None

    return RequestPolicy(
        default=at(value, "default"),
        valid=tuple(amount(each) for each in value.get("validValues") or ()),
        least=at(between, "min"),
        most=at(between, "max"),
        step=at(between, "step"),
    )


def _selectors(values: Sequence[Json] | None) -> tuple[str | None, ...]:
    return tuple(each["cel"]["expression"] if each.get("cel") is not None else None for each in values or ())


def _opaque(value: Json) -> OpaqueConfig:
    inner = value.get("opaque") or {}
    return OpaqueConfig(inner.get("driver", ""), json.dumps(inner.get("parameters"), sort_keys=True))


def class_of(value: Json) -> DeviceClass:
    """A DeviceClass."""
    spec = value.get("spec") or {}
    return DeviceClass(
        value["metadata"]["name"],
        _selectors(spec.get("selectors")),
        tuple(_opaque(each) for each in spec.get("config") or ()),
        spec.get("extendedResourceName") or "",
    )


def rule_of(value: Json) -> DeviceTaintRule:
    """A DeviceTaintRule."""
    spec = value.get("spec") or {}
    selector, taint = spec.get("deviceSelector"), spec.get("taint") or {}
    chosen = selector or {}
    return DeviceTaintRule(
        name=value["metadata"]["name"],
        taint=Taint(taint["key"], taint.get("value", ""), taint.get("effect", "")),
        driver=chosen.get("driver") or "",
        pool=chosen.get("pool") or "",
        device=chosen.get("device") or "",
        selects=selector is not None,
    )


# --- claims


def claim_of(value: Json) -> Claim:
    """A ResourceClaim's spec."""
    meta = value["metadata"]
    devices = (value.get("spec") or {}).get("devices") or {}
    return Claim(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        requests=tuple(_request(each) for each in devices.get("requests") or ()),
        constraints=tuple(
            Constraint(
                tuple(each.get("requests") or ()), each.get("matchAttribute", ""), each.get("distinctAttribute", "")
            )
            for each in devices.get("constraints") or ()
        ),
        config=tuple(
            ClaimConfig(tuple(each.get("requests") or ()), _opaque(each)) for each in devices.get("config") or ()
        ),
    )


def _request(value: Json) -> Request:
    name = value["name"]
    if value.get("firstAvailable"):
        return Request(name, tuple(_body(each["name"], each) for each in value["firstAvailable"]), is_list=True)
    return Request(name, (_body(name, value.get("exactly") or {}),))


def _body(name: str, value: Json) -> DeviceRequest:
    return DeviceRequest(
        name=name,
        device_class=value.get("deviceClassName", ""),
        mode=value.get("allocationMode", ""),
        count=value.get("count", 0),
        selectors=_selectors(value.get("selectors")),
        admin=value.get("adminAccess"),
        tolerations=_tolerations(value.get("tolerations")),
        capacity=_amounts((value.get("capacity") or {}).get("requests")),
        derived=tuple((each["name"], each["expression"]) for each in value.get("derivedAttributes") or ()),
    )  # fmt: skip


def _tolerations(values: Sequence[Json] | None) -> tuple[Toleration, ...]:
    return tuple(
        Toleration(
            each.get("key", ""), each.get("operator", ""), each.get("value", ""), each.get("effect", ""),
            each.get("tolerationSeconds"),
        )
        for each in values or ()
    )  # fmt: skip


def claim_of_spec(spec: Json | None) -> Claim:
    """A claim from a ResourceClaimSpec (of a template, say), without namespace and name."""
    return claim_of({"metadata": {"name": ""}, "spec": spec})


def share_of(value: Json) -> Share:
    """A device result that is one share of a device, as an allocated claim's status has it."""
    return Share(DeviceId(value["driver"], value["pool"], value["device"]), _amounts(value.get("consumedCapacity")))


# --- allocations


def allocation_of(value: Json) -> Allocation:
    """An AllocationResult."""
    devices = value.get("devices") or {}
    terms = (value.get("nodeSelector") or {}).get("nodeSelectorTerms") or ()
    return Allocation(
        results=tuple(_result(each) for each in devices.get("results") or ()),
        config=tuple(
            ConfigResult(each.get("source") == "FromClass", tuple(each.get("requests") or ()), _opaque(each))
            for each in devices.get("config") or ()
        ),
        nodes=_term(terms[0]) if terms else None,
    )


def _result(value: Json) -> DeviceResult:
    share_id = value.get("shareID") or ""
    return DeviceResult(
        request=value["request"],
        id=DeviceId(value["driver"], value["pool"], value["device"]),
        admin=value.get("adminAccess"),
        tolerations=_tolerations(value.get("tolerations")),
        share=bool(share_id),
        consumed=_amounts(value.get("consumedCapacity")),
        binding_conditions=tuple(value.get("bindingConditions") or ()),
        binding_failure_conditions=tuple(value.get("bindingFailureConditions") or ()),
        share_id=share_id,
    )


def written(allocation: Allocation, whose: str) -> dict[str, Any]:
    """An AllocationResult to write. Shares without an id get one made of `whose` (that says which claim of which pod of
    which workload, by uid): the same however often it is written."""
    return allocation_object(
        allocation,
        [
            each.share_id or str(uuid5(SHARES, f"{whose}/{number}"))
            for number, each in enumerate(allocation.results)
            if each.share
        ],
    )


def allocation_object(allocation: Allocation, share_ids: Sequence[str]) -> dict[str, Any]:
    """An AllocationResult; `share_ids` are for the results that are shares, in order."""
    ids = iter(share_ids)
    devices: dict[str, Any] = {
        "results": [_result_object(each, next(ids) if each.share else "") for each in allocation.results]
    }
    if allocation.config:
        devices["config"] = [
            {"source": "FromClass" if each.from_class else "FromClaim"}
            | ({"requests": list(each.requests)} if each.requests else {})
            | {"opaque": {"driver": each.config.driver, "parameters": json.loads(each.config.parameters)}}
            for each in allocation.config
        ]
    found: dict[str, Any] = {"devices": devices}
    if allocation.nodes is not None:
        found["nodeSelector"] = {"nodeSelectorTerms": [_term_object(allocation.nodes)]}
    return found


def _result_object(result: DeviceResult, share_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {"request": result.request, **result.id._asdict()}
    if result.admin is not None:
        found["adminAccess"] = result.admin
    if result.tolerations:
        found["tolerations"] = [_toleration_object(each) for each in result.tolerations]
    if share_id:
        found["shareID"] = share_id
    if result.consumed:
        found["consumedCapacity"] = {name: text_of(value) for name, value in result.consumed}
    if result.binding_conditions:
        found["bindingConditions"] = list(result.binding_conditions)
    if result.binding_failure_conditions:
        found["bindingFailureConditions"] = list(result.binding_failure_conditions)
    return found


def _toleration_object(toleration: Toleration) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in (
        ("key", toleration.key), ("operator", toleration.operator), ("value", toleration.value), ("effect", toleration.effect),
    ):  # fmt: skip
        if value:
            found[name] = value
    if toleration.seconds is not None:
        found["tolerationSeconds"] = toleration.seconds
    return found


def _term_object(term: NodeTerm) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, requirements in (("matchExpressions", term.labels), ("matchFields", term.fields)):
        if requirements:
            found[name] = [
                {"key": each.key, "operator": each.operator} | ({"values": list(each.values)} if each.values else {})
                for each in requirements
            ]
    return found
