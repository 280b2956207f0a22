"""Whose turn it is under fair sharing: in every cohort the head that would leave its side with the smallest share
(kueue.md 3.8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from roadstead.core.entry import Entry
from roadstead.core.fairness.share import Share, share_of
from roadstead.core.quota.tree import QuotaNode, QuotaTree

Score: TypeAlias = tuple[bool, Share, int, int, str, tuple[str, str]]


def fair_turns(tree: QuotaTree, entries: Sequence[Entry]) -> Iterator[Entry]:
    """The entries one by one; what was taken between two of them counts. O(entries^2 x depth) shares."""
    alone = [entry for entry in entries if entry.table.node.parent is None]
    yield from sorted(alone, key=lambda entry: entry.order)
    left = {entry.table.name: entry for entry in entries if entry.table.node.parent is not None}
    while left:
        root = left[min(left)].table.node.root
        winner = _winner(tree, root, left)
        assert winner is not None, "a cohort tree with heads has a winner"
        del left[winner.table.name]
        yield winner


def _winner(tree: QuotaTree, cohort: QuotaNode, left: dict[str, Entry]) -> Entry | None:
    best: Entry | None = None
    best_score: Score | None = None
    for child in cohort.children:
        entry = left.get(child.name) if child.is_queue else _winner(tree, child, left)
        if entry is None:
            continue
        score = _score(tree, child, entry)
        if best_score is None or score < best_score:
            best, best_score = entry, score
    return best


def _score(tree: QuotaTree, child: QuotaNode, entry: Entry) -> Score:
    """How `child` would stand with the entry's workload added; smaller goes first."""
    node = entry.table.node
    usage = entry.assignment.usage if entry.assignment is not None else {}
    for slot, amount in usage.items():
        node.add(slot, amount)
    borrows = any(child.is_borrowing(slot) for slot in usage)
    share = share_of(tree, child)
    for slot, amount in usage.items():
        node.remove(slot, amount)
    fact = entry.standing.fact
    return (borrows, share, -fact.priority, fact.queued_at, fact.uid, fact.key)
