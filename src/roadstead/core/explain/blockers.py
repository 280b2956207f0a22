"""Who holds what is missing, in the order in which they would be asked to give it back (kueue.md 3.7: candidate ordering).

This is about facts, not about permission: a blocker may be one that no policy lets the waiting workload preempt.
"""

from __future__ import annotations

from typing import Final

from roadstead.core.queueing.standing import PreemptionOrder, Standing
from roadstead.core.quota.table import QueueTable
from roadstead.core.quota.tree import Slot
from roadstead.core.world import World
from roadstead.model.amounts import ResourceName
from roadstead.model.workload import WorkloadKey

SHOWN: Final = 8
"""So many blockers are named at most; the rest follow them anyway."""


def quota_blockers(world: World, table: QueueTable, slot: Slot) -> tuple[WorkloadKey, ...]:
    """Holders of one cell in the queue's cohort tree: leaving ones, then other queues', then its own. At most SHOWN.

    O(queues of the tree that use the cell) the first time after a holder came or went, else O(1).
    """
    return world.cached(("quota", table.name, slot), lambda: _quota_blockers(world, table, slot))


def _quota_blockers(world: World, table: QueueTable, slot: Slot) -> tuple[WorkloadKey, ...]:
    others: list[tuple[PreemptionOrder, Standing]] = []
    for node in table.node.root.queues():
        if node is not table.node and node.usage.get(slot, 0):
            others += _first_holders(world, node.name, slot, SHOWN)
    others.sort()
    first = others[:SHOWN]
    if len(first) < SHOWN:
        first += _first_holders(world, table.name, slot, SHOWN - len(first))
    if any(standing.is_leaving for _, standing in first):
        first.sort(key=lambda item: not item[1].is_leaving)
    return tuple([standing.key for _, standing in first])


def _first_holders(world: World, queue: str, slot: Slot, count: int) -> list[tuple[PreemptionOrder, Standing]]:
    """The first so many holders of a cell in one queue. Orders are all different: they end with the workload's key."""
    found: list[tuple[PreemptionOrder, Standing]] = []
    for item in world.holders.get(queue, ()):
        hold = item[1].hold
        if hold is None:
            continue
        for used, amount in hold.usage:
            if used == slot and amount:
                found.append(item)
                break
        if len(found) == count:
            break
    return found


def fleet_blockers(
    world: World, labels: tuple[tuple[str, str], ...], resource: ResourceName
) -> tuple[WorkloadKey, ...]:
    """Holders of a resource on nodes with these labels, in preemption order, then pods of no queue by name. At most SHOWN.

    O(nodes + holds) the first time after a holder came or went, else O(1).
    """
    return world.cached(("fleet", labels, resource), lambda: _fleet_blockers(world, labels, resource))


def _fleet_blockers(
    world: World, labels: tuple[tuple[str, str], ...], resource: ResourceName
) -> tuple[WorkloadKey, ...]:
    ranked: list[tuple[int, tuple[object, ...], WorkloadKey]] = []
    for holder in world.fleet.holders_of(resource, labels):
        kind, _, name = holder.partition(":")
        namespace, _, rest = name.partition("/")
        key = (namespace, rest)
        standing = world.workloads.get(key) if kind == "workload" else None
        if standing is not None:
            ranked.append((0, (not standing.is_leaving, *standing.preemption_order), key))
        else:
            ranked.append((1, key, key))
    ranked.sort()
    return tuple(key for _, _, key in ranked[:SHOWN])
