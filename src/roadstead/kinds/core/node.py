"""Node (v1): labels, taints, capacity; its status is written by its agent."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from roadstead.expr import quantity, syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import NODES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column

EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_ROLE_LABEL: Final = "node-role.kubernetes.io/"
_ROLE: Final = "kubernetes.io/role"


class NodeStrategy(StatusStrategy):
    """Nodes."""

    creates_status = True
    field_names = ("spec.unschedulable",)
    columns = (
        Column("Name", format="name"),
        Column("Status"),
        Column("Roles"),
        Column("Age"),
        Column("Version"),
        Column("Internal-IP", priority=1),
        Column("External-IP", priority=1),
        Column("OS-Image", priority=1),
        Column("Kernel-Version", priority=1),
        Column("Container-Runtime", priority=1),
    )

    def default(self, obj: Json) -> None:
        spec = obj["spec"]
        if spec.get("podCIDR") and (spec.get("podCIDRs") or [""])[0] != spec["podCIDR"]:
            spec["podCIDRs"] = [spec["podCIDR"]]
        elif spec.get("podCIDRs") and not spec.get("podCIDR"):
            spec["podCIDR"] = spec["podCIDRs"][0]
        status = obj.get("status") or {}
        capacity = status.get("capacity")
        if capacity and status.get("allocatable") is None:
            status["allocatable"] = dict(capacity)

    def validate(self, obj: Json) -> list[FieldError]:
        spec = obj["spec"]
        found = validate_taints(spec.get("taints"), "spec.taints")
        cidrs = spec.get("podCIDRs") or ()
        for i, cidr in enumerate(cidrs):
            try:
                ipaddress.ip_network(cidr, strict=False)
            except ValueError:
                why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                found.append(errors.invalid(f"spec.podCIDRs[{i}]", cidr, why))
        if len(cidrs) > 2:
            why = "may specify no more than one CIDR for each IP family"
            found.append(errors.invalid("spec.podCIDRs", list(cidrs), why))
        return found + _validate_status(obj.get("status") or {})

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found = self.validate(new)
        before, after = old["spec"], new["spec"]
        for name in ("podCIDRs", "providerID"):
            if before.get(name) and after.get(name) != before[name]:
                title = "podCIDR" if name == "podCIDRs" else name
                why = f'node updates may not change {title} except from "" to valid'
                found.append(errors.forbidden(f"spec.{name}", why))
        return found

    def fields(self, obj: Json) -> dict[str, str]:
        return {"spec.unschedulable": "true" if obj["spec"].get("unschedulable") else "false"}

    def cells(self, obj: Json, now: float) -> list[Any]:
        status = obj.get("status") or {}
        info = status.get("nodeInfo") or {}
        return [
            obj["metadata"]["name"],
            _state(obj),
            ",".join(_roles(obj)) or "<none>",
            ages.created(obj, now),
            info.get("kubeletVersion", ""),
            _address(status, "InternalIP"),
            _address(status, "ExternalIP"),
            info.get("osImage") or "<unknown>",
            info.get("kernelVersion") or "<unknown>",
            info.get("containerRuntimeVersion") or "<unknown>",
        ]


def _validate_status(status: Json) -> list[FieldError]:
    found: list[FieldError] = []
    for name in ("capacity", "allocatable"):
        for resource, amount in (status.get(name) or {}).items():
            path = f"status.{name}[{resource}]"
            found += [errors.invalid(path, resource, why) for why in syntax.qualified_name(resource)]
            if quantity.parse(amount).nano < 0:
                found.append(errors.invalid(path, amount, "must be greater than or equal to 0"))
    seen: set[tuple[str, str]] = set()
    for i, address in enumerate(status.get("addresses") or ()):
        key = (address.get("type", ""), address.get("address", ""))
        if key in seen:
            found.append(errors.duplicate(f"status.addresses[{i}]", {"type": key[0], "address": key[1]}))
        seen.add(key)
    return found


def validate_taints(taints: Any, path: str) -> list[FieldError]:
    """A node's taints: keys, values, effects, and no key twice with one effect."""
    found: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints or ()):
        here = f"{path}[{i}]"
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        found += [errors.invalid(f"{here}.key", key, why) for why in syntax.label_key(key)]
        problems = syntax.label_value(value)
        if problems:
            found.append(errors.invalid(f"{here}.value", value, "; ".join(problems)))
        if not effect:
            found.append(errors.required(f"{here}.effect"))
        elif effect not in EFFECTS:
            found.append(errors.not_supported(f"{here}.effect", effect, EFFECTS, keep_order=True))
        if (key, effect) in seen:
            error = errors.duplicate(here, taint)
            why = "taints must be unique by key and effect pair"
            found.append(FieldError(error.reason, error.field, f"{error.body}: {why}"))
        seen.add((key, effect))
    return found


def _state(obj: Json) -> str:
    """`Ready`, `NotReady` or `Unknown`, with `SchedulingDisabled` if cordoned."""
    states: list[str] = []
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Ready":
            states.append("Ready" if condition["status"] == "True" else "NotReady")
    if not states:
        states.append("Unknown")
    if (obj.get("spec") or {}).get("unschedulable"):
        states.append("SchedulingDisabled")
    return ",".join(states)


def _roles(obj: Json) -> list[str]:
    roles: set[str] = set()
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if key.startswith(_ROLE_LABEL) and len(key) > len(_ROLE_LABEL):
            roles.add(key[len(_ROLE_LABEL) :])
        elif key == _ROLE and value:
            roles.add(value)
    return sorted(roles)


def _address(status: Json, kind: str) -> str:
    found = (address["address"] for address in status.get("addresses") or () if address["type"] == kind)
    return next(found, "<none>")


def kind() -> Kind:
    return builtin_kind(NODES, "Node", NodeStrategy(), namespaced=False, short_names=("no",), subresources=(STATUS,))
