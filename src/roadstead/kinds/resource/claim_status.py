"""What became of a claim: the devices it was given, who uses it, what drivers report about them."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final

from roadstead.kinds import errors
from roadstead.kinds.core.scheduling import node_selector
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json
from roadstead.kinds.resource import checks
from roadstead.kinds.resource.binding import validate_binding_conditions
from roadstead.kinds.resource.claim_spec import RequestNames, request_names, validate_reference, validate_references
from roadstead.kinds.resource.selectors import MAX_CONFIGS, validate_config, validate_raw

MAX_RESULTS: Final = 32
MAX_CONSUMERS: Final = 256
MAX_CONDITIONS: Final = 8
MAX_DATA: Final = 10 * 1024
MAX_ADDRESSES: Final = 16
MAX_INTERFACE_NAME: Final = 256
MAX_HARDWARE_ADDRESS: Final = 128
SOURCES: Final = ("FromClaim", "FromClass")

_GATED_RESULTS: Final = ("skipNodeOperations",)

SharedDevice = tuple[str, str, str, str]
"""Driver, pool, device, and the share's id or ""."""


def device_of(value: Json) -> SharedDevice:
    """Which device, or which share of one, a result or a device's status is about."""
    return value.get("driver", ""), value.get("pool", ""), value.get("device", ""), value.get("shareID") or ""


def devices_of(status: Json) -> set[SharedDevice]:
    """What is allocated."""
    return {device_of(result) for result in _results(status)}


def _results(status: Json) -> list[Json]:
    return ((status.get("allocation") or {}).get("devices") or {}).get("results") or []


def prepare_status(status: Json, old: Json) -> None:
    """What a driver reported about devices that are given back goes with them; fields behind gates that are off go,
    too."""
    gone = devices_of(old) - devices_of(status)
    left = [each for each in status.get("devices") or () if device_of(each) not in gone]
    for each in left:
        each.setdefault("conditions", None)  # always written by the real server
    if left:
        status["devices"] = left
    else:
        status.pop("devices", None)
    for result in _results(status):
        for name in _GATED_RESULTS:
            result.pop(name, None)


def wants_admin_access(status: Json) -> int | None:
    """The index of the first result that grants admin access."""
    return next((i for i, result in enumerate(_results(status)) if result.get("adminAccess")), None)


def validate_status(new: Json, old: Json) -> list[FieldError]:
    """A change of a claim's status. `new` and `old` are whole claims."""
    found: list[FieldError] = []
    status: Json = new.get("status") or {}
    before: Json = old.get("status") or {}
    names = request_names(new.get("spec") or {})
    allocated = devices_of(status)

    def reported(value: Json, at: str, into: list[FieldError]) -> None:
        _device_status(value, allocated, at, into)

    consumers = status.get("reservedFor") or []
    checks.distinct(consumers, MAX_CONSUMERS, _consumer, lambda each: each.get("uid", ""), "status.reservedFor", found)
    checks.distinct(status.get("devices"), -1, reported, device_of, "status.devices", found, shown=_shown)
    if consumers and status.get("allocation") is None:
        why = "may not be specified when `allocated` is not set"
        found.append(errors.forbidden("status.reservedFor", why))
    elif consumers and new["metadata"].get("deletionTimestamp"):
        had = before.get("reservedFor") or []
        if any(consumer not in had for consumer in consumers):
            why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            found.append(errors.forbidden("status.reservedFor", why))
    given, was = status.get("allocation"), before.get("allocation")
    if given is not None and was is not None:
        checks.immutable(given, was, "status.allocation", found)
    elif given is not None:
        validate_allocation(given, names, "status.allocation", found)
    return found


def _consumer(consumer: Json, path: str, found: list[FieldError]) -> None:
    for name in ("resource", "name", "uid"):
        if not consumer.get(name):
            found.append(errors.required(f"{path}.{name}"))


def validate_allocation(allocation: Json, names: RequestNames, path: str, found: list[FieldError]) -> None:
    """A new AllocationResult, for a claim with these requests."""
    devices = allocation.get("devices") or {}

    def result(value: Json, at: str, into: list[FieldError]) -> None:
        _result(value, names, at, into)

    def config(value: Json, at: str, into: list[FieldError]) -> None:
        source = value.get("source", "")
        if not source:
            into.append(errors.required(f"{at}.source"))
        elif source not in SOURCES:
            into.append(errors.not_supported(f"{at}.source", source, SOURCES, keep_order=True))
        validate_references(value.get("requests"), names, f"{at}.requests", into)
        validate_config(value, at, into)

    checks.each(devices.get("results"), MAX_RESULTS, result, f"{path}.devices.results", found)
    checks.each(devices.get("config"), 2 * MAX_CONFIGS, config, f"{path}.devices.config", found)
    if allocation.get("nodeSelector") is not None:
        node_selector(allocation["nodeSelector"], f"{path}.nodeSelector", found)


def _result(result: Json, names: RequestNames, path: str, found: list[FieldError]) -> None:
    validate_reference(result.get("request", ""), names, f"{path}.request", found)
    checks.driver_name(result.get("driver", ""), f"{path}.driver", found)
    checks.pool_name(result.get("pool", ""), f"{path}.pool", found)
    checks.label(result.get("device", ""), f"{path}.device", found)
    validate_binding_conditions(result, path, found)
    if result.get("shareID") is not None:
        checks.uuid(result["shareID"], f"{path}.shareID", found)


def _shown(value: Json) -> Json:
    """A device as the real server prints it."""
    return dict(zip(("Driver", "Pool", "Device", "ShareID"), device_of(value), strict=True))


def _device_status(value: Json, allocated: set[SharedDevice], path: str, found: list[FieldError]) -> None:
    checks.driver_name(value.get("driver", ""), f"{path}.driver", found)
    checks.pool_name(value.get("pool", ""), f"{path}.pool", found)
    checks.label(value.get("device", ""), f"{path}.device", found)
    if value.get("shareID") is not None:
        checks.uuid(value["shareID"], f"{path}.shareID", found)
    if device_of(value) not in allocated:
        found.append(invalid(path, _shown(value), "must be an allocated device in the claim"))
    conditions = value.get("conditions") or ()
    if len(conditions) > MAX_CONDITIONS:
        found.append(errors.too_many(f"{path}.conditions", len(conditions), MAX_CONDITIONS))
    checks.conditions(conditions, f"{path}.conditions", found)
    if value.get("data") is not None:
        validate_raw(value["data"], f"{path}.data", MAX_DATA, found)
    network = value.get("networkData")
    if network is not None:
        _network(network, f"{path}.networkData", found)


def _network(network: Json, path: str, found: list[FieldError]) -> None:
    for name, limit in (("interfaceName", MAX_INTERFACE_NAME), ("hardwareAddress", MAX_HARDWARE_ADDRESS)):
        if len(network.get(name, "").encode()) > limit:
            found.append(errors.too_long(f"{path}.{name}", limit))
    checks.distinct(network.get("ips"), MAX_ADDRESSES, _address, checks.itself, f"{path}.ips", found)


def _address(text: Any, path: str, found: list[FieldError]) -> None:
    """An address with the length of its prefix, as Go prints it. Leading zeros of numbers are read, and not
    canonical."""
    plain = re.sub(r"(?<![\w:])0+(?=\d)", "", text) if ":" not in text else text
    try:
        address = ipaddress.ip_interface(plain if "/" in text else "")
    except ValueError:
        why = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        found.append(invalid(path, text, why))
        return
    if str(address) != text:
        found.append(invalid(path, text, f'must be in canonical form ("{address}")'))
