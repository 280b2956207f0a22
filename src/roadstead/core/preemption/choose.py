"""The search that the rules ask for, classic or fair; and the question whether preemption would help in one cell."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.core.flavors.assignment import Mode
from roadstead.core.preemption.classic import ClassicSearch, Target, nobody_may_be_asked
from roadstead.core.preemption.fair import FairSearch
from roadstead.core.preemption.search import Placeable
from roadstead.core.queueing.standing import Standing
from roadstead.core.queueing.turns import usage_order
from roadstead.core.quota.table import QueueTable
from roadstead.core.quota.tree import Slot
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.queues import PreemptionPolicy


def find_targets(
    world: World,
    table: QueueTable,
    preemptor: Standing,
    requests: Mapping[Slot, int],
    scarce: frozenset[Slot],
    rules: Rules,
    placeable: Placeable | None = None,
) -> list[Target]:
    """Who would have to go so that all `requests` fit (and can be placed); empty if nothing helps. Restores what it
    tries."""
    policies = table.fact.preemption
    if (
        policies.within_cluster_queue is PreemptionPolicy.NEVER
        and policies.reclaim_within_cohort is PreemptionPolicy.NEVER
    ):
        return []
    if not rules.fair_sharing and nobody_may_be_asked(world, table, preemptor, scarce):
        return []
    barred = world.feuds.barred(preemptor.key, rules.feud_turns)
    usage = usage_order(world, table.fact, rules)
    if rules.fair_sharing:
        return FairSearch(
            world, table, preemptor, requests, scarce, placeable, rules.fair_sharing, barred, usage
        ).targets()
    return ClassicSearch(world, table, preemptor, requests, scarce, placeable, barred, usage).targets()


def may_preempt_while_borrowing(table: QueueTable, rules: Rules) -> bool:
    """May preemption be tried although the queue would still borrow afterwards (kueue.md 3.5.2, step 4)?"""
    reclaims = table.fact.preemption.reclaim_within_cohort is not PreemptionPolicy.NEVER
    return table.can_preempt_while_borrowing or (bool(rules.fair_sharing) and reclaims)


def possibility(
    world: World, table: QueueTable, preemptor: Standing, slot: Slot, amount: int, rules: Rules
) -> tuple[Mode, int]:
    """Would preemption make room for `amount` in this one cell: how, and at which borrowing level (kueue.md 3.5.2)."""
    targets = find_targets(world, table, preemptor, {slot: amount}, frozenset((slot,)), rules)
    if not targets:
        return Mode.NO_CANDIDATES, table.node.lowest_fit(slot, amount)[0]
    nodes = []
    for target in targets:
        hold = target.standing.hold
        assert hold is not None
        nodes.append((world.tree.queue(hold.admission.cluster_queue), hold.usage))
    for node, usage in nodes:
        for used, units in usage:
            node.remove(used, units)
    level = table.node.lowest_fit(slot, amount)[0]
    for node, usage in nodes:
        for used, units in usage:
            node.add(used, units)
    own = any(node is table.node for node, _ in nodes)
    return (Mode.PREEMPT if own else Mode.RECLAIM), level
