"""Workloads that displace one another for ever: noticed, stopped, told; and nobody else is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.dump import dump, load, memory_digest
from roadstead.core.explain.why import why
from roadstead.core.plan import Admit, Evict
from roadstead.core.preemption.fair import FINAL_SHARE, INITIAL_SHARE
from roadstead.core.preemption.feuds import Feuds
from roadstead.core.rules import Rules
from roadstead.core.settle import MAX_IDLE_CYCLES
from roadstead.core.undo import UndoLog
from roadstead.core.world import World
from roadstead.model.queues import ClusterQueue, Cohort
from roadstead.model.refusals import Code
from roadstead.model.workload import Workload, WorkloadKey, WorkloadState
from roadstead.testing.conformance import records
from roadstead.testing.conformance.kueue import NeverSettles, Player
from tests.core.build import world
from tests.core.test_laws import nodes, workloads

LOOPS = list(records(Path(__file__).parents[2] / "data" / "kueue" / "loops.jsonl.gz"))
A, B, C = (("ns", name) for name in "abc")


def feuds(*displacements: tuple[WorkloadKey, WorkloadKey]) -> Feuds:
    """Each preemptor got in afterwards."""
    made = Feuds(UndoLog())
    for preemptor, victim in displacements:
        made.count(preemptor, victim)
        made.got_in(preemptor)
    return made


@pytest.mark.parametrize(
    ("story", "happened", "turns", "barred"),
    [
        ("nothing happened", [], 1, set()),
        ("priority alone: no circle, however often", [(A, B)] * 9, 3, set()),
        ("the victim may not strike back, with one turn", [(A, B)], 1, {A}),
        ("with two turns it may, once more", [(A, B), (B, A), (A, B)], 2, set()),
        ("and then no more", [(A, B), (B, A)] * 2, 2, {A}),
        ("a circle of three", [(B, C), (C, A), (A, B)] * 2, 2, {C}),
        ("a circle through one that struck once only", [(B, C), (C, A), (A, B), (B, C), (A, B)], 2, set()),
        ("0: for ever", [(A, B), (B, A)] * 9, 0, set()),
    ],
)
def test_whom_b_may_not_displace(
    story: str, happened: list[tuple[WorkloadKey, WorkloadKey]], turns: int, barred: set[WorkloadKey]
) -> None:
    assert feuds(*happened).barred(B, turns) == barred, story


def test_displacing_in_vain_ends_too_and_getting_in_forgives() -> None:
    made = feuds()
    made.count(A, B)
    made.count(A, B)
    assert made.barred(A, 3) == set()
    made.count(A, B)
    assert made.barred(A, 3) == {B}
    made.got_in(A)
    assert made.barred(A, 3) == set()
    made.count(A, B, -1)
    assert [count.times for _, count in made.counts()] == [2]
    made.forget(B)
    assert list(made.counts()) == []


@pytest.mark.parametrize("record", LOOPS, ids=lambda record: record["scenario"]["name"])
@pytest.mark.parametrize("turns", [1, 3])
def test_what_kueue_never_settles_settles(record: dict[str, Any], turns: int) -> None:
    player = Player(record["scenario"])
    player.rules = replace(player.rules, feud_turns=turns)
    player.settles()


def test_kueue_goes_on_for_ever() -> None:
    player = Player(LOOPS[2]["scenario"])
    player.rules = replace(player.rules, feud_turns=0)
    with pytest.raises(NeverSettles):
        player.settles()


def test_who_is_stopped_is_told_with_numbers_and_names() -> None:
    player = Player(next(r["scenario"] for r in LOOPS if r["scenario"]["name"] == "fair-13"))
    player.settles()
    assert player.loops
    told = [
        refusal
        for key in player.world.workloads
        for refusal in why(player.world, key, player.now, player.rules).refusals
        if refusal.code is Code.PREEMPTION_LOOP
    ]
    assert told
    assert all(refusal.blockers and refusal.needed == 3 for refusal in told)
    copy = load(json.loads(json.dumps(dump(player.world))))
    assert memory_digest(copy) == memory_digest(player.world)


@given(nodes(), workloads(), st.sampled_from([1, 2]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_settle_ends_and_with_one_turn_nobody_takes_back(
    facts: list[ClusterQueue | Cohort], waiting: list[Workload], turns: int, fair: bool
) -> None:
    rules = Rules(
        place_all=False,
        beside_victims=False,
        feud_turns=turns,
        fair_sharing=(FINAL_SHARE, INITIAL_SHARE) if fair else (),
    )
    made = world(*facts)
    for fact in waiting:
        made.apply(fact)
    displaced: set[tuple[WorkloadKey, WorkloadKey]] = set()
    idle = number = 0
    while idle < MAX_IDLE_CYCLES:
        number += 1
        assert number < 1500, "no end"
        plan = cycle(made, number, rules)
        made.assume(plan)
        idle = 0 if plan.commands else idle + 1
        for command in plan.commands:
            carry_out(made, command, number)
            if isinstance(command, Evict) and command.preemptor is not None:
                assert turns > 1 or (command.workload, command.preemptor) not in displaced, "took it back"
                displaced.add((command.preemptor, command.workload))
        if idle and made.unpark_requested:
            made.unpark(number)


def carry_out(made: World, command: object, now: int) -> None:
    if isinstance(command, Admit):
        fact = made.workloads[command.workload].fact
        made.apply(
            replace(
                fact,
                state=WorkloadState.RESERVED,
                admission=command.admission,
                reserved_at=now,
                admitted=True,
                evicted="",
            )
        )
    elif isinstance(command, Evict):
        fact = made.workloads[command.workload].fact
        made.apply(
            replace(fact, state=WorkloadState.PENDING, admission=None, admitted=False, evicted=command.reason.value)
        )
