"""No quota is overcommitted, by tree: what a ClusterQueue and its cohort hold never exceeds what they have and may
borrow.

Written anew from Kueue's rules (KEP-79, lending and borrowing limits), sharing nothing with the core.

A quota that a user lowers does not throw anybody out, and the decider may for a while not know of it: so a reservation
is held against the most that was in force lately (`Judge.could_be_unknown`). Nothing else is forgiven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from roadstead.expr.quantity import canonical
from roadstead.kinds.object import Json
from roadstead.sim.judges.base import Change, Judge, holds_quota

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one cell of one queue. None = unlimited."""

    nominal: int
    borrow: int | None
    lend: int | None

    @property
    def local(self) -> int:
        """The part that is never lent."""
        return 0 if self.lend is None else max(0, self.nominal - self.lend)


@dataclass(slots=True)
class Version:
    until: float | None
    cohort: str
    cells: Mapping[Cell, Limits]


def limits_of(queue: Json) -> dict[Cell, Limits]:
    """Quotas by (flavor, resource)."""
    found: dict[Cell, Limits] = {}
    for group in queue["spec"].get("resourceGroups") or ():
        for flavor in group["flavors"]:
            for one in flavor["resources"]:
                name = one["name"]
                borrow, lend = (
                    canonical(name, one[limit]) if limit in one else None
                    for limit in ("borrowingLimit", "lendingLimit")
                )
                found[flavor["name"], name] = Limits(canonical(name, one["nominalQuota"]), borrow, lend)
    return found


def usage_of(workload: Json) -> dict[Cell, int]:
    """What a Workload that holds a reservation uses: pods that are done need nothing any more."""
    status = workload["status"]
    done = {one["name"]: one["count"] for one in status.get("reclaimablePods") or ()}
    wanted = {one["name"]: one["count"] - done.get(one["name"], 0) for one in workload["spec"]["podSets"]}
    found: dict[Cell, int] = {}
    for one in status["admission"]["podSetAssignments"]:
        count = one["count"]
        needed = max(0, min(count, wanted[one["name"]]))
        for resource, flavor in one["flavors"].items():
            amount = canonical(resource, one["resourceUsage"][resource]) // count * needed if count else 0
            found[flavor, resource] = found.get((flavor, resource), 0) + amount
    return found


class QuotaJudge(Judge):
    """See the module."""

    name: ClassVar[str] = "quota"

    def begin(self) -> None:
        self._versions: dict[str, list[Version]] = {}
        self._held: dict[str, tuple[str, dict[Cell, int]]] = {}

    def changed(self, change: Change) -> None:
        if change.kind == "clusterqueues":
            self._queue_changed(change)
        elif change.kind == "workloads":
            self._workload_changed(change)

    def _queue_changed(self, change: Change) -> None:
        versions = self._versions.setdefault(change.path, [])
        if versions and versions[-1].until is None:
            versions[-1].until = change.seconds
        if change.new is not None:
            spec = change.new["spec"]
            new = Version(None, spec.get("cohortName", ""), limits_of(change.new))
            if versions and (versions[-1].cohort, versions[-1].cells) == (new.cohort, new.cells):
                versions[-1].until = None
            else:
                versions.append(new)

    def _workload_changed(self, change: Change) -> None:
        before = self._held.pop(change.path, None)
        workload = change.new
        if workload is None or not holds_quota(workload):
            return
        admission = workload["status"].get("admission")
        if admission is None:
            self.complain(f"Workload {change.path} holds a reservation and no admission says of what")
            return
        queue, usage = admission["clusterQueue"], usage_of(workload)
        self._held[change.path] = (queue, usage)
        old_queue, old = before if before is not None else ("", {})
        for cell, amount in usage.items():
            if queue != old_queue or amount > old.get(cell, 0):
                self._check(change, queue, cell)

    def _check(self, change: Change, queue: str, cell: Cell) -> None:
        limits = self._limits(queue, cell, change.seconds)
        if limits is None:
            self.complain(f"{change.path} holds {cell} of ClusterQueue {queue}, which has no such quota")
            return
        used = self._used(cell)
        mine = used.get(queue, 0)
        cohort = self._versions[queue][-1].cohort
        if not cohort:
            if mine > limits.nominal:
                self.complain(f"{change.path}: ClusterQueue {queue} uses {mine} of {limits.nominal} {cell}")
            return
        if limits.borrow is not None and mine > limits.nominal + limits.borrow:
            most = limits.nominal + limits.borrow
            self.complain(f"{change.path}: ClusterQueue {queue} uses {mine} of {cell} and may borrow up to {most}")
        shared, taken = 0, 0
        for name, versions in self._versions.items():
            found = self._limits(name, cell, change.seconds)
            if versions[-1].cohort != cohort or found is None:
                continue
            shared += found.nominal - found.local
            taken += max(0, used.get(name, 0) - found.local)
        if mine > limits.local and taken > shared:
            self.complain(
                f"{change.path}: cohort {cohort} uses {taken} of the {shared} that its queues share of {cell}"
            )

    def _limits(self, queue: str, cell: Cell, now: float) -> Limits | None:
        """The most generous that was in force lately."""
        lately = [
            one.cells[cell]
            for one in self._versions.get(queue, ())
            if cell in one.cells and (one.until is None or self.could_be_unknown(one.until, now))
        ]
        if not lately:
            return None
        borrow = [one.borrow for one in lately if one.borrow is not None]
        lend = [one.lend for one in lately if one.lend is not None]
        return Limits(
            max(one.nominal for one in lately),
            max(borrow) if len(borrow) == len(lately) else None,
            max(lend) if len(lend) == len(lately) else None,
        )

    def _used(self, cell: Cell) -> dict[str, int]:
        found: dict[str, int] = {}
        for queue, usage in self._held.values():
            found[queue] = found.get(queue, 0) + usage.get(cell, 0)
        return found
