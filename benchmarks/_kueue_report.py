"""What a load's outcome looks like beside the ideal and beside what the real Kueue did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks._kueue_run import Life, Outcome

EVENTS: Final = "events"


@dataclass(frozen=True, slots=True)
class Recorded:
    """Kueue v0.19.0 by its own performance runner: its manager with kube-apiserver 1.36.3 and etcd 3.6.8 (without
    fsync), two cores. Of a part of a load only what is counted by workload may be compared."""

    workloads: int
    wall: float
    cpu_ms: float
    peak_mib: float
    usage: float
    writes: float
    events: float
    admission: dict[str, float]


KUEUE: Final = {
    "baseline": Recorded(15_000, 392.3, 41, 5337, 53.9, 5.46, 1.28, {"large": 35, "medium": 113, "small": 224}),
    "tas": Recorded(15_000, 427.5, 46, 5778, 58.1, 5.65, 1.30, {"large": 70, "medium": 133, "small": 262}),
    "large-scale": Recorded(50_000, 1297.5, 46, 11752, 30.9, 5.14, 1.24, {"large": 107, "medium": 296, "small": 770}),
}


def report(outcome: Outcome) -> Iterator[str]:
    """Lines to print."""
    load, theirs, lives = outcome.load, KUEUE[outcome.load.name], outcome.lives
    count = len(lives)
    is_whole = count == theirs.workloads
    yield (
        f"   {load.name}: {count:,} workloads in {load.cohorts * load.queues:,} queues of {load.cohorts} cohorts; "
        f"creating took {outcome.created:.1f} s ({load.creation_seconds:.1f} s if no answer is waited for)"
    )
    yield _row("", "here", "ideal", "Kueue", "Kueue/here")
    wall = (f"{theirs.wall:.1f}", f"{theirs.wall / outcome.wall:.1f}") if is_whole else ()
    yield _row("wall, s", f"{outcome.wall:.1f}", f"{load.ideal_seconds:.1f}", *wall)
    yield _row("  until queue statuses say so, s", f"{outcome.said:.1f}")
    mine = outcome.server.cpu * 1e3 / count
    yield _row("server CPU, ms a workload", f"{mine:.2f}", "", f"{theirs.cpu_ms:.0f}", f"{theirs.cpu_ms / mine:.1f}")
    yield _row("  harness beside it, ms a workload", f"{outcome.harness_cpu * 1e3 / count:.2f}")
    peak = outcome.server.peak_mib
    memory = (f"{theirs.peak_mib:.0f}", f"{theirs.peak_mib / peak:.1f}") if is_whole else ()
    yield _row("peak memory, MiB", f"{peak:.0f}", "", *memory)
    yield _row("quota usage, %", f"{_usage(outcome):.1f}", "100", f"{theirs.usage:.1f}")
    writes = sum(number for (resource, _), number in outcome.writes.items() if resource != EVENTS) / count
    events = sum(number for (resource, _), number in outcome.writes.items() if resource == EVENTS) / count
    theirs_apart = theirs.writes - theirs.events
    yield _row(
        "API writes a workload, no Events", f"{writes:.2f}", "3", f"{theirs_apart:.2f}", f"{theirs_apart / writes:.1f}"
    )
    yield _row("Events a workload", f"{events:.2f}", "", f"{theirs.events:.2f}")
    for name, found in sorted(_by_size(lives).items()):
        mean = sum(life.admitted - life.sent for life in found) / len(found)
        waited = theirs.admission[name]
        compared = (f"{waited:.0f}", f"{waited / mean:.1f}") if is_whole else ()
        yield _row(f"mean time to admission, {name}, s", f"{mean:.2f}", "", *compared)
    evictions = sum(life.evictions for life in lives)
    yield _row("evictions a workload", f"{evictions / count:.3f}")
    names = {"ADDED": "create", "MODIFIED": "update", "DELETED": "delete"}
    parts = [
        f"{resource} {names[op]} {number / count:.3f}"
        for (resource, op), number in outcome.writes.most_common()
        if number
    ]
    for at in range(0, len(parts), 4):
        yield f"      {', '.join(parts[at : at + 4])}"


def _row(what: str, here: str, ideal: str = "", kueue: str = "", ratio: str = "") -> str:
    return f"   {what:<40} {here:>10} {ideal:>8} {kueue:>8} {ratio:>11}".rstrip()


def _by_size(lives: list[Life]) -> dict[str, list[Life]]:
    """Classes of the topology load together by their size, as they were recorded."""
    found: dict[str, list[Life]] = defaultdict(list)
    for life in lives:
        found[life.kind.name.partition("-")[0]].append(life)
    return found


def _usage(outcome: Outcome) -> float:
    """Share of all nominal quota that was held by admitted workloads, start of creation to the last Finished, as seen
    from here."""
    load = outcome.load
    held = sum(life.used * life.kind.total_milli for life in outcome.lives)
    return 100 * held / (load.nominal * 1e3 * load.cohorts * load.queues * outcome.wall)
