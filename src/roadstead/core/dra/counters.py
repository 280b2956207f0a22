"""Shared counters (partitionable devices, KEP-4815) and who may use a counter set together (KEP-5963)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from roadstead.core.dra.candidates import Candidate
from roadstead.core.dra.pools import Pool
from roadstead.model.dra import DeviceId

Groups = tuple[str, ...]


@dataclass(slots=True)
class PoolCounters:
    """What a pool has left in one attempt: published, less what devices in use take, less what this attempt took."""

    left: dict[tuple[str, str], int]
    overdrawn: bool = False
    """Devices in use take more of some counter than is published."""
    users: dict[str, list[Groups]] = field(default_factory=dict)
    """Counter set -> the groups of each device that uses it, in use or taken by this attempt."""

    def take(self, candidate: Candidate, *, groups: bool) -> bool:
        """Take what the device consumes. False, and nothing taken, if it is not left. O(counters of the device).

        Upstream compares every counter of the pool, so one that devices in use overdraw keeps all of them from being
        taken.
        """
        if self.overdrawn:
            return False
        uses = candidate.device.consumes
        for use in uses:
            for name, amount in use.counters:
                if self.left.get((use.counter_set, name), 0) < amount.nano:
                    return False
            if groups and not compatible(self.users.get(use.counter_set, []), use.groups):
                return False
        for use in uses:
            for name, amount in use.counters:
                self.left[use.counter_set, name] -= amount.nano
            if groups:
                self.users.setdefault(use.counter_set, []).append(use.groups)
        return True

    def give_back(self, candidate: Candidate, *, groups: bool) -> None:
        """Undo the latest `take` of this device."""
        for use in candidate.device.consumes:
            for name, amount in use.counters:
                self.left[use.counter_set, name] += amount.nano
            if groups:
                self.users[use.counter_set].pop()


def compatible(users: list[Groups], groups: Groups) -> bool:
    """May a device with these groups join? All users have a group in common, or none of them has any.

    Where users disagree (a slice changed under them) the first decides which of the two it is.
    """
    if not users or not groups:
        return not users or not users[0]
    if not users[0]:
        return False
    common = set(groups)
    for each in users:
        if each:
            common &= set(each)
    return bool(common)


def open_counters(pool: Pool, is_used: Callable[[DeviceId], bool], *, groups: bool) -> PoolCounters:
    """A pool's counters at the start of an attempt; may be overdrawn. A shared device counts once. O(devices of the
    pool)."""
    left = {(name, counter): nano for name, counters in pool.counters.items() for counter, nano in counters.items()}
    found = PoolCounters(left)
    for candidate in (*pool.candidates, *pool.others):
        if candidate.device.consumes and is_used(candidate.id):
            for use in candidate.device.consumes:
                for name, amount in use.counters:
                    if (use.counter_set, name) in left:
                        left[use.counter_set, name] -= amount.nano
                if groups:
                    found.users.setdefault(use.counter_set, []).append(use.groups)
    found.overdrawn = any(nano < 0 for nano in left.values())
    return found
