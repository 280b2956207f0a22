"""What would become of work that does not exist yet: put into the world on a trial, decided until nothing new comes,
and read off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from roadstead.core.explain.changes import MAX_CYCLES
from roadstead.core.explain.explanation import NOTHING_IN_THE_WAY, Explanation, explain
from roadstead.core.explain.lifting import vacate
from roadstead.core.plan import Admit, BindPod, Evict, Plan
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World, key_of
from roadstead.model.facts import Fact
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.workload import Pod, Workload, WorkloadKey


class Outlook(StrEnum):
    """What would happen to it, in one word."""

    STARTS = "Starts"  # now
    PREEMPTS = "Preempts"  # it waits until others, who are asked to go, have left
    WAITS = "Waits"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of one newcomer.

    `command`: how it would start: now (STARTS), or once `victims` have left (PREEMPTS; None if even then it would not).
    `victims`: who would be asked to go for it, with Kueue's reason. `explanation`: why it would wait.
    """

    key: WorkloadKey
    uid: str
    outlook: Outlook
    command: Admit | BindPod | None = None
    victims: tuple[tuple[WorkloadKey, str], ...] = ()
    explanation: Explanation = NOTHING_IN_THE_WAY


def foresee(world: World, facts: Sequence[Fact], now: int, rules: Rules) -> tuple[Foreseen, ...]:
    """What would become of these newcomers (workloads, and pods of no queue), in their order, if they came all at once.

    Other facts among them (a queue, a node) are taken as given too. The world is left as found: memory, facts and
    digest. Costs what deciding about them costs, at most MAX_CYCLES cycles, and `explain` for each that would wait.
    """
    newcomers = [fact for fact in facts if isinstance(fact, Workload | Pod)]
    with world.trial():
        for fact in facts:
            world.apply(fact)
        plans = decide(world, now, rules, max_cycles=MAX_CYCLES).plans
        starts = _starts(world, plans)
        victims = _victims(plans)
        found = [_foreseen(world, fact, starts, victims, now, rules) for fact in newcomers]
        if any(each.outlook is Outlook.PREEMPTS for each in found):
            later = _once_they_left(world, [key for each in found for key, _ in each.victims], now, rules)
            found = [
                replace(each, command=later.get(each.uid)) if each.outlook is Outlook.PREEMPTS else each
                for each in found
            ]
        return tuple(found)


def _starts(world: World, plans: Sequence[Plan]) -> dict[str, Admit | BindPod]:
    """uid -> the last start of everyone who still holds its place in the end."""
    starts: dict[str, Admit | BindPod] = {}
    for plan in plans:
        for command in plan.commands:
            match command:
                case Admit():
                    standing = world.workloads.get(command.workload)
                    if standing is not None and standing.hold is not None and not standing.is_leaving:
                        starts[command.uid] = command
                case BindPod():
                    starts[command.uid] = command
                case Evict():
                    pass
    return starts


def _victims(plans: Sequence[Plan]) -> dict[str, tuple[tuple[WorkloadKey, str], ...]]:
    """uid of a preemptor -> who was asked to go for it."""
    victims: dict[str, tuple[tuple[WorkloadKey, str], ...]] = {}
    for plan in plans:
        for command in plan.commands:
            if isinstance(command, Evict) and command.preemptor_uid:
                before = victims.get(command.preemptor_uid, ())
                victims[command.preemptor_uid] = (*before, (command.workload, command.preemption_reason))
    return victims


def _foreseen(
    world: World,
    fact: Workload | Pod,
    starts: dict[str, Admit | BindPod],
    victims: dict[str, tuple[tuple[WorkloadKey, str], ...]],
    now: int,
    rules: Rules,
) -> Foreseen:
    key = key_of(fact)
    start = starts.get(fact.uid)
    if start is not None:
        return Foreseen(key, fact.uid, Outlook.STARTS, start)
    explanation = explain(world, key, now, rules)
    standing = world.workloads.get(key)
    if not explanation.refusals and standing is not None and standing.evicting is not None:
        preemptor = standing.evicting.preemptor
        gone = Refusal(
            Code.OVERTAKEN_IN_CYCLE, Verdict.WAIT, Level.COHORT, subject=standing.cluster_queue,
            blockers=(preemptor,) if preemptor else (),
        )  # fmt: skip
        explanation = Explanation((gone,))  # it would start, and have to go again at once
    asked = victims.get(fact.uid, ())
    return Foreseen(key, fact.uid, Outlook.PREEMPTS if asked else Outlook.WAITS, None, asked, explanation)


def _once_they_left(world: World, gone: Sequence[WorkloadKey], now: int, rules: Rules) -> dict[str, Admit | BindPod]:
    """uid -> what starts after these have left and are queued again."""
    with world.trial():
        for key in gone:
            vacate(world, key, queued_again=True)
        return _starts(world, decide(world, now, rules, max_cycles=MAX_CYCLES).plans)
