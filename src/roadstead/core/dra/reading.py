"""Objects of resource.k8s.io/v1 to nouns, and allocations back to objects. Objects are decoded JSON with defaults filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from roadstead.expr.quantity import Quantity, parse
from roadstead.model.dra import (
    Allocation,
    Amount,
    Attribute,
    Capacity,
    Claim,
    ClaimConfig,
    Constraint,
    CounterSet,
    CounterUse,
    Device,
    DeviceClass,
    DeviceId,
    DeviceRequest,
    DeviceResult,
    NodeChoice,
    OpaqueConfig,
    Request,
    RequestPolicy,
    ResourceSlice,
    Share,
)  # fmt: skip
from roadstead.model.selection import NodeTerm, Requirement, Taint, Toleration

Json = Mapping[str, Any]

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
    )


# --- claims


def claim_of(value: Json) -> Claim:
    """A ResourceClaim."""
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
        tolerations=tuple(
            Toleration(
                each.get("key", ""), each.get("operator", ""), each.get("value", ""), each.get("effect", ""),
                each.get("tolerationSeconds"),
            )
            for each in value.get("tolerations") or ()
        ),
        capacity=_amounts((value.get("capacity") or {}).get("requests")),
        derived=tuple((each["name"], each["expression"]) for each in value.get("derivedAttributes") or ()),
    )  # fmt: skip


def share_of(value: Json) -> Share:
    """A device result that is one share of a device, as an allocated claim's status has it."""
    return Share(DeviceId(value["driver"], value["pool"], value["device"]), _amounts(value.get("consumedCapacity")))


# --- allocations


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
