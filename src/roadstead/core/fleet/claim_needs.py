"""What a pod's claims come to as things stand: devices of its own, ResourceClaims that are still to be allocated, and
those that are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from msgspec import structs

from roadstead.core.fleet.claims import ClaimBook, ClaimKey
from roadstead.model.dra import MAX_CONSUMERS, Allocation, Claim
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.selection import NodeTerm
from roadstead.model.workload import PodClass

Given: TypeAlias = tuple[tuple[str, Allocation], ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one pod, by its names for the claims. `own`: allocated anew for every pod; `open`: ResourceClaims to allocate
    once for all of them; `given`: what those have that are allocated, which pins the pods to the nodes of `pinned`."""

    own: tuple[tuple[str, Claim], ...] = ()
    open: tuple[tuple[str, ClaimKey, Claim], ...] = ()
    given: Given = ()
    shared: tuple[tuple[str, ClaimKey], ...] = ()
    order: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = field(init=False)
    pinned: tuple[NodeTerm, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "claims", tuple(claim for _, claim in self.own))
        object.__setattr__(self, "pinned", tuple(each.nodes for _, each in self.given if each.nodes is not None))

    def alone(self) -> Needs:
        """The same for a single pod: what is still to be allocated is allocated where it goes, as if it were its
        own."""
        if not self.open:
            return self
        own = {**dict(self.own), **{name: claim for name, _, claim in self.open}}
        return replace(self, own=tuple((name, own[name]) for name in self.order if name in own), open=())

    def with_open(self, allocations: Sequence[Allocation]) -> Needs:
        """The same once the open ones were allocated so."""
        added = tuple((name, each) for (name, _, _), each in zip(self.open, allocations, strict=True))
        return replace(self, open=(), given=self.given + added)

    def member(self, own: Sequence[Allocation]) -> Given:
        """What a member's claims are given, in the pod's order."""
        found = {**dict(self.given), **{name: each for (name, _), each in zip(self.own, own, strict=True)}}
        return tuple((name, found[name]) for name in self.order)


NO_CLAIMS: Final = Needs()


def needs_of(book: ClaimBook, pod: PodClass, pod_set: str, count: int) -> Needs | Refusal:
    """For `count` pods of this class. A Refusal if a claim can't be used. O(claims)."""
    if not pod.claims:
        return NO_CLAIMS
    own: list[tuple[str, Claim]] = []
    still_open: list[tuple[str, ClaimKey, Claim]] = []
    given: list[tuple[str, Allocation]] = []
    shared: list[tuple[str, ClaimKey]] = []
    for each in pod.claims:
        if each.claim is not None:
            own.append((each.name, each.claim))
            continue
        if each.shared is None:
            what = f"ResourceClaimTemplate {each.missing}" if each.missing else f"the ResourceClaim for {each.name}"
            verdict = Verdict.CHANGE if each.missing else Verdict.WAIT
            return Refusal(Code.CLAIM_NOT_FOUND, verdict, Level.WORKLOAD, pod_set, subject=what)
        fact = book.claims.get(each.shared)
        what = f"ResourceClaim {each.shared[1]}"
        if fact is None:
            return Refusal(Code.CLAIM_NOT_FOUND, Verdict.CHANGE, Level.WORKLOAD, pod_set, subject=what)
        if fact.deleting:
            return Refusal(Code.CLAIM_UNUSABLE, Verdict.CHANGE, Level.WORKLOAD, pod_set, subject=what)
        if len(fact.consumers) + count > MAX_CONSUMERS:
            return Refusal(
                Code.CLAIM_UNUSABLE, Verdict.WAIT, Level.WORKLOAD, pod_set, needed=count,
                available=max(0, MAX_CONSUMERS - len(fact.consumers)), limit=MAX_CONSUMERS, subject=what,
            )  # fmt: skip
        shared.append((each.name, each.shared))
        allocation = book.allocation_of(each.shared)
        if allocation is not None:
            given.append((each.name, allocation))
        else:
            still_open.append((each.name, each.shared, structs.replace(fact.claim, namespace="", name="")))
    order = tuple(each.name for each in pod.claims)
    return Needs(tuple(own), tuple(still_open), tuple(given), tuple(shared), order)
