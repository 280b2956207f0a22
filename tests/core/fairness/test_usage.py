"""Admission Fair Sharing: decay, penalties, and whose turn it is among the LocalQueues of one ClusterQueue (kueue.md
3.11)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.dump import dump, load, memory_digest
from roadstead.core.explain.why import why
from roadstead.core.fairness.usage import alpha, local_usage, penalty, sampled, weighted
from roadstead.core.plan import Admit
from roadstead.core.rules import AdmissionFairSharing, Rules
from roadstead.core.world import World
from roadstead.model.queues import LocalQueue
from roadstead.model.workload import Workload
from tests.core.build import LOWER, NEWER, SECOND, admitted, evicted, queue, run, step, work, world

MINUTE = 60 * SECOND
SHARING = AdmissionFairSharing(10 * MINUTE, 5 * MINUTE, (("memory", 0),))
RULES = Rules(place_all=False, admission_sharing=SHARING)


def shared(nominal: int = 2, **more: Any) -> World:
    """ClusterQueue q with the LocalQueues a and b."""
    made = world(queue("q", nominal, usage_based=True, **more))
    for name in "ab":
        made.apply(LocalQueue("team", name, "q"))
    return made


def used(made: World, name: str) -> float:
    local = made.local_queue("team", name)
    assert local is not None
    return local_usage(local, made.penalties, SHARING)


def consume(made: World, name: str, cpu: int, at: int = 1, weight: int = 1000) -> None:
    made.apply(
        LocalQueue("team", name, "q", fair_weight_milli=weight, consumed=(("cpu", cpu),), sampled_at=at * SECOND)
    )


def test_the_worked_example() -> None:
    """Four cores: the penalty, then a sample every five minutes, then half of it every ten minutes after the end."""
    assert round(alpha(5 * MINUTE, 10 * MINUTE), 4) == 0.2929
    asked = {"cpu": 4000, "memory": 16 * 2**30 * 1000}
    consumed = {"cpu": penalty(asked, SHARING)["cpu"]}
    assert consumed == {"cpu": 1171}
    seen = []
    for _ in range(3):
        consumed = sampled(consumed, {"cpu": 4000}, 5 * MINUTE, SHARING)
        seen.append(consumed["cpu"])
    assert seen == [2000, 2586, 3000]
    assert sampled({"cpu": 3000}, {}, 10 * MINUTE, SHARING) == {"cpu": 1500}
    assert sampled({"cpu": 3000}, {"cpu": 1}, MINUTE, replace(SHARING, half_life=0)) == {}


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**4), st.integers(0, 10**4))
def test_sampling_twice_says_what_sampling_once_says(before: int, use: int, first: int, second: int) -> None:
    once = sampled({"cpu": before}, {"cpu": use}, (first + second) * SECOND, SHARING)
    twice = sampled(
        sampled({"cpu": before}, {"cpu": use}, first * SECOND, SHARING), {"cpu": use}, second * SECOND, SHARING
    )
    assert abs(once.get("cpu", 0) - twice.get("cpu", 0)) <= 2
    assert min(before, use) - 1 <= once.get("cpu", 0) <= max(before, use) + 1


@pytest.mark.parametrize(("weight", "expected"), [(1000, 2.0), (2000, 1.0), (0, float("inf")), (-1, float("inf"))])
def test_weights(weight: int, expected: float) -> None:
    assert weighted([{"cpu": 1500}, {"cpu": 500, "memory": 10**15}], weight, SHARING) == expected


def test_who_used_less_goes_first_before_priority() -> None:
    made = shared(1)
    consume(made, "a", 3000)
    consume(made, "b", 2999)
    made.apply(work("wa", "a", 1, priority=9))
    made.apply(work("wb", "b", 1))
    assert admitted(step(made, rules=RULES)) == ["wb"]
    again = shared(1)
    for fact in (work("wa", "a", 1, priority=9), work("wb", "b", 1)):
        again.apply(fact)
    consume(again, "a", 3000)
    consume(again, "b", 2999, weight=500)
    assert admitted(step(again, rules=RULES)) == ["wa"]


def test_without_the_rule_or_the_queues_word_priority_decides() -> None:
    for rules, based in ((Rules(place_all=False), True), (RULES, False)):
        made = world(queue("q", 1, usage_based=based))
        for name in "ab":
            made.apply(LocalQueue("team", name, "q"))
        consume(made, "a", 3000)
        made.apply(work("wa", "a", 1, priority=9))
        made.apply(work("wb", "b", 1))
        assert admitted(step(made, rules=rules)) == ["wa"]


def test_each_admission_counts_at_once_so_queues_take_turns() -> None:
    made = shared(4)
    for at in range(4):
        made.apply(work(f"a{at}", "a", 1, at=at))
        made.apply(work(f"b{at}", "b", 1, at=10 + at))
    seen: list[str] = []
    for now in range(1000, 1004):
        seen += admitted(step(made, now, RULES))
    assert seen == ["a0", "b0", "a1", "b1"]
    assert used(made, "a") == used(made, "b") == pytest.approx(0.584)
    copy = load(json.loads(json.dumps(dump(made))))
    assert memory_digest(copy) == memory_digest(made)
    assert used(copy, "a") == used(made, "a")


def test_a_penalty_goes_with_the_sample_that_holds_it_or_with_an_admission_that_failed() -> None:
    made = shared(4)
    made.apply(work("w", "a", 2))
    plan = cycle(made, 50 * SECOND, RULES)
    made.assume(plan)
    assert used(made, "a") == pytest.approx(0.585)
    (admit,) = plan.commands
    made.forget(admit)
    assert used(made, "a") == 0
    made.assume(plan)
    assert isinstance(admit, Admit)
    fact: Workload = made.workloads[("team", "w")].fact
    run(made, fact, now=50)
    consume(made, "a", 100, at=50)
    assert used(made, "a") == pytest.approx(0.685)  # let in during the second of the sample: not part of it
    consume(made, "a", 600, at=51)
    assert used(made, "a") == pytest.approx(0.6)


def test_of_two_victims_the_one_whose_queue_used_more_goes() -> None:
    made = shared(2, within=LOWER)
    run(made, work("wa", "a", 1), work("wb", "b", 1), now=1)
    consume(made, "a", 5000, at=10)
    consume(made, "b", 100, at=10)
    made.apply(work("high", "b", 1, priority=1))
    assert evicted(step(made, rules=RULES)) == {"wa": "InClusterQueue"}
    assert evicted(step(shared_as(made), rules=Rules(place_all=False))) == {"wb": "InClusterQueue"}


def shared_as(made: World) -> World:
    """The same facts, nothing assumed."""
    fresh = World()
    for fact in made.book.all():
        fresh.apply(fact)
    return fresh


def test_the_line_is_told_in_the_order_of_turns() -> None:
    made = shared(1, within=NEWER)
    consume(made, "a", 3000)
    for fact in (work("wa", "a", 1, priority=9), work("wb", "b", 1)):
        made.apply(fact)
    (first, *_) = why(made, ("team", "wa"), 1, RULES).refusals
    assert first.blockers == (("team", "wb"),)
