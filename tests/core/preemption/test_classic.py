"""Classic preemption: the worked examples of the rules, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from roadstead.core.dump import digest, memory_digest
from roadstead.model.queues import ClusterQueue, Cohort, PreemptionPolicy
from roadstead.model.workload import Workload
from tests.core.build import ANY, LOWER, NEVER, NEWER, admitted, cohort, evicted, queue, run, step, work, world

IN_QUEUE, RECLAIM, BORROWING = "InClusterQueue", "InCohortReclamation", "InCohortReclaimWhileBorrowing"


def w(name: str, to: str, priority: int, cpu: float, at: int = 0) -> Workload:
    return work(name, to, cpu, priority=priority, at=at)


def pair(reclaim: PreemptionPolicy = NEVER) -> list[ClusterQueue | Cohort]:
    return [
        queue("c1", (6, 6), "cohort", within=LOWER, reclaim=LOWER),
        queue("c2", (6, 6), "cohort", within=NEVER, reclaim=reclaim),
    ]


def standard() -> list[ClusterQueue | Cohort]:
    return [
        queue("a_std", (1, 12), "cohort", reclaim=LOWER, borrow=LOWER, threshold=0),
        queue("b_std", (1, 12), "cohort", within=LOWER, reclaim=LOWER, borrow=LOWER, threshold=0),
        queue("a_be", (1, 12), "cohort"),
        queue("b_be", (0, 13), "cohort"),
        queue("shared", 10, "cohort"),
    ]


def thirds() -> list[ClusterQueue | Cohort]:
    return [queue("a", 2, "cohort", within=LOWER, reclaim=ANY), queue("b", 2, "cohort"), queue("c", 2, "cohort")]


ALONE = [queue("q", 6, within=LOWER)]


@dataclass(frozen=True)
class Row:
    story: str
    nodes: Sequence[ClusterQueue | Cohort]
    running: list[Workload]
    incoming: Workload
    victims: dict[str, str]


ROWS = [
    Row(
        "lower and equal-to-zero priorities go, the highest stays",
        ALONE,
        [w("low", "q", -1, 2), w("mid", "q", 0, 2), w("high", "q", 1, 2)],
        w("in", "q", 1, 3),
        {"low": IN_QUEUE, "mid": IN_QUEUE},
    ),
    Row(
        "who turns out not to be in the way is put back",
        ALONE,
        [w("low", "q", -1, 1), w("mid", "q", 0, 2), w("high", "q", 1, 3)],
        w("in", "q", 1, 2),
        {"mid": IN_QUEUE},
    ),
    Row(
        "what is free already counts",
        ALONE,
        [w("low", "q", -1, 1), w("mid", "q", 0, 1), w("high", "q", 1, 3)],
        w("in", "q", 1, 2),
        {"low": IN_QUEUE},
    ),
    Row(
        "nobody goes if it would not suffice",
        ALONE,
        [w("low", "q", -1, 3), w("mid", "q", 0, 3)],
        w("in", "q", 0, 4),
        {},
    ),
    Row(
        "a borrower gives back to the owner",
        pair(),
        [w("low", "c1", -1, 3), w("mid", "c2", 0, 3), w("high", "c2", 1, 6)],
        w("in", "c1", 1, 3),
        {"mid": RECLAIM},
    ),
    Row(
        "a queue within its nominal quota is never touched",
        pair(),
        [w("high", "c1", 2, 4), w("low", "c2", -1, 4)],
        w("in", "c1", 1, 5),
        {},
    ),
    Row(
        "own and borrowed are combined",
        pair(),
        [w("low1", "c1", -1, 3), w("mid1", "c1", 0, 2), w("low2", "c2", -1, 3), w("mid2", "c2", 0, 4)],
        w("in", "c1", 0, 4),
        {"low1": IN_QUEUE, "low2": RECLAIM},
    ),
    Row(
        "of equal priority only the newer one goes",
        [queue("q", 6, within=NEWER)],
        [w("wl1", "q", 2, 2, at=1), w("wl2", "q", 1, 2, at=9), w("wl3", "q", 1, 2, at=2)],
        w("in", "q", 1, 2, at=5),
        {"wl2": IN_QUEUE},
    ),
    Row(
        "borrowing, it may take from borrowers at or below the threshold",
        standard(),
        [w("be", "a_be", -1, 10), w("small", "b_be", -1, 1)],
        w("in", "a_std", 0, 10),
        {"be": BORROWING},
    ),
    Row(
        "above the threshold, and it would still borrow: nothing",
        standard(),
        [w("std", "b_std", 1, 10)],
        w("in", "a_std", 2, 10),
        {},
    ),
    Row(
        "above the threshold, but afterwards it does not borrow",
        standard(),
        [w("std", "b_std", 1, 13)],
        w("in", "a_std", 2, 1),
        {"std": RECLAIM},
    ),
    Row(
        "its own queue's workload goes before a fight over borrowing",
        standard(),
        [w("a10", "a_std", 1, 10), w("a1", "a_std", 1, 1), w("b1", "b_std", 1, 1), w("b2", "b_std", 2, 1)],
        w("in", "b_std", 3, 1),
        {"b1": IN_QUEUE},
    ),
    Row(
        "more than could ever be lent is not worth a preemption",
        [
            queue("lend1", (6, None, 4), "cohort", within=LOWER, reclaim=LOWER),
            queue("lend2", (6, None, 2), "cohort", within=LOWER, reclaim=LOWER),
        ],
        [w("low", "lend2", -1, 10)],
        w("in", "lend1", 0, 9),
        {},
    ),
    Row(
        "a queue above its nominal quota takes from itself only",
        thirds(),
        [w("a1", "a", -2, 1), w("a2", "a", -2, 1), w("a3", "a", -1, 1), *(w(f"b{i}", "b", 0, 1) for i in range(3))],
        w("in", "a", 0, 2),
        {"a1": IN_QUEUE, "a2": IN_QUEUE},
    ),
    Row(
        "within nominal after its own went, the rest is reclaimed",
        thirds(),
        [w("a1", "a", -1, 1), *(w(f"b{i}", "b", 0, 1) for i in range(4)), w("b-low", "b", -1, 1)],
        w("in", "a", 0, 2),
        {"a1": IN_QUEUE, "b-low": RECLAIM},
    ),
    Row(
        "quota of the own cohort gives an advantage over queues outside it",
        [cohort("C", 2, "R"), queue("q", 0, "C", reclaim=ANY), queue("qb", 0, "R")],
        [w("b", "qb", 0, 2)],
        w("in", "q", 0, 2),
        {"b": RECLAIM},
    ),
    Row(
        "even then a queue within nominal is not touched",
        [cohort("C", 2, "R"), queue("q", 0, "C", reclaim=ANY), queue("qb", 0, "R"), queue("qn", 2, "R")],
        [w("b", "qb", 0, 2), w("n", "qn", -10, 2)],
        w("in", "q", 0, 2),
        {"b": RECLAIM},
    ),
    Row(
        "own first, then a sibling while borrowing",
        [
            cohort("C", 3, "R"),
            queue("q", 0, "C", within=LOWER, reclaim=ANY, borrow=LOWER, threshold=0),
            queue("qs", 0, "C"),
        ],
        [w("s1", "qs", 1, 1), w("s0", "qs", 0, 1), w("own", "q", -1, 1)],
        w("in", "q", 1, 2),
        {"own": IN_QUEUE, "s0": BORROWING},
    ),
    Row(
        "hierarchical candidates go before the own queue's",
        [cohort("C", 2, "R"), queue("q", 0, "C", within=LOWER, reclaim=ANY), queue("qb", 0, "R")],
        [w("b", "qb", 1, 1), w("own", "q", -2, 1)],
        w("in", "q", 0, 1),
        {"b": RECLAIM},
    ),
    Row(
        "both who borrow from the cohort give it back",
        [cohort("C", 2, "R"), queue("q", 4, "C", reclaim=ANY), queue("qs", 0, "C"), queue("qb", 0, "R")],
        [w("b", "qb", 10, 3), w("s", "qs", 10, 3)],
        w("in", "q", 0, 4),
        {"b": RECLAIM, "s": RECLAIM},
    ),
    Row(
        "advantage outside the cohort, priority inside",
        [
            cohort("R", 1),
            cohort("C", 4, "R"),
            queue("q", 0, "C", reclaim=LOWER, borrow=LOWER, threshold=0),
            queue("qs", 0, "C"),
            queue("qb", 0, "R"),
        ],
        [w("b-low", "qb", -1, 2), w("b-high", "qb", 1, 2), w("s-low", "qs", -1, 1)],
        w("in", "q", 0, 3),
        {"b-low": RECLAIM, "s-low": BORROWING},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.story)
def test_victims(row: Row) -> None:
    made = world(*row.nodes)
    run(made, *row.running)
    made.apply(row.incoming)
    before = digest(made), memory_digest(made)
    with made.trial():
        plan = step(made)
        assert evicted(plan) == row.victims
        assert not admitted(plan)
    assert (digest(made), memory_digest(made)) == before


def test_a_victim_that_is_leaving_is_taken_first_and_not_asked_twice() -> None:
    made = world(queue("q", 4, within=LOWER))
    run(made, w("old", "q", 0, 2), w("new", "q", 0, 2))
    made.apply(w("first", "q", 5, 2))
    assert evicted(step(made)) == {"new": IN_QUEUE}
    plan = step(made)
    assert plan.is_idle
    assert plan.verdicts[0].refusals[0].blockers == (("team", "new"),)


def test_of_equal_priority_the_later_reservation_goes() -> None:
    made = world(queue("q", 4, within=LOWER))
    run(made, w("z", "q", 0, 2), w("a", "q", 0, 2))
    made.apply(w("in", "q", 1, 2))
    assert evicted(step(made)) == {"a": IN_QUEUE}
