"""Fair sharing: shares, whose turn it is, and who has to give back (kueue.md 3.10, 3.15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import pytest
from msgspec.structs import replace

from roadstead.core.dump import digest, memory_digest
from roadstead.core.fairness.share import NOTHING, Share, share_of
from roadstead.core.preemption.fair import FINAL_SHARE, INITIAL_SHARE
from roadstead.core.rules import Rules
from roadstead.model.queues import ClusterQueue, Cohort
from roadstead.model.workload import Workload
from tests.core.build import ANY, LOWER, NEVER, admitted, cohort, evicted, queue, run, step, work, world

BOTH = (FINAL_SHARE, INITIAL_SHARE)
OWN, RECLAIM, FAIR = "InClusterQueue", "InCohortReclamation", "InCohortFairSharing"


def rules(*strategies: str) -> Rules:
    return Rules(place_all=False, fair_sharing=strategies or BOTH)


def thirds(**weights: int) -> list[ClusterQueue | Cohort]:
    return [
        queue(name, 3, "all", within=LOWER, reclaim=ANY, fair_weight_milli=weights.get(name, 1) * 1000)
        for name in "abc"
    ]


def w(name: str, cpu: float = 1, priority: int = 0) -> Workload:
    """A workload of the queue that its name begins with."""
    return work(name, name[0], cpu, priority=priority)


def ones(to: str, count: int) -> list[Workload]:
    """Workloads of one core; the last one reserved quota last, so it would be asked first."""
    return [w(f"{to}{at}") for at in range(count)]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(1, Share(False, Fraction(2000, 9))), (2, Share(False, Fraction(1000, 9))), (0, Share(True, Fraction(2000, 9)))],
)
def test_the_share_is_what_was_borrowed_of_what_can_be_lent_by_weight(weight: int, expected: Share) -> None:
    made = world(*thirds(b=weight))
    run(made, *ones("b", 5))
    made.tables()
    assert share_of(made.tree, made.tree.queue("b")) == expected
    assert share_of(made.tree, made.tree.queue("a")) == NOTHING
    assert share_of(made.tree, made.tree.cohorts["all"]) == NOTHING


@dataclass(frozen=True)
class Row:
    story: str
    running: list[Workload]
    incoming: Workload
    reasons: dict[str, str]  # victim -> reason
    nodes: Sequence[ClusterQueue | Cohort] = ()
    strategies: tuple[str, ...] = BOTH


ROWS = [
    Row("within nominal it reclaims", [*ones("a", 3), *ones("b", 5), w("c0")], w("c-in"), {"b4": RECLAIM}),
    Row("equal shares afterwards are fair", [*ones("a", 3), *ones("b", 5), w("c0")], w("a-in"), {"b4": FAIR}),
    Row("it would end above the one it takes from", [*ones("a", 3), *ones("b", 5)], w("a-in", 3), {}),
    Row(
        "its own lower priorities suffice",
        [w("a0", 1, -1), w("a1", 1, -1), w("a2", 1, 1), *ones("b", 5), w("c0")],
        w("a-in", 2),
        {"a0": OWN, "a1": OWN},
    ),
    Row(
        "own and unfair are combined",
        [w("a-low", 1, -1), *ones("a", 2), *ones("b", 6)],
        w("a-in", 2),
        {"a-low": OWN, "b5": FAIR},
    ),
    Row("a huge borrower gives all back to an owner", [w("b", 9)], w("a-in", 2), {"b": RECLAIM}),
    Row("not if it would hold as much", [w("a", 2), w("b", 7)], w("a-in", 5), {}),
    Row("one by initial share is not enough", [w("b1", 2), w("b2", 2), w("b3", 3)], w("a-in", 6), {}),
    Row(
        "the one that leaves the other side with enough",
        [w("b1", 2), w("b2", 1), w("b3", 2), w("c", 1)],
        w("a-in", 3.5),
        {"b2": FAIR},
    ),
    Row("no flapping", [w("a", 3.5), w("b", 2.5), w("c", 2.5)], w("b-in", 2), {}),
    Row("two large ones stay", [w("b1", 3), w("b2", 3), w("c", 3)], w("a-in", 4), {}),
    Row(
        "by initial share the lower priority goes",
        [w("a", 3), w("b-low", 5, 0), w("b-high", 1, 1)],
        w("a-in"),
        {"b-low": FAIR},
        strategies=(INITIAL_SHARE,),
    ),
    Row(
        "by final share the smaller one goes",
        [w("a", 3), w("b-low", 5, 0), w("b-high", 1, 1)],
        w("a-in"),
        {"b-high": FAIR},
        strategies=(FINAL_SHARE,),
    ),
    Row(
        "weight 2 entitles to twice as much",
        [*ones("a", 3), *ones("b", 6)],
        w("a-in", 2),
        {"b5": FAIR, "b4": FAIR},
        nodes=thirds(a=2),
    ),
    Row(
        "weight 0 gives back whatever it borrowed",
        [*ones("b", 6), *ones("a", 3)],
        w("a-in", 3),
        {"b5": FAIR, "b4": FAIR, "b3": FAIR},
        nodes=thirds(b=0),
    ),
    Row(
        "and keeps its nominal quota",
        [*ones("b", 3), *ones("a", 3), *ones("c", 3)],
        w("a-in"),
        {},
        nodes=thirds(b=0),
    ),
    Row(
        "what turns out not to be in the way is put back",
        [w("a1-low", 2, -1), w("a2-low", 1, -1), w("b1", 3), w("b2", 3)],
        w("a-in", 4),
        {"a1-low": OWN, "b2": FAIR},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.story)
def test_who_has_to_give_back(row: Row) -> None:
    made = world(*(row.nodes or thirds()))
    run(made, *row.running)
    made.apply(row.incoming)
    before = digest(made), memory_digest(made)
    with made.trial():
        found = evicted(step(made, rules=rules(*row.strategies)))
        assert sorted(found.values()) == sorted(row.reasons.values())
        if set(row.reasons.values()) == {FAIR} and len(row.reasons) == 1:
            assert found == row.reasons
    assert (digest(made), memory_digest(made)) == before


def test_the_smaller_share_goes_first() -> None:
    made = world(queue("A", 50, "r"), queue("B", 50, "r"), queue("shared", 10, "r"))
    run(made, work("a0", "A", 50), work("b0", "B", 55))
    made.apply(work("b", "B", 1, at=1))
    made.apply(work("a", "A", 5, at=9))
    assert admitted(step(made, rules=rules())) == ["a"]


def test_at_each_level_the_better_side_wins() -> None:
    made = world(
        cohort("A", 200), cohort("B", 0, "A"), cohort("C", 0, "A"),
        queue("d", 0, "B"), queue("e", 0, "B"), queue("f", 0, "C"), queue("g", 0, "C"),
    )  # fmt: skip
    run(made, work("d0", "d", 10), work("e0", "e", 20), work("g0", "g", 100))
    for name, cpu in (("d", 70), ("e", 61), ("f", 1), ("g", 1)):
        made.apply(work(name, name, cpu))
    assert admitted(step(made, rules=rules())) == ["d"]


def test_the_share_after_adding_decides() -> None:
    made = world(cohort("A", 100), queue("b", 0, "A"), queue("c", 0, "A"))
    run(made, work("b0", "b", 10))
    made.apply(work("b", "b", 50))
    made.apply(work("c", "c", 75))
    assert admitted(step(made, rules=rules())) == ["b"]


def test_infinite_shares_are_compared_without_weight() -> None:
    made = world(cohort("A", 8), *(replace(queue(name, 0, "A"), fair_weight_milli=0) for name in "bc"))
    run(made, work("b0", "b", 4))
    made.apply(work("b", "b", 4, priority=9001))
    made.apply(work("c", "c", 4))
    assert admitted(step(made, rules=rules())) == ["c"]


def test_queues_that_may_not_preempt_do_not() -> None:
    made = world(
        *(
            replace(node, preemption=replace(node.preemption, reclaim_within_cohort=NEVER))
            for node in thirds()
            if isinstance(node, ClusterQueue)
        )
    )
    run(made, *ones("b", 9))
    made.apply(w("a-in"))
    assert evicted(step(made, rules=rules())) == {}
