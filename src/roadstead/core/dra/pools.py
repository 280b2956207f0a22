"""Pools as one node sees them (KEP-4381 "resource pools": generations and completeness; KEP-4815 validity).

Per pool, of the slices that concern the node only those of the highest generation among them count. If their number is
what the first of them says, the pool is complete. Otherwise all slices of the pool are counted, whatever node they are
for: a higher generation anywhere makes the pool obsolete here (it is left out), the right number of this generation
makes it complete, and anything else incomplete. Order: driver, pool name; pools with binding conditions after all
others. Slices by name, devices as listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from roadstead.core.dra.candidates import Candidate
from roadstead.core.dra.features import Features
from roadstead.core.dra.nodes import NodeFacts, concerns
from roadstead.model.dra import ResourceSlice

PoolId = tuple[str, str]


@dataclass(slots=True, eq=False)
class Pool:
    """One pool for one node. `candidates` are of slices that concern the node, `others` of those that only complete the
    pool."""

    id: PoolId
    complete: bool
    invalid: str
    """What is wrong with it, empty if nothing."""
    candidates: tuple[Candidate, ...]
    others: tuple[Candidate, ...]
    counters: dict[str, dict[str, int]]
    """Counter set -> counter -> published nano-units."""
    binding: bool

    @property
    def usable(self) -> bool:
        return self.complete and not self.invalid


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a node sees: its pools in the order of the search, and the candidates of the usable ones."""

    pools: tuple[Pool, ...]
    order: tuple[Candidate, ...]
    by_id: Mapping[PoolId, Pool]
    has_invalid: bool


def view_of(pools: tuple[Pool, ...]) -> View:
    """O(devices)."""
    order = tuple(candidate for pool in pools if pool.usable for candidate in pool.candidates)
    return View(pools, order, {pool.id: pool for pool in pools}, any(pool.complete and pool.invalid for pool in pools))


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """A slice with its candidates."""

    slice: ResourceSlice
    candidates: tuple[Candidate, ...]


def gather(
    published: Iterable[Published], whole: Mapping[PoolId, Iterable[Published]], node: NodeFacts, features: Features
) -> tuple[Pool, ...]:
    """The pools of one node in the order of the search. `published`: the slices that may concern the node; `whole`:
    all, by pool.

    AllocationError if a node selector cannot be parsed. O(slices that may concern the node + slices of pools that look
    incomplete).
    """
    kept: dict[PoolId, list[Published]] = {}
    for each in published:
        of = each.slice
        if not features.partitionable and (of.nodes.by_device or of.counter_sets):
            continue
        if _is_hidden_by_groups(each, features) or not concerns(of, node):
            continue
        key = (of.driver, of.pool)
        have = kept.get(key)
        if have is None or have[0].slice.generation < of.generation:
            kept[key] = [each]
        elif have[0].slice.generation == of.generation:
            have.append(each)
    pools = []
    for key, slices in kept.items():
        pool = _assemble(key, slices, whole.get(key, ()), features)
        if pool is not None:
            pools.append(pool)
    pools.sort(key=lambda pool: (pool.binding, pool.id[0].encode(), pool.id[1].encode()))
    return tuple(pools)


def _is_hidden_by_groups(each: Published, features: Features) -> bool:
    """Without DRADeviceCompatibilityGroups a slice that uses them is ignored whole, so that its pool is incomplete."""
    return not features.compatibility_groups and any(candidate.has_groups for candidate in each.candidates)


def _devices(slices: list[Published], features: Features) -> tuple[Candidate, ...]:
    """A slice has devices or counters, not both; where it has both the counters win."""
    return tuple(
        candidate
        for each in slices
        if not (features.partitionable and each.slice.counter_sets)
        for candidate in each.candidates
    )


def _assemble(key: PoolId, slices: list[Published], whole: Iterable[Published], features: Features) -> Pool | None:
    generation, wanted = slices[0].slice.generation, slices[0].slice.count
    complete, others = len(slices) == wanted, []
    if not complete:
        own = {each.slice.name for each in slices}
        same = 0
        for each in whole:
            if each.slice.generation > generation:
                return None
            if each.slice.generation == generation and not _is_hidden_by_groups(each, features):
                same += 1
                if each.slice.name not in own:
                    others.append(each)
        complete = same == wanted
    slices.sort(key=lambda each: each.slice.name.encode())
    candidates, other_candidates = _devices(slices, features), _devices(others, features)
    counters: dict[str, dict[str, int]] = {}
    invalid = ""
    for each in [*slices, *others]:
        for counter_set in each.slice.counter_sets:
            if counter_set.name in counters:
                invalid = invalid or f"duplicate counter set name {counter_set.name}"
            counters[counter_set.name] = {name: amount.nano for name, amount in counter_set.counters}
    if complete:
        invalid = _repeated_name(candidates) or invalid
        if features.partitionable:
            invalid = invalid or _dangling_counter((*candidates, *other_candidates), counters)
    invalid = invalid if complete else ""
    usable = complete and not invalid
    binding = usable and any(candidate.device.binding_conditions for candidate in candidates)
    return Pool(key, complete, invalid, candidates, other_candidates, counters, binding)


def _repeated_name(candidates: tuple[Candidate, ...]) -> str:
    names: set[str] = set()
    for candidate in candidates:
        if candidate.id.device in names:
            return f"duplicate device name {candidate.id.device}"
        names.add(candidate.id.device)
    return ""


def _dangling_counter(candidates: tuple[Candidate, ...], counters: Mapping[str, Mapping[str, int]]) -> str:
    for candidate in candidates:
        for use in candidate.device.consumes:
            have = counters.get(use.counter_set)
            if have is None:
                return f"device {candidate.id.device} consumes from counter set {use.counter_set}, which does not exist"
            for name, _ in use.counters:
                if name not in have:
                    return f"device {candidate.id.device} consumes counter {name}, which set {use.counter_set} does not have"
    return ""
