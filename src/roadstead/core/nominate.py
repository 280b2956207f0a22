"""Nominate one head: flavors, nodes and devices, and victims, against the world as it stands (steps 3 of a Kueue
cycle).

Changes nothing that it does not restore. Called by `cycle` for each head and by `explain.why` for one workload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.core.entry import Entry, Outcome
from roadstead.core.flavors.assign import Allowed, assign, effective_counts
from roadstead.core.flavors.assignment import Assignment, Mode
from roadstead.core.flavors.partial import search_counts
from roadstead.core.fleet.ask import Ask, Found, PodSetAsk
from roadstead.core.memory import Tried
from roadstead.core.preemption.choose import find_targets, may_preempt_while_borrowing, possibility
from roadstead.core.preemption.classic import Target
from roadstead.core.queueing.standing import Standing
from roadstead.core.quota.table import QueueTable
from roadstead.core.quota.tree import Slot
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.selection import Toleration
from roadstead.model.workload import TopologyRequest, Workload


def nominate(world: World, table: QueueTable, standing: Standing, rules: Rules, *, afresh: bool = False) -> Entry:
    """What this head would get if it were alone in the cycle. `afresh`: scan flavors from the first one, whatever was
    tried."""
    entry = Entry(standing, table)
    fact = standing.fact
    if fact.failed_checks:
        entry.refusals.append(Refusal(Code.CHECKS_FAILED, Verdict.WAIT, Level.WORKLOAD, subject=fact.failed_checks))
        return entry
    if not world.namespace_matches(table.fact, fact.namespace):
        entry.outcome = Outcome.NAMESPACE_MISMATCH
        entry.refusals.append(Refusal(Code.NAMESPACE_MISMATCH, Verdict.ASK, Level.QUEUE, subject=table.name))
        return entry
    unfit = _unfit_for_a_pod(fact)
    if unfit:
        entry.refusals.extend(unfit)
        return entry
    evaluate(world, entry, rules, tried=None if afresh else _valid_scan(world, table, standing))
    return entry


def _unfit_for_a_pod(fact: Workload) -> list[Refusal]:
    """Why the API server would take no such pods (kueue.md 3.4, step 3)."""
    found = [
        Refusal(
            Code.OUT_OF_LIMIT_RANGE, Verdict.CHANGE, Level.WORKLOAD, ps.name, resource=each.resource, needed=each.asked,
            limit=each.bound, subject=each.where,
        )
        for ps in fact.pod_sets
        for each in ps.pod.out_of_range
    ]  # fmt: skip
    return found + [
        Refusal(Code.REQUESTS_ABOVE_LIMITS, Verdict.CHANGE, Level.WORKLOAD, ps.name, resource=name)
        for ps in fact.pod_sets
        for name in ps.pod.limits_exceeded
    ]


def evaluate(
    world: World, entry: Entry, rules: Rules, *, tried: Tried | None = None, allowed: Sequence[Allowed] | None = None
) -> None:
    """Assignment and targets for the full size, else for the largest smaller size that works (kueue.md 2.11)."""
    assignment, ask, targets = _try_size(world, entry, rules, None, tried, allowed)
    full = (assignment, ask, targets)
    if (
        assignment.mode is not Mode.FIT
        and not targets
        and any(ps.min_count is not None and ps.min_count < ps.count for ps in entry.standing.fact.pod_sets)
    ):
        found: dict[tuple[int, ...], tuple[Assignment, Ask | None, list[Target]]] = {}

        def works(counts: tuple[int, ...]) -> bool:
            found[counts] = result = _try_size(world, entry, rules, counts, tried, allowed)
            return result[0].mode is Mode.FIT or (result[0].mode is Mode.PREEMPT and bool(result[2]))

        smaller = search_counts(entry.standing.fact.pod_sets, effective_counts(entry.standing), works)
        if smaller is not None:
            full = found[smaller]
    entry.assignment, entry.ask, entry.targets = full
    entry.found = entry.assignment.found


def _try_size(
    world: World,
    entry: Entry,
    rules: Rules,
    counts: Sequence[int] | None,
    tried: Tried | None,
    allowed: Sequence[Allowed] | None,
) -> tuple[Assignment, Ask | None, list[Target]]:
    table, standing = entry.table, entry.standing
    oracle = _Preemption(world, table, standing, rules)
    assignment = assign(world, table, standing, oracle, counts, allowed, tried, rules.resources)
    ask = None
    if assignment.mode is not Mode.NO_FIT:
        ask = ask_for(world, table, assignment, rules)
        if ask is not None:
            _consult_fleet(world, assignment, ask)
    targets = _victims(world, entry, assignment, ask, rules) if assignment.mode is Mode.PREEMPT else []
    return assignment, ask, targets


@dataclass(slots=True)
class _Preemption:
    """What flavor assignment asks about preemption on behalf of one workload (`assign.Oracle`)."""

    world: World
    table: QueueTable
    standing: Standing
    rules: Rules

    def simulate(self, slot: Slot, amount: int) -> tuple[Mode, int]:
        return possibility(self.world, self.table, self.standing, slot, amount, self.rules)

    @property
    def while_borrowing(self) -> bool:
        return may_preempt_while_borrowing(self.table, self.rules)


def _victims(world: World, entry: Entry, assignment: Assignment, ask: Ask | None, rules: Rules) -> list[Target]:
    """Who would have to go so that the whole assignment fits, in quota and on nodes."""
    placeable = None
    if ask is not None:
        question = ask

        def can_be_placed() -> bool:
            return world.fleet.can_place(question)

        placeable = can_be_placed
    scarce = assignment.preempting_slots
    return find_targets(world, entry.table, entry.standing, assignment.usage, scarce, rules, placeable)


def _valid_scan(world: World, table: QueueTable, standing: Standing) -> Tried | None:
    """What is remembered of the last scan, unless quota may have become free since (kueue.md 3.5.5)."""
    tried = standing.tried
    if tried is None or tried.shape != standing.shape or len(tried.pod_sets) != len(standing.fact.pod_sets):
        return None
    if table.node.root.generation > tried.generation:
        return None
    return tried


def ask_for(world: World, table: QueueTable, assignment: Assignment, rules: Rules) -> Ask | None:
    """The question for the Fleet: every pod set, or only those on flavors with a topology; None if there are none."""
    if not rules.place_all and not table.has_topology:
        return None
    asks: list[PodSetAsk] = []
    for choice in assignment.pod_sets:
        if not choice.count:
            continue
        labels: dict[str, str] = {}
        tolerations: list[Toleration] = []
        levels: tuple[str, ...] = ()
        for name in dict.fromkeys(taken.flavor for taken in choice.choices.values()):
            flavor = world.flavor(name)
            if flavor is None:
                continue
            labels.update(flavor.node_labels)
            tolerations.extend(flavor.tolerations)
            topology = world.topology(flavor.topology) if flavor.topology else None
            if topology is not None:
                levels = topology.levels
        if not levels and not rules.place_all:
            continue
        request = choice.pod_set.topology
        if levels and request is None:
            request = TopologyRequest(unconstrained=True)
        pod = PodSetAsk(
            choice.pod_set.name, choice.count, choice.pod_set.pod, tuple(sorted(labels.items())), tuple(tolerations),
            request=request,
        )  # fmt: skip
        asks.append(pod if not levels else _with_levels(pod, levels))
    return Ask(tuple(asks), exact=rules.place_all) if asks else None


def _with_levels(ask: PodSetAsk, levels: tuple[str, ...]) -> PodSetAsk:
    return PodSetAsk(ask.name, ask.count, ask.pod, ask.node_labels, ask.tolerations, levels, ask.request)


def _consult_fleet(world: World, assignment: Assignment, ask: Ask) -> None:
    """kueue.md 3.5.4: a place now, else somebody has to go, else it can never be placed."""
    refusal: Refusal | None = None
    if assignment.mode is Mode.FIT:
        answer = world.fleet.place(ask)
        if isinstance(answer, Found):
            assignment.found = answer
            return
        refusal = answer
    empty = world.fleet.could_ever_place(ask)
    names = {pod_set.name for pod_set in ask.pod_sets}
    if isinstance(empty, Found) or world.fleet.waits_for_pods_outside(ask, empty):
        assignment.refuse(refusal, hopeless=False, pod_sets=names)
    else:
        assignment.refuse(empty, hopeless=True, pod_sets=names)
