"""The search: depth first over claims, requests, alternatives and devices, the first full solution wins (dra.md 4.3).

Within an ExactCount request candidates only go upward, so combinations are tried, not permutations; each request starts
from the first device again. Nothing is scored. A choice that turns out wrong is undone whole. The cost is exponential
in the worst case, as upstream's is: `max_steps` bounds it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from roadstead.core.dra import capacity
from roadstead.core.dra.asking import Asked, Context, Option, is_selectable
from roadstead.core.dra.candidates import Candidate
from roadstead.core.dra.capacity import Consumed
from roadstead.core.dra.constraints import Tracker
from roadstead.core.dra.counters import PoolCounters, open_counters
from roadstead.core.dra.outcome import AllocationError
from roadstead.core.dra.selecting import derive
from roadstead.core.dra.taints import tolerated
from roadstead.model.dra import MAX_RESULTS, DeviceId

MAX_STEPS: Final = 1_000_000
"""Calls of the search before an attempt is given up (upstream stops after ten seconds, which is no fact of the
world)."""

FAIL: Final = 0
DONE: Final = 1
EXCEEDED: Final = 2
"""This alternative would give the claim more devices than it may have."""


@dataclass(slots=True, eq=False)
class Taken:
    """A device taken for a request."""

    option: Option
    candidate: Candidate
    share: bool
    consumed: Consumed = ()


@dataclass(slots=True)
class InUse:
    """What was given out before."""

    whole: Mapping[DeviceId, int]
    """Holders of each device."""
    shared: Collection[DeviceId]
    consumed: Mapping[DeviceId, Mapping[str, int]]
    barred: Mapping[DeviceId, int]
    """Those of `whole` that hold it in another way than by a claim, and take nothing from counters."""

    def uses(self, device: DeviceId) -> bool:
        """Does a claim hold the device, or a share of it?"""
        return device in self.shared or self.whole.get(device, 0) > self.barred.get(device, 0)


@dataclass(slots=True)
class _Progress:
    """Per claim: what was taken, and its constraints."""

    taken: list[Taken]
    trackers: list[Tracker]
    ids: dict[DeviceId, int] = field(default_factory=dict)
    """Dedicated devices that this claim took."""


class Search:
    """One attempt on one node."""

    def __init__(self, context: Context, asked: Sequence[Asked], in_use: InUse, max_steps: int = MAX_STEPS) -> None:
        self.context = context
        self.asked = asked
        self.in_use = in_use
        self.max_steps = max_steps
        self.steps = 0
        self.features = context.features
        self.progress = [
            _Progress([], [Tracker(each, self.features.list_attributes) for each in claim.claim.constraints])
            for claim in asked
        ]
        self.chosen: dict[tuple[int, int], Option] = {}
        self.taken: dict[DeviceId, int] = {}
        """Dedicated devices that this attempt took, by whichever claim."""
        self.shares: dict[DeviceId, int] = {}
        self.consumed: dict[DeviceId, dict[str, int]] = {}
        self.counters: dict[tuple[str, str], PoolCounters] = {}
        self.order = context.view.order

    def run(self) -> bool:
        """Is there a solution? It lies in `progress` then. AllocationError where the attempt must end."""
        result = self.request(0, 0)
        if result == EXCEEDED:
            raise AllocationError("max_size_exceeded", f"allocation max size exceeded: more than {MAX_RESULTS} devices")
        return result == DONE

    def step(self) -> None:
        self.steps += 1
        if self.steps > self.max_steps:
            raise AllocationError(
                "aborted",
                f"filter operation aborted: no solution within {self.max_steps} steps; ask for fewer devices or constraints at once",
            )

    def request(self, claim_at: int, request_at: int) -> int:
        """Satisfy this request and all after it."""
        if claim_at == len(self.asked):
            return DONE
        claim = self.asked[claim_at]
        if request_at == len(claim.options):
            result = self.request(claim_at + 1, 0)
            return FAIL if result == EXCEEDED else result
        options = claim.options[request_at]
        place = (claim_at, request_at)
        if not options or not options[0].request.is_list:
            self.step()
            self.chosen[place] = options[0]
            return self.devices(claim_at, request_at, options[0])
        exceeded = 0
        for option in options:
            self.step()
            self.chosen[place] = option
            result = self.devices(claim_at, request_at, option)
            if result == DONE:
                return DONE
            exceeded += result == EXCEEDED
        return EXCEEDED if exceeded == len(options) else FAIL

    def devices(self, claim_at: int, request_at: int, option: Option) -> int:
        """Take all devices of the request and go on. An error says in which claim it lies, if it lies in one."""
        try:
            return self.device(claim_at, request_at, option, 0, 0)
        except AllocationError as error:
            if error.claim is None and error.failed.kind != "aborted":
                error.claim = option.claim
            raise

    def device(self, claim_at: int, request_at: int, option: Option, number: int, start: int) -> int:
        """Take the device of this number and go on; candidates from place `start` on."""
        if option.every is not None and not option.every:
            return FAIL
        if number == option.count:
            return self.request(claim_at, request_at + 1)
        progress = self.progress[claim_at]
        if len(progress.taken) + option.count - number > MAX_RESULTS:
            return EXCEEDED
        self.step()
        if option.every is not None:
            candidate = option.every[number]
            if not self.take(progress, option, candidate, must=True):
                return FAIL
            result = self.device(claim_at, request_at, option, number + 1, 0)
            if result != DONE:
                self.undo(progress, option, candidate)
            return result
        order = self.order
        whole: Collection[DeviceId] = () if option.admin else self.in_use.whole
        for at in range(start, len(order)):
            candidate = order[at]
            if candidate.id in whole or not self.take(progress, option, candidate, must=False):
                continue
            result = self.device(claim_at, request_at, option, number + 1, at + 1)
            if result == DONE:
                return DONE
            self.undo(progress, option, candidate)
            if result == EXCEEDED:
                return EXCEEDED
        return FAIL

    # --- one candidate

    def take(self, progress: _Progress, option: Option, candidate: Candidate, *, must: bool) -> bool:
        """Take the device if every rule allows it, else change nothing. The order of the rules is upstream's (dra.md
        4.4)."""
        features, device, key = self.features, candidate.device, candidate.id
        shareable = device.shareable and features.consumable_capacity
        if option.admin:
            if progress.ids.get(key):
                return False
        elif self.taken.get(key) or key in self.in_use.whole or (not shareable and key in self.in_use.shared):
            return False
        if not is_selectable(self.context, option, candidate):
            return False
        consumed = () if must else self.consumption(option, candidate, shareable)
        if consumed is None:
            return False
        pool_counters: PoolCounters | None = None
        if device.consumes:
            if not features.partitionable:
                return False
            if not shareable or not (self.shares.get(key) or key in self.in_use.shared):
                pool_counters = self.counters_of(candidate)
                if not pool_counters.take(candidate, groups=features.compatibility_groups):
                    return False
        if features.taints and not tolerated(device.taints, option.body.tolerations):
            self.release_counters(pool_counters, candidate)
            return False
        if not self.constrain(progress, option, candidate):
            self.release_counters(pool_counters, candidate)
            if must:
                raise AllocationError(
                    "all_constraint",
                    f"request {option.name} asks for all devices, and {'/'.join(key)} does not meet a constraint of the claim",
                )
            return False
        if must:  # a constraint that refuses is an error even where the capacity would not do
            consumed = self.consumption(option, candidate, shareable)
            if consumed is None:
                for number in option.constraints:
                    progress.trackers[number].remove()
                self.release_counters(pool_counters, candidate)
                return False
        if shareable:
            self.shares[key] = self.shares.get(key, 0) + 1
            amounts = self.consumed.setdefault(key, {})
            for name, amount in consumed:
                amounts[name] = amounts.get(name, 0) + amount.nano
        else:
            self.taken[key] = self.taken.get(key, 0) + 1
            progress.ids[key] = progress.ids.get(key, 0) + 1
        progress.taken.append(Taken(option, candidate, shareable, consumed if shareable else ()))
        return True

    def consumption(self, option: Option, candidate: Candidate, shareable: bool) -> Consumed | None:
        """What the device would give of its capacities; None if that is not allowed or not left."""
        features, device = self.features, candidate.device
        if not features.consumable_capacity or not (device.capacity or option.wanted):
            return ()
        if not shareable and not option.wanted and candidate.id not in self.in_use.consumed:
            return () if candidate.facts.is_whole(fractional=features.fractional_ranges) else None
        needed = capacity.consumption(device, option.wanted, fractional=features.fractional_ranges)
        return needed if needed is not None and self.has_room(candidate, needed) else None

    def undo(self, progress: _Progress, option: Option, candidate: Candidate) -> None:
        """Give the device back that was taken last."""
        taken = progress.taken.pop()
        key = candidate.id
        for number in option.constraints:
            progress.trackers[number].remove()
        if taken.share:
            self.shares[key] -= 1
            for name, amount in taken.consumed:
                self.consumed[key][name] -= amount.nano
            paid = self.shares[key] == 0 and key not in self.in_use.shared
        else:
            self.taken[key] -= 1
            progress.ids[key] -= 1
            paid = True
        if paid and candidate.device.consumes:
            self.release_counters(self.counters_of(candidate), candidate)

    def has_room(self, candidate: Candidate, consumed: Consumed) -> bool:
        """Is so much left? Shares count too that were given out while the device, now dedicated, was shareable."""
        key = candidate.id
        return capacity.fits(consumed, candidate.device, self.in_use.consumed.get(key, {}), self.consumed.get(key, {}))

    def constrain(self, progress: _Progress, option: Option, candidate: Candidate) -> bool:
        """Add the device to every constraint that looks at the request, or to none."""
        derived = option.body.derived
        added: list[Tracker] = []
        for number in option.constraints:
            tracker = progress.trackers[number]
            name = tracker.constraint.match or tracker.constraint.distinct
            if not tracker.add(candidate, derive(candidate, derived, name) if derived else None):
                for each in added:
                    each.remove()
                return False
            added.append(tracker)
        return True

    def counters_of(self, candidate: Candidate) -> PoolCounters:
        pool = self.context.view.by_id[candidate.id.driver, candidate.id.pool]
        found = self.counters.get(pool.id)
        if found is None:
            found = self.counters[pool.id] = open_counters(
                pool, self.in_use.uses, groups=self.features.compatibility_groups
            )
        return found

    def release_counters(self, counters: PoolCounters | None, candidate: Candidate) -> None:
        if counters is not None:
            counters.give_back(candidate, groups=self.features.compatibility_groups)
