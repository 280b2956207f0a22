"""ResourceSlices of one node, and what to write so that the server's are them. Pure.

One pool per driver, named like the node. Semantics are those of upstream's publishing helper (kubernetes
`dynamic-resource-allocation/resourceslice/resourceslicecontroller.go`): a slice's name begins with its index, so slices
sorted by name keep the order of devices; the generation stays the same only if nothing has to be created and at most
one slice differs, else it grows by one and every slice is written; what is too much is deleted first, then slices are
updated, then created. In between, readers see a pool that is incomplete and give out nothing of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from roadstead.expr.quantity import normalize
from roadstead.kinds.names import NODES, RESOURCE_SLICES, SLICES_LABEL
from roadstead.kinds.object import Json, Object
from roadstead.node.agent.hardware import LOST_TAINTS, Device, Hardware
from roadstead.runtime.cluster import Create, Delete, Update, Write

MOST_DEVICES: Final = 128
"""Of one slice; half of it if a device has taints or consumes counters (kubernetes `ResourceSliceMaxDevices`)."""
MOST_COUNTER_SETS: Final = 8

_QUANTITIES: Final = ("value", "default", "min", "max", "step")


def contents(hardware: Hardware, lost: Collection[str] = ()) -> dict[str, list[Json]]:
    """By driver: what each slice of its pool holds (`devices` or `sharedCounters`), in order. `lost`: things of the
    machine (physical names) that are not healthy."""
    found: dict[str, list[Json]] = {}
    for driver in hardware.drivers:
        devices = [_offered(device, lost) for device in hardware.of(driver)]
        sets = _sets(hardware, driver)
        chunks = [sets[at : at + MOST_COUNTER_SETS] for at in range(0, len(sets), MOST_COUNTER_SETS)]
        is_heavy = any(one.get("taints") or one.get("consumesCounters") for one in devices)
        most = MOST_DEVICES // 2 if is_heavy else MOST_DEVICES
        found[driver] = [{"sharedCounters": chunk} for chunk in chunks]
        found[driver] += [{"devices": devices[at : at + most]} for at in range(0, len(devices), most)]
    return found


def _sets(hardware: Hardware, driver: str) -> Sequence[Json]:
    used = {
        use["counterSet"] for device in hardware.of(driver) for use in device.published.get("consumesCounters") or ()
    }
    return [one for one in hardware.counter_sets if one["name"] in used]


def _offered(device: Device, lost: Collection[str]) -> Json:
    if device.physical not in lost:
        return device.published
    return {**device.published, "taints": [{"key": LOST_TAINTS[device.driver], "effect": "NoSchedule"}]}


def writes(node: Object, hardware: Hardware, lost: Collection[str], stored: Iterable[Object]) -> list[list[Write]]:
    """What to write, in stages: each only after the one before. `stored`: this node's slices as the server has them
    (those with SLICES_LABEL); those of a driver that the node has no more go, too."""
    by_driver: dict[str, list[tuple[Object, Json]]] = {}
    for obj in sorted(stored, key=lambda each: each.meta.name):
        value = obj.decode()
        by_driver.setdefault(value["spec"]["driver"], []).append((obj, value))
    wanted = contents(hardware, lost)
    deletes: list[Write] = []
    updates: list[Write] = []
    creates: list[Write] = []
    for driver, known in by_driver.items():
        if driver not in wanted:
            deletes += [_delete(obj) for obj, _ in known]
    for driver, holdings in wanted.items():
        pool = _Pool(node, driver, holdings, by_driver.get(driver, ()))
        deletes += pool.deletes
        updates += pool.updates
        creates += pool.creates
    return [stage for stage in (deletes, updates, creates) if stage]


def _delete(obj: Object) -> Write:
    return Delete(obj.ref, obj.meta.uid)


def slice_name(index: int, driver: str, node: str) -> str:
    return f"{index:02x}-{driver}-{node}"


class _Pool:
    """What one pool needs."""

    def __init__(
        self, node: Object, driver: str, holdings: Sequence[Json], stored: Iterable[tuple[Object, Json]]
    ) -> None:
        self.deletes: list[Write] = []
        self.updates: list[Write] = []
        self.creates: list[Write] = []
        self._node, self._driver = node, driver
        found = {obj.meta.name: (obj, value) for obj, value in stored}
        generation = max((value["spec"]["pool"]["generation"] for _, value in found.values()), default=1)
        names = [slice_name(index, driver, node.meta.name) for index in range(len(holdings))]
        surplus = [obj for name, (obj, _) in found.items() if name not in names]
        self.deletes = [_delete(obj) for obj in surplus]
        for obj in surplus:
            del found[obj.meta.name]
        specs = [self._spec(holding, generation, len(names)) for holding in holdings]
        different = [
            name for name, spec in zip(names, specs, strict=True) if name in found and self._differs(spec, found[name])
        ]
        missing = [name for name in names if name not in found]
        if not missing and len(different) <= 1:
            changed = set(different)
        else:
            changed = set(names)
            if found or surplus:
                specs = [self._spec(holding, generation + 1, len(names)) for holding in holdings]
        for name, spec in zip(names, specs, strict=True):
            if name not in changed:
                continue
            if name in found:
                self.updates.append(Update(RESOURCE_SLICES, self._object(spec, found[name][1])))
            else:
                self.creates.append(Create(RESOURCE_SLICES, self._object(spec, {"metadata": {"name": name}})))

    def _spec(self, holding: Json, generation: int, count: int) -> Json:
        pool = {"name": self._node.meta.name, "generation": generation, "resourceSliceCount": count}
        return {"driver": self._driver, "nodeName": self._node.meta.name, "pool": pool, **holding}

    def _differs(self, spec: Json, stored: tuple[Object, Json]) -> bool:
        obj, value = stored
        return not says_the_same(spec, value["spec"]) or not any(
            owner.uid == self._node.meta.uid for owner in obj.meta.owner_references
        )

    def _object(self, spec: Json, old: Json) -> Json:
        owner = {
            "apiVersion": NODES.api_version,
            "kind": "Node",
            "name": self._node.meta.name,
            "uid": self._node.meta.uid,
            "controller": True,
        }
        labels = {**(old["metadata"].get("labels") or {}), SLICES_LABEL: self._node.meta.name}
        return {
            "apiVersion": RESOURCE_SLICES.api_version,
            "kind": "ResourceSlice",
            "metadata": {**old["metadata"], "labels": labels, "ownerReferences": [owner]},
            "spec": _with_times(spec, old.get("spec") or {}),
        }


def _with_times(spec: Json, old: Json) -> Json:
    """A taint that was there before keeps the time since when it is."""
    before = {
        (device["name"], taint["key"], taint["effect"]): taint.get("timeAdded")
        for device in old.get("devices") or ()
        for taint in device.get("taints") or ()
    }
    if not before or "devices" not in spec:
        return spec
    devices = []
    for device in spec["devices"]:
        taints = [
            {**taint, "timeAdded": since}
            if (since := before.get((device["name"], taint["key"], taint["effect"])))
            else taint
            for taint in device.get("taints") or ()
        ]
        devices.append({**device, "taints": taints} if taints else device)
    return {**spec, "devices": devices}


def says_the_same(one: Any, other: Any) -> bool:
    """Do both mean the same? Amounts by value, times of taints apart."""
    return bool(_bare(one) == _bare(other))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = ((key, item) for key, item in value.items() if key != "timeAdded")
        return {
            key: normalize(item) if key in _QUANTITIES and isinstance(item, str) else _bare(item)
            for key, item in pairs
            if item is not None and item != [] and item != {}
        }
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value
