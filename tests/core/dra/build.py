"""Short ways to write inventories and claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.features import Features
from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Allocated, Failed, Outcome
from roadstead.ingest.dra import amount, claim_of, class_of, slice_of
from roadstead.model.dra import Claim, DeviceId

DRIVER = "d"
NODE = NodeFacts("n")
CLASS = {"metadata": {"name": "gpu"}, "spec": {"selectors": [{"cel": {"expression": 'device.driver == "d"'}}]}}

Json = dict[str, Any]


def device(name: str, **fields: Any) -> Json:
    """A device; attributes given by keyword `attributes` as plain Python values."""
    attributes = fields.pop("attributes", {})
    return {"name": name, "attributes": {key: _attribute(value) for key, value in attributes.items()}, **fields}


def _attribute(value: object) -> Json:
    if isinstance(value, list):
        return {f"{_kind(value[0])}s": value}
    return {_kind(value): value}


def _kind(value: object) -> str:
    return "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "string"


def pool(
    *devices: Json,
    name: str = "n",
    slice_name: str = "",
    driver: str = DRIVER,
    generation: int = 1,
    count: int = 1,
    **spec: Any,
) -> Json:
    """A slice of a pool; for node `n` unless the spec says for which."""
    if not {"allNodes", "nodeSelector", "perDeviceNodeSelection", "nodeName"} & set(spec):
        spec["nodeName"] = "n"
    where = {"name": name, "generation": generation, "resourceSliceCount": count}
    devices_of = {"devices": list(devices)} if devices else {}
    return {
        "metadata": {"name": slice_name or f"{name}-slice"},
        "spec": {"driver": driver, "pool": where, **devices_of, **spec},
    }


def inventory(*slices: Json, features: Features | None = None, busy: Sequence[str] = (), **classes: Json) -> Inventory:
    """An inventory with class `gpu` (of driver `d`); `busy` devices are in use as a whole, as `pool/device`."""
    found = Inventory(features or Features())
    found.set_class(class_of(CLASS))
    for name, spec in classes.items():
        found.set_class(class_of({"metadata": {"name": name}, "spec": spec}))
    for each in slices:
        found.set_slice(slice_of(each))
    for text in busy:
        where, _, name = text.rpartition("/")
        found.hold_device(DeviceId(DRIVER, where, name))
    return found


def exactly(name: str = "r", count: int = 1, cel: Sequence[str] = (), **fields: Any) -> Json:
    """A request for so many devices of class `gpu`."""
    body: Json = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": count, **fields}
    if body["allocationMode"] == "All":
        del body["count"]
    if cel:
        body["selectors"] = [{"cel": {"expression": each}} for each in cel]
    return {"name": name, "exactly": body}


def first_available(name: str, *bodies: Json) -> Json:
    """A request with alternatives, each written as `exactly`."""
    return {"name": name, "firstAvailable": [{"name": each["name"], **each["exactly"]} for each in bodies]}


def claim(*requests: Json, name: str = "c", **devices: Any) -> Claim:
    return claim_of(
        {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"devices": {"requests": list(requests), **devices}},
        }
    )


def answer(of: Inventory, *claims: Claim, node: NodeFacts = NODE) -> str:
    """The answer in short: `r=gpu-0 r=gpu-1`, claims apart by ` | `; `no fit`; or `fatal: kind` and `node: kind`."""
    return brief(allocate(of, node, claims))


def brief(outcome: Outcome) -> str:
    if isinstance(outcome, Allocated):
        return " | ".join(
            " ".join(f"{result.request}={result.id.device}" for result in each.results) for each in outcome.allocations
        )
    if isinstance(outcome, Failed):
        return f"{outcome.scope.value}: {outcome.kind}"
    return "no fit"


def nano(values: Mapping[str, str]) -> dict[str, int]:
    """Quantities as nano-units."""
    return {name: amount(text).nano for name, text in values.items()}
