"""The devices of one node: which are free, and who took the others. The only place that picks devices."""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.model.amounts import ResourceName
from roadstead.model.nodes import Device


class DeviceAllocator:
    """Hands out exact counts of healthy free devices, lowest index first, never one twice.

    What is already bound is recorded whatever it says: a device that two holders name, one that turned unhealthy, or
    one that the node no longer lists stays taken until its last holder lets go. Counts are kept, so `count_free` is
    O(1) and `pick` O(devices of the resource).
    """

    __slots__ = ("_free", "_pools", "_resource_of", "_taken", "_taken_by_pods", "_unheld")

    def __init__(self) -> None:
        self._pools: dict[ResourceName, tuple[str, ...]] = {}  # healthy, lowest index first
        self._resource_of: dict[str, ResourceName] = {}  # of the healthy ones
        self._taken: dict[str, int] = {}  # device -> holders
        self._taken_by_pods: dict[str, int] = {}  # ... of them not workloads
        self._free: dict[ResourceName, int] = {}
        self._unheld: dict[ResourceName, int] = {}  # not held by pods: free if no workload used anything

    def set_devices(self, devices: Iterable[Device]) -> None:
        """The node's inventory, replacing the old one. Resources keep an entry even when none of their devices is
        healthy.

        A name listed twice counts once (the lowest index wins): one device can't be handed out twice.
        """
        pools: dict[ResourceName, list[str]] = {}
        seen: set[str] = set()
        for device in sorted(devices, key=lambda each: (each.index, each.name, each.resource)):
            pool = pools.setdefault(device.resource, [])
            if device.healthy and device.name not in seen:
                pool.append(device.name)
            seen.add(device.name)
        self._pools = {resource: tuple(pool) for resource, pool in pools.items()}
        self._resource_of = {name: resource for resource, pool in self._pools.items() for name in pool}
        self._free = {res: sum(name not in self._taken for name in pool) for res, pool in self._pools.items()}
        self._unheld = {res: sum(name not in self._taken_by_pods for name in pool) for res, pool in self._pools.items()}

    def lists(self, resource: ResourceName) -> bool:
        """True if the node lists devices for this resource, so that it is handed out by device."""
        return resource in self._pools

    @property
    def resources(self) -> Iterable[ResourceName]:
        return self._pools.keys()

    def count_free(self, resource: ResourceName, *, without_workloads: bool = False) -> int:
        """Healthy devices that nobody holds (`without_workloads`: that no pod outside a workload holds)."""
        return (self._unheld if without_workloads else self._free).get(resource, 0)

    def pick(self, resource: ResourceName, count: int, *, without_workloads: bool = False) -> tuple[str, ...]:
        """The `count` healthy free devices with the lowest indices; fewer if there are fewer. Takes nothing."""
        taken = self._taken_by_pods if without_workloads else self._taken
        found: list[str] = []
        for name in self._pools.get(resource, ()):
            if len(found) == count:
                break
            if name not in taken:
                found.append(name)
        return tuple(found)

    def are_free(self, names: Iterable[str], *, without_workloads: bool = False) -> bool:
        """True if each of these devices is healthy and free."""
        taken = self._taken_by_pods if without_workloads else self._taken
        return all(name in self._resource_of and name not in taken for name in names)

    def take(self, names: Iterable[str], *, by_workload: bool) -> None:
        """Record that a holder has these devices."""
        for name in names:
            self._add(self._taken, self._free, name)
            if not by_workload:
                self._add(self._taken_by_pods, self._unheld, name)

    def give(self, names: Iterable[str], *, by_workload: bool) -> None:
        """Take back one `take` with the same arguments."""
        for name in names:
            self._drop(self._taken, self._free, name)
            if not by_workload:
                self._drop(self._taken_by_pods, self._unheld, name)

    def _add(self, taken: dict[str, int], free: dict[ResourceName, int], name: str) -> None:
        before = taken.get(name, 0)
        taken[name] = before + 1
        resource = self._resource_of.get(name)
        if not before and resource is not None:
            free[resource] -= 1

    def _drop(self, taken: dict[str, int], free: dict[ResourceName, int], name: str) -> None:
        left = taken[name] - 1
        if left:
            taken[name] = left
            return
        del taken[name]
        resource = self._resource_of.get(name)
        if resource is not None:
            free[resource] += 1
