"""Classic preemption: which workloads would have to go so that another fits (kueue.md 3.7.1; Kueue KEP-83, KEP-1337,
KEP-79).

Called through `choose` by flavor assignment for one cell (would it help at all?) and by `cycle` for a whole workload.
The ledgers are changed while searching and are as before on return. Cost: O(candidates x (cells x depth)), plus one
placement for each candidate where the workload is placed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from roadstead.core.preemption.search import Search
from roadstead.core.queueing.standing import PreemptionOrder, Standing
from roadstead.core.quota.table import QueueTable
from roadstead.core.quota.tree import QuotaNode, Slot
from roadstead.core.world import World
from roadstead.model.queues import PreemptionPolicy


class Reason(StrEnum):
    """Reason of the Preempted condition."""

    IN_CLUSTER_QUEUE = "InClusterQueue"
    IN_COHORT_RECLAMATION = "InCohortReclamation"
    IN_COHORT_FAIR_SHARING = "InCohortFairSharing"
    IN_COHORT_RECLAIM_WHILE_BORROWING = "InCohortReclaimWhileBorrowing"


class Variant(StrEnum):
    """In which way a candidate may be taken."""

    WITHIN_QUEUE = "within queue"
    HIERARCHICAL = "hierarchical reclaim"
    RECLAIM_WITHOUT_BORROWING = "reclaim without borrowing"
    RECLAIM_WHILE_BORROWING = "reclaim while borrowing"

    @property
    def reason(self) -> Reason:
        match self:
            case Variant.WITHIN_QUEUE:
                return Reason.IN_CLUSTER_QUEUE
            case Variant.RECLAIM_WHILE_BORROWING:
                return Reason.IN_COHORT_RECLAIM_WHILE_BORROWING
            case _:
                return Reason.IN_COHORT_RECLAMATION


@dataclass(frozen=True, slots=True)
class Target:
    """A workload that is asked to go, and why it may be asked."""

    standing: Standing
    reason: Reason


@dataclass(slots=True)
class Candidate:
    standing: Standing
    variant: Variant
    node: QuotaNode
    ancestor: QuotaNode | None  # lowest common ancestor with the preemptor; None in its own queue


def satisfies(policy: PreemptionPolicy, preemptor: Standing, candidate: Standing) -> bool:
    """May `preemptor` ask `candidate` to go under this policy?"""
    mine, theirs = preemptor.fact, candidate.fact
    match policy:
        case PreemptionPolicy.NEVER:
            return False
        case PreemptionPolicy.ANY:
            return True
        case PreemptionPolicy.LOWER_PRIORITY:
            return mine.priority > theirs.priority
        case PreemptionPolicy.LOWER_OR_NEWER_EQUAL_PRIORITY:
            return mine.priority > theirs.priority or (
                mine.priority == theirs.priority and mine.queued_at < theirs.queued_at
            )


def nobody_may_be_asked(world: World, table: QueueTable, preemptor: Standing, scarce: Iterable[Slot]) -> bool:
    """True if a search would not find a single candidate: nobody in the own queue ranks low enough, and nobody in the
    cohort uses more than its quota in a scarce cell. False: there may be one. O(depth x cells); most questions of a
    full cluster end here."""
    policies, mine = table.fact.preemption, preemptor.fact.priority
    within, holders = policies.within_cluster_queue, world.holders.get(table.name)
    if within is not PreemptionPolicy.NEVER and holders:
        lowest = holders[0][0][0]
        if within is PreemptionPolicy.ANY or lowest < mine:
            return False
        if lowest == mine and within is not PreemptionPolicy.LOWER_PRIORITY:
            return False
    if policies.reclaim_within_cohort is PreemptionPolicy.NEVER:
        return True
    visited, ancestor = table.node, table.node.parent
    while ancestor is not None:
        for slot in scarce:
            borrowers = ancestor.borrowers.get(slot)
            if borrowers and (len(borrowers) > 1 or visited not in borrowers):
                return False
        visited, ancestor = ancestor, ancestor.parent
    return True


class ClassicSearch(Search):
    """See the module."""

    def targets(self) -> list[Target]:
        """Who would have to go, in the order in which they were chosen; empty if nothing helps."""
        hierarchical, others = self._from_cohort()
        own = self._from_own_queue()
        candidates = [c for part in (hierarchical, others, own) for c in sorted(part, key=_order)]
        if self.usage is not None:
            usage = self.usage
            candidates[len(candidates) - len(own) :] = sorted(own, key=lambda c: (-usage(c.standing), _order(c)))
        if not candidates:
            return []
        leaving = [candidate for candidate in candidates if candidate.standing.is_leaving]
        if leaving:
            candidates = leaving + [candidate for candidate in candidates if not candidate.standing.is_leaving]
        no_others = not hierarchical and not others
        borrow_forbidden = not self.table.can_preempt_while_borrowing
        if no_others or (borrow_forbidden and not self._is_under_nominal()):
            attempts: tuple[bool, ...] = (True,)
        elif borrow_forbidden and not hierarchical:
            attempts = (False, True)
        else:
            attempts = (True, False)
        for borrowing in attempts:
            found = self._attempt(candidates, borrowing)
            if found:
                return found
        return []

    def _attempt(self, candidates: list[Candidate], borrowing: bool) -> list[Target]:
        removed: list[Candidate] = []
        try:
            for candidate in candidates:
                if not self._is_valid(candidate, borrowing):
                    continue
                self._remove(candidate.standing, candidate.node)
                removed.append(candidate)
                if self._fits(borrowing):
                    self._fill_back(removed, borrowing)
                    return [Target(c.standing, c.variant.reason) for c in removed]
            return []
        finally:
            for candidate in removed:
                self._restore(candidate.standing, candidate.node)

    def _fill_back(self, removed: list[Candidate], borrowing: bool) -> None:
        """Put back whoever turned out not to be in the way, last chosen first (the very last one made it fit)."""
        for i in range(len(removed) - 2, -1, -1):
            candidate = removed[i]
            self._restore(candidate.standing, candidate.node)
            if self._fits(borrowing):
                del removed[i]
            else:
                self._remove(candidate.standing, candidate.node)

    def _fits(self, borrowing: bool) -> bool:
        node = self.table.node
        for slot, amount in self.requests.items():
            if not borrowing and node.would_borrow(slot, amount):
                return False
            if amount > node.free(slot):
                return False
        return self.placeable is None or self.placeable()

    def _is_valid(self, candidate: Candidate, borrowing: bool) -> bool:
        if candidate.ancestor is None:
            return True
        if borrowing and candidate.variant is Variant.RECLAIM_WITHOUT_BORROWING:
            return False
        node: QuotaNode | None = candidate.node
        while node is not None and node is not candidate.ancestor:
            if not self._exceeds(node):
                return False
            node = node.parent
        return True

    def _exceeds(self, node: QuotaNode) -> bool:
        """Does the node use more than its own quota in some scarce cell?"""
        return any(node.is_borrowing(slot) for slot in self.scarce)

    def _is_under_nominal(self) -> bool:
        node = self.table.node
        return all(node.usage.get(slot, 0) < node.nominal.get(slot, 0) for slot in self.scarce)

    def _from_own_queue(self) -> list[Candidate]:
        policy = self.table.fact.preemption.within_cluster_queue
        if policy is PreemptionPolicy.NEVER:
            return []
        node = self.table.node
        return [
            Candidate(standing, Variant.WITHIN_QUEUE, node, None) for standing in self._allowed(self.table.name, policy)
        ]

    def _allowed(self, queue: str, policy: PreemptionPolicy) -> list[Standing]:
        """Holders of scarce cells in a queue that the policy lets the preemptor ask, in preemption order: by priority
        first."""
        mine, scarce, barred = self.preemptor.fact.priority, self.scarce, self.barred
        found: list[Standing] = []
        for order, standing in self.world.holders.get(queue, ()):
            theirs = order[0]
            if theirs >= mine and policy is not PreemptionPolicy.ANY:
                if theirs > mine or policy is PreemptionPolicy.LOWER_PRIORITY:
                    break
                if not satisfies(policy, self.preemptor, standing):
                    continue
            hold = standing.hold
            if hold is not None and (not barred or standing.key not in barred):
                for slot, _ in hold.usage:
                    if slot in scarce:
                        found.append(standing)
                        break
        return found

    def _from_cohort(self) -> tuple[list[Candidate], list[Candidate]]:
        """(candidates by hierarchical advantage, the others), walking from the preemptor's cohort to the root."""
        hierarchical: list[Candidate] = []
        others: list[Candidate] = []
        node = self.table.node
        if node.parent is None or self.table.fact.preemption.reclaim_within_cohort is PreemptionPolicy.NEVER:
            return hierarchical, others
        remaining = dict(self.requests)
        advantage = _fits_in_quota(node, remaining)
        visited: QuotaNode = node
        ancestor: QuotaNode | None = node.parent
        while ancestor is not None:
            for queue in self._exceeding_queues(ancestor, visited):
                self._collect(queue, ancestor, advantage, hierarchical if advantage else others)
            advantage = _fits_in_quota(ancestor, remaining) or advantage
            visited, ancestor = ancestor, ancestor.parent
        return hierarchical, others

    def _exceeding_queues(self, ancestor: QuotaNode, skipped: QuotaNode) -> Iterable[QuotaNode]:
        for child in ancestor.borrowing(self.scarce):
            if child is skipped:
                continue
            if child.is_queue:
                yield child
            else:
                yield from self._exceeding_queues(child, skipped)

    def _collect(self, queue: QuotaNode, ancestor: QuotaNode, advantage: bool, found: list[Candidate]) -> None:
        preemption = self.table.fact.preemption
        mine, most = self.preemptor.fact.priority, preemption.borrow_max_priority
        may_borrow = self.table.can_preempt_while_borrowing
        for standing in self._allowed(queue.name, preemption.reclaim_within_cohort):
            theirs = standing.fact.priority
            if advantage:
                variant = Variant.HIERARCHICAL
            elif not may_borrow or theirs >= mine or (most is not None and theirs > most):
                variant = Variant.RECLAIM_WITHOUT_BORROWING
            else:
                variant = Variant.RECLAIM_WHILE_BORROWING
            found.append(Candidate(standing, variant, queue, ancestor))


def _order(candidate: Candidate) -> PreemptionOrder:
    return candidate.standing.preemption_order


def _fits_in_quota(node: QuotaNode, remaining: dict[Slot, int]) -> bool:
    """Would the quota of this node hold `remaining`? Leaves in it what has to come from above."""
    fits = True
    for slot, amount in remaining.items():
        if node.would_borrow(slot, amount):
            fits = False
        remaining[slot] = max(0, amount - node.local_available(slot))
    return fits
