"""Whose turn it is in a ClusterQueue: by priority and time, or among its LocalQueues by what they used lately (kueue.md
3.2, 3.11)."""

from __future__ import annotations

from collections.abc import Callable

from roadstead.core.fairness.usage import local_usage
from roadstead.core.queueing.pending import PendingQueue
from roadstead.core.queueing.standing import HeapOrder, Standing
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.queues import ClusterQueue
from roadstead.model.workload import WorkloadKey

Usage = Callable[[Standing], float]


def usage_order(world: World, queue: ClusterQueue, rules: Rules) -> Usage | None:
    """What the LocalQueue of each workload used, where the ClusterQueue goes by that; None where it does not."""
    sharing = rules.admission_sharing
    if sharing is None or not queue.usage_based:
        return None
    known: dict[WorkloadKey, float] = {}

    def usage(standing: Standing) -> float:
        key = (standing.fact.namespace, standing.fact.queue)
        if key not in known:
            local = world.local_queue(*key)
            known[key] = local_usage(local, world.penalties, sharing) if local is not None else 0.0
        return known[key]

    return usage


def head_of(world: World, pending: PendingQueue, queue: ClusterQueue, rules: Rules) -> Standing | None:
    """The workload whose turn it is. O(1) amortised; O(classes that wait) where usage decides."""
    usage = usage_order(world, queue, rules)
    if usage is None:
        return pending.head()
    return min(pending.heads(), key=_order(pending, usage), default=None)


def in_order(world: World, pending: PendingQueue, queue: ClusterQueue, rules: Rules) -> list[Standing]:
    """Active workloads in the order of their turns. O(n log n): for explanations and reports."""
    usage = usage_order(world, queue, rules)
    found = pending.ordered()
    return found if usage is None else sorted(found, key=_order(pending, usage))


def everyone(world: World, pending: PendingQueue, queue: ClusterQueue, rules: Rules) -> list[Standing]:
    """All that wait, active and parked, in the order of their turns if all were tried (Kueue KEP-168). O(n log n)."""
    usage = usage_order(world, queue, rules)
    found = pending.everyone()
    return found if usage is None else sorted(found, key=_order(pending, usage))


def _order(pending: PendingQueue, usage: Usage) -> Callable[[Standing], tuple[float, bool, HeapOrder]]:
    return lambda standing: (usage(standing), not pending.is_sticky(standing), standing.heap_order)
