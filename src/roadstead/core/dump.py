"""Dumps, loads and digests of a World: plain values with a format version."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin, get_type_hints

from roadstead.core.memory import Place, Tried
from roadstead.core.plan import Admit, BindPod, Evict, Plan, Verdicts
from roadstead.model import nodes, queues, refusals, selection, workload

if TYPE_CHECKING:
    from roadstead.core.world import World

FORMAT: Final = 1
_TYPE: Final = "_"


def _known_types() -> dict[str, type]:
    found: dict[str, type] = {t.__name__: t for t in (Admit, Evict, BindPod, Tried, Plan, Verdicts)}
    for module in (nodes, queues, refusals, selection, workload):
        for name, value in vars(module).items():
            if isinstance(value, type) and is_dataclass(value):
                found[name] = value
    return found


_TYPES: Final[Mapping[str, type]] = _known_types()


def encode(value: Any) -> Any:
    """A value of the model as JSON-able data; defaults are left out."""
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        data: dict[str, Any] = {_TYPE: type(value).__name__}
        for field in fields(value):
            item = getattr(value, field.name)
            if item != field.default:
                data[field.name] = encode(item)
        return data
    raise TypeError(f"{type(value).__name__} cannot be dumped")


def decode(data: Any) -> Any:
    """The inverse of `encode`. ValueError for a type name that this program does not know."""
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    if isinstance(data, dict):
        kind = _TYPES.get(data[_TYPE])
        if kind is None:
            raise ValueError(
                f"The dump holds a {data[_TYPE]!r}, which this program does not know. Load it with a newer one."
            )
        enums = _enum_fields(kind)
        values = {}
        for name, item in data.items():
            if name != _TYPE:
                value = decode(item)
                values[name] = enums[name](value) if name in enums and value is not None else value
        return kind(**values)
    return data


@cache
def _enum_fields(kind: type) -> dict[str, type[StrEnum]]:
    found: dict[str, type[StrEnum]] = {}
    for name, hint in get_type_hints(kind).items():
        for option in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
            if isinstance(option, type) and issubclass(option, StrEnum):
                found[name] = option
    return found


def dump_world(world: World) -> dict[str, Any]:
    """Facts in a fixed order, then memory. O(world)."""
    return {"format": FORMAT, "facts": [encode(fact) for fact in world.all_facts()], "memory": dump_memory(world)}


def dump_memory(world: World) -> dict[str, Any]:
    """All memory (core/memory.py has the list). O(workloads)."""
    standings = []
    for key in sorted(world.workloads):
        s = world.workloads[key]
        standings.append(
            {
                "workload": list(key),
                "place": s.own_place.value,
                "assumed": encode(s.assumed),
                "assumedAt": s.assumed_at,
                "evicting": encode(s.evicting),
                "tried": None if s.tried is None else _dump_scan(world, s.cluster_queue, s.tried),
            }
        )
    tables = []
    for name in sorted(world.pending):
        pending = world.pending[name]
        sticky = pending.sticky
        tables.append(
            {
                "clusterQueue": name,
                "sticky": None if sticky is None else [list(sticky[0]), sticky[1]],
                "bulkParked": sorted((encode(world.classes.key(s)) for s in pending.bulk_parked), key=json.dumps),
            }
        )
    return {
        "cycles": world.cycles,
        "now": world.now,
        "standings": standings,
        "queues": [t for t in tables if t["sticky"] or t["bulkParked"]],
        "requests": sorted([name, whole_tree] for name, whole_tree in world.requests.items()),
        "waitingForFleet": sorted(world.standings.waiting_for_fleet),
        "bindings": [encode(world.bound_pods[key]) for key in sorted(world.bound_pods)],
    }


def load_world(world: World, dumped: Mapping[str, Any]) -> None:
    """Fill an empty world. ValueError if this is no dump or a newer format."""
    version = dumped.get("format")
    if not isinstance(version, int):
        raise ValueError("This is not a dump of a world: it has no format version. Use a file that World.dump wrote.")
    if version > FORMAT:
        raise ValueError(
            f"The dump has format {version}; this program reads up to {FORMAT}. Load it with the program that wrote it."
        )
    for data in dumped["facts"]:
        world.apply(decode(data))
    _load_memory(world, dumped["memory"])


def _load_memory(world: World, data: Mapping[str, Any]) -> None:
    world.standings.set_clock(data["cycles"], data["now"])
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
        )
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


def fact_hash(fact: Any) -> int:
    """128 bits for one fact; a world's facts add up to its hash, whatever their order."""
    text = json.dumps(encode(fact), sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def ledger_parts(world: World) -> list[Any]:
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


def digest_text(fact_sum: int, parts: list[Any]) -> str:
    """The digest of facts and ledgers."""
    return _digest([fact_sum % 2**128, parts])


def memory_digest_of(world: World) -> str:
    """Hash of the memory part of the dump."""
    return _digest(dump_memory(world))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
