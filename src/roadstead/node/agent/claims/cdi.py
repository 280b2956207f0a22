"""Container Device Interface: what drivers prepared on this machine for a container that gets one of their devices.

Specs are files in /etc/cdi and /var/run/cdi (CNCF `container-device-interface`, SPEC.md): a kind (`vendor/class`) and
devices, each with edits. In process mode a container is a process, so of the edits are carried out: environment
variables; mounts, in tiers that can mount; device nodes, as far as they exist on the machine and the user may open
them. Hooks are not run, and nothing is created.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from roadstead.kinds.object import Json
from roadstead.kinds.yaml_text import read_first
from roadstead.node.agent.problems import unsupported

DIRECTORIES: Final = (Path("/etc/cdi"), Path("/var/run/cdi"))
"""A device in a later one is meant instead of one of the same name in an earlier one."""
_NEWEST_MAJOR: Final = 1


class DeviceNode(msgspec.Struct, frozen=True, rename="camel"):
    path: str
    host_path: str = ""
    permissions: str = ""
    """Of r, w, m."""

    @property
    def source(self) -> str:
        return self.host_path or self.path


class Mount(msgspec.Struct, frozen=True, rename="camel"):
    host_path: str
    container_path: str
    options: tuple[str, ...] | None = None


class Edits(msgspec.Struct, frozen=True, rename="camel"):
    env: tuple[str, ...] | None = None
    device_nodes: tuple[DeviceNode, ...] | None = None
    mounts: tuple[Mount, ...] | None = None
    hooks: tuple[Any, ...] | None = None


class _Device(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    container_edits: Edits = Edits()


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    cdi_version: str
    kind: str
    devices: tuple[_Device, ...] = ()
    container_edits: Edits = Edits()


@dataclass(frozen=True, slots=True)
class _Known:
    path: Path
    rank: int
    edits: tuple[Edits, ...]


@dataclass(frozen=True, slots=True)
class Registry:
    """All devices of the specs of a machine by qualified name (`vendor/class=device`), and what was wrong with some
    specs."""

    devices: Mapping[str, _Known] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def find(self, driver: str, device: str, claim_uid: str) -> list[str]:
        """What a DRA driver prepared for a device of a claim, as drivers name it: kind `k8s.<driver>/<class>`, or
        `<driver>/<class>`, and device `<uid of the claim>-<device>` (made for the claim) or `<device>` (there is one
        for all)."""
        kinds = (f"k8s.{driver}/", f"{driver}/")
        wanted = (f"{claim_uid}-{device}", device)
        return sorted(name for name in self.devices if name.startswith(kinds) and name.partition("=")[2] in wanted)

    def edits(self, names: Iterable[str]) -> list[Edits]:
        """In order. CannotStart if a device is not there any more."""
        found: list[Edits] = []
        for name in names:
            known = self.devices.get(name)
            if known is None:
                raise unsupported(f"CDI device {name} is not there any more: its driver must prepare it again")
            found += [one for one in known.edits if one not in found]
        return found


def load(directories: Sequence[Path] = DIRECTORIES) -> Registry:
    """Read all specs. One that cannot be read, or two of one rank that name the same device, cost only their own
    devices."""
    devices: dict[str, _Known] = {}
    problems: list[str] = []
    ambiguous: set[str] = set()
    for rank, directory in enumerate(directories):
        for path in sorted(_spec_files(directory)):
            try:
                spec = _read(path)
            except (OSError, ValueError) as error:
                problems.append(f"{path}: {error}")
                continue
            for device in spec.devices:
                name = f"{spec.kind}={device.name}"
                other = devices.get(name)
                if other is not None and other.rank == rank:
                    problems.append(f"{name} is in {other.path} and in {path}: neither is used")
                    ambiguous.add(name)
                elif other is not None:
                    ambiguous.discard(name)
                devices[name] = _Known(path, rank, (spec.container_edits, device.container_edits))
    for name in ambiguous:
        del devices[name]
    return Registry(devices, tuple(problems))


def _spec_files(directory: Path) -> list[Path]:
    try:
        return [directory / name for name in os.listdir(directory) if name.endswith((".json", ".yaml", ".yml"))]
    except OSError:
        return []


def _read(path: Path) -> _Spec:
    """ValueError says what is wrong."""
    raw = path.read_bytes()
    if path.suffix == ".json":
        value = orjson.loads(raw)
    else:
        value = read_first(raw)
    spec = msgspec.convert(value, _Spec)
    major = spec.cdi_version.removeprefix("v").partition(".")[0]
    if not major.isdigit() or int(major) > _NEWEST_MAJOR:
        raise ValueError(f"cdiVersion {spec.cdi_version!r} is newer than what is understood ({_NEWEST_MAJOR}.x)")
    if "/" not in spec.kind:
        raise ValueError(f"kind {spec.kind!r} is not vendor/class")
    return spec


# --- carrying edits out


def variables(edits: Iterable[Edits]) -> dict[str, str]:
    """Later ones win."""
    found: dict[str, str] = {}
    for one in edits:
        for text in one.env or ():
            name, _, value = text.partition("=")
            found[name] = value
    return found


def binds(edits: Iterable[Edits]) -> list[Json]:
    """Mounts, and device nodes that are wanted elsewhere than they are."""
    found: list[Json] = []
    for one in edits:
        for mount in one.mounts or ():
            read_only = "ro" in (mount.options or ())
            if read_only or os.path.normpath(mount.host_path) != os.path.normpath(mount.container_path):
                found.append({"source": mount.host_path, "target": mount.container_path, "read_only": read_only})
        for node in one.device_nodes or ():
            if os.path.normpath(node.source) != os.path.normpath(node.path):
                found.append({"source": node.source, "target": node.path, "read_only": False})
    return found


def check_nodes(edits: Iterable[Edits]) -> None:
    """CannotStart if a device node does not exist, or this user may not open it as the spec wants."""
    for one in edits:
        for node in one.device_nodes or ():
            if not os.path.exists(node.source):
                raise unsupported(
                    f"device node {node.source} does not exist on this machine: load the device's kernel driver"
                )
            wanted = node.permissions or "rw"
            mode = (os.R_OK if "r" in wanted else 0) | (os.W_OK if "w" in wanted else 0)
            if not os.access(node.source, mode):
                raise unsupported(
                    f"device node {node.source} may not be opened ({wanted}) by user {os.geteuid()}, as whom pods run here: "
                    "add the user to its group"
                )


def left_out(edits: Iterable[Edits], *, mounts: bool) -> str:
    """What of the edits is not carried out; "" if all is. `mounts`: this node can mount."""
    edits = list(edits)
    parts = []
    hooks = sum(len(one.hooks or ()) for one in edits)
    if hooks:
        parts.append(f"{hooks} CDI hooks are not run")
    if not mounts and (missing := binds(edits)):
        parts.append("not mounted: " + ", ".join(f"{one['source']} at {one['target']}" for one in missing))
    return "; ".join(parts)
