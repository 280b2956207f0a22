"""How many pods' claims find their devices on a node, and which devices those are.

The members of a gang are alike, so the answer for a node is a plan: what the first pod's claims get, what the second's
get beside it, and so on until nothing fits. Where that ends before the devices do, all pods are tried at once: their
claims then make room for one another, as the claims of one pod do. Plans are kept for as long as the node publishes the
same and the same of it is in use, so a node without room is not visited again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Allocated, Failed, Outcome
from roadstead.core.dra.usage import Usage
from roadstead.core.fleet.claims import ClaimBook
from roadstead.core.fleet.demand import Demand
from roadstead.core.fleet.ledger import NodeLine
from roadstead.model.amounts import ResourceName
from roadstead.model.dra import Allocation, Claim

Claims: TypeAlias = tuple[Claim, ...]
"""Of one pod, in the pod's order."""

STEPS: Final = 100_000
"""Calls of the allocator's search for the claims of one pod on one node."""

TOGETHER_STEPS: Final = 2_000
"""The same for all pods of a node at once: this only ever finds room where one by one finds none."""

PLANS_MAX: Final = 50_000


@dataclass(slots=True)
class Plan:
    """What each of so many pods' claims gets on one node. `is_whole`: for more there is no room."""

    pods: list[tuple[Allocation, ...]] = field(default_factory=list)
    is_whole: bool = False
    failed: Failed | None = None
    """Why there is no room, if that was an error."""


class ClaimRoom:
    """Plans for the nodes of a Fleet."""

    def __init__(self, book: ClaimBook) -> None:
        self._book = book
        self._plans: dict[object, tuple[object, Plan]] = {}

    def pods(self, line: NodeLine, demand: Demand, limit: int, *, beside_leader: bool = False) -> int:
        """How many of up to `limit` pods of a demand, for whom there is room otherwise, find the devices of their
        claims and those that they ask for by name."""
        if not limit:
            return 0
        empty, leader = demand.without_workloads, demand.leader_claims if beside_leader else ()
        pods = self.plan(line.facts, demand.claims, limit, empty=empty, beside=leader).pods[:limit]
        count = len(pods)
        listed = [(name, amount) for name, amount in demand.requests if line.devices.lists(name)]
        if not listed:
            return count
        lost = self._names(line, leader, demand) if leader else ()
        while count and not self._leaves(line, listed, count, pods[:count], lost, empty=empty):
            count -= 1
        return count

    def leads(self, line: NodeLine, demand: Demand) -> bool:
        """Do the leader's claims find their devices on the node?"""
        if not demand.leader_claims:
            return True
        return bool(self.plan(line.facts, demand.leader_claims, 1, empty=demand.without_workloads).pods)

    def _names(self, line: NodeLine, leader: Claims, demand: Demand) -> tuple[str, ...]:
        plan = self.plan(line.facts, leader, 1, empty=demand.without_workloads)
        return tuple(self.names(line.name, (each for pod in plan.pods[:1] for each in pod)))

    def names(self, node: str, allocations: Iterable[Allocation]) -> set[str]:
        """The names under which the node lists the devices of these allocations."""
        listed = (self._book.listed(result.id) for each in allocations for result in each.results if not result.admin)
        return {name for at in listed if at is not None and at[0] == node for name in (at[1],)}

    def _leaves(
        self,
        line: NodeLine,
        listed: Sequence[tuple[ResourceName, int]],
        count: int,
        pods: Sequence[Sequence[Allocation]],
        lost: Sequence[str],
        *,
        empty: bool,
    ) -> bool:
        """Do these pods' claims leave the devices that they ask for by name?"""
        claimed = self.names(line.name, (each for pod in pods for each in pod)).union(lost)
        for resource, amount in listed:
            free = line.devices.pick(resource, amount * count + len(claimed), without_workloads=empty)
            if sum(name not in claimed for name in free) < amount * count:
                return False
        return True

    def plan(self, node: NodeFacts, claims: Claims, limit: int, *, empty: bool = False, beside: Claims = ()) -> Plan:
        """What up to `limit` pods with these claims get on the node; `beside`: next to another pod with those. `empty`:
        if nothing were in use. O(1) while nothing changes, else one search of the allocator for each pod."""
        version = self._book.version(node.name)
        now: object = (version, self._book.pencilled) if empty else (version, self._book.state(node.name))
        key = (node, claims, beside, empty)
        known = self._plans.get(key)
        if known is None or known[0] != now:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            known = self._plans[key] = (now, Plan())
        plan = known[1]
        if len(plan.pods) < limit and not plan.is_whole:
            self._extend(plan, node, claims, limit, self._book.nothing if empty else self._book.usage, beside)
        return plan

    def _extend(self, plan: Plan, node: NodeFacts, claims: Claims, limit: int, usage: Usage, beside: Claims) -> None:
        held: list[Allocation] = []
        try:
            if beside:
                first = self._ask(node, beside, usage)
                if not isinstance(first, Allocated):
                    plan.is_whole = True
                    return
                _hold(first.allocations, usage, held)
            outside = len(held)
            for pod in plan.pods:
                _hold(pod, usage, held)
            while len(plan.pods) < limit:
                outcome = self._ask(node, claims, usage)
                if not isinstance(outcome, Allocated):
                    plan.failed = outcome if isinstance(outcome, Failed) else None
                    break
                plan.pods.append(outcome.allocations)
                if not any(_takes(each) for each in outcome.allocations):
                    plan.pods += [outcome.allocations] * (limit - len(plan.pods))
                    break
                _hold(outcome.allocations, usage, held)
            else:
                return
            _let_go(held[outside:], usage)
            del held[outside:]
            while (
                len(plan.pods) < limit
                and plan.failed is None
                and self._may_hold(node, claims, len(plan.pods) + 1, usage)
            ):
                together = self._ask(node, claims * (len(plan.pods) + 1), usage, TOGETHER_STEPS)
                if not isinstance(together, Allocated):
                    break
                plan.pods[:] = _by_pod(together.allocations, len(claims))
            plan.is_whole = len(plan.pods) < limit
        finally:
            _let_go(held, usage)

    def _ask(self, node: NodeFacts, claims: Claims, usage: Usage, steps: int = STEPS) -> Outcome:
        return allocate(self._book.inventory, node, claims, steps, usage.view())

    def _may_hold(self, node: NodeFacts, claims: Claims, pods: int, usage: Usage) -> bool:
        """False if the node plainly has too few free devices for so many pods; a device that several can share counts
        for all."""
        if pods < 2:
            return False  # one pod's claims were tried in every way
        use = usage.view()
        free = 0
        for candidate in self._book.inventory.view(node).order:
            if candidate.device.shareable:
                return True
            free += candidate.id not in use.whole
        return fewest(claims) * pods <= free


def fewest(claims: Claims) -> int:
    """How many devices one pod's claims take at least."""
    return sum(
        min((0 if body.admin or body.mode != "ExactCount" else body.count) for body in request.alternatives)
        for claim in claims
        for request in claim.requests
        if request.alternatives
    )


def _takes(allocation: Allocation) -> bool:
    return any(not result.admin for result in allocation.results)


def _hold(allocations: Sequence[Allocation], usage: Usage, held: list[Allocation]) -> None:
    for each in allocations:
        usage.hold(each)
        held.append(each)


def _let_go(held: Sequence[Allocation], usage: Usage) -> None:
    for each in held:
        usage.release(each)


def _by_pod(allocations: Sequence[Allocation], claims: int) -> list[tuple[Allocation, ...]]:
    return [tuple(allocations[at : at + claims]) for at in range(0, len(allocations), claims)]
