"""`roadstead sim`: the whole system under a virtual clock with everything going wrong; a seed replays exactly."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from roadstead.cli.failure import Failure
from roadstead.cli.whole import Whole

if TYPE_CHECKING:
    from roadstead.sim.verdict import Verdict

SHOWN = 3
"""So many failed seeds are told in full; the others by their number."""


@click.command(short_help="the whole system under a virtual clock, with faults; a seed replays")
@click.option("--seed", type=int, help="One seed, with a summary (or, with --trace, every step).")
@click.option("--seeds", metavar="A..B", help="All seeds from A to B; with --minutes, as many as fit.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Random seeds for so long.")
@click.option("--jobs", type=Whole(1, 256), default=None, help="Processes to use. Default: one per core.")
@click.option("--trace", is_flag=True, help="Show everything that happens.")
def command(seed: int | None, seeds: str | None, minutes: float | None, jobs: int | None, trace: bool) -> int:
    """Controllers, store and node agents run as in production, but on a virtual clock: crashes after any write, lost
    and late answers, broken watches, full disks, vanishing nodes, all drawn from the seed. Judges look on. Exit code 1
    if one complains."""
    if (seed is None) == (seeds is None and minutes is None):
        raise click.UsageError("say one of --seed N, --seeds A..B (with or without --minutes M), --minutes M.")
    from roadstead.sim.many import soak, try_seeds

    workers = jobs or len(os.sched_getaffinity(0))
    if seed is not None:
        return _one(seed, trace)
    if trace:
        raise click.UsageError("--trace shows one seed: use it with --seed.")
    seconds = math.inf if minutes is None else minutes * 60.0
    if seeds is None:
        return _all(soak(seconds, workers), None)
    chosen = _range(seeds)
    return _all(try_seeds(chosen, workers, seconds), len(chosen))


def _range(text: str) -> range:
    found = re.fullmatch(r"(\d+)\.\.(\d+)", text)
    if found is None or int(found[1]) > int(found[2]):
        raise click.UsageError(f"--seeds {text} is no range: write the first and the last, as in 1..2000.")
    return range(int(found[1]), int(found[2]) + 1)


def _one(seed: int, trace: bool) -> int:
    from roadstead.sim.verdict import explain, try_seed

    verdict = try_seed(seed, click.echo if trace else None)
    if not verdict.is_good:
        _tell(explain(verdict))
        return 1
    click.echo(
        f"seed {seed} is good: {verdict.events} events in {verdict.virtual_seconds:.0f} virtual s, {verdict.cpu_seconds:.2f} s of "
        f"processor; the decider's world was compared {verdict.compared} times; history {verdict.digest}"
    )
    return 0


def _all(verdicts: Iterable[Verdict], total: int | None) -> int:
    from roadstead.sim.verdict import explain

    began = told_at = time.monotonic()
    count = events = 0
    cpu = 0.0
    failed: list[int] = []
    for verdict in verdicts:
        count, events, cpu = count + 1, events + verdict.events, cpu + verdict.cpu_seconds
        if not verdict.is_good:
            failed.append(verdict.seed)
            if len(failed) <= SHOWN:
                _tell(explain(verdict))
            else:
                click.echo(f"seed {verdict.seed} FAILED: {verdict.complaints[0]}")
        if time.monotonic() - told_at > 20.0:
            told_at = time.monotonic()
            of = f" of {total}" if total else ""
            click.echo(f"{count}{of} seeds, {len(failed)} failed, {told_at - began:.0f} s", err=True)
    seconds = time.monotonic() - began
    click.echo(
        f"{count - len(failed)} passed, {len(failed)} failed: {events} events, {cpu:.0f} s of processor, {seconds:.0f} s"
    )
    if failed:
        raise Failure(
            f"{len(failed)} of {count} seeds failed: {', '.join(map(str, sorted(failed)))}.",
            f"Look at one with: roadstead sim --seed {min(failed)} --trace",
        )
    return 0


def _tell(lines: Iterator[str]) -> None:
    for line in lines:
        click.echo(line)
