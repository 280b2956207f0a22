"""The value that flavor assignment produces: one flavor per pod set and resource, a mode, and what was refused on the
way."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import IntEnum

import msgspec

from roadstead.core.fleet.ask import Found
from roadstead.core.memory import Tried
from roadstead.core.quota.tree import Slot, Usage
from roadstead.model.amounts import FlavorName, ResourceName
from roadstead.model.refusals import Refusal
from roadstead.model.workload import PodSet


class Mode(IntEnum):
    """How a cell could take a request, worst first (kueue.md 3.5.1)."""

    NO_FIT = 0
    NO_CANDIDATES = 1  # others would have to go, and none of them may be asked
    PREEMPT = 2  # workloads of the own queue go
    RECLAIM = 3  # only workloads of other queues go
    FIT = 4

    @property
    def is_preempt(self) -> bool:
        """Kueue's coarse mode Preempt."""
        return Mode.NO_FIT < self < Mode.FIT


class Choice(msgspec.Struct):
    """One resource of one pod set: the flavor taken, how it fits, and the smallest subtree (by height) that can hold
    it."""

    flavor: FlavorName
    slot: Slot
    mode: Mode
    level: int
    tried: int


@dataclass(slots=True)
class PodSetChoice:
    """One pod set's flavors; without choices it got none, and `refusals` say why."""

    pod_set: PodSet
    count: int
    requests: dict[ResourceName, int]
    choices: dict[ResourceName, Choice] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    fits: bool = True
    """Every resource group ended on a flavor whose representative mode is FIT. Under PreemptionOverBorrowing that mode
    may hide a cell that does not fit (a lower borrowing level outranks it); Kueue then takes the pod set as fitting and
    skips it when its turn comes, again and again. Recordings of Kueue 0.19 show it, so it is so here."""

    @property
    def mode(self) -> Mode:
        if not self.choices:
            return Mode.NO_FIT if self.requests else Mode.FIT
        if self.fits:
            return Mode.FIT
        worst = min(choice.mode for choice in self.choices.values())
        return worst if worst in (Mode.NO_FIT, Mode.FIT) else Mode.PREEMPT


@dataclass(slots=True)
class Assignment:
    """What one workload would get. `refusals` gathers everything that stood in the way, in the order it was met."""

    pod_sets: list[PodSetChoice] = field(default_factory=list)
    usage: dict[Slot, int] = field(default_factory=dict)
    level: int = 0
    tried: Tried | None = None
    found: Found | None = None
    fleet_refusal: Refusal | None = None
    fleet_is_hopeless: bool = False  # it could not be placed even with every workload gone
    failed: bool = False  # some pod set got no flavor
    _mode: Mode | None = None

    @property
    def mode(self) -> Mode:
        """NO_FIT, PREEMPT or FIT: the worst of the pod sets. Ask once all of them have their choices."""
        if self._mode is None:
            self._mode = self._worst()
        return self._mode

    def refuse(self, refusal: Refusal | None, *, hopeless: bool, pod_sets: Collection[str]) -> None:
        """The fleet has no place for these pod sets as things are (`refusal`; None if quota is short anyway);
        `hopeless`: nor if every workload were gone."""
        self.fleet_refusal = refusal
        self.fleet_is_hopeless = hopeless
        self._mode = None
        for choice in self.pod_sets:
            if choice.pod_set.name in pod_sets and not hopeless:
                choice.fits = False
                for taken in choice.choices.values():
                    taken.mode = Mode.PREEMPT

    def _worst(self) -> Mode:
        if self.failed or self.fleet_is_hopeless:
            return Mode.NO_FIT
        worst = Mode.FIT if self.fleet_refusal is None else Mode.PREEMPT
        for pod_set in self.pod_sets:
            if not pod_set.fits or not pod_set.choices:
                worst = min(worst, pod_set.mode)
        return worst

    @property
    def cells(self) -> Usage:
        return tuple(self.usage.items())

    @property
    def preempting_slots(self) -> frozenset[Slot]:
        """Cells in which somebody has to give way."""
        return frozenset(c.slot for ps in self.pod_sets for c in ps.choices.values() if c.mode.is_preempt)

    @property
    def refusals(self) -> list[Refusal]:
        found = [refusal for ps in self.pod_sets for refusal in ps.refusals]
        if self.fleet_refusal is not None:
            found.append(self.fleet_refusal)
        return found
