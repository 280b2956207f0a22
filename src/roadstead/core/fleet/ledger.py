"""One node's line in the ledger: its facts, what its holders use, and what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.fleet.devices import DeviceAllocator
from roadstead.model.amounts import PODS, ResourceName
from roadstead.model.nodes import Node
from roadstead.model.workload import Placement

Holder: TypeAlias = str
"""Who holds amounts and devices: "workload:namespace/name" or "pod:namespace/name"."""

WORKLOAD_PREFIX: Final = "workload:"
PENCIL_PREFIX: Final = "ask:"
"""Holders that exist only while one ask is being answered."""

Requests: TypeAlias = tuple[tuple[ResourceName, int], ...]

UNBOUNDED: Final = 2**31 - 1
"""How many pods fit where nothing bounds them (Kueue counts in int32)."""


@dataclass(slots=True)
class Share:
    """What one holder uses on one node."""

    amounts: dict[ResourceName, int]
    devices: tuple[str, ...]


@lru_cache(maxsize=4096)
def per_pod(requests: Requests) -> Requests:
    """What one pod takes from a node: its requests and one of the node's `pods`. `pods` itself is a reserved key (Kueue
    1.6)."""
    return (*((name, amount) for name, amount in requests if amount > 0 and name != PODS), (PODS, 1))


def shares(placement: Placement) -> dict[str, Share]:
    """What a placement uses on each node. O(members x resources)."""
    found: dict[str, Share] = {}
    for pod_set in placement.pod_sets:
        requests = per_pod(pod_set.requests)
        for member in pod_set.members:
            share = found.get(member.node)
            if share is None:
                found[member.node] = Share(dict(requests), member.devices)
                continue
            for name, amount in requests:
                share.amounts[name] = share.amounts.get(name, 0) + amount
            share.devices += member.devices
    return found


class NodeLine:
    """One node. `node` is None while only holders know its name (they outlive their node's object)."""

    __slots__ = (
        "allocatable",
        "claimed",
        "devices",
        "facts",
        "fixed",
        "free",
        "holders",
        "labels",
        "name",
        "node",
        "used",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.node: Node | None = None
        self.facts = NodeFacts(name)
        self.claimed = 0  # devices of `devices` that claims have
        self.labels: Mapping[str, str] = {}
        self.allocatable: dict[ResourceName, int] = {}
        self.devices = DeviceAllocator()
        self.holders: dict[Holder, Share] = {}
        self.used: dict[ResourceName, int] = {}
        self.fixed: dict[ResourceName, int] = {}  # the part of `used` that pods outside workloads use
        self.free: dict[ResourceName, int] = {}
        """What is left of each allocatable resource; below 0 where more is bound than there is."""

    @property
    def is_blank(self) -> bool:
        return self.node is None and not self.holders and not self.claimed

    def set_node(self, node: Node | None) -> None:
        self.node = node
        self.labels = dict(node.labels) if node else {}
        self.facts = NodeFacts(self.name, node.labels if node else ())
        self.allocatable = dict(node.allocatable) if node else {}
        self.devices.set_devices(node.devices if node else ())
        self.free = {name: total - self.used.get(name, 0) for name, total in self.allocatable.items()}
        self._bound_by_devices()

    def claim(self, device: str, by: int) -> None:
        """A claim has a device that the node lists (1), or no more (-1). It counts as used by workloads: an empty fleet
        has no claims."""
        self.claimed += by
        if by > 0:
            self.devices.take((device,), by_workload=True)
        else:
            self.devices.give((device,), by_workload=True)
        self._bound_by_devices()

    def take(self, holder: Holder, share: Share) -> None:
        """Add a holder. O(resources + devices of the share)."""
        self.holders[holder] = share
        self._charge(share, 1, by_workload=holder.startswith(WORKLOAD_PREFIX))

    def give(self, holder: Holder) -> None:
        share = self.holders.pop(holder)
        self._charge(share, -1, by_workload=holder.startswith(WORKLOAD_PREFIX))

    def _charge(self, share: Share, sign: int, *, by_workload: bool) -> None:
        amounts, used, free = share.amounts, self.used, self.free
        for name, amount in amounts.items():
            now = used.get(name, 0) + sign * amount
            if now:
                used[name] = now
            else:
                used.pop(name, None)
            if name in free:
                free[name] = self.allocatable[name] - now
        if not by_workload:
            fixed = self.fixed
            for name, amount in amounts.items():
                now = fixed.get(name, 0) + sign * amount
                if now:
                    fixed[name] = now
                else:
                    fixed.pop(name, None)
        if share.devices:
            if sign > 0:
                self.devices.take(share.devices, by_workload=by_workload)
            else:
                self.devices.give(share.devices, by_workload=by_workload)
        self._bound_by_devices()

    def _bound_by_devices(self) -> None:
        """Of what is handed out by device no more is left than there are free devices."""
        for name in self.devices.resources:
            total = self.allocatable.get(name)
            if total is not None:
                self.free[name] = min(total - self.used.get(name, 0), self.devices.count_free(name))

    def room(self, *, without_workloads: bool) -> Mapping[ResourceName, int]:
        """What is free, or would be if no workload used anything."""
        if not without_workloads:
            return self.free
        room = {}
        for name, total in self.allocatable.items():
            left = total - self.fixed.get(name, 0)
            if self.devices.lists(name):
                left = min(left, self.devices.count_free(name, without_workloads=True))
            room[name] = left
        return room


def fits(room: Mapping[ResourceName, int], requests: Requests) -> int:
    """How many pods with these requests (`per_pod`) fit into the room. O(resources asked for)."""
    count = UNBOUNDED
    for name, amount in requests:
        k = room.get(name, 0) // amount
        if k < count:
            if k <= 0:
                return 0
            count = k
    return count


def scarcest(room: Mapping[ResourceName, int], requests: Requests) -> ResourceName:
    """The resource that bounds how many pods fit: fewest pods, then name."""
    least, found = UNBOUNDED, PODS
    for name, amount in requests:
        count = room.get(name, 0) // amount
        if count < 0:
            count = 0
        if count < least or (count == least and name < found):
            least, found = count, name
    return found
