"""Find flavors for a workload (kueue.md 3.5): per resource group the first flavor in order that is good enough.

Called by `cycle` for each head, and by partial admission for each size tried. Cost: O(pod sets x flavors x resources),
plus one preemption search for each cell that does not fit and where one is allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from roadstead.core.flavors.assignment import Assignment, Choice, Mode, PodSetChoice
from roadstead.core.flavors.match import matches_affinity, untolerated_taint
from roadstead.core.memory import Tried
from roadstead.core.queueing.standing import Standing
from roadstead.core.quota.charges import charged
from roadstead.core.quota.device_charges import NotCountedError, claim_charges
from roadstead.core.quota.table import GroupTable, QueueTable
from roadstead.core.quota.tree import Slot
from roadstead.core.world import World
from roadstead.model.amounts import PODS, FlavorName, ResourceName
from roadstead.model.queues import ResourceFlavor
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.resources import PLAIN, ResourceRules
from roadstead.model.workload import PodSet


class Oracle(Protocol):
    """What assignment asks about preemption."""

    def simulate(self, slot: Slot, amount: int) -> tuple[Mode, int]:
        """Would it help in this cell alone: (NO_CANDIDATES, PREEMPT or RECLAIM; borrowing level afterwards)."""
        ...

    @property
    def while_borrowing(self) -> bool:
        """May it be tried where the queue would still borrow?"""
        ...


Allowed: TypeAlias = Mapping[ResourceName, Collection[FlavorName]]
"""Flavors that a recomputation within the cycle may use: those nominated before."""


def assign(
    world: World,
    table: QueueTable,
    standing: Standing,
    oracle: Oracle,
    counts: Sequence[int] | None = None,
    allowed: Sequence[Allowed] | None = None,
    tried: Tried | None = None,
    resources: ResourceRules = PLAIN,
) -> Assignment:
    """Flavors for every pod set, or as far as it went when one got none. `counts` replaces the pod sets' sizes;
    `resources` says what they are charged for."""
    pod_sets = standing.fact.pod_sets
    result = Assignment()
    remembered: list[tuple[tuple[str, int], ...]] = [()] * len(pod_sets)
    for wanted in _wanted(world, table, standing, counts, resources):
        first = wanted.members[0]
        chosen = [
            PodSetChoice(pod_sets[i], size, requests)
            for i, size, requests in zip(wanted.members, wanted.sizes, wanted.requests, strict=True)
        ]
        start = tried.pod_sets[first] if tried is not None else ()
        _assign_group(world, table, result, chosen, wanted, oracle, start, allowed[first] if allowed else None)
        for i, choice in zip(wanted.members, chosen, strict=True):
            result.pod_sets.append(choice)
            for resource, taken in choice.choices.items():
                slot = taken.slot
                result.usage[slot] = result.usage.get(slot, 0) + choice.requests.get(resource, 0)
                if taken.level > result.level:
                    result.level = taken.level
            remembered[i] = tuple([(resource, taken.tried) for resource, taken in choice.choices.items()])
            if choice.requests and not choice.choices:
                result.failed = True
        if result.failed:
            break
    if len(result.pod_sets) > 1:
        order = {ps.name: i for i, ps in enumerate(pod_sets)}
        result.pod_sets.sort(key=lambda ps: order[ps.pod_set.name])
    result.tried = Tried(world.cycles + 1, table.node.root.generation, standing.shape, tuple(remembered))
    return result


def effective_counts(standing: Standing) -> list[int]:
    """Pods of each set that still need quota (kueue.md 2.10)."""
    done = dict(standing.fact.reclaimable)
    return [max(0, ps.count - done.get(ps.name, 0)) for ps in standing.fact.pod_sets]


@dataclass(slots=True)
class _Part:
    """What pod sets want of one resource group: amounts in total, and which of its flavors they may use at all: True or
    why not; filled in as they are looked at."""

    first: ResourceName
    group: GroupTable
    requests: dict[ResourceName, int]
    usable: list[Literal[True] | Refusal | None]


@dataclass(slots=True)
class _Wanted:
    """Pod sets that share their flavors (those with the same topology group name): indices, sizes, requests of each; by
    resource group; and what no group covers."""

    members: tuple[int, ...]
    sizes: tuple[int, ...]
    requests: tuple[dict[ResourceName, int], ...]
    parts: tuple[_Part, ...]
    not_covered: Refusal | None


def _wanted(
    world: World, table: QueueTable, standing: Standing, counts: Sequence[int] | None, resources: ResourceRules
) -> tuple[_Wanted, ...]:
    """The same for every workload of a class as long as no queue, flavor or DeviceClass changes: worked out once for
    each table."""
    key: Any = standing.shape if counts is None else (standing.shape, *counts)
    if resources is not PLAIN:
        key = (resources, key)
    known: tuple[_Wanted, ...] | None = table.memo.get(key)
    if known is None:
        sizes = effective_counts(standing) if counts is None else counts
        known = tuple(
            _wants(world, table, standing.fact.pod_sets, sizes, members, resources)
            for members in _groups(standing.fact.pod_sets)
        )
        table.memo[key] = known
    return known


def _wants(
    world: World,
    table: QueueTable,
    pod_sets: Sequence[PodSet],
    sizes: Sequence[int],
    members: Sequence[int],
    resources: ResourceRules,
) -> _Wanted:
    requests = tuple(_requests(table, pod_sets[i], sizes[i], resources) for i in members)
    if any(pod_sets[i].pod.claims for i in members):
        try:
            for i, each in zip(members, requests, strict=True):
                _add_claims(world, table, each, pod_sets[i], sizes[i], resources)
        except NotCountedError as error:
            refusal = Refusal(
                Code.CLAIM_INVALID, Verdict.CHANGE, Level.QUEUE, pod_sets[members[0]].name, subject=str(error)
            )
            return _Wanted(tuple(members), tuple(sizes[i] for i in members), requests, (), refusal)
    total: dict[ResourceName, int] = {}
    for each in requests:
        for resource, amount in each.items():
            total[resource] = total.get(resource, 0) + amount
    parts: dict[int, _Part] = {}
    not_covered = None
    for resource in total:
        at = table.group_of.get(resource)
        if at is None:
            name = pod_sets[members[0]].name
            not_covered = Refusal(
                Code.RESOURCE_NOT_COVERED, Verdict.CHANGE, Level.QUEUE, name, "", resource, total[resource],
                subject=table.name,
            )  # fmt: skip
            break
        if at not in parts:
            group = table.groups[at]
            inside = {r: total[r] for r in total if table.group_of.get(r) == at}
            parts[at] = _Part(resource, group, inside, [None] * len(group.flavors))
    return _Wanted(tuple(members), tuple(sizes[i] for i in members), requests, tuple(parts.values()), not_covered)


def _requests(table: QueueTable, pod_set: PodSet, count: int, resources: ResourceRules) -> dict[ResourceName, int]:
    """What a pod set is charged in total, by resource name in order; `pods` where the queue has a quota for it."""
    requests = {
        name: amount * count
        for name, amount in charged(pod_set.pod.requests, resources)
        if name in table.group_of or (amount and not resources.ignore_undeclared)
    }
    if table.covers_pods:
        requests[PODS] = count
    return dict(sorted(requests.items()))


def _add_claims(
    world: World,
    table: QueueTable,
    requests: dict[ResourceName, int],
    pod_set: PodSet,
    count: int,
    resources: ResourceRules,
) -> None:
    classes = world.fleet.claims.inventory.classes
    for name, amount in claim_charges(pod_set.pod.claims, resources, classes, table.group_of):
        if name in table.group_of or not resources.ignore_undeclared:
            requests[name] = requests.get(name, 0) + amount * count
    in_order = sorted(requests.items())
    requests.clear()
    requests.update(in_order)


def _groups(pod_sets: Sequence[PodSet]) -> list[list[int]]:
    """Indices of pod sets that share their flavors: those with the same topology group name."""
    groups: dict[str, list[int]] = {}
    for i, pod_set in enumerate(pod_sets):
        group = pod_set.topology.group if pod_set.topology is not None else ""
        groups.setdefault(f"group {group}" if group else f"set {i}", []).append(i)
    return list(groups.values())


def _assign_group(
    world: World,
    table: QueueTable,
    result: Assignment,
    chosen: list[PodSetChoice],
    wanted: _Wanted,
    oracle: Oracle,
    start: tuple[tuple[ResourceName, int], ...],
    allowed: Allowed | None,
) -> None:
    """Fill in the choices of pod sets that share flavors; leave them empty (with refusals) if a resource finds none."""
    found: dict[ResourceName, Choice] = {}
    refusals: list[Refusal] = []
    fits = True
    begin = dict(start)
    for part in wanted.parts:
        search = _Search(world, table, result, chosen, oracle, part, allowed)
        choices = search.run(begin.get(part.first, -1) + 1)
        if search.mode is not Mode.FIT:
            refusals.extend(search.refusals)  # flavors passed over on the way to one that fits are no reason to wait
            fits = False
        if not choices:
            found = {}
            break
        found.update(choices)
    else:
        if wanted.not_covered is not None:
            refusals.append(wanted.not_covered)
            found = {}
    for pod_set in chosen:
        pod_set.fits = fits
        pod_set.choices = {resource: found[resource] for resource in pod_set.requests if resource in found}
        pod_set.refusals = refusals if pod_set is chosen[0] else []


class _Search:
    """The scan over one resource group's flavors for one group of pod sets."""

    __slots__ = (
        "allowed",
        "group",
        "mode",
        "oracle",
        "part",
        "pod_sets",
        "refusals",
        "requests",
        "result",
        "table",
        "world",
    )

    def __init__(
        self,
        world: World,
        table: QueueTable,
        result: Assignment,
        pod_sets: list[PodSetChoice],
        oracle: Oracle,
        part: _Part,
        allowed: Allowed | None,
    ) -> None:
        self.world = world
        self.table = table
        self.result = result
        self.pod_sets = pod_sets
        self.oracle = oracle
        self.part = part
        self.group = part.group
        self.requests = part.requests
        self.allowed = allowed
        self.refusals: list[Refusal] = []
        self.mode = Mode.NO_FIT  # of the flavor taken

    def run(self, start: int) -> dict[ResourceName, Choice]:
        """The choices of the flavor taken; empty if none can ever do."""
        best: dict[ResourceName, Choice] = {}
        best_mode, best_level = Mode.NO_FIT, 0
        last = len(self.group.flavors) - 1
        at = start - 1
        for at in range(start, last + 1):
            if not self._may_use(at):
                continue
            choices, mode, level = self._test(at)
            if mode is Mode.NO_FIT:
                continue
            if not self._goes_on(mode, level):
                best, best_mode, best_level = choices, mode, level
                break
            if self._is_preferred(mode, level, best_mode, best_level):
                best, best_mode, best_level = choices, mode, level
        for choice in best.values():
            choice.tried = -1 if at == last else at
        self.mode = best_mode
        return best

    def _may_use(self, at: int) -> bool:
        """May pods of these sets use the flavor at this index at all? If not, for which reason is noted."""
        if self.allowed is not None and self.world.flavor(self.group.flavors[at]) is not None:
            name = self.group.flavors[at]
            if any(name not in self.allowed.get(resource, ()) for resource in self.requests):
                return False
        known = self.part.usable[at]
        if known is None:
            known = self.part.usable[at] = self._why_not(at) or True
        if known is True:
            return True
        self.refusals.append(known)
        return False

    def _why_not(self, at: int) -> Refusal | None:
        """What keeps pods of these sets from the flavor at this index, whatever is free. Depends on the class and the
        table alone."""
        name = self.group.flavors[at]
        flavor = self.world.flavor(name)
        label = self.pod_sets[0].pod_set.name
        if flavor is None:
            return Refusal(Code.FLAVOR_NOT_FOUND, Verdict.ASK, Level.FLAVOR, label, name, subject=name)
        for choice in self.pod_sets:
            mismatch = self._topology_mismatch(flavor, choice)
            if mismatch is not None:
                return mismatch
        for choice in self.pod_sets:
            pod = choice.pod_set.pod
            taint = untolerated_taint(flavor, pod)
            if taint is not None:
                return Refusal(
                    Code.UNTOLERATED_TAINT, Verdict.CHANGE, Level.FLAVOR, label, name,
                    subject=f"{taint.key}={taint.value}:{taint.effect}",
                )  # fmt: skip
            if not matches_affinity(flavor, pod, [key for key, _ in flavor.node_labels]):
                return Refusal(Code.NODE_AFFINITY_MISMATCH, Verdict.CHANGE, Level.FLAVOR, label, name)
        return None

    def _topology_mismatch(self, flavor: ResourceFlavor, choice: PodSetChoice) -> Refusal | None:
        """kueue.md 4.3: sets that ask for a topology need a flavor that has it, and only they may use one."""
        request = choice.pod_set.topology
        label = choice.pod_set.name
        if request is None:
            if flavor.topology and not self.table.is_topology_only:
                return Refusal(
                    Code.FLAVOR_TOPOLOGY_MISMATCH, Verdict.CHANGE, Level.FLAVOR, label, flavor.name, subject="only"
                )
            return None
        if not flavor.topology:
            if not any(resource in choice.requests for resource in self.group.resources):
                return None
            return Refusal(
                Code.FLAVOR_TOPOLOGY_MISMATCH, Verdict.CHANGE, Level.FLAVOR, label, flavor.name, subject="none"
            )
        topology = self.world.topology(flavor.topology)
        levels = topology.levels if topology is not None else ()
        wanted = [
            request.required,
            request.preferred,
            request.slice_level,
            *(level for level, _ in request.slice_layers),
        ]
        for level in wanted:
            if level and level not in levels:
                return Refusal(
                    Code.FLAVOR_TOPOLOGY_MISMATCH, Verdict.CHANGE, Level.FLAVOR, label, flavor.name, subject=level
                )
        return None

    def _test(self, at: int) -> tuple[dict[ResourceName, Choice], Mode, int]:
        """Test every resource in this flavor: choices, and the least preferred of their modes."""
        name, slots = self.group.flavors[at], self.group.slots[at]
        worst_mode, worst_level = Mode.FIT, 0
        choices: dict[ResourceName, Choice] = {}
        for resource, amount in self.requests.items():
            slot = slots[resource]
            mode, level = self._test_cell(slot, name, resource, amount, may_preempt=worst_mode is not Mode.NO_FIT)
            if mode is Mode.NO_FIT or worst_mode is Mode.NO_FIT:
                worst_mode = Mode.NO_FIT  # go on all the same: every shortage is worth knowing
                continue
            if (mode is not worst_mode or level != worst_level) and (
                self._rank(worst_mode, worst_level) > self._rank(mode, level)
            ):
                worst_mode, worst_level = mode, level
            choices[resource] = Choice(name, slot, mode, level, -1)
        return choices, worst_mode, worst_level

    def _test_cell(
        self, slot: Slot, flavor: FlavorName, resource: ResourceName, amount: int, *, may_preempt: bool
    ) -> tuple[Mode, int]:
        """kueue.md 3.5.2; without `may_preempt` victims are not looked for."""
        node = self.table.node
        earlier = self.result.usage.get(slot, 0)
        value = earlier + amount
        free = node.free(slot)
        if value <= free:
            return Mode.FIT, node.lowest_fit(slot, value)[0]
        most = node.potential_available(slot)
        label = self.pod_sets[0].pod_set.name
        if value > most:
            self.refusals.append(
                Refusal(
                    Code.EXCEEDS_MAX_QUOTA, Verdict.CHANGE, Level.QUEUE, label, flavor, resource, value,
                    free, most, self.table.name, counts=(("earlier", earlier),) if earlier else (),
                )
            )  # fmt: skip
            return Mode.NO_FIT, 0
        level, may_reclaim = node.lowest_fit(slot, value)
        self.refusals.append(
            Refusal(
                Code.WAITING_FOR_QUOTA, Verdict.WAIT, Level.COHORT if node.parent is not None else Level.QUEUE, label,
                flavor, resource, value, free, most, self.table.name,
            )
        )  # fmt: skip
        if may_preempt and (node.nominal.get(slot, 0) >= value or may_reclaim or self.oracle.while_borrowing):
            return self.oracle.simulate(slot, value)
        return Mode.NO_FIT, level

    def _goes_on(self, mode: Mode, level: int) -> bool:
        """Shall the next flavor be tried although this one could be used?"""
        fungibility = self.table.fact.fungibility
        if mode is Mode.NO_CANDIDATES:
            return True
        if mode in (Mode.PREEMPT, Mode.RECLAIM) and fungibility.when_can_preempt == "TryNextFlavor":
            return True
        return level > 0 and fungibility.when_can_borrow == "TryNextFlavor"

    def _is_preferred(self, mode: Mode, level: int, to_mode: Mode, to_level: int) -> bool:
        """Is (mode, level) preferred to (to_mode, to_level)? kueue.md 3.5.3."""
        if mode is Mode.NO_FIT or to_mode is Mode.NO_FIT:
            return mode is not Mode.NO_FIT and to_mode is Mode.NO_FIT
        if (mode is Mode.NO_CANDIDATES) != (to_mode is Mode.NO_CANDIDATES):
            return to_mode is Mode.NO_CANDIDATES
        return self._rank(mode, level) > self._rank(to_mode, to_level)

    def _rank(self, mode: Mode, level: int) -> tuple[int, int]:
        """More is better, by the queue's preference. Within one flavor a mode without candidates has no other rank (as
        in Kueue)."""
        if self.table.fact.fungibility.preference == "PreemptionOverBorrowing":
            return (-level, mode)
        return (mode, -level)
