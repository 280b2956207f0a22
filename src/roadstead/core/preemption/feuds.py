"""Feuds: workloads that displace one another for ever, noticed and stopped.

Kueue's preemption rules look at shares, sizes and borrowing as they are at the moment, so A may displace B, and B, back
in its queue, displace A; or A displaces B, and B is back before A gets in. Nothing ends that: every turn is right by
itself (seen with fair sharing, partial admission and borrowWithinCohort, where Kueue 0.19 evicts and re-admits for
ever; KEP-1714 speaks of flapping).

What is counted is who displaced whom, and how often, among workloads that still exist. A displacement is refused

* when it would close a circle of displacements each of which has happened `turns` times already, or
* when it has been in vain `turns` times: the victim came back each time before the preemptor got in.

No other is ever refused: where priorities alone decide, neither happens. So every settle ends. Of preemptions that went
on for ever, some would happen again and again; whoever preempts again and again, and not in vain, must itself be
displaced again and again; going backwards through finitely many workloads that is a circle, and one of its members is
refused.

Memory: may be lost, and is counted anew then, as after every change of a queue, cohort or flavor. Cost: nothing for
workloads that were never displaced and never preempted; else O(displacements counted).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from roadstead.core.undo import UndoLog, put
from roadstead.model.workload import WorkloadKey


class Count(NamedTuple):
    """How often one displaced the other; `in_vain`: since it was last admitted itself."""

    times: int = 0
    in_vain: int = 0


class Feuds:
    """Who displaced whom among workloads that exist, and how often."""

    def __init__(self, undo: UndoLog) -> None:
        self._undo = undo
        self._by: dict[WorkloadKey, dict[WorkloadKey, Count]] = {}
        self._of: dict[WorkloadKey, dict[WorkloadKey, bool]] = {}

    def count(self, preemptor: WorkloadKey, victim: WorkloadKey, change: int = 1) -> None:
        """One displacement more (or less, when it was not carried out). Undoable, like all of these."""
        before = self._by.get(preemptor, {}).get(victim, Count())
        self.set(preemptor, victim, Count(max(0, before.times + change), max(0, before.in_vain + change)))

    def set(self, preemptor: WorkloadKey, victim: WorkloadKey, count: Count) -> None:
        """Take this count as known."""
        put(self._undo, self._by.setdefault(preemptor, {}), victim, count if count.times else None)
        put(self._undo, self._of.setdefault(victim, {}), preemptor, True if count.times else None)

    def got_in(self, key: WorkloadKey) -> None:
        """The workload was admitted: what it displaced was not displaced in vain."""
        for victim, count in list(self._by.get(key, {}).items()):
            if count.in_vain:
                put(self._undo, self._by[key], victim, Count(count.times, 0))

    def forget(self, key: WorkloadKey) -> None:
        """The workload is finished or gone."""
        for victim in list(self._by.get(key, ())):
            self.set(key, victim, Count())
        for preemptor in list(self._of.get(key, ())):
            self.set(preemptor, key, Count())

    def clear(self) -> None:
        """Queues are not what they were: what happened says nothing about what will."""
        for (preemptor, victim), _ in list(self.counts()):
            self.set(preemptor, victim, Count())

    def barred(self, preemptor: WorkloadKey, turns: int) -> frozenset[WorkloadKey]:
        """Whom this workload may not displace any more. With one turn each it may never displace those that displaced
        it, directly or through others; with 0 everything goes."""
        if not turns:
            return frozenset()
        mine = self._by.get(preemptor) or {}
        others = self._of.get(preemptor)
        if not mine and not others:
            return frozenset()
        found = {key for key, count in mine.items() if count.in_vain >= turns}
        if others and (mine or turns == 1):
            before = self._leading_to(preemptor, turns)
            found |= before if turns == 1 else {key for key, count in mine.items() if count.times >= turns} & before
        return frozenset(found)

    def _leading_to(self, key: WorkloadKey, turns: int) -> frozenset[WorkloadKey]:
        """Who displaced this one `turns` times, and who displaced those as often, and so on."""
        found = {key}
        waiting = [key]
        while waiting:
            victim = waiting.pop()
            for other in self._of.get(victim, ()):
                if other not in found and self._by[other][victim].times >= turns:
                    found.add(other)
                    waiting.append(other)
        return frozenset(found - {key})

    def counts(self) -> Iterator[tuple[tuple[WorkloadKey, WorkloadKey], Count]]:
        """((who, whom), count), in a fixed order."""
        for preemptor in sorted(self._by):
            for victim in sorted(self._by[preemptor]):
                yield (preemptor, victim), self._by[preemptor][victim]
