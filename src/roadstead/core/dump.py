"""Dumps, loads and digests of a World: plain values with a format version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from roadstead.core.encoding import decode, encode
from roadstead.core.memory import Place, Tried
from roadstead.core.plan import Plan
from roadstead.core.preemption.feuds import Count
from roadstead.core.queueing.standing import Standing
from roadstead.core.world import World
from roadstead.model.facts import Noun
from roadstead.model.workload import WorkloadState

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A World at one moment, as values that nobody changes any more: made at once, to be encoded at leisure."""

    facts: tuple[Noun, ...]
    memory: Mapping[str, Any]


def snapshot(world: World) -> Snapshot:
    """Facts and memory, in a fixed order. O(world), but it only gathers references."""
    return Snapshot(tuple(world.book.all()), _memory(world))


def dump(world: World) -> dict[str, Any]:
    """Facts in a fixed order, then memory, as plain values: for forks, snapshots, bug reports. O(world)."""
    taken = snapshot(world)
    return {"format": FORMAT, "facts": [encode(fact) for fact in taken.facts], "memory": encode(taken.memory)}


def dump_memory(world: World) -> dict[str, Any]:
    """All memory (core/memory.py has the list) as plain values. O(workloads)."""
    memory: dict[str, Any] = encode(_memory(world))
    return memory


def _memory(world: World) -> dict[str, Any]:
    world.tables()
    tables = []
    for name in sorted(world.pending):
        pending = world.pending[name]
        if pending.sticky is not None or pending.bulk_parked:
            parked = [encode(world.classes.key(shape)) for shape in pending.bulk_parked]
            tables.append(
                {"clusterQueue": name, "sticky": pending.sticky, "bulkParked": sorted(parked, key=json.dumps)}
            )
    return {
        "cycles": world.cycles,
        "now": world.now,
        "standings": [
            remembered
            for key in sorted(world.workloads)
            if (remembered := _remembered(world, world.workloads[key])) is not None
        ],
        "queues": tables,
        "feuds": [(*pair, *count) for pair, count in world.feuds.counts()],
        "penalties": [
            (local, workload, at, sorted(asked.items())) for local, workload, at, asked in world.penalties.all()
        ],
        "requests": sorted(world.requests.items()),
        "waitingForFleet": sorted(world.standings.waiting_for_fleet),
        "bindings": [world.bound_pods[key] for key in sorted(world.bound_pods)],
    }


def _remembered(world: World, standing: Standing) -> dict[str, Any] | None:
    """What is known of a workload beyond its facts; None if that is nothing."""
    fact, hold = standing.fact, standing.hold
    is_placed = fact.placement is not None
    placement = hold.placement if hold is not None and fact.state is WorkloadState.RESERVED and not is_placed else None
    was_placed = standing.was_placed and not is_placed
    place = standing.own_place
    if (
        standing.assumed is None
        and standing.evicting is None
        and standing.tried is None
        and placement is None
        and not was_placed
        and place is world.standings.first_place(standing)
    ):
        return None
    return {
        "workload": standing.key,
        "place": place,
        "assumed": standing.assumed,
        "assumedAt": standing.assumed_at if standing.assumed is not None else 0,
        "evicting": standing.evicting,
        "tried": None if standing.tried is None else _dump_scan(world, standing.cluster_queue, standing.tried),
        "wasPlaced": was_placed,
        "placement": placement,
    }


def load(dumped: Mapping[str, Any]) -> World:
    """A world from `dump`, which decides from here on as the dumped one. ValueError if this is no dump or a newer
    format."""
    version = dumped.get("format")
    if not isinstance(version, int):
        raise ValueError("This is not a dump of a world: it has no format version. Use a file that `dump` wrote.")
    if version > FORMAT:
        raise ValueError(
            f"The dump has format {version}; this program reads up to {FORMAT}. Load it with the program that wrote it."
        )
    world = World()
    memory = dumped["memory"]
    world.standings.set_clock(memory["cycles"], memory["now"])  # first: facts may speak of times that are over
    for data in dumped["facts"]:
        world.apply(decode(data))
    _load_memory(world, memory)
    return world


def _load_memory(world: World, data: Mapping[str, Any]) -> None:
    for item in data["bindings"]:
        world.assume(Plan(commands=(decode(item),)))
    for item in data["queues"]:
        pending = world.pending_queue(item["clusterQueue"])
        if item["sticky"] is not None:
            pending.set_sticky(((item["sticky"][0][0], item["sticky"][0][1]), item["sticky"][1]))
        for key in item["bulkParked"]:
            pending.park_class(world.classes.number(decode(key)))
    for item in data["standings"]:
        standing = world.workloads[(item["workload"][0], item["workload"][1])]
        world.standings.restore(
            standing,
            place=Place(item["place"]),
            assumed=decode(item["assumed"]),
            assumed_at=item["assumedAt"],
            evicting=decode(item["evicting"]),
            tried=_load_scan(world, standing.shape, item["tried"]),
            was_placed=item["wasPlaced"] or standing.was_placed,
            placement=decode(item["placement"]),
        )
    for preemptor, victim, times, in_vain in data.get("feuds", ()):
        world.feuds.set((preemptor[0], preemptor[1]), (victim[0], victim[1]), Count(times, in_vain))
    for local, workload, at, asked in data.get("penalties", ()):
        world.penalties.charge((local[0], local[1]), (workload[0], workload[1]), at, dict(asked))
    world.requests.clear()
    world.requests.update((name, whole_tree) for name, whole_tree in data["requests"])
    world.standings.waiting_for_fleet.update(dict.fromkeys(data["waitingForFleet"], True))


def _dump_scan(world: World, cluster_queue: str, tried: Tried) -> list[Any]:
    """Generations and class numbers are addresses of one process: dumped is whether quota was freed since."""
    is_current = world.tree.queue(cluster_queue).root.generation <= tried.generation
    return [tried.cycle, is_current, encode(tried.pod_sets)]


def _load_scan(world: World, shape: int, data: list[Any] | None) -> Tried | None:
    if data is None:
        return None
    world.tables()
    return Tried(data[0], world.tree.newest_generation if data[1] else 0, shape, decode(data[2]))


def digest(world: World) -> str:
    """Hash of all facts and of the ledgers derived from them, equal for equal facts applied in any order.

    Memory is left out, except that assumed commands occupy the ledgers until they are facts: once all of them are, the
    digest equals that of a world rebuilt from objects. O(facts changed since the last call + queues + nodes).
    """
    return _hash([world.book.hash() % 2**128, _ledger_parts(world)])


def memory_digest(world: World) -> str:
    """Hash of memory alone. O(workloads)."""
    return _hash(dump_memory(world))


def _ledger_parts(world: World) -> list[Any]:
    """Usage of every queue and cohort by cell name, zeros left out, who holds it, and the Fleet's own parts."""
    world.tables()
    cells = world.tree.cells
    parts: list[Any] = []
    for kind, table in (("queue", world.tree.queues), ("cohort", world.tree.cohorts)):
        for name in sorted(table):
            used = sorted([*cells[slot], amount] for slot, amount in table[name].usage.items() if amount)
            if used:
                parts.append([kind, name, used])
    for cluster_queue in sorted(world.holders):
        held = [list(standing.key) for _, standing in world.holders[cluster_queue]]
        if held:
            parts.append(["holders", cluster_queue, held])
    parts.append(sorted([list(key), reason.value] for key, reason in world.draining.items()))
    parts.append([[kind, name, encode(value)] for kind, name, value in world.fleet.digest_parts()])
    return parts


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
