"""What both searches for preemption targets are given, and how they try: take somebody out of the ledgers, look, put
them back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from roadstead.core.queueing.standing import Standing
from roadstead.core.queueing.turns import Usage
from roadstead.core.quota.holds import holder_of
from roadstead.core.quota.table import QueueTable
from roadstead.core.quota.tree import QuotaNode, Slot
from roadstead.core.world import World
from roadstead.model.workload import WorkloadKey

Placeable: TypeAlias = Callable[[], bool]
"""Do nodes and devices suffice in the ledgers as they are right now?"""


class Search:
    """One search for one preemptor: `requests` are cells and amounts it needs, `scarce` the cells in which others must
    give way."""

    def __init__(
        self,
        world: World,
        table: QueueTable,
        preemptor: Standing,
        requests: Mapping[Slot, int],
        scarce: frozenset[Slot],
        placeable: Placeable | None = None,
        barred: Collection[WorkloadKey] = (),
        usage: Usage | None = None,
    ) -> None:
        self.world = world
        self.table = table
        self.preemptor = preemptor
        self.requests = requests
        self.scarce = scarce
        self.placeable = placeable
        self.barred = barred
        self.usage = usage

    def _remove(self, standing: Standing, node: QuotaNode) -> None:
        """Take what it holds in `node`, its queue, out of the ledgers; nodes and devices only where a placement is
        tried. O(cells x depth)."""
        hold = standing.hold
        assert hold is not None
        for slot, amount in hold.usage:
            node.remove(slot, amount)
        if self.placeable is not None and hold.placement is not None:
            self.world.fleet.release(holder_of(standing.key))

    def _restore(self, standing: Standing, node: QuotaNode) -> None:
        """The inverse of `_remove`."""
        hold = standing.hold
        assert hold is not None
        for slot, amount in hold.usage:
            node.add(slot, amount)
        if self.placeable is not None and hold.placement is not None:
            self.world.fleet.hold(holder_of(standing.key), hold.placement)
