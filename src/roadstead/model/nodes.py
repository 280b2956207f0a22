"""Nodes and the devices on them."""

from __future__ import annotations

import msgspec

from roadstead.model.amounts import ResourceName
from roadstead.model.selection import Taint


class Device(msgspec.Struct, frozen=True):
    """One device. `name` is unique on its node; `index` is the node-local number that drivers count by (what
    CUDA_VISIBLE_DEVICES takes)."""

    name: str
    resource: ResourceName
    index: int
    healthy: bool = True


class Node(msgspec.Struct, frozen=True):
    """A node's facts. A resource with devices listed is handed out by device; its allocatable amount is a further
    bound. `unready_since`: since when it is not ready (nanoseconds since the epoch); 0 if it is, or if nobody says
    since when."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True
    allocatable: tuple[tuple[ResourceName, int], ...] = ()
    devices: tuple[Device, ...] = ()
    unready_since: int = 0
