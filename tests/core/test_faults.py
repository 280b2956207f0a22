"""A plan under fault: any command of it may fail, or nobody may know whether it did. Deciding again from what is seen
then comes to rest where deciding from the facts alone would, and where order is strict, exactly where it would have
without the fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.dump import digest
from roadstead.core.plan import Admit, Command, Evict
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.model.queues import ClusterQueue, Cohort, Preemption, QueueingStrategy
from roadstead.model.workload import Admission, Workload, WorkloadState
from tests.core.build import LOWER, NEVER, QUOTA_ONLY, SECOND, queue, work, world
from tests.core.test_laws import check_ledger, nodes, workloads

DONE, FAILED = "done", "failed"
LANDED = "landed, and the answer was lost"
ENOUGH_ROUNDS = 60


def fates(random: Random | None) -> Iterator[str]:
    """What becomes of one command after the other; without `random` all of them are done."""
    while True:
        yield DONE if random is None else random.choice([DONE, DONE, FAILED, LANDED])


def as_carried_out(fact: Workload, command: Admit | Evict, now: int) -> Workload:
    if isinstance(command, Admit):
        return replace(
            fact, state=WorkloadState.RESERVED, admission=command.admission, reserved_at=now, admitted=True, evicted=""
        )
    return replace(
        fact, state=WorkloadState.PENDING, admission=None, admitted=False, reserved_at=0, evicted=command.reason.value
    )


def to_rest(made: World, random: Random | None) -> None:
    """Decide and carry out until nothing more is decided. Faults end at some time: nobody comes to rest under a fault
    that lasts."""
    fate = fates(random)
    for number in range(1, ENOUGH_ROUNDS):
        now = number * SECOND
        if number == ENOUGH_ROUNDS // 2:
            fate = fates(None)
        commands = [command for plan in decide(made, now, QUOTA_ONLY).plans for command in plan.commands]
        if not commands and random is None:
            return
        for command in commands:
            meet(made, command, next(fate), now)
        check_ledger(made)
    assert not commands, "no rest"


def meet(made: World, command: Command, fate: str, now: int) -> None:
    assert isinstance(command, Admit | Evict)
    if fate != DONE:
        made.forget(command)
    if fate != FAILED:
        made.apply(as_carried_out(made.workloads[command.workload].fact, command, now))


def outcome(made: World) -> dict[str, tuple[WorkloadState, Admission | None]]:
    return {key[1]: (standing.fact.state, standing.fact.admission) for key, standing in made.workloads.items()}


def started(facts: Sequence[ClusterQueue | Cohort], waiting: Sequence[Workload]) -> World:
    made = world(*facts)
    for fact in waiting:
        made.apply(fact)
    return made


@given(nodes(), workloads(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_what_comes_to_rest_under_faults_is_at_rest_for_who_knows_the_facts_alone(
    facts: list[ClusterQueue | Cohort], waiting: list[Workload], random: Random
) -> None:
    """Without preemption: with it, who displaced whom is remembered, and may be forgotten (`preemption/feuds.py`)."""
    calm = [
        replace(fact, preemption=Preemption(NEVER, NEVER, NEVER, None)) if isinstance(fact, ClusterQueue) else fact
        for fact in facts
    ]
    made = started(calm, waiting)
    to_rest(made, random)
    rebuilt = World()
    for noun in made.book.all():
        rebuilt.apply(noun)
    assert digest(rebuilt) == digest(made)
    plans = decide(rebuilt, ENOUGH_ROUNDS * SECOND, QUOTA_ONLY).plans
    assert [command for plan in plans for command in plan.commands] == []


@st.composite
def lines(draw: st.DrawFn) -> tuple[list[ClusterQueue], list[Workload]]:
    """Queues that are strict and share nothing, and work of every priority."""
    queues = [
        queue(f"q{at}", draw(st.integers(1, 8)), strict=True, within=draw(st.sampled_from([NEVER, LOWER])))
        for at in range(draw(st.integers(1, 3)))
    ]
    found = [
        work(f"w{at}", f"q{draw(st.integers(0, len(queues) - 1))}", draw(st.integers(1, 5)), priority=draw(st.integers(0, 3)), at=at)
        for at in range(draw(st.integers(1, 10)))
    ]  # fmt: skip
    return queues, found


@given(lines(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_where_order_is_strict_the_end_is_the_same_as_without_the_fault(
    given_: tuple[list[ClusterQueue], list[Workload]], random: Random
) -> None:
    queues, waiting = given_
    assert all(each.strategy is QueueingStrategy.STRICT_FIFO for each in queues)
    calm, troubled = started(queues, waiting), started(queues, waiting)
    to_rest(calm, None)
    to_rest(troubled, random)
    assert outcome(troubled) == outcome(calm)


@pytest.mark.parametrize("fate", [FAILED, LANDED])
def test_an_eviction_under_fault_is_asked_for_again_or_seen(fate: str) -> None:
    queues = [queue("q", 4, within=LOWER)]
    made = started(queues, [work("low", "q", 4)])
    to_rest(made, None)
    made.apply(work("high", "q", 4, priority=9, at=5))
    (command,) = [command for plan in decide(made, 100 * SECOND, QUOTA_ONLY).plans for command in plan.commands]
    assert isinstance(command, Evict)
    meet(made, command, fate, 100 * SECOND)
    to_rest(made, None)
    assert [name for name, (state, _) in sorted(outcome(made).items()) if state is WorkloadState.RESERVED] == ["high"]
