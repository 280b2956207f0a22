"""Decide again what a journal recorded: the identical core, given the same at the same times, must make the same plans,
byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any, Final

from roadstead.core.dump import FORMAT as DUMP_FORMAT
from roadstead.core.dump import dump, load
from roadstead.core.encoding import decode
from roadstead.core.given import give
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.history.format import JournalError, check_head, encoded_plans, line, lines_of

DIFFERENCE_LINES: Final = 60
"""So many lines of a difference are kept."""

LINE_LENGTH: Final = 100


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first decision that came out otherwise. `difference`: lines starting with - are recorded, with + decided
    now."""

    path: Path
    decision: int  # within the file, from 1
    now: int
    difference: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found. `joints`: snapshots that were compared with the replayed end of the file before."""

    files: int
    decisions: int
    commands: int
    joints: int
    divergence: Divergence | None = None


def replay(paths: Sequence[Path]) -> Replayed:
    """Replay journal files, oldest first, up to the first divergence. JournalError, OSError. O(what was decided
    then)."""
    files = decisions = commands = joints = 0
    world: World | None = None
    for path in paths:
        lines = lines_of(path)
        head = next(lines, None)
        if head is None:
            continue  # cut off before anything was written
        check_head(path, head)
        begin = _snapshot(path, lines)
        if begin is None:
            continue
        files += 1
        if head["follows"] and world is not None:
            joints += 1
            difference = _difference(_pretty(begin), _pretty(dump(world)))
            if difference:
                divergence = Divergence(path, 0, begin["memory"]["now"], difference)
                return Replayed(files, decisions, commands, joints, divergence)
        world = load(begin)
        rules = decode(head["rules"])
        for number, record in enumerate(lines, 1):
            for each in record["given"]:
                give(world, decode(each))
            plans = encoded_plans(decide(world, record["now"], rules).plans)
            decisions += 1
            commands += sum(len(made) for made, _ in record["plans"])
            if line(plans) != line(record["plans"]):
                difference = _difference(_pretty(record["plans"]), _pretty(plans))
                divergence = Divergence(path, number, record["now"], difference)
                return Replayed(files, decisions, commands, joints, divergence)
    return Replayed(files, decisions, commands, joints)


def _snapshot(path: Path, lines: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    """The dump that a file begins with; None if it was cut off before it was whole."""
    found = next(lines, None)
    if found is None:
        return None
    if "snapshot" not in found:
        raise JournalError(f"{path} has no snapshot in its second line.", "Something else than a crash damaged it.")
    count = found["snapshot"]["facts"]
    facts = list(islice(lines, count))
    if len(facts) < count:
        return None
    return {"format": DUMP_FORMAT, "facts": facts, "memory": found["snapshot"]["memory"]}


def _pretty(value: Any) -> Iterator[str]:
    """One line for what fits into one, so that a difference shows what is different and what it belongs to."""
    text = line(value).decode().rstrip("\n")
    if len(text) <= LINE_LENGTH or not isinstance(value, list | dict):
        yield text
        return
    items: Iterable[tuple[str, Any]]
    items = sorted(value.items()) if isinstance(value, dict) else (("-", item) for item in value)
    for name, item in items:
        first, *others = _pretty(item)
        yield f"{name} {first}"
        for each in others:
            yield f"  {each}"


def _difference(recorded: Iterable[str], decided: Iterable[str]) -> tuple[str, ...]:
    found = list(unified_diff(list(recorded), list(decided), "recorded", "decided now", lineterm="", n=4))
    if len(found) > DIFFERENCE_LINES:
        found = [*found[:DIFFERENCE_LINES], f"... {len(found) - DIFFERENCE_LINES} lines more"]
    return tuple(found)
