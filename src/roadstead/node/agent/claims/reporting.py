"""What a driver reports of a claim's devices once they are prepared: `status.devices` (KEP-4817). Pure.

Of the drivers whose part the agent plays, dranet reports: that the adapter is ready, and its interface
(kubernetes-sigs/dranet `pkg/driver/nri_hooks.go`). In process mode an adapter stays where it is, so it has no address
of the pod's.
"""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import format_time
from roadstead.node.agent.claims.record import PreparedClaim, PreparedDevice
from roadstead.node.agent.hardware import NIC_DRIVER

_READY = (("Ready", "NetworkDeviceReady"), ("NetworkReady", "NetworkReady"))


def has_report(claim: PreparedClaim) -> bool:
    """Is there something to report?"""
    return any(_reports(device) for device in claim.devices)


def report(claim: PreparedClaim, stored: Object, now: int) -> Json | None:
    """The claim to write with what is to be reported; None if it says all of it, or is not the claim that was prepared,
    or what it holds was taken back meanwhile."""
    value = stored.decode()
    status: Json = value.get("status") or {}
    allocated = [
        _key(result) for result in ((status.get("allocation") or {}).get("devices") or {}).get("results") or ()
    ]
    known = {_key(one) for one in status.get("devices") or ()}
    missing = [
        _entry(device, stored.meta.generation, now)
        for device in _once(claim.devices)
        if _reports(device) and _key(device.result) in allocated and _key(device.result) not in known
    ]
    if not missing or stored.meta.uid != claim.uid:
        return None
    status["devices"] = [*(status.get("devices") or ()), *missing]
    return {**value, "status": status}


def _reports(device: PreparedDevice) -> bool:
    return device.driver == NIC_DRIVER and bool(device.physical) and not device.result.get("adminAccess")


def _once(devices: Iterable[PreparedDevice]) -> Iterable[PreparedDevice]:
    """A device that several requests hold is reported once."""
    return {_key(device.result): device for device in devices}.values()


def _key(value: Json) -> tuple[str, str, str, str]:
    return value["driver"], value["pool"], value["device"], value.get("shareID") or ""


def _entry(device: PreparedDevice, generation: int, now: int) -> Json:
    text = format_time(now)
    conditions = []
    for kind, reason in _READY:
        condition: Json = {"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": text}
        if generation:
            condition["observedGeneration"] = generation
        conditions.append(condition)
    entry: Json = {
        "driver": device.driver,
        "pool": device.pool,
        "device": device.name,
        "conditions": conditions,
        "networkData": {
            "interfaceName": device.attributes["dra.net/ifName"]["string"],
            "hardwareAddress": device.attributes["dra.net/mac"]["string"],
        },
    }
    if share := device.result.get("shareID"):
        entry["shareID"] = share
    return entry
