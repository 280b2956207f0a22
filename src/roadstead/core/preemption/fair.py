"""Preemption under fair sharing: take from the side with the highest share, as long as that leaves things fairer
(kueue.md 3.10).

The ledgers are changed while searching and are as before on return. Cost: O(candidates x (queues of the tree + cells x
depth)).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from roadstead.core.fairness.share import Share, share_of
from roadstead.core.preemption.classic import Reason, Target, satisfies
from roadstead.core.preemption.search import Placeable, Search
from roadstead.core.queueing.standing import Standing
from roadstead.core.queueing.turns import Usage
from roadstead.core.quota.table import QueueTable
from roadstead.core.quota.tree import QuotaNode, Slot
from roadstead.core.world import World
from roadstead.model.workload import WorkloadKey

FINAL_SHARE: Final = "LessThanOrEqualToFinalShare"
INITIAL_SHARE: Final = "LessThanInitialShare"

CandidateOrder: TypeAlias = tuple[bool, bool, float, tuple[int, int, str, tuple[str, str]]]


class FairSearch(Search):
    """One search for one preemptor, like `ClassicSearch`."""

    def __init__(
        self,
        world: World,
        table: QueueTable,
        preemptor: Standing,
        requests: Mapping[Slot, int],
        scarce: frozenset[Slot],
        placeable: Placeable | None,
        strategies: Sequence[str],
        barred: Collection[WorkloadKey] = (),
        usage: Usage | None = None,
    ) -> None:
        super().__init__(world, table, preemptor, requests, scarce, placeable, barred, usage)
        self.strategies = strategies
        self.removed: list[Target] = []

    def targets(self) -> list[Target]:
        """Who would have to go, in the order in which they were chosen; empty if nothing helps or nothing is fair."""
        candidates = self._candidates()
        if not candidates:
            return []
        self._charge(1)
        fits, retry = self._first(candidates)
        if not fits and len(self.strategies) > 1:
            fits = self._second(retry)
        self._charge(-1)
        if fits:
            self._fill_back()
        found, self.removed = self.removed, []
        for target in found:
            self._put_back(target)
        return found if fits else []

    # --- candidates

    def _candidates(self) -> list[Standing]:
        policies = self.table.fact.preemption
        found: list[Standing] = []
        for node in self.table.node.root.queues():
            own = node is self.table.node
            if not own and not any(node.is_borrowing(slot) for slot in self.scarce):
                continue
            policy = policies.within_cluster_queue if own else policies.reclaim_within_cohort
            for _, standing in self.world.holders.get(node.name, ()):
                hold = standing.hold
                if hold is None or not any(slot in self.scarce for slot, _ in hold.usage):
                    continue
                if satisfies(policy, self.preemptor, standing) and standing.key not in self.barred:
                    found.append(standing)
        return sorted(found, key=self._order)

    def _order(self, standing: Standing) -> CandidateOrder:
        own = self._queue(standing) is self.table.node
        used = self.usage(standing) if own and self.usage is not None else 0.0
        return (not standing.is_leaving, own, -used, standing.preemption_order)

    def _queue(self, standing: Standing) -> QuotaNode:
        assert standing.hold is not None
        return self.world.tree.queue(standing.hold.admission.cluster_queue)

    # --- strategies

    def _first(self, candidates: list[Standing]) -> tuple[bool, list[Standing]]:
        """(does it fit, candidates that the first strategy turned down)."""
        retry: list[Standing] = []
        within_nominal = self._is_within_nominal()  # before anybody goes: its own victims do not entitle it to reclaim
        ordering = _Ordering(self, candidates)
        for queue in ordering.turns():
            waiting = ordering.waiting[queue.name]
            if queue is self.table.node:
                if self._take(waiting.pop(0), Reason.IN_CLUSTER_QUEUE):
                    return True, []
                continue
            if within_nominal:
                if self._take(waiting.pop(0), Reason.IN_COHORT_RECLAMATION):
                    return True, []
                continue
            mine, theirs = self._almost_common(queue)
            tree = self.world.tree
            my_share, their_share = share_of(tree, mine), share_of(tree, theirs)
            while waiting:
                candidate = waiting.pop(0)
                if not self._passes(self.strategies[0], my_share, their_share, theirs, candidate):
                    retry.append(candidate)
                    continue
                if self._take(candidate, Reason.IN_COHORT_FAIR_SHARING):
                    return True, []
                break
        return False, retry

    def _second(self, retry: list[Standing]) -> bool:
        """One candidate of each queue, if the preemptor's side has less than that queue's side had."""
        ordering = _Ordering(self, retry)
        for queue in ordering.turns():
            mine, theirs = self._almost_common(queue)
            is_fair = share_of(self.world.tree, mine) < share_of(self.world.tree, theirs)
            if is_fair and self._take(ordering.waiting[queue.name].pop(0), Reason.IN_COHORT_FAIR_SHARING):
                return True
            ordering.waiting[queue.name] = []
        return False

    def _passes(self, strategy: str, mine: Share, theirs: Share, node: QuotaNode, candidate: Standing) -> bool:
        if strategy == INITIAL_SHARE:
            return mine < theirs
        hold = candidate.hold
        assert hold is not None
        queue = self._queue(candidate)
        for slot, amount in hold.usage:
            queue.remove(slot, amount)
        after = share_of(self.world.tree, node)
        for slot, amount in hold.usage:
            queue.add(slot, amount)
        return mine <= after

    def _is_within_nominal(self) -> bool:
        """With the incoming workload counted, the preemptor's queue uses no more than its own in any scarce cell."""
        node = self.table.node
        return not any(node.is_borrowing(slot) for slot in self.scarce)

    def _almost_common(self, queue: QuotaNode) -> tuple[QuotaNode, QuotaNode]:
        """The children of the lowest common ancestor on the preemptor's side and on the other."""
        mine, theirs = self.table.node.path(), queue.path()
        while len(mine) > 1 and len(theirs) > 1 and mine[-2] is theirs[-2]:
            mine.pop()
            theirs.pop()
        return mine[-2], theirs[-2]

    # --- trying

    def _take(self, standing: Standing, reason: Reason) -> bool:
        self._remove(standing, self._queue(standing))
        self.removed.append(Target(standing, reason))
        self._charge(-1)
        fits = self._fits()
        self._charge(1)
        return fits

    def _fits(self) -> bool:
        node = self.table.node
        if any(amount > node.free(slot) for slot, amount in self.requests.items()):
            return False
        return self.placeable is None or self.placeable()

    def _charge(self, sign: int) -> None:
        for slot, amount in self.requests.items():
            (self.table.node.add if sign > 0 else self.table.node.remove)(slot, amount)

    def _fill_back(self) -> None:
        for i in range(len(self.removed) - 2, -1, -1):
            self._put_back(self.removed[i])
            if self._fits():
                del self.removed[i]
            else:
                standing = self.removed[i].standing
                self._remove(standing, self._queue(standing))

    def _put_back(self, target: Target) -> None:
        self._restore(target.standing, self._queue(target.standing))


class _Ordering:
    """Which queue has to give next: from the root down, always the side with the highest share."""

    def __init__(self, search: FairSearch, candidates: Sequence[Standing]) -> None:
        self.search = search
        self.waiting: dict[str, list[Standing]] = {}
        for standing in candidates:
            self.waiting.setdefault(search._queue(standing).name, []).append(standing)
        self._pruned: set[QuotaNode] = set()
        self._path = set(search.table.node.path())

    def turns(self) -> Iterator[QuotaNode]:
        """Queues, one turn each; whoever takes a turn must take from (or empty) `waiting` of that queue."""
        root = self.search.table.node.root
        own = self.search.table.node
        if own.parent is None:
            while self.waiting.get(own.name):
                yield own
            return
        while root not in self._pruned:
            queue = self._next(root)
            if queue is not None:
                yield queue

    def _next(self, cohort: QuotaNode) -> QuotaNode | None:
        tree = self.search.world.tree
        best: QuotaNode | None = None
        best_share: Share | None = None
        for child in cohort.children:
            if child in self._pruned or not child.is_queue:
                continue
            share = share_of(tree, child)
            if not self.waiting.get(child.name) or (not share.is_borrowing and child is not self.search.table.node):
                self._pruned.add(child)
            elif best is None or best_share is None or share > best_share:
                best, best_share = child, share
            elif share == best_share and self._first_of(child) < self._first_of(best):
                best = child
        wide: QuotaNode | None = None
        wide_share: Share | None = None
        for child in cohort.children:
            if child in self._pruned or child.is_queue:
                continue
            share = share_of(tree, child)
            if not share.is_borrowing and child not in self._path:
                self._pruned.add(child)
            elif wide_share is None or share >= wide_share:
                wide, wide_share = child, share
        if wide is not None and wide_share is not None and (best_share is None or wide_share >= best_share):
            return self._next(wide)
        if best is None:
            self._pruned.add(cohort)
        return best

    def _first_of(self, queue: QuotaNode) -> CandidateOrder:
        return self.search._order(self.waiting[queue.name][0])
