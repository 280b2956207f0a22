"""Placement (roadstead.dev/v1alpha1): where each member of a workload's pod sets runs, in one object, written once.

The index in `members` is the member's index. The spec never changes: a new decision is a new Placement.
"""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import errors
from roadstead.kinds.custom import CustomStrategy
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import PLACEMENTS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.resource.claim_status import SharedDevice, device_of
from roadstead.kinds.schema import OBJECT_META, Schema

Allocation = dict[str, Any]
"""An AllocationResult of resource.k8s.io/v1."""

COMPONENT: Final = "dev.roadstead.v1alpha1.Placement"

_DNS_LABEL: Final = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_QUANTITY: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)

SCHEMA: Final[Json] = {
    "description": "Placement says where each member of a workload's pod sets runs and which devices it holds.",
    "type": "object",
    "required": ["spec"],
    "properties": {
        "apiVersion": {"type": "string", "description": "The version of this object's schema."},
        "kind": {"type": "string", "description": "The kind of this object: Placement."},
        "metadata": {"ref": OBJECT_META},
        "spec": {
            "description": "The decision. Immutable.",
            "type": "object",
            "required": ["podSets", "workload"],
            "properties": {
                "workload": {
                    "description": "The Workload, in the same namespace, that is placed.",
                    "type": "object",
                    "required": ["name", "uid"],
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "maxLength": 253, "description": "Its name."},
                        "uid": {"type": "string", "minLength": 1, "maxLength": 128, "description": "Its UID."},
                    },
                },
                "podSets": {
                    "description": "One entry per pod set of the Workload.",
                    "type": "array",
                    "maxItems": 18,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["members", "name"],
                        "properties": {
                            "name": {
                                "description": "The pod set's name.",
                                "type": "string",
                                "minLength": 1,
                                "maxLength": 63,
                                "pattern": _DNS_LABEL,
                            },
                            "requests": {
                                "description": "What each member holds on its node, per resource.",
                                "type": "object",
                                "additionalProperties": {
                                    "x-kubernetes-int-or-string": True,
                                    "anyOf": [{"type": "integer"}, {"type": "string"}],
                                    "pattern": _QUANTITY,
                                },
                            },
                            "members": {
                                "description": "Member i of the pod set is entry i.",
                                "type": "array",
                                "maxItems": 100000,
                                "x-kubernetes-list-type": "atomic",
                                "items": {
                                    "type": "object",
                                    "required": ["node"],
                                    "properties": {
                                        "node": {
                                            "description": "The node it runs on.",
                                            "type": "string",
                                            "minLength": 1,
                                            "maxLength": 253,
                                            "pattern": _DNS_SUBDOMAIN,
                                        },
                                        "devices": {
                                            "description": "Names of the node's devices that it holds alone.",
                                            "type": "array",
                                            "maxItems": 1024,
                                            "x-kubernetes-list-type": "set",
                                            "items": {"type": "string", "minLength": 1, "maxLength": 253},
                                        },
                                        "claims": {
                                            "description": "What each of its pod's resource claims is given.",
                                            "type": "array",
                                            "maxItems": 64,
                                            "x-kubernetes-list-type": "map",
                                            "x-kubernetes-list-map-keys": ["name"],
                                            "items": {
                                                "type": "object",
                                                "required": ["allocation", "name"],
                                                "properties": {
                                                    "name": {
                                                        "description": "The claim's name in spec.resourceClaims of the pod.",
                                                        "type": "string",
                                                        "minLength": 1,
                                                        "maxLength": 63,
                                                        "pattern": _DNS_LABEL,
                                                    },
                                                    "allocation": {
                                                        "description": "An AllocationResult of resource.k8s.io/v1.",
                                                        "type": "object",
                                                        "x-kubernetes-preserve-unknown-fields": True,
                                                    },
                                                },
                                            },
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
    "x-kubernetes-group-version-kind": [
        {"group": PLACEMENTS.group, "version": PLACEMENTS.version, "kind": "Placement"},
    ],
}

_PRINTED: Final[Json] = {
    "subresources": {},
    "selectable": [],
    "columns": [
        {"name": "Workload", "type": "string", "jsonPath": ".spec.workload.name"},
        {"name": "Nodes", "type": "string", "jsonPath": ".spec.podSets[0].members[0].node"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
}


class PlacementStrategy(CustomStrategy):
    """A device is given once; the spec never changes."""

    def rules(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        holders: set[tuple[str, str]] = set()
        given: dict[SharedDevice, Allocation] = {}
        for i, pod_set in enumerate(obj["spec"]["podSets"]):
            for j, member in enumerate(pod_set["members"]):
                for k, device in enumerate(member.get("devices", ())):
                    if (member["node"], device) in holders:
                        path = f"spec.podSets[{i}].members[{j}].devices[{k}]"
                        why = f'node "{member["node"]}" gives device "{device}" to another member already'
                        found.append(errors.invalid(path, device, why))
                    holders.add((member["node"], device))
                for k, claim in enumerate(member.get("claims", ())):
                    path = f"spec.podSets[{i}].members[{j}].claims[{k}].allocation"
                    _validate_allocation(claim["allocation"], given, path, found)
        return found

    def update_rules(self, new: Json, old: Json) -> list[FieldError]:
        if new["spec"] == old["spec"]:
            return []
        return [errors.forbidden("spec", "a placement does not change; delete it and create another")]


def _validate_allocation(
    allocation: Allocation, given: dict[SharedDevice, Allocation], path: str, found: list[FieldError]
) -> None:
    """A device, or a share of one, is given once, unless it is looked at (admin access) or its claim is shared: then
    all who share it have the very same allocation."""
    for i, result in enumerate((allocation.get("devices") or {}).get("results") or ()):
        device = device_of(result)
        if result.get("adminAccess"):
            continue
        if given.setdefault(device, allocation) != allocation:
            shown = "/".join(part for part in device if part)
            why = "it is given to another member's claim already"
            found.append(errors.invalid(f"{path}.devices.results[{i}]", shown, why))


def kind() -> Kind:
    schema = Schema(PLACEMENTS, "Placement", SCHEMA, component=COMPONENT, is_custom=True)
    return Kind(
        resource=PLACEMENTS,
        kind="Placement",
        singular="placement",
        namespaced=True,
        schema=schema,
        strategy=PlacementStrategy(schema, _PRINTED),
        short_names=("pl",),
        is_custom=True,
    )
