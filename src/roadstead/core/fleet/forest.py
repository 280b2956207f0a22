"""Phase 1 of placement: how many pods of one kind fit into each topology domain, bottom-up and kept up to date (Kueue
4.4).

A `Forest` belongs to one `Demand`: the same selection, topology levels, requests and slices. Domains are found by their
label values of levels 0..i. The Fleet tells it which nodes changed; only those leaves and the domains above them are
counted again, so a question costs what changed since the last one, not the size of the fleet.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from roadstead.core.fleet.claim_room import ClaimRoom
from roadstead.core.fleet.demand import HOSTNAME, NODE_LEVEL, Demand
from roadstead.core.fleet.domain import Domain, Values
from roadstead.core.fleet.ledger import NodeLine, Requests, fits
from roadstead.core.fleet.matching import FLAVOR, Matcher
from roadstead.core.fleet.recorded import leaf_room, subtract
from roadstead.core.fleet.shortages import Shortages
from roadstead.model.amounts import ResourceName

Entry: TypeAlias = tuple[int, int, Values]
"""(slices, pods, values): the order in which domains of a level are considered, least free first."""


class Forest:
    """Counts of one demand over all nodes. `left_out` counts the nodes that may not be used at all, by cause."""

    __slots__ = (
        "_amounts_seen",
        "_cause_of",
        "_claims",
        "_facts_seen",
        "_index",
        "_is_plain",
        "_leader_matcher",
        "_leaf_of",
        "_matcher",
        "demand",
        "domains",
        "left_out",
        "shortages",
    )

    def __init__(
        self, demand: Demand, lines: Iterable[NodeLine], facts_seen: int, amounts_seen: int, claims: ClaimRoom
    ) -> None:
        self.demand = demand
        self._claims = claims if demand.claims or demand.leader_claims else None
        self.domains: tuple[dict[Values, Domain], ...] = tuple({} for _ in demand.levels)
        self.left_out: Counter[str] = Counter()
        self.shortages = Shortages(demand.requests, self._room)
        self._is_plain = (
            demand.leader is None and demand.by_node and not demand.without_workloads and self._claims is None
        )
        self._matcher = Matcher(demand.selection)
        self._leader_matcher = Matcher(demand.leader_selection) if demand.leader_selection else None
        self._cause_of: dict[str, str] = {}
        self._leaf_of: dict[str, Domain] = {}
        self._index: list[list[Entry] | None] = [None] * len(demand.levels)
        self._facts_seen = facts_seen
        self._amounts_seen = amounts_seen
        for line in lines:
            self._enter(line)

    # --- keeping up ---

    def refresh(self, facts: list[NodeLine], amounts: list[NodeLine]) -> None:
        """Catch up with the Fleet's lists of nodes whose facts or whose amounts changed. O(changed nodes x levels)."""
        if len(facts) > self._facts_seen:
            changed = {line.name: line for line in facts[self._facts_seen :]}  # the newest line of each name
            self._facts_seen = len(facts)
            for line in changed.values():
                self._leave(line.name)
                self._enter(line)
        if len(amounts) > self._amounts_seen:
            names = {line.name: None for line in amounts[self._amounts_seen :]}
            self._amounts_seen = len(amounts)
            leaf_of, requests = self._leaf_of, self.demand.requests
            for name in names:
                leaf = leaf_of.get(name)
                if leaf is None:
                    continue
                if self._is_plain and len(leaf.lines) == 1:
                    pods = fits(leaf.lines[name].free, requests)
                    if not pods or not leaf.pods:
                        self.shortages.changed(leaf)
                    if pods != leaf.pods:
                        self._raise_pods(leaf, pods)
                else:
                    self._count(leaf)

    def _enter(self, line: NodeLine) -> None:
        if line.node is None:
            return
        values = self._place_of(line)
        cause = FLAVOR if values is None else self._matcher.cause(line.node, line.labels)
        if values is None or cause is not None:
            cause = cause or FLAVOR
            self._cause_of[line.name] = cause
            self.left_out[cause] += 1
            return
        leaf = self._domain(values)
        leaf.lines[line.name] = line
        self._leaf_of[line.name] = leaf
        self._count(leaf)

    def _leave(self, name: str) -> None:
        cause = self._cause_of.pop(name, None)
        if cause is not None:
            self.left_out[cause] -= 1
            return
        leaf = self._leaf_of.pop(name, None)
        if leaf is None:
            return
        del leaf.lines[name]
        self._count(leaf)
        domain: Domain | None = leaf
        while domain is not None and not domain.children and not domain.lines:
            self._remove(domain)
            domain = domain.parent

    def _place_of(self, line: NodeLine) -> Values | None:
        """The label values of the node's leaf, or None if it lacks a level (Kueue 4.1). The node's name stands in for a
        missing hostname label where no other level is asked for: every node is a domain of its own."""
        levels, labels = self.demand.levels, line.labels
        if levels == (HOSTNAME,):
            return (labels.get(HOSTNAME, line.name),)
        values = [line.name if key == NODE_LEVEL else labels.get(key) for key in levels]
        return None if None in values else tuple(value for value in values if value is not None)

    def _domain(self, values: Values) -> Domain:
        """The leaf of these values, made with all domains above it if it is new."""
        parent: Domain | None = None
        for level, known in enumerate(self.domains):
            key = values[: level + 1]
            domain = known.get(key)
            if domain is None:
                domain = known[key] = Domain(key, level, parent)
                if parent is not None:
                    parent.children[key] = domain
                index = self._index[level]
                if index is not None:
                    insort(index, (0, 0, key))
            parent = domain
        assert parent is not None, "a topology has at least one level"
        return parent

    def _remove(self, domain: Domain) -> None:
        del self.domains[domain.level][domain.values]
        if domain.parent is not None:
            del domain.parent.children[domain.values]
        index = self._index[domain.level]
        if index is not None:
            del index[bisect_left(index, (domain.slices, domain.pods, domain.values))]

    # --- counting ---

    def _count(self, leaf: Domain) -> None:
        """Count a leaf again and pass the difference up."""
        demand = self.demand
        if demand.leader is None:
            pods = self._fits(leaf)
            if not pods or not leaf.pods:
                self.shortages.changed(leaf)
            if pods != leaf.pods:
                self._raise_pods(leaf, pods)
            return
        pods, leaders, beside = self._fits_with_leader(leaf, demand.leader)
        self.shortages.changed(leaf)
        if (pods, leaders, beside) != (leaf.pods, leaf.leaders, leaf.pods_with_leader):
            leaf.leaders, leaf.pods_with_leader = leaders, beside
            at_slice_level = leaf.level == demand.slice_level
            leaf.slices_with_leader = beside // demand.slice_size if at_slice_level else 0
            self._store(leaf, pods, pods // demand.slice_size if at_slice_level else 0)
            domain = leaf.parent
            while domain is not None:
                self._gather(domain)
                domain = domain.parent

    def _fits(self, leaf: Domain) -> int:
        demand = self.demand
        if not demand.by_node:
            return fits(leaf_room(leaf.lines.values(), without_workloads=demand.without_workloads), demand.requests)
        pods = 0
        for line in leaf.lines.values():
            room = line.room(without_workloads=True) if demand.without_workloads else line.free
            here = fits(room, demand.requests)
            pods += here if self._claims is None else self._claims.pods(line, demand, here)
        return pods

    def _fits_with_leader(self, leaf: Domain, leader: Requests) -> tuple[int, int, int]:
        """(pods, leaders, pods beside the leader). Where no leader fits, the last is the first (Kueue:
        fillLeafCounts)."""
        demand = self.demand
        if not demand.by_node:
            whole = leaf_room(leaf.lines.values(), without_workloads=demand.without_workloads)
            pods = fits(whole, demand.requests)
            if not fits(whole, leader):
                return pods, 0, pods
            return pods, 1, fits(subtract(whole, dict(leader)), demand.requests)
        total, losses = 0, []
        for line in leaf.lines.values():
            room = dict(line.room(without_workloads=demand.without_workloads))
            pods = fits(room, demand.requests)
            if self._claims is not None:
                pods = self._claims.pods(line, demand, pods)
            total += pods
            if self.can_lead(line) and fits(room, leader):
                for name, amount in leader:
                    room[name] = room.get(name, 0) - amount
                beside = fits(room, demand.requests)
                if self._claims is not None:
                    if not self._claims.leads(line, demand):
                        continue
                    beside = self._claims.pods(line, demand, beside, beside_leader=True)
                losses.append(pods - beside)
        return (total, 1, total - min(losses)) if losses else (total, 0, total)

    def can_lead(self, line: NodeLine) -> bool:
        """True if the leader's own selection allows this node."""
        matcher = self._leader_matcher
        return matcher is None or (line.node is not None and matcher.cause(line.node, line.labels) is None)

    def _raise_pods(self, leaf: Domain, pods: int) -> None:
        """Without a leader every count is a sum: pass differences up. O(levels)."""
        demand = self.demand
        size, inner, slice_level = demand.slice_size, demand.inner, demand.slice_level
        domain, slices = leaf, pods // size if leaf.level == slice_level else 0
        while True:
            parent, old_pods, old_slices = domain.parent, domain.pods, domain.slices
            self._store(domain, pods, slices)
            if parent is None:
                return
            unit = inner[domain.level] if inner else 0
            if unit:
                difference = pods // unit * unit - old_pods // unit * unit
            else:
                difference = pods - old_pods
            pods = parent.pods + difference
            slices = pods // size if parent.level == slice_level else parent.slices + slices - old_slices
            domain = parent

    def _store(self, domain: Domain, pods: int, slices: int) -> None:
        index = self._index[domain.level]
        if index is not None:
            del index[bisect_left(index, (domain.slices, domain.pods, domain.values))]
            insort(index, (slices, pods, domain.values))
        domain.pods, domain.slices = pods, slices

    def _gather(self, domain: Domain) -> None:
        """Count an inner domain from its children, with a leader: its loss is the least among the children that can
        host it."""
        demand = self.demand
        unit = demand.inner[domain.level + 1] if demand.inner else 0
        pods = slices = leaders = 0
        losses: list[tuple[int, int]] = []
        for child in domain.children.values():
            own, beside = child.pods, child.pods_with_leader
            if unit:
                own, beside = own // unit * unit, beside // unit * unit
            pods += own
            slices += child.slices
            if child.leaders:
                leaders = 1
                losses.append((own - beside, child.slices - child.slices_with_leader))
        domain.leaders = leaders
        domain.pods_with_leader = pods - min(loss for loss, _ in losses) if losses else 0
        domain.slices_with_leader = slices - min(loss for _, loss in losses) if losses else 0
        if domain.level == demand.slice_level:
            slices = pods // demand.slice_size
            domain.slices_with_leader = domain.pods_with_leader // demand.slice_size
        self._store(domain, pods, slices)

    def _room(self, leaf: Domain) -> Mapping[ResourceName, int]:
        """What is left in a leaf; of several nodes, the sum."""
        demand = self.demand
        if demand.by_node and len(leaf.lines) == 1:
            for line in leaf.lines.values():
                return line.room(without_workloads=demand.without_workloads)
        return leaf_room(leaf.lines.values(), without_workloads=demand.without_workloads)

    # --- asking ---

    def _entries(self, level: int) -> list[Entry]:
        index = self._index[level]
        if index is None:
            index = sorted((domain.slices, domain.pods, domain.values) for domain in self.domains[level].values())
            self._index[level] = index
        return index

    def smallest(self, level: int, slices: int) -> Domain | None:
        """The domain with the fewest slices that are still enough; ties: fewest pods, then label values. O(log
        domains)."""
        entries = self._entries(level)
        at = bisect_left(entries, (slices,))
        return self.domains[level][entries[at][2]] if at < len(entries) else None

    def least_free_first(self, level: int) -> Iterator[Domain]:
        """Domains with room for a slice: slices, pods, label values ascending."""
        entries, known = self._entries(level), self.domains[level]
        for at in range(bisect_left(entries, (1,)), len(entries)):
            yield known[entries[at][2]]

    def most_free_first(self, level: int) -> Iterator[Domain]:
        """Domains with room for a slice: slices descending, then pods and label values ascending."""
        entries, known = self._entries(level), self.domains[level]
        end = len(entries)
        while end and entries[end - 1][0] > 0:
            start = bisect_left(entries, (entries[end - 1][0],))
            for at in range(start, end):
                yield known[entries[at][2]]
            end = start

    def most_slices(self, level: int) -> int:
        """What the roomiest domain of the level holds."""
        if self.demand.leader is not None:
            return max((d.slices_with_leader for d in self.domains[level].values() if d.leaders), default=0)
        entries = self._entries(level)
        return entries[-1][0] if entries else 0

    def room_for(self, name: str, counts: Mapping[str, int]) -> bool:
        """True if the leaf of this node holds as many pods as `counts` has on its nodes."""
        leaf = self._leaf_of.get(name)
        return leaf is not None and leaf.pods >= sum(counts.get(each, 0) for each in leaf.lines)

    @property
    def node_count(self) -> int:
        """Nodes that may be used at all."""
        return len(self._leaf_of)

    def lines(self) -> Iterator[NodeLine]:
        """Nodes that may be used at all, in no useful order."""
        for leaf in self.domains[-1].values():
            yield from leaf.lines.values()
