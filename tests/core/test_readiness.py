"""How long pods may take and how long a workload rests after they took longer: tables (KEP-349, KEP-1282), and the
core's part in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.departures import next_time
from roadstead.core.dump import digest, dump, load
from roadstead.core.encoding import decode, encode
from roadstead.core.plan import Admit, Command, Evict, EvictionReason
from roadstead.core.queueing.readiness import back_off, expires_at, gives_up, under
from roadstead.core.rules import Rules, WaitForPodsReady
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.model.refusals import Code
from roadstead.model.workload import Admission, PodSetAssignment, Workload, WorkloadState
from tests.core.build import SECOND, queue, work, world

POLICY = WaitForPodsReady(timeout=300 * SECOND, recovery_timeout=60 * SECOND)


def rules(**fields: Any) -> Rules:
    return Rules(place_all=False, pods_ready=replace(POLICY, **fields))


def holder(name: str, cause: str = "WaitForStart", since: int = 10, **more: Any) -> Workload:
    """Admitted in queue `q` with one CPU, its pods not ready since so many seconds."""
    assigned = PodSetAssignment("main", 1, (("cpu", "default"),), (("cpu", 1000),))
    return replace(
        work(name, "q", 1),
        state=WorkloadState.RESERVED,
        admission=Admission("q", (assigned,)),
        admitted=True,
        reserved_at=SECOND,
        pods_wait=cause,
        pods_wait_since=since * SECOND if cause else 0,
        **more,
    )


def evictions(made: World, now: int, by: Rules) -> list[tuple[str, str, int, int]]:
    """(name, cause, count, seconds of rest)"""
    found = [command for command in cycle(made, now * SECOND, by).commands if isinstance(command, Evict)]
    assert {command.reason for command in found} <= {EvictionReason.PODS_READY_TIMEOUT}
    return [(e.workload[1], e.cause, e.requeue_count, e.requeue_at // SECOND - now) for e in found]


def commands(made: World, now: int, by: Rules) -> list[Command]:
    """Everything that is decided, and assumed."""
    return [command for plan in decide(made, now * SECOND, by).plans for command in plan.commands]


@pytest.mark.parametrize(
    ("count", "base", "most", "rest"),
    [(1, 60, 3600, 60), (2, 60, 3600, 120), (3, 60, 3600, 240), (7, 60, 3600, 3600), (1, 60, 10, 10), (1, 0, 3600, 0),
     (2**31 - 1, 1, 3600, 3600), (0, 60, 3600, 60)],
)  # fmt: skip
def test_rest_doubles_up_to_a_bound(count: int, base: int, most: int, rest: int) -> None:
    policy = WaitForPodsReady(backoff_base=base * SECOND, backoff_max=most * SECOND)
    assert back_off(count, policy) == rest * SECOND


@given(st.integers(1, 40), st.integers(0, 1000), st.integers(0, 100_000))
def test_rest_never_shrinks_and_never_exceeds_the_bound(count: int, base: int, most: int) -> None:
    policy = WaitForPodsReady(backoff_base=base * SECOND, backoff_max=most * SECOND)
    assert back_off(count, policy) <= back_off(count + 1, policy) <= most * SECOND


@pytest.mark.parametrize(
    ("cause", "recovery", "ends"),
    [("WaitForStart", 60, 310), ("WaitForRecovery", 60, 70), ("WaitForRecovery", 0, None)],
)
def test_patience(cause: str, recovery: int, ends: int | None) -> None:
    policy = replace(POLICY, recovery_timeout=recovery * SECOND)
    assert expires_at(cause, 10 * SECOND, policy) == (None if ends is None else ends * SECOND)


@pytest.mark.parametrize(
    ("count", "limit", "over"), [(0, None, False), (10**6, None, False), (0, 0, True), (0, 1, False), (1, 1, True)]
)
def test_limit(count: int, limit: int | None, over: bool) -> None:
    assert gives_up(count, WaitForPodsReady(backoff_limit=limit)) is over


def test_holders_are_evicted_when_their_patience_ends_and_not_before() -> None:
    made = world(queue("q", 8), holder("late"), holder("hurt", "WaitForRecovery", 280), holder("fine", ""))
    assert next_time(made, rules()) == 310 * SECOND
    assert evictions(made, 309, rules()) == []
    assert evictions(made, 310, rules()) == [("late", "WaitForStart", 1, 60)]
    assert evictions(made, 340, rules()) == [("hurt", "WaitForRecovery", 1, 60), ("late", "WaitForStart", 1, 60)]
    assert evictions(made, 10**6, rules(recovery_timeout=0)) == [("late", "WaitForStart", 1, 60)]
    assert evictions(made, 10**6, Rules(place_all=False)) == []
    assert next_time(made, Rules(place_all=False)) is None


def test_an_eviction_is_decided_once_and_again_if_it_could_not_be_written() -> None:
    made = world(queue("q", 8), holder("late", requeue_count=2))
    (command,) = commands(made, 400, rules())
    assert isinstance(command, Evict)
    assert (command.requeue_count, command.requeue_at) == (3, 640 * SECOND)
    assert evictions(made, 401, rules()) == []
    assert next_time(made, rules()) is None
    made.forget(command)
    assert evictions(made, 402, rules()) == [("late", "WaitForStart", 3, 240)]


def test_who_is_ready_in_time_stays() -> None:
    made = world(queue("q", 8), holder("late"))
    made.apply(holder("late", ""))
    assert evictions(made, 10**6, rules()) == []
    made.apply(holder("late", "WaitForRecovery", 500))
    assert evictions(made, 559, rules()) == []
    assert evictions(made, 560, rules()) == [("late", "WaitForRecovery", 1, 60)]


def test_who_is_gone_or_leaving_is_not_evicted() -> None:
    made = world(queue("q", 8), holder("late"), holder("told", evicted="Preempted"))
    assert evictions(made, 400, rules()) == [("late", "WaitForStart", 1, 60)]
    made.apply(replace(work("late", "q", 1), state=WorkloadState.FINISHED))
    assert evictions(made, 400, rules()) == []


def test_with_block_admission_one_is_admitted_at_a_time() -> None:
    made = world(queue("q", 8), work("a", "q", 1), work("b", "q", 1, at=1), work("c", "q", 1, at=2))
    plans = decide(made, 5 * SECOND, rules(block_admission=True)).plans
    admitted = [command for plan in plans for command in plan.commands]
    assert [(c.workload[1], c.waits_for_pods) for c in admitted if isinstance(c, Admit)] == [("a", True)]
    refused = [v for plan in plans for v in plan.verdicts if v.workload[1] == "b"]
    assert {v.refusals[0].code for v in refused} == {Code.WAITING_FOR_PODS_READY}
    made.apply(holder("a"))
    assert commands(made, 6, rules(block_admission=True)) == []
    made.apply(holder("a", ""))
    (command,) = commands(made, 7, rules(block_admission=True))
    assert isinstance(command, Admit)
    assert command.workload == ("team", "b")


def test_blocking_is_for_all_queues() -> None:
    made = world(queue("q", 8), queue("r", 8), holder("late"), work("other", "r", 1))
    assert commands(made, 5, rules(block_admission=True)) == []
    assert [type(command) for command in commands(made, 5, rules())] == [Admit]


@pytest.mark.parametrize(("by_creation", "queued"), [(False, 500), (True, 0)])
def test_place_in_the_queue_after_it(by_creation: bool, queued: int) -> None:
    fact = replace(work("late", "q", 1), queued_at=500 * SECOND, evicted="PodsReadyTimeout")
    assert under(replace(POLICY, by_creation=by_creation), fact).queued_at == queued * SECOND
    other = replace(fact, evicted="AdmissionCheck")
    assert under(replace(POLICY, by_creation=by_creation), other).queued_at == 500 * SECOND


def test_who_is_to_be_deactivated_is_not_timed_but_waited_for() -> None:
    limited = replace(POLICY, backoff_limit=1)
    made = world(queue("q", 8), under(limited, holder("late", requeue_count=1)), work("next", "q", 1))
    assert evictions(made, 10**6, Rules(place_all=False, pods_ready=limited)) == []
    assert next_time(made, Rules(place_all=False, pods_ready=limited)) is None
    blocking = Rules(place_all=False, pods_ready=replace(limited, block_admission=True))
    assert commands(made, 5, blocking) == []


def test_dumps_and_rules_keep_all_of_it() -> None:
    made = world(queue("q", 8), holder("late"), work("next", "q", 1))
    decide(made, 5 * SECOND, rules())
    again = load(dump(made))
    assert digest(again) == digest(made)
    assert evictions(again, 400, rules()) == evictions(made, 400, rules()) != []
    assert decode(encode(rules(backoff_limit=3))) == rules(backoff_limit=3)
