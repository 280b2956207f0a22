"""What is published and what is in use: the ledger that the allocator reads.

Slices and classes come and go one by one; pools as a node sees them are assembled on demand and kept until a slice
changes that may concern the node. What is in use is counted in `usage`, so an attempt costs nothing for what others
hold.
"""

from __future__ import annotations

from collections.abc import Callable

from roadstead.core.dra.candidates import FactsTable
from roadstead.core.dra.features import Features
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.pools import PoolId, Published, View, gather, view_of
from roadstead.core.dra.usage import Usage
from roadstead.model.dra import Allocation, DeviceClass, DeviceId, ResourceSlice, Share


class Inventory:
    """Mutable; changes take effect for the next attempt."""

    def __init__(self, features: Features) -> None:
        self.features = features
        self.classes: dict[str, DeviceClass] = {}
        self.usage = Usage(shares=features.consumable_capacity, changed=self._tell)
        self.facts = FactsTable()
        self.published = 0
        """Grows with every change of slices or classes."""
        self.watchers: list[Callable[[DeviceId, bool], None]] = []
        """Told of every device that comes into use as a whole (True) or is free again (False)."""
        self._local: dict[str, dict[str, Published]] = {}
        """Node -> slices published for it by name."""
        self._wide: dict[str, Published] = {}
        """All other slices."""
        self._pools: dict[PoolId, dict[str, Published]] = {}
        self._names: dict[str, ResourceSlice] = {}
        self._by_node: dict[NodeFacts, View] = {}

    # --- what is published

    def set_class(self, device_class: DeviceClass) -> None:
        self.classes[device_class.name] = device_class
        self.published += 1

    def remove_class(self, name: str) -> None:
        self.classes.pop(name, None)
        self.published += 1

    def set_slice(self, of: ResourceSlice) -> None:
        """Add a slice or replace the one of its name. O(devices)."""
        self.remove_slice(of.name)
        published = Published(of, self.facts.candidates(of))
        if of.nodes.name:
            self._local.setdefault(of.nodes.name, {})[of.name] = published
        else:
            self._wide[of.name] = published
        self._pools.setdefault((of.driver, of.pool), {})[of.name] = published
        self._names[of.name] = of
        self._forget(of)

    def remove_slice(self, name: str) -> None:
        of = self._names.pop(name, None)
        if of is None:
            return
        if of.nodes.name:
            self._local[of.nodes.name].pop(name)
        else:
            self._wide.pop(name)
        self._pools[of.driver, of.pool].pop(name)
        self._forget(of)

    def _forget(self, of: ResourceSlice) -> None:
        """Pools of other nodes may have looked at this slice too, to see whether they are complete."""
        self.published += 1
        self._by_node.clear()

    def view(self, node: NodeFacts) -> View:
        """The pools of a node, in the order of the search. AllocationError if a node selector cannot be parsed.
        O(slices for the node) after a change."""
        found = self._by_node.get(node)
        if found is None:
            local = self._local.get(node.name, {})
            relevant = [*local.values(), *self._wide.values()]
            whole = {key: list(slices.values()) for key, slices in self._whole_pools(relevant).items()}
            found = self._by_node[node] = view_of(gather(relevant, whole, node, self.features))
        return found

    def _whole_pools(self, relevant: list[Published]) -> dict[PoolId, dict[str, Published]]:
        keys = {(each.slice.driver, each.slice.pool) for each in relevant}
        return {key: self._pools[key] for key in keys}

    # --- what is in use

    def hold(self, allocation: Allocation) -> None:
        """Count an allocation's devices as in use; those with admin access are not. O(results)."""
        self.usage.hold(allocation)

    def release(self, allocation: Allocation) -> None:
        """Undo `hold`."""
        self.usage.release(allocation)

    def hold_device(self, key: DeviceId) -> None:
        """A whole device is in use."""
        self.usage.hold_device(key)

    def hold_share(self, share: Share) -> None:
        """A share of a device is in use. Without consumable capacity that is the whole device."""
        self.usage.hold_share(share)

    def _tell(self, device: DeviceId, in_use: bool) -> None:
        for watcher in self.watchers:
            watcher(device, in_use)
