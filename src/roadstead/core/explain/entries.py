"""What is told of an entry that was not admitted: its refusals, the binding one first, with those who hold what is
missing.

Called by `cycle` when it requeues, and by `explain.why`.
"""

from __future__ import annotations

from roadstead.core.entry import Entry
from roadstead.core.explain.blockers import fleet_blockers, quota_blockers
from roadstead.core.explain.ranking import ranked
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.workload import WorkloadKey


def feud_stopped(entry: Entry, barred: tuple[WorkloadKey, ...], rules: Rules) -> Refusal:
    """It may not displace these (any more); goes with what it is short of."""
    return Refusal(
        Code.PREEMPTION_LOOP,
        Verdict.ASK,
        Level.QUEUE,
        needed=rules.feud_turns,
        subject=entry.table.name,
        blockers=barred,
    )


def explained(world: World, entry: Entry) -> tuple[Refusal, ...]:
    """An entry's refusals, the binding one first, with those who hold what is missing."""
    return tuple([_with_blockers(world, entry, refusal) for refusal in ranked(entry.refusals)])


def _with_blockers(world: World, entry: Entry, refusal: Refusal) -> Refusal:
    if refusal.blockers:
        return refusal
    blockers: tuple[WorkloadKey, ...] = ()
    if refusal.code is Code.WAITING_FOR_QUOTA:
        blockers = quota_blockers(world, entry.table, world.tree.slot((refusal.flavor, refusal.resource)))
    elif refusal.code in (Code.NODES_EXHAUSTED, Code.DEVICES_EXHAUSTED, Code.TOPOLOGY_FULL) and refusal.resource:
        labels = (
            next((ps.node_labels for ps in entry.ask.pod_sets if ps.name == refusal.pod_set), ()) if entry.ask else ()
        )
        blockers = fleet_blockers(world, labels, refusal.resource)
    return refusal.blocked_by(blockers) if blockers else refusal
