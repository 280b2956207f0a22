"""The first of many nodes that fits, without visiting those that cannot.

For every kind of request seen (class, selectors, tolerations) a column counts, per node, the node's own devices that
are selectable and not in use as a whole; it is kept up to date as devices are held and released. A node with fewer than
a request needs cannot fit, whatever else the rules say, so it is passed over. Nodes about which less is certain
(devices that other nodes see too, selectors that fail, pools that are incomplete or invalid) are always visited, so
that the answer is that of a plain scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Allocated, AllocationError, Failed, NoFit, Outcome, Scope
from roadstead.core.dra.selecting import selectable
from roadstead.core.dra.taints import tolerated
from roadstead.model.dra import Claim, DeviceId, DeviceRequest

_Kind = tuple[object, ...]


@dataclass(slots=True)
class _Column:
    """Free devices per node for one kind of request."""

    free: list[int]
    where: dict[DeviceId, int]
    """Selectable devices of one node alone, and its place."""
    uncertain: int = 0
    """Bit set of the nodes that are always visited."""
    enough: dict[int, int] = field(default_factory=dict)
    """Count -> bit set of the nodes with at least so many."""

    def with_at_least(self, count: int) -> int:
        """Bit set of the nodes to visit. O(nodes) the first time a count is asked for, O(1) afterwards."""
        found = self.enough.get(count)
        if found is None:
            found = sum(1 << at for at, free in enumerate(self.free) if free >= count) | self.uncertain
            self.enough[count] = found
        return found

    def change(self, device: DeviceId, by: int) -> None:
        at = self.where.get(device)
        if at is None:
            return
        self.free[at] += by
        if self.uncertain >> at & 1:
            return
        bit = 1 << at
        for count, nodes in self.enough.items():
            if self.free[at] >= count:
                self.enough[count] = nodes | bit
            else:
                self.enough[count] = nodes & ~bit


class Shortlist:
    """Keeps the columns for a list of nodes. Nothing else may be told of the inventory's use than what went through
    `hold`."""

    def __init__(self, inventory: Inventory, nodes: Sequence[NodeFacts]) -> None:
        self.inventory = inventory
        self.nodes = tuple(nodes)
        self.columns: dict[_Kind, _Column] = {}
        self.published = inventory.published
        inventory.watchers.append(self._changed)

    def close(self) -> None:
        """Stop following the inventory."""
        self.inventory.watchers.remove(self._changed)

    def _changed(self, device: DeviceId, in_use: bool) -> None:
        for column in self.columns.values():
            column.change(device, -1 if in_use else 1)

    def first_fit(self, claims: Sequence[Claim], start: int = 0) -> tuple[int, Outcome]:
        """(place of the node, Allocated) for the first node from `start` on that fits, as if each were asked in turn.

        (-1, NoFit), or (-1, Failed) if nothing fits and a pool somewhere is invalid; (place, Failed) where a node's
        answer is fatal. O(requests + nodes visited).
        """
        if self.published != self.inventory.published:
            self.columns.clear()
            self.published = self.inventory.published
        candidates = (self._worth_visiting(claims) >> start) << start
        if not candidates and start < len(self.nodes):
            candidates = 1 << start  # claims that no node could satisfy are refused by whichever is asked
        failed: Failed | None = None
        while candidates:
            lowest = candidates & -candidates
            candidates ^= lowest
            at = lowest.bit_length() - 1
            outcome = allocate(self.inventory, self.nodes[at], claims)
            if isinstance(outcome, Allocated) or (isinstance(outcome, Failed) and outcome.scope is Scope.FATAL):
                return at, outcome
            if isinstance(outcome, Failed):
                failed = failed or outcome
        return -1, failed or NoFit()

    def _worth_visiting(self, claims: Sequence[Claim]) -> int:
        nodes = (1 << len(self.nodes)) - 1
        for claim in claims:
            for request in claim.requests:
                body = request.alternatives[0] if len(request.alternatives) == 1 else None
                if body is not None and body.mode == "ExactCount" and not body.admin:
                    column = self._column(claim, body)
                    if column is not None:
                        nodes &= column.with_at_least(body.count)
        return nodes

    def _column(self, claim: Claim, body: DeviceRequest) -> _Column | None:
        kind = (body.device_class, body.selectors, body.tolerations)
        found = self.columns.get(kind)
        if found is None:
            if body.device_class not in self.inventory.classes:
                return None
            found = self.columns[kind] = _Column([0] * len(self.nodes), {})
            for at in range(len(self.nodes)):
                self._count(found, at, claim, body)
        return found

    def _count(self, column: _Column, at: int, claim: Claim, body: DeviceRequest) -> None:
        inventory, node = self.inventory, self.nodes[at]
        device_class = inventory.classes[body.device_class]
        try:
            view = inventory.view(node)
            certain = all(pool.usable for pool in view.pools)
            for candidate in view.order:
                if not selectable(candidate, node, body.name, body, device_class, inventory.features):
                    continue
                if candidate.slice.nodes.name != node.name:
                    certain = False
                if inventory.features.taints and not tolerated(candidate.device.taints, body.tolerations):
                    continue
                column.where[candidate.id] = at
                column.free[at] += candidate.id not in inventory.usage.whole
        except AllocationError:
            certain = False
        if not certain:
            column.uncertain |= 1 << at
