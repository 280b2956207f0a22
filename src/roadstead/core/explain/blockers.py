"""Who holds what is missing, in the order in which they would be asked to give it back (kueue.md 3.7: candidate
ordering).

This is about facts, not about permission: a blocker may be one that no policy lets the waiting workload preempt.
"""

from __future__ import annotations

from typing import NamedTuple

from roadstead.core.queueing.standing import PreemptionOrder, Standing
from roadstead.core.quota.holds import FIRST
from roadstead.core.quota.table import QueueTable
from roadstead.core.quota.tree import QuotaNode, Slot
from roadstead.core.world import World
from roadstead.model.amounts import ResourceName
from roadstead.model.workload import WorkloadKey


def quota_blockers(world: World, table: QueueTable, slot: Slot) -> tuple[WorkloadKey, ...]:
    """Holders of one cell in the queue's cohort tree: leaving ones, then other queues', then its own. At most FIRST.

    O(FIRST), and O(queues of the tree that use the cell) the first time after a holder came or went.
    """
    root = table.node.root
    of_tree = world.cached(("quota", root.name, root.is_queue, slot), lambda: _first_of_each(world, root, slot))
    first: list[Standing] = []
    for _, standing, node in of_tree.ranked:
        if node is not table.node:
            first.append(standing)
            if len(first) == FIRST:
                break
    else:
        first += [standing for _, standing in world.holds.first(table.name, slot)[: FIRST - len(first)]]
    if of_tree.some_are_leaving:
        first.sort(key=lambda standing: not standing.is_leaving)
    return tuple([standing.key for standing in first])


class _First(NamedTuple):
    """Holders of one cell in preemption order, complete up to FIRST of any one queue."""

    ranked: list[tuple[PreemptionOrder, Standing, QuotaNode]]
    some_are_leaving: bool


def _first_of_each(world: World, root: QuotaNode, slot: Slot) -> _First:
    """Orders are all different: they end with the workload's key."""
    ranked = sorted(
        [
            (order, standing, node)
            for node in root.queues()
            if node.usage.get(slot, 0)
            for order, standing in world.holds.first(node.name, slot)
        ]
    )
    return _First(ranked, any(standing.is_leaving for _, standing, _ in ranked))


def fleet_blockers(
    world: World, labels: tuple[tuple[str, str], ...], resource: ResourceName
) -> tuple[WorkloadKey, ...]:
    """Holders of a resource on nodes with these labels, in preemption order, then pods of no queue by name. At most
    FIRST.

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
    return tuple(key for _, _, key in ranked[:FIRST])
