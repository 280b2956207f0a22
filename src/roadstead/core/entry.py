"""One head of a cycle on its way through it: what was nominated, what became of it, and what to remember."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from roadstead.core.flavors.assignment import Assignment
from roadstead.core.fleet.ask import Ask, Found
from roadstead.core.preemption.classic import Target
from roadstead.core.queueing.standing import Standing
from roadstead.core.quota.table import QueueTable
from roadstead.model.refusals import Refusal


class Outcome(StrEnum):
    """Why an entry is requeued (Kueue's RequeueReason), or that it is not."""

    GENERIC = "Generic"
    NAMESPACE_MISMATCH = "NamespaceMismatch"
    NO_FIT = "NoFit"
    NO_CANDIDATES = "PreemptionNoCandidates"
    SKIPPED = "FailedAfterNomination"
    PENDING_PREEMPTION = "PendingPreemption"
    ADMITTED = "Admitted"


IMMEDIATE = frozenset((Outcome.SKIPPED, Outcome.PENDING_PREEMPTION))
"""Outcomes that go straight back to the heap in a BestEffortFIFO queue (kueue.md 3.2)."""

PARKS_CLASS = frozenset((Outcome.NO_FIT, Outcome.NO_CANDIDATES))
"""Outcomes that hold for every workload of the class."""


@dataclass(slots=True)
class Entry:
    standing: Standing
    table: QueueTable
    assignment: Assignment | None = None
    targets: list[Target] = field(default_factory=list)
    ask: Ask | None = None
    found: Found | None = None
    outcome: Outcome = Outcome.GENERIC
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def level(self) -> int:
        """Borrowing level: 0 within the queue's own quota."""
        return self.assignment.level if self.assignment is not None else 0

    @property
    def order(self) -> tuple[int, int, int, str, tuple[str, str]]:
        """kueue.md 3.8, ties by uid."""
        fact = self.standing.fact
        return (self.level, -fact.priority, fact.queued_at, fact.uid, fact.key)
