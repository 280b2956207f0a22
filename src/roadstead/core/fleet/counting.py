"""Who counts for whom: the demands that are asked about often get a `Forest`, which is kept up to date; the rest are
counted `Flat`.

Both answer alike. A Forest costs O(nodes) to make and O(changes) to keep; with more kinds of pods than FORESTS_MAX,
making one for each question would be all that is ever done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from roadstead.core.fleet.claim_room import ClaimRoom
from roadstead.core.fleet.demand import Demand
from roadstead.core.fleet.flat import Flat, Groups, is_flat
from roadstead.core.fleet.forest import Forest
from roadstead.core.fleet.ledger import NodeLine
from roadstead.core.fleet.matching import Matcher, Selection

Counts: TypeAlias = Forest | Flat

FORESTS_MAX: Final = 64
"""Demands that are kept counted."""

FLAT_QUESTIONS: Final = 4
"""How often a demand is asked about before it gets a Forest of its own."""

IDLE_QUESTIONS: Final = 16 * FORESTS_MAX
"""After how many questions about other demands a Forest makes room for another one that is asked about more often."""

CHANGES_MAX: Final = 200_000
"""Changes remembered for demands that have not been asked about since."""


class Counting:
    """All counts of a Fleet. It reports each node whose facts or amounts changed; counts catch up when they are asked
    for."""

    def __init__(self, lines: Mapping[str, NodeLine], claims: ClaimRoom) -> None:
        self._lines = lines
        self._claims = claims
        self._forests: dict[Demand, Forest] = {}  # least recently asked first
        self._asked_at: dict[Demand, int] = {}
        self._times_asked: dict[Demand, int] = {}
        self._questions = 0
        self._groups: dict[bool, Groups] = {}
        self._matchers: dict[Selection, Matcher] = {}
        self._facts: list[NodeLine] = []
        self._amounts: list[NodeLine] = []
        self._fixed: list[NodeLine] = []  # those of them that show even without workloads

    def facts_changed(self, line: NodeLine) -> None:
        self._facts.append(line)

    def amounts_changed(self, line: NodeLine, *, by_workload: bool) -> None:
        self._amounts.append(line)
        if not by_workload:
            self._fixed.append(line)

    def _amounts_for(self, without_workloads: bool) -> list[NodeLine]:
        return self._fixed if without_workloads else self._amounts

    def trim(self) -> None:
        """Keep the lists of changes bounded: start them, and the counts that rest on them, afresh once in a long
        while."""
        if len(self._facts) + len(self._amounts) > max(CHANGES_MAX, 16 * len(self._lines)):
            self._facts.clear()
            self._amounts.clear()
            self._fixed.clear()
            self._forests.clear()
            self._asked_at.clear()
            self._groups.clear()

    def of(self, demand: Demand) -> Counts:
        """The counts of a demand as things stand. O(changes since it was last asked about), or O(groups of nodes) if it
        is rare."""
        self._questions += 1
        if demand not in self._forests and is_flat(demand) and self._is_rare(demand):
            groups = self._fresh_groups(demand.without_workloads)
            if not groups.has_namesakes:
                return Flat(demand, groups, self._lines, self._matcher(demand.selection))
        return self.forest(demand)

    def _is_rare(self, demand: Demand) -> bool:
        if len(self._times_asked) > 4096:
            self._times_asked.clear()
        times = self._times_asked[demand] = self._times_asked.get(demand, 0) + 1
        if times <= FLAT_QUESTIONS:
            return True
        if len(self._forests) < FORESTS_MAX:
            return False
        oldest = next(iter(self._forests))
        return self._questions - self._asked_at.get(oldest, 0) <= IDLE_QUESTIONS

    def forest(self, demand: Demand) -> Forest:
        """The counts of a demand, kept from now on."""
        amounts = self._amounts_for(demand.without_workloads)
        forest = self._forests.pop(demand, None)
        if forest is None:
            if len(self._forests) >= FORESTS_MAX:
                oldest = next(iter(self._forests))
                del self._forests[oldest]
                self._asked_at.pop(oldest, None)
            forest = Forest(demand, self._lines.values(), len(self._facts), len(amounts), self._claims)
        else:
            forest.refresh(self._facts, amounts)
        self._forests[demand] = forest
        self._asked_at[demand] = self._questions
        return forest

    def kept(self) -> tuple[Demand, ...]:
        """Demands that have a Forest."""
        return tuple(self._forests)

    def _fresh_groups(self, without_workloads: bool) -> Groups:
        amounts = self._amounts_for(without_workloads)
        groups = self._groups.get(without_workloads)
        if groups is None:
            groups = self._groups[without_workloads] = Groups(without_workloads=without_workloads)
            groups.start(self._lines.values(), len(self._facts), len(amounts))
        else:
            groups.refresh(self._facts, amounts)
        return groups

    def _matcher(self, selection: Selection) -> Matcher:
        matcher = self._matchers.get(selection)
        if matcher is None:
            if len(self._matchers) >= 1024:
                self._matchers.clear()
            matcher = self._matchers[selection] = Matcher(selection)
        return matcher
