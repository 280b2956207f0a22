"""Quota math in cohort trees: the worked examples of the rules, and that incremental usage never drifts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.core.quota.tree import QuotaTree
from roadstead.core.undo import UndoLog
from roadstead.model.queues import ClusterQueue, Cohort
from tests.core.build import cohort, queue

CPU = ("default", "cpu")


def tree_of(*nodes: ClusterQueue | Cohort) -> QuotaTree:
    tree = QuotaTree(UndoLog())
    tree.rebuild(
        {n.name: n for n in nodes if isinstance(n, ClusterQueue)}, {n.name: n for n in nodes if isinstance(n, Cohort)}
    )
    return tree


def cores(milli: int) -> float:
    return milli / 1000


def use(tree: QuotaTree, queue_name: str, amount: int) -> None:
    """Add (or, if negative, remove) usage in cores."""
    node, slot = tree.queue(queue_name), tree.slot(CPU)
    if amount >= 0:
        tree.add(node, ((slot, amount * 1000),))
    else:
        tree.remove(node, ((slot, -amount * 1000),))


def available(tree: QuotaTree, name: str) -> float:
    return cores(tree.queue(name).free(tree.slot(CPU)))


def test_lending_limits_keep_a_part_at_home() -> None:
    tree = tree_of(queue("a", (6, None, 4), "root"), queue("b", (6, None, 2), "root"))
    slot = tree.slot(CPU)
    a, b, root = tree.queue("a"), tree.queue("b"), tree.cohorts["root"]
    assert [cores(n.subtree[slot]) for n in (a, b, root)] == [6, 6, 6]
    assert [cores(n.local.get(slot, 0)) for n in (a, b)] == [2, 4]
    assert [cores(n.potential_available(slot)) for n in (a, b, root)] == [8, 10, 6]
    use(tree, "a", 5)
    assert cores(root.usage[slot]) == 3
    assert (available(tree, "a"), available(tree, "b")) == (3, 7)


@pytest.mark.parametrize(("limit", "expected"), [(None, 7), (1, 7), (0, 6)])
def test_a_borrowing_limit_caps_what_comes_from_above(limit: int | None, expected: int) -> None:
    tree = tree_of(queue("a", (6, None, 4), "root"), queue("b", (6, limit, 2), "root"))
    use(tree, "a", 5)
    assert available(tree, "b") == expected


def three_levels() -> QuotaTree:
    return tree_of(
        cohort("R", 10),
        cohort("C", (4, 3, 2), "R"),
        queue("q1", (6, 2), "C"),
        queue("q2", (2, None, 1), "C"),
        queue("q3", 5, "R"),
    )


def test_three_levels_step_by_step() -> None:
    tree = three_levels()
    slot, c, r = tree.slot(CPU), tree.cohorts["C"], tree.cohorts["R"]
    rows = []
    for name, amount in ((None, 0), ("q1", 7), ("q2", 5), ("q1", -7)):
        if name:
            use(tree, name, amount)
        values = [c.subtree[slot], c.local[slot], c.usage.get(slot, 0)]
        rows.append(
            [*map(cores, values), *(available(tree, q) for q in ("q1", "q2", "q3")), cores(r.usage.get(slot, 0))]
        )
    assert rows == [
        [11, 9, 0, 8, 15, 17, 0],
        [11, 9, 7, 1, 8, 17, 0],
        [11, 9, 11, 1, 3, 15, 2],
        [11, 9, 4, 8, 10, 17, 0],
    ]
    assert cores(r.subtree[slot]) == 17
    nodes = [c, *(tree.queue(q) for q in ("q1", "q2", "q3"))]
    assert [cores(n.potential_available(slot)) for n in nodes] == [14, 8, 15, 17]


@pytest.mark.parametrize(("amount", "expected"), [(2, (0, True)), (4, (1, True)), (6, (2, False))])
def test_the_lowest_subtree_that_fits(amount: int, expected: tuple[int, bool]) -> None:
    tree = tree_of(cohort("R", 10), cohort("C", 3, "R"), queue("q", 2, "C"))
    assert tree.queue("q").lowest_fit(tree.slot(CPU), amount * 1000) == expected


def test_a_queue_without_cohort_never_borrows() -> None:
    tree = tree_of(queue("q", 2))
    assert tree.queue("q").lowest_fit(tree.slot(CPU), 9000) == (0, False)
    assert available(tree, "q") == 2


def test_quota_cut_below_usage_leaves_nothing_and_evicts_nobody() -> None:
    tree = tree_of(queue("q", 4))
    use(tree, "q", 4)
    tree.rebuild({"q": queue("q", 1)}, {})
    node, slot = tree.queue("q"), tree.slot(CPU)
    assert (cores(node.available(slot)), node.free(slot)) == (-3, 0)


def test_a_cycle_of_cohorts_disables_every_queue_in_it() -> None:
    tree = tree_of(cohort("x", 1, "y"), cohort("y", 1, "x"), queue("q", 1, "x"), queue("other", 1))
    assert tree.queue("q").cyclic
    assert not tree.queue("other").cyclic


def test_a_cohort_that_is_only_named_exists_without_quota() -> None:
    tree = tree_of(queue("a", 2, "only-named"), queue("b", 3, "only-named"))
    assert available(tree, "a") == 5


LIMIT = st.one_of(st.none(), st.integers(0, 4))
NODE = st.tuples(st.integers(0, 6), LIMIT, LIMIT)


@given(
    st.lists(NODE, min_size=2, max_size=2),
    st.lists(NODE, min_size=3, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_incremental_usage_equals_usage_counted_anew(
    cohorts: list[tuple[int, int | None, int | None]],
    queues: list[tuple[int, int | None, int | None]],
    changes: list[tuple[int, int]],
) -> None:
    nodes: list[ClusterQueue | Cohort] = [
        cohort("R", cohorts[0]),
        cohort("C", cohorts[1], "R"),
        queue("q0", queues[0], "C"),
        queue("q1", queues[1], "C"),
        queue("q2", queues[2], "R"),
    ]
    tree = tree_of(*nodes)
    held: list[tuple[int, int]] = []
    for at, amount in changes:
        use(tree, f"q{at}", amount)
        held.append((at, amount))
        if len(held) % 3 == 0:
            at, amount = held.pop(0)
            use(tree, f"q{at}", -amount)
    fresh = tree_of(*nodes)
    for at in range(3):
        use(fresh, f"q{at}", sum(amount for q, amount in held if q == at))
    slot, other = tree.slot(CPU), fresh.slot(CPU)
    for name in ("R", "C"):
        assert tree.cohorts[name].usage.get(slot, 0) == fresh.cohorts[name].usage.get(other, 0)
    for at in range(3):
        assert tree.queue(f"q{at}").available(slot) == fresh.queue(f"q{at}").available(other)
    for name in ("R", "C"):
        node = tree.cohorts[name]
        assert node.borrowing((slot,)) == [child for child in node.children if child.is_borrowing(slot)]
    tree.rebuild(
        {n.name: n for n in nodes if isinstance(n, ClusterQueue)}, {n.name: n for n in nodes if isinstance(n, Cohort)}
    )
    for name in ("R", "C"):
        node = tree.cohorts[name]
        assert node.borrowing((slot,)) == [child for child in node.children if child.is_borrowing(slot)]
