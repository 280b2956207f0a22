"""Deterministic simulation: events per second and seeds per minute, one process, one core.

    python benchmarks/simulation.py [--seeds N]

A seed is a whole cluster from its first object to its last: 1-4 nodes with their agents, controllers, deciding core and
store, up to a dozen Jobs, faults, and all judges looking on. An event is a request, an event received from a watch, a
committed change, or a process that starts or ends. Boundary: everything a failing seed would need, printing apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from roadstead.sim.verdict import try_seed


def run(seeds: int = 60) -> Iterator[str]:
    """Simulate the first seeds; one line with the rates, one with what a seed is like."""
    try_seed(1)  # schemas compile once in a process
    began_cpu, began = time.process_time(), time.monotonic()
    verdicts = [try_seed(seed) for seed in range(1, seeds + 1)]
    cpu, wall = time.process_time() - began_cpu, time.monotonic() - began
    events = sum(verdict.events for verdict in verdicts)
    virtual = sum(verdict.virtual_seconds for verdict in verdicts)
    failed = [verdict.seed for verdict in verdicts if not verdict.is_good]
    yield f"{events / cpu:,.0f} events/s and {seeds / cpu * 60:,.0f} seeds/min of processor time; {seeds / wall * 60:,.0f} seeds/min wall"
    yield (
        f"a seed: {events / seeds:,.0f} events in {virtual / seeds:,.0f} virtual s, {cpu / seeds * 1000:,.0f} ms of processor; "
        f"world compared {sum(verdict.compared for verdict in verdicts) / seeds:,.0f} times; {len(failed)} of {seeds} seeds failed"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=" ".join((__doc__ or "").partition("\n\n")[0].split()))
    parser.add_argument("--seeds", type=int, default=60)
    for line in run(parser.parse_args().seeds):
        print(line)
