"""From an Ask to an Answer: pod sets (and groups of two) in order, each seeing what the ones before it took.

Here the counts of `forest`, the choice of `search` and the devices of `devices` come together into members with node
and devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from roadstead.core.dra.outcome import Scope
from roadstead.core.fleet.ask import Ask, Found, PodSetAsk
from roadstead.core.fleet.claim_needs import NO_CLAIMS, Needs, needs_of
from roadstead.core.fleet.claim_refusing import invalid, refuse_claims
from roadstead.core.fleet.claim_room import ClaimRoom, fewest
from roadstead.core.fleet.claims import ClaimBook
from roadstead.core.fleet.counting import Counts
from roadstead.core.fleet.demand import HOSTNAME, Demand
from roadstead.core.fleet.ledger import PENCIL_PREFIX, NodeLine, Requests, fits, per_pod
from roadstead.core.fleet.refusing import never, no_level, refuse
from roadstead.core.fleet.search import Pick, Shortfall, Want, search
from roadstead.core.fleet.shape import UnknownLevelError, shape_of
from roadstead.model.amounts import ResourceName
from roadstead.model.dra import Allocation
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.selection import NodeTerm, Requirement
from roadstead.model.workload import Member, Placement, PodSetPlacement, TopologyAssignment


class Books(Protocol):
    """What placing needs of the Fleet."""

    @property
    def claims(self) -> ClaimBook: ...

    @property
    def claim_room(self) -> ClaimRoom: ...

    def lines_by_name(self) -> Iterable[NodeLine]: ...

    def counts(self, demand: Demand) -> Counts: ...

    def hands_out_by_device(self, resource: ResourceName) -> bool: ...

    def waits_for_pods_outside(self, ask: Ask, when_empty: Refusal) -> bool: ...

    def pencil_in(self, pod_set: PodSetPlacement) -> Callable[[], None]: ...


@dataclass(frozen=True, slots=True)
class _Part:
    placement: PodSetPlacement
    topology: TopologyAssignment


class Placer:
    """Answers one Ask. What it pencils in on the way it rubs out again, whatever happens."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._rub_out: list[Callable[[], None]] = []

    def place(self, ask: Ask) -> Found | Refusal:
        try:
            return self._place(ask)
        finally:
            self._rub_all_out()

    def can_place(self, ask: Ask) -> bool:
        """Is there a place? Members are named only for pod sets that others come after."""
        groups = _groups(ask.pod_sets)
        try:
            for at, (workers, leader) in enumerate(groups):
                if workers.count == 0 and leader is None:
                    continue
                if ask.exact and (workers.pod.claims or (leader is not None and leader.pod.claims)):
                    if isinstance(self._place_group(ask, workers, leader, is_last=at == len(groups) - 1), Refusal):
                        return False
                    continue
                try:
                    demand, want = shape_of(workers, leader, assume_empty=ask.assume_empty, exact=ask.exact)
                except UnknownLevelError:
                    return False
                counts = self._books.counts(demand)
                picks = search(counts, want) if counts.node_count else None
                if picks is None or isinstance(picks, Shortfall):
                    return False
                if at < len(groups) - 1:
                    self._fill(workers, leader, counts, picks, NO_CLAIMS, NO_CLAIMS, is_last=False)
            return True
        finally:
            self._rub_all_out()

    def _rub_all_out(self) -> None:
        self._rub_out_to(0)

    def _rub_out_to(self, mark: int) -> None:
        while len(self._rub_out) > mark:
            self._rub_out.pop()()

    def leaves_fit(self, ask: Ask, found: Found) -> bool:
        """True if each leaf of the answer still holds its pods, pod set by pod set (Kueue: TASFlavorSnapshot.Fits)."""
        for pod_set, placed in zip(ask.pod_sets, found.placement.pod_sets, strict=True):
            demand, _ = shape_of(pod_set, None, assume_empty=ask.assume_empty, exact=ask.exact)
            counts = self._books.counts(demand)
            members = Counter(member.node for member in placed.members)
            if not all(counts.room_for(name, members) for name in members):
                return False
        return True

    def _place(self, ask: Ask) -> Found | Refusal:
        groups = _groups(ask.pod_sets)
        parts: dict[str, _Part] = {}
        for at, (workers, leader) in enumerate(groups):
            answer = self._place_group(ask, workers, leader, is_last=at == len(groups) - 1)
            if isinstance(answer, Refusal):
                return answer
            parts.update(answer)
        in_order = [parts[pod_set.name] for pod_set in ask.pod_sets]
        return Found(Placement(tuple(part.placement for part in in_order)), tuple(part.topology for part in in_order))

    def _place_group(
        self, ask: Ask, workers: PodSetAsk, leader: PodSetAsk | None, *, is_last: bool
    ) -> dict[str, _Part] | Refusal:
        if workers.count == 0 and leader is None:
            return {workers.name: self._part(workers, [], _shown_levels(workers.levels), NO_CLAIMS)}
        needs = self._needs(ask, workers)
        lead_needs = self._needs(ask, leader) if leader is not None else NO_CLAIMS
        if isinstance(needs, Refusal):
            return needs
        if isinstance(lead_needs, Refusal):
            return lead_needs
        if needs.open or lead_needs.open:
            return self._share(ask, workers, leader, needs, lead_needs, is_last=is_last)
        try:
            demand, want = shape_of(
                workers, leader, assume_empty=ask.assume_empty, exact=ask.exact, needs=needs, leader_needs=lead_needs
            )
        except UnknownLevelError as error:
            return no_level(workers, error.level)
        counts = self._books.counts(demand)
        picks = search(counts, want) if counts.node_count else Shortfall(want.level, 0, want.count // demand.slice_size)
        if isinstance(picks, Shortfall):
            return self._refuse(ask, workers, counts, want, picks)
        try:
            return self._fill(workers, leader, counts, picks, needs, lead_needs, is_last=is_last)
        except NoRoomError:
            # Nodes that see the same devices were counted apart; together they have not got them.
            return self._refuse(ask, workers, counts, want, Shortfall(want.level, 0, want.count // demand.slice_size))

    def _refuse_claims(
        self, ask: Ask, pod_set: PodSetAsk, counts: Counts, want: Want, short: Shortfall
    ) -> Refusal | None:
        if not counts.demand.claims or not counts.node_count:
            return None
        needs = self._needs(ask, pod_set)
        names = tuple(name for name, _ in needs.own) if isinstance(needs, Needs) else ()
        books = self._books
        return refuse_claims(
            pod_set, counts, want, short, names, books.claims, books.claim_room, empty=ask.assume_empty
        )

    def _needs(self, ask: Ask, pod_set: PodSetAsk) -> Needs | Refusal:
        """What the claims of its pods come to. Where kube-scheduler has the last word they are not looked at."""
        if not ask.exact or not pod_set.pod.claims:
            return NO_CLAIMS
        needs = needs_of(self._books.claims, pod_set.pod, pod_set.name, pod_set.count)
        return needs.alone() if isinstance(needs, Needs) and pod_set.count == 1 else needs

    def _share(
        self,
        ask: Ask,
        workers: PodSetAsk,
        leader: PodSetAsk | None,
        needs: Needs,
        lead_needs: Needs,
        *,
        is_last: bool,
    ) -> dict[str, _Part] | Refusal:
        """Pods that share ResourceClaims which are still to be allocated: where one of them finds devices, all the pods
        have to fit, on the nodes from where those can be used. Node by node, by name; each different allocation is
        tried once. O(nodes x placing)."""
        wanted = {key: (name, claim) for name, key, claim in (*needs.open, *lead_needs.open)}
        shared = tuple((name, key) for key, (name, _) in wanted.items())
        claims = tuple(claim for _, claim in wanted.values())
        tried: set[tuple[object, ...]] = set()
        refusal: Refusal | None = None
        for line in self._books.lines_by_name():
            if line.node is None:
                continue
            plan = self._books.claim_room.plan(line.facts, claims, 1, empty=ask.assume_empty)
            if not plan.pods:
                if plan.failed is not None and plan.failed.scope is Scope.FATAL:
                    refusal = refusal or invalid(workers.name, plan.failed, [name for name, _ in shared])
                continue
            given = plan.pods[0]
            what = tuple((each.results, each.nodes) for each in given)
            if what in tried:
                continue
            tried.add(what)
            if _binds(given, line) and not self._has_room(line, workers, empty=ask.assume_empty):
                continue
            member = Member(line.name, (), tuple(zip((name for name, _ in shared), given, strict=True)))
            pencilled = Placement((PodSetPlacement("", (member,), (), shared),))
            mark = len(self._rub_out)
            self._rub_out.append(self._books.claims.pencil_in(f"{PENCIL_PREFIX}/{workers.name}", pencilled))
            answer = self._place_group(ask, workers, leader, is_last=is_last)
            if not isinstance(answer, Refusal):
                return answer
            self._rub_out_to(mark)
            if refusal is None or answer.available > refusal.available:
                refusal = answer
        return refusal or Refusal(
            Code.TOPOLOGY_TOO_SMALL if ask.assume_empty else Code.DEVICES_EXHAUSTED,
            Verdict.CHANGE if ask.assume_empty else Verdict.WAIT,
            Level.FLEET,
            workers.name,
            resource=claims[0].requests[0].alternatives[0].device_class if claims[0].requests else "",
            needed=fewest(claims),
            limit=0 if ask.assume_empty else fewest(claims),
        )

    def _has_room(self, line: NodeLine, pod_set: PodSetAsk, *, empty: bool) -> bool:
        """Could all pods run on this one node, claims apart?"""
        return fits(line.room(without_workloads=empty), per_pod(pod_set.pod.requests)) >= pod_set.count

    def _fill(
        self,
        workers: PodSetAsk,
        leader: PodSetAsk | None,
        counts: Counts,
        picks: Sequence[Pick],
        needs: Needs,
        lead_needs: Needs,
        *,
        is_last: bool,
    ) -> dict[str, _Part]:
        """Name the node and devices of every member. The leader goes first: it is the one with the fewest choices.
        NoRoomError if claims do not find what was counted."""
        empty = counts.demand.without_workloads
        levels = _shown_levels(workers.levels)
        parts: dict[str, _Part] = {}
        if leader is not None:
            requests = per_pod(leader.pod.requests)
            seats = [
                (_shown_values(pick.domain.values, levels, workers.levels), _leader_line(counts, pick, requests), 1)
                for pick in picks
                if pick.leaders
            ]
            parts[leader.name] = self._part(leader, seats, levels, lead_needs, empty=empty)
            self._rub_out.append(self._books.pencil_in(parts[leader.name].placement))
        seats = []
        left = workers.count
        for pick in picks:
            values = _shown_values(pick.domain.values, levels, workers.levels)
            for line, count in _spread(counts, pick):
                count = min(count, left)  # the last slice of an exact ask may be cut short
                left -= count
                if count:
                    seats.append((values, line, count))
        parts[workers.name] = self._part(workers, seats, levels, needs, empty=empty)
        if not is_last:
            self._rub_out.append(self._books.pencil_in(parts[workers.name].placement))
        return parts

    def _part(
        self,
        pod_set: PodSetAsk,
        seats: Sequence[tuple[tuple[str, ...], NodeLine, int]],
        levels: tuple[str, ...],
        needs: Needs,
        *,
        empty: bool = False,
    ) -> _Part:
        """Members in rank order (the order of the domains, then of nodes, then of device indices) and the same as an
        assignment."""
        members: list[Member] = []
        domains: dict[tuple[str, ...], int] = {}
        for values, line, count in seats:
            domains[values] = domains.get(values, 0) + count
            members += self._seated(pod_set, line, count, needs, empty=empty)
        return _Part(
            PodSetPlacement(pod_set.name, tuple(members), pod_set.pod.requests, needs.shared),
            TopologyAssignment(levels, tuple(domains.items())),
        )

    def _seated(self, pod_set: PodSetAsk, line: NodeLine, count: int, needs: Needs, *, empty: bool) -> list[Member]:
        requests = pod_set.pod.requests
        if not needs.order:
            return _members(line, requests, count, (), empty=empty)
        room = self._books.claim_room
        own: Sequence[tuple[Allocation, ...]] = [()] * count
        if needs.own:
            own = room.plan(line.facts, needs.claims, count, empty=empty).pods[:count]
            if len(own) < count:
                raise NoRoomError
        claimed = room.names(line.name, (each for pod in own for each in pod))
        members = _members(line, requests, count, claimed, empty=empty)
        return [replace(each, claims=needs.member(given)) for each, given in zip(members, own, strict=True)]

    def _refuse(self, ask: Ask, pod_set: PodSetAsk, counts: Counts, want: Want, short: Shortfall) -> Refusal:
        """With the numbers, and with a second look at an empty fleet: wait, or change the request?"""
        now = self._refuse_claims(ask, pod_set, counts, want, short) or refuse(
            pod_set, counts, want, short, assume_empty=ask.assume_empty, by_device=self._books.hands_out_by_device
        )
        if ask.assume_empty or not counts.node_count:
            return now
        self._rub_all_out()
        when_empty = self._place(replace(ask, assume_empty=True))
        self._rub_all_out()
        if not isinstance(when_empty, Refusal):
            return now
        if self._books.waits_for_pods_outside(ask, when_empty):
            return now
        return never(now, when_empty)


def _binds(given: Iterable[Allocation], line: NodeLine) -> bool:
    """Can one of these be used from this node alone?"""
    here = NodeTerm(fields=(Requirement("metadata.name", "In", (line.name,)),))
    return any(each.nodes == here for each in given)


class NoRoomError(Exception):
    """A node has not got the devices that were counted there: another node of the gang, which sees them too, took
    them."""


def _groups(pod_sets: Sequence[PodSetAsk]) -> list[tuple[PodSetAsk, PodSetAsk | None]]:
    """(workers, leader) in order of first appearance; two pod sets of one group name belong together, the larger are
    the workers (Kueue: findLeaderAndWorkers)."""
    if len(pod_sets) == 1:
        return [(pod_sets[0], None)]
    found: dict[object, list[PodSetAsk]] = {}
    for at, pod_set in enumerate(pod_sets):
        group = pod_set.request.group if pod_set.request else ""
        found.setdefault(group or at, []).append(pod_set)
    pairs: list[tuple[PodSetAsk, PodSetAsk | None]] = []
    for members in found.values():
        if len(members) != 2:
            pairs += [(member, None) for member in members]
        elif members[1].count > members[0].count:
            pairs.append((members[1], members[0]))
        else:
            pairs.append((members[0], members[1]))
    return pairs


def _shown_levels(levels: tuple[str, ...]) -> tuple[str, ...]:
    """An assignment names only hosts where the lowest level is the host (Kueue 4.1)."""
    return levels[-1:] if levels[-1] == HOSTNAME else levels


def _shown_values(values: tuple[str, ...], shown: tuple[str, ...], levels: tuple[str, ...]) -> tuple[str, ...]:
    return values[len(levels) - len(shown) : len(levels)]


def _leader_line(counts: Counts, pick: Pick, requests: Requests) -> NodeLine:
    """The node of the leaf that loses the fewest pods to the leader; where only the sum of the leaf counts, the
    first."""
    lines = sorted(pick.domain.lines.values(), key=lambda line: line.name)
    if len(lines) == 1:
        return lines[0]
    demand = counts.demand

    def loss(line: NodeLine) -> tuple[bool, int, str]:
        room = dict(line.room(without_workloads=demand.without_workloads))
        able = counts.can_lead(line) and fits(room, requests) > 0
        before = fits(room, demand.requests)
        for name, amount in requests:
            room[name] = room.get(name, 0) - amount
        return (not able, before - fits(room, demand.requests), line.name)

    return min(lines, key=loss)


def _spread(counts: Counts, pick: Pick) -> list[tuple[NodeLine, int]]:
    """The pods of one leaf over its nodes, by name. What only the sum of the leaf holds goes to its first node."""
    lines = pick.domain.lines
    if len(lines) == 1:
        return [(line, pick.pods) for line in lines.values()]
    demand = counts.demand
    left = pick.pods
    given: dict[str, int] = {}
    for name in sorted(lines):
        room = lines[name].room(without_workloads=demand.without_workloads)
        given[name] = min(left, fits(room, demand.requests))
        left -= given[name]
    if left:
        given[min(given)] += left
    return [(lines[name], count) for name, count in given.items() if count]


def _members(line: NodeLine, requests: Requests, count: int, claimed: Collection[str], *, empty: bool) -> list[Member]:
    """Members on one node with the devices that they ask for by count; `claimed` ones go to their claims."""
    listed = [(name, amount) for name, amount in requests if amount > 0 and line.devices.lists(name)]
    if not listed:
        return [Member(line.name)] * count
    devices: list[tuple[str, ...]] = [()] * count
    for name, amount in listed:
        picked = line.devices.pick(name, amount * count + len(claimed), without_workloads=empty)
        if claimed:
            picked = tuple(each for each in picked if each not in claimed)[: amount * count]
        devices = [had + picked[i * amount : (i + 1) * amount] for i, had in enumerate(devices)]
    return [Member(line.name, names) for names in devices]
