"""Admission Fair Sharing: LocalQueues of one ClusterQueue take turns by what they used lately (Kueue KEP-4136; kueue.md
3.11).

Facts: what a LocalQueue consumed, decayed, as its status said when it was last sampled. Memory: entry penalties.
Whoever is admitted is charged at once a part of what it asks for, so that a queue that is let in often between two
samples does not look idle; the next sample takes the charge over (`sampled`), and the penalty goes.

Floats: usage only orders, is made from integers alone, and ties go on to priority, time and uid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from roadstead.core.facts import FactKey
from roadstead.core.rules import AdmissionFairSharing
from roadstead.core.undo import UndoLog, put
from roadstead.model.amounts import CPU, ResourceName
from roadstead.model.queues import LocalQueue
from roadstead.model.workload import Admission, WorkloadKey

Milli: TypeAlias = Mapping[ResourceName, int]
"""Resource -> thousandths of its plain unit."""

SECOND = 1_000_000_000
INFINITE = float("inf")


def alpha(elapsed: int, half_life: int) -> float:
    """How much of what was is forgotten after so many nanoseconds; 0 without a half-life.

    >>> round(alpha(300 * SECOND, 600 * SECOND), 4)
    0.2929
    """
    return float(1.0 - 0.5 ** (max(0, elapsed) / half_life)) if half_life else 0.0


def requested(admission: Admission) -> dict[ResourceName, int]:
    """What an admission is charged in all, in thousandths."""
    found: dict[ResourceName, int] = {}
    for pod_set in admission.pod_sets:
        for resource, amount in pod_set.usage:
            found[resource] = found.get(resource, 0) + (amount if resource == CPU else amount * 1000)
    return found


def penalty(asked: Milli, sharing: AdmissionFairSharing) -> dict[ResourceName, int]:
    """What admitting a workload that asks for so much costs its LocalQueue at once."""
    part = alpha(sharing.interval, sharing.half_life)
    return {resource: int(amount * part) for resource, amount in asked.items()}


def sampled(consumed: Milli, used: Milli, elapsed: int, sharing: AdmissionFairSharing) -> dict[ResourceName, int]:
    """Consumption after `elapsed` nanoseconds in which `used` was in use. Without a half-life nothing is remembered.

    Sampling twice says the same as sampling once (but for rounding) while what is in use stays the same.
    """
    if not sharing.half_life:
        return {}
    part = alpha(elapsed, sharing.half_life)
    names = sorted({*consumed, *used})
    found = {name: round(consumed.get(name, 0) * (1 - part) + used.get(name, 0) * part) for name in names}
    return {name: amount for name, amount in found.items() if amount}


def weighted(parts: Iterable[Milli], weight_milli: int, sharing: AdmissionFairSharing) -> float:
    """What counts: the sum over resources by their weights, over the LocalQueue's own; without a weight it comes
    last."""
    if weight_milli <= 0:
        return INFINITE
    weights = dict(sharing.weights)
    total = sum(amount * weights.get(resource, 1000) for part in parts for resource, amount in part.items())
    return total / 1000 / weight_milli


class Penalties:
    """Who was let in since its LocalQueue was last sampled, and what that costs it. Memory; undoable."""

    def __init__(self, undo: UndoLog) -> None:
        self._undo = undo
        self._of: dict[FactKey, dict[WorkloadKey, tuple[int, Milli]]] = {}

    def charge(self, local: FactKey, workload: WorkloadKey, at: int, asked: Milli) -> None:
        """The workload reserved quota at this time."""
        put(self._undo, self._of.setdefault(local, {}), workload, (at, asked))

    def drop(self, local: FactKey, workload: WorkloadKey) -> None:
        """It was not admitted after all, or is gone."""
        if workload in self._of.get(local, ()):
            put(self._undo, self._of[local], workload, None)

    def settle(self, local: FactKey, sampled_at: int) -> None:
        """What was let in before this time is part of what was sampled."""
        for workload, (at, _) in list(self._of.get(local, {}).items()):
            if at < sampled_at:
                put(self._undo, self._of[local], workload, None)

    def of(self, local: FactKey) -> Mapping[WorkloadKey, tuple[int, Milli]]:
        return self._of.get(local, {})

    def all(self) -> list[tuple[FactKey, WorkloadKey, int, Milli]]:
        """In a fixed order, for dumps."""
        return [
            (local, workload, at, asked)
            for local in sorted(self._of)
            for workload, (at, asked) in sorted(self._of[local].items())
        ]


def local_usage(local: LocalQueue, penalties: Penalties, sharing: AdmissionFairSharing) -> float:
    """What orders this LocalQueue among those of its ClusterQueue: least first. O(admissions since the last sample)."""
    parts: list[Milli] = [dict(local.consumed)]
    parts += [penalty(asked, sharing) for _, asked in penalties.of(local.key).values()]
    return weighted(parts, local.fair_weight_milli, sharing)
