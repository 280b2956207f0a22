"""What was prepared for a pod, as it lies in the pod's directory: who comes back after a crash knows it whatever became
of the API's objects meanwhile (kubelet: the `dra_manager_state` checkpoint)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from roadstead.kinds.object import Json
from roadstead.node.agent.occupancy import Use
from roadstead.node.keeper import runs
from roadstead.node.keeper.runs import RunError

FILE: Final = "claims.json"


class PreparedDevice(msgspec.Struct, frozen=True):
    """One result of an allocation. `physical`, `part` and `visible` are `hardware.Device`'s; of a device that is not
    this node's own they are empty, and `cdi` names what its driver prepared."""

    result: Json
    """As the claim's status has it."""
    physical: str = ""
    part: str = ""
    visible: str = ""
    attributes: Json = {}
    cdi: tuple[str, ...] = ()

    @property
    def request(self) -> str:
        """The request that it is for, without the alternative that was chosen."""
        name: str = self.result["request"]
        return name.partition("/")[0]

    @property
    def driver(self) -> str:
        return str(self.result["driver"])

    @property
    def name(self) -> str:
        return str(self.result["device"])

    @property
    def pool(self) -> str:
        return str(self.result["pool"])


class PreparedClaim(msgspec.Struct, frozen=True):
    """`entry`: what the pod calls it; "" for the claim that stands for extended resources."""

    entry: str
    namespace: str
    name: str
    uid: str
    from_template: bool
    devices: tuple[PreparedDevice, ...] = ()
    config: tuple[Json, ...] = ()
    """As the allocation has it: what comes later wins."""

    def uses(self) -> Iterator[Use]:
        """What of the machine nobody else may use meanwhile. Who only looks on (adminAccess) keeps nobody out."""
        for device in self.devices:
            if device.physical and not device.result.get("adminAccess"):
                part = device.part or device.result.get("shareID") or ""
                yield Use(device.physical, part, self.uid)


Prepared = tuple[PreparedClaim, ...]


def uses(prepared: Prepared) -> frozenset[Use]:
    return frozenset(use for claim in prepared for use in claim.uses())


def read(directory: Path) -> Prepared | None:
    """What was prepared for the pod of this directory; None if nothing was yet, or the record is not readable."""
    try:
        value = runs.read_json(os.fspath(directory / FILE))
    except RunError:
        return None
    if value is None:
        return None
    try:
        found: Prepared = msgspec.convert(value.get("claims"), Prepared)
    except msgspec.ValidationError:
        return None
    return found


def write(directory: Path, prepared: Prepared) -> None:
    """Whole or not at all. OSError."""
    claims: list[Any] = [msgspec.to_builtins(claim) for claim in prepared]
    runs.replace_json(os.fspath(directory / FILE), {"format": runs.FORMAT, "claims": claims})
