"""ResourceSlice (resource.k8s.io/v1): some of the devices that a driver offers, in one pool, for one node or for
many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core.scheduling import node_selector
from roadstead.kinds.errors import FieldError, go_quote, invalid
from roadstead.kinds.names import RESOURCE_SLICES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.resource import checks
from roadstead.kinds.resource.device import LISTS, validate_counters, validate_device
from roadstead.kinds.strategy import Column, Strategy

MAX_DEVICES: Final = 128
MAX_ADVANCED_DEVICES: Final = 64
"""In slices with taints, counters or lists."""
MAX_COUNTER_SETS: Final = 8
_WHERE: Final = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_TRUE: Final = "must be either unset or set to true"


class ResourceSliceStrategy(Strategy):
    """Slices: driver, pool and node stay; devices come and go. When a taint was added is the server's to say
    (`cluster.embedded.plugins.devices`)."""

    has_generation = True
    field_names = ("spec.nodeName", "spec.driver", "spec.pool.name")
    columns = (
        Column("Name", format="name"),
        Column("Node"),
        Column("Driver"),
        Column("Pool"),
        Column("Age"),
    )

    def default(self, obj: Json) -> None:
        """An amount that is not given is none."""
        for device in _devices(obj["spec"]):
            for amount in (device.get("capacity") or {}).values():
                amount.setdefault("value", "0")
        for holder in (*_consumptions(obj["spec"]), *(obj["spec"].get("sharedCounters") or ())):
            for amount in (holder.get("counters") or {}).values():
                amount.setdefault("value", "0")

    def prepare_create(self, obj: Json) -> None:
        _drop_gated(obj["spec"], None)

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        _drop_gated(new["spec"], old["spec"])

    def validate(self, obj: Json) -> list[FieldError]:
        return _validate(obj["spec"], None)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        return _validate(new["spec"], old["spec"])

    def warnings(self, obj: Json) -> list[str]:
        driver = obj["spec"].get("driver", "")
        if driver == driver.lower():
            return []
        said = go_quote(driver)
        return [f"spec.driver: driver names should be lowercase; {said} contains uppercase characters"]

    def fields(self, obj: Json) -> dict[str, str]:
        spec = obj["spec"]
        return {
            "spec.nodeName": spec.get("nodeName") or "",
            "spec.driver": spec.get("driver", ""),
            "spec.pool.name": (spec.get("pool") or {}).get("name", ""),
        }

    def cells(self, obj: Json, now: float) -> list[Any]:
        spec = obj["spec"]
        node, driver = spec.get("nodeName") or "", spec.get("driver", "")
        return [obj["metadata"]["name"], node, driver, spec["pool"].get("name", ""), ages.created(obj, now)]


def _drop_gated(spec: Json, old: Json | None) -> None:
    """Fields behind gates that are off are dropped, each unless the stored object has it (DRAListTypeAttributes,
    DRANodeAllocatableResources, DRADeviceCompatibilityGroups, DRAOptionalNodeOperations,
    DRAPartitionableDevicesType)."""
    for name in ("partitionTypeAttribute", "skipNodeOperations"):
        if old is None or name not in old:
            spec.pop(name, None)
    if not _uses(old, "nodeAllocatableResources"):
        for device in _devices(spec):
            device.pop("nodeAllocatableResources", None)
    if old is None or not any("compatibilityGroups" in each for each in _consumptions(old)):
        for each in _consumptions(spec):
            each.pop("compatibilityGroups", None)
    if old is None or not _has_lists(old):
        for device in _devices(spec):
            for attribute in (device.get("attributes") or {}).values():
                for name in LISTS:
                    attribute.pop(name, None)


def _uses(spec: Json | None, name: str) -> bool:
    return spec is not None and any(device.get(name) for device in _devices(spec))


def _devices(spec: Json) -> list[Json]:
    found: list[Json] = spec.get("devices") or []
    return found


def _consumptions(spec: Json) -> Iterator[Json]:
    for device in _devices(spec):
        yield from device.get("consumesCounters") or ()


def _has_lists(spec: Json) -> bool:
    return any(
        attribute.get(name) is not None
        for device in _devices(spec)
        for attribute in (device.get("attributes") or {}).values()
        for name in LISTS
    )


def _validate(spec: Json, old: Json | None) -> list[FieldError]:
    found: list[FieldError] = []
    checks.driver_name(spec.get("driver", ""), "spec.driver", found)
    _pool(spec["pool"], "spec.pool", found)
    if old is not None:
        checks.immutable(spec["pool"].get("name", ""), old["pool"].get("name", ""), "spec.pool.name", found)
        checks.immutable(spec.get("driver", ""), old.get("driver", ""), "spec.driver", found)
        checks.immutable(spec.get("nodeName"), old.get("nodeName"), "spec.nodeName", found)
    _nodes(spec, found)
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        found.append(invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    advanced = _uses(spec, "taints") or _uses(spec, "consumesCounters") or _has_lists(spec)
    before = {} if old is None else {device.get("name", ""): device for device in _devices(old)}
    chooses = bool(spec.get("perDeviceNodeSelection"))

    def device(value: Json, at: str, into: list[FieldError]) -> None:
        validate_device(value, before.get(value.get("name", "")), chooses, at, into)

    limit = MAX_ADVANCED_DEVICES if advanced else MAX_DEVICES
    checks.distinct(spec.get("devices"), limit, device, checks.the_name, "spec.devices", found)
    sets = spec.get("sharedCounters")
    checks.distinct(sets, MAX_COUNTER_SETS, _counter_set, checks.the_name, "spec.sharedCounters", found)
    return found


def _pool(pool: Json, path: str, found: list[FieldError]) -> None:
    checks.pool_name(pool.get("name", ""), f"{path}.name", found)
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if count <= 0:
        found.append(invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        found.append(invalid(f"{path}.generation", generation, "must be greater than or equal to zero"))


def _nodes(spec: Json, found: list[FieldError]) -> None:
    given = []
    name = spec.get("nodeName")
    if name:
        given.append("`nodeName`")
        found.extend(invalid("spec.nodeName", name, why) for why in syntax.dns_subdomain(name))
    elif name is not None:
        found.append(invalid("spec.nodeName", name, "must be either unset or set to a non-empty string"))
    selector = spec.get("nodeSelector")
    if selector is not None:
        given.append("`nodeSelector`")
        node_selector(selector, "spec.nodeSelector", found)
        terms = selector.get("nodeSelectorTerms") or []
        if len(terms) != 1:
            why = "must have exactly one node selector term"
            found.append(invalid("spec.nodeSelector.nodeSelectorTerms", [_shown(term) for term in terms], why))
    for field in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(field):
            given.append(f"`{field}`")
        elif spec.get(field) is not None:
            found.append(invalid(f"spec.{field}", False, _TRUE))
    if not given:
        found.append(errors.required("spec", _WHERE))
    elif len(given) > 1:
        found.append(invalid("spec", "{" + ", ".join(given) + "}", f"{_WHERE}, but multiple fields are set"))


def _shown(term: Json) -> Json:
    """A term as Go prints it."""
    return {
        shown: [{"Key": each["key"], "Operator": each["operator"], "Values": each.get("values")} for each in term[name]]
        if term.get(name)
        else None
        for name, shown in (("matchExpressions", "MatchExpressions"), ("matchFields", "MatchFields"))
    }


def _counter_set(value: Json, path: str, found: list[FieldError]) -> None:
    validate_counters(value, "name", path, found)


def kind() -> Kind:
    return builtin_kind(RESOURCE_SLICES, "ResourceSlice", ResourceSliceStrategy(), namespaced=False)
