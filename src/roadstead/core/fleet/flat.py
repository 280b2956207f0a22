"""Counting without keeping: for pods that may go to any node and are asked about too seldom to be kept counted.

Nodes of the same kind with the same amounts left stand or fall together, whatever the demand. `Groups` keeps them
sorted into such groups, once for all demands; a `Flat` counts one demand group by group and answers as a `Forest` of
that demand would. So a fleet where every pod is another size costs O(groups) a question and no memory, where a Forest
costs O(nodes) to make.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from typing import TypeAlias

from roadstead.core.fleet.demand import HOSTNAME, Demand
from roadstead.core.fleet.domain import Domain
from roadstead.core.fleet.ledger import NodeLine, fits, scarcest
from roadstead.core.fleet.matching import Matcher
from roadstead.model.amounts import ResourceName
from roadstead.model.nodes import Node

_Key: TypeAlias = tuple[object, tuple[int, ...]]
_Seat: TypeAlias = tuple[str, str]
"""(hostname, node name): the order of domains, and who it is."""


def is_flat(demand: Demand) -> bool:
    """True if nodes of one group are alike to this demand: any node will do, and none is asked for by its own name."""
    selection = demand.selection
    return (
        demand.by_node
        and demand.levels == (HOSTNAME,)
        and demand.slice_size == 1
        and demand.leader is None
        and not demand.claims
        and not selection.pinned
        and not any(key == HOSTNAME for key, _ in (*selection.node_labels, *selection.node_selector))
        and not any(
            term.fields or any(requirement.key == HOSTNAME for requirement in term.labels)
            for term in selection.node_affinity
        )
    )


class Group:
    """Nodes that are alike: what one of them looked like when the group began, what each has left, and all seats in
    order."""

    __slots__ = ("labels", "node", "room", "seats")

    def __init__(self, node: Node, labels: Mapping[str, str], room: Mapping[ResourceName, int]) -> None:
        self.node = node
        self.labels = labels
        self.room = dict(room)
        self.seats: list[_Seat] = []


class Groups:
    """All nodes by kind and by what is left (or would be without workloads). Caught up with changes when asked."""

    __slots__ = ("_amounts_seen", "_facts_seen", "_hosts", "_key_of", "_kinds", "groups", "without_workloads")

    def __init__(self, *, without_workloads: bool) -> None:
        self.without_workloads = without_workloads
        self.groups: dict[_Key, Group] = {}
        self._key_of: dict[str, tuple[_Key, _Seat]] = {}
        self._kinds: dict[str, object] = {}
        self._hosts: Counter[str] = Counter()
        self._facts_seen = 0
        self._amounts_seen = 0

    def start(self, lines: Iterable[NodeLine], facts_seen: int, amounts_seen: int) -> None:
        """Take in all nodes; changes before these positions are in them."""
        for line in lines:
            self._enter(line)
        self._facts_seen, self._amounts_seen = facts_seen, amounts_seen

    def refresh(self, facts: list[NodeLine], amounts: list[NodeLine]) -> None:
        """O(changed nodes x log)."""
        changed = {line.name: line for line in facts[self._facts_seen :]}
        for name in changed:
            self._kinds.pop(name, None)
        for line in amounts[self._amounts_seen :]:
            changed.setdefault(line.name, line)
        self._facts_seen, self._amounts_seen = len(facts), len(amounts)
        for line in changed.values():
            self._leave(line.name)
            self._enter(line)

    @property
    def has_namesakes(self) -> bool:
        """True if two nodes carry the same hostname: then they are one domain, and groups can't answer."""
        return len(self._hosts) != len(self._key_of)

    def _enter(self, line: NodeLine) -> None:
        node = line.node
        if node is None:
            return
        kind = self._kinds.get(line.name)
        if kind is None:
            labels = tuple(entry for entry in node.labels if entry[0] != HOSTNAME)
            kind = (labels, node.taints, node.ready, node.unschedulable, tuple(line.allocatable))
            self._kinds[line.name] = kind
        room = line.room(without_workloads=self.without_workloads)
        key = (kind, tuple(room.values()))
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(node, line.labels, room)
        host = line.labels.get(HOSTNAME, line.name)
        insort(group.seats, (host, line.name))
        self._key_of[line.name] = (key, (host, line.name))
        self._hosts[host] += 1

    def _leave(self, name: str) -> None:
        found = self._key_of.pop(name, None)
        if found is None:
            return
        key, seat = found
        group = self.groups[key]
        del group.seats[bisect_left(group.seats, seat)]
        if not group.seats:
            del self.groups[key]
        self._hosts[seat[0]] -= 1
        if not self._hosts[seat[0]]:
            del self._hosts[seat[0]]


class Flat:
    """One demand counted group by group; answers `search` and refusals like the Forest of the same demand.
    O(groups)."""

    __slots__ = ("_lines", "_rows", "demand", "left_out")

    def __init__(self, demand: Demand, groups: Groups, lines: Mapping[str, NodeLine], matcher: Matcher) -> None:
        self.demand = demand
        self.left_out: Counter[str] = Counter()
        self._lines = lines
        self._rows: list[tuple[int, Group]] = []
        for group in groups.groups.values():
            cause = matcher.cause(group.node, group.labels)
            if cause is not None:
                self.left_out[cause] += len(group.seats)
            else:
                self._rows.append((fits(group.room, demand.requests), group))

    @property
    def shortages(self) -> Flat:
        return self

    @property
    def domains(self) -> tuple[dict[tuple[str, ...], Domain], ...]:
        """Every node with room as a domain of its own."""
        return ({domain.values: domain for domain in self.least_free_first(0)},)

    @property
    def node_count(self) -> int:
        return sum(len(group.seats) for _, group in self._rows)

    def lines(self) -> Iterator[NodeLine]:
        for _, group in self._rows:
            for _, name in group.seats:
                yield self._lines[name]

    def smallest(self, level: int, slices: int) -> Domain | None:
        """The node with the fewest pods that are still enough; ties: hostname."""
        del level
        best = min(((count, group.seats[0]) for count, group in self._rows if count >= slices), default=None)
        return self._domain(*best) if best is not None else None

    def least_free_first(self, level: int) -> Iterator[Domain]:
        """Nodes with room for a pod: count, then hostname ascending."""
        del level
        return self._in_order(most_first=False)

    def most_free_first(self, level: int) -> Iterator[Domain]:
        """Nodes with room for a pod: count descending, then hostname ascending."""
        del level
        return self._in_order(most_first=True)

    def _in_order(self, *, most_first: bool) -> Iterator[Domain]:
        by_count: dict[int, list[list[_Seat]]] = {}
        for count, group in self._rows:
            if count:
                by_count.setdefault(count, []).append(group.seats)
        for count in sorted(by_count, reverse=most_first):
            for seat in merge(*by_count[count]):
                yield self._domain(count, seat)

    def most_slices(self, level: int) -> int:
        del level
        return max((count for count, _ in self._rows), default=0)

    def room_for(self, name: str, counts: Mapping[str, int]) -> bool:
        """True if the node holds as many pods as `counts` has on it."""
        line = self._lines[name]
        room = line.room(without_workloads=self.demand.without_workloads)
        return fits(room, self.demand.requests) >= counts.get(name, 0)

    def can_lead(self, line: NodeLine) -> bool:
        """Nobody is led here: groups of pod sets are counted by a Forest."""
        del line
        return False

    def _domain(self, count: int, seat: _Seat) -> Domain:
        host, name = seat
        domain = Domain((host,), 0, None)
        domain.lines[name] = self._lines[name]
        domain.pods = domain.slices = domain.pods_with_leader = domain.slices_with_leader = count
        return domain

    # --- for refusals, as `Shortages`

    def counts(self) -> dict[ResourceName, int]:
        """Resource -> nodes where it is the scarcest and keeps out even one pod."""
        found: Counter[ResourceName] = Counter()
        for count, group in self._rows:
            if not count:
                found[scarcest(group.room, self.demand.requests)] += len(group.seats)
        return dict(found)

    def closest(self, resource: ResourceName) -> int:
        """The most that one of those nodes has left of it."""
        left = (group.room for count, group in self._rows if not count)
        return max(
            (max(r.get(resource, 0), 0) for r in left if scarcest(r, self.demand.requests) == resource), default=0
        )
