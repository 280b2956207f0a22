"""Many seeds, on several processes: a range of them, or as many as fit into a time."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterable, Iterator
from itertools import takewhile

from roadstead.sim.verdict import Verdict, try_seed

SEEDS = 1 << 48
"""Seeds of a soak are drawn from as many."""


def try_seeds(seeds: Iterable[int], jobs: int) -> Iterator[Verdict]:
    """The verdict on every seed, as they come."""
    if jobs == 1:
        yield from map(try_seed, seeds)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(try_seed, seeds, chunksize=2)


def soak(seconds: float, jobs: int) -> Iterator[Verdict]:
    """Verdicts on random seeds until the time is over."""
    end = time.monotonic() + seconds
    fresh = random.SystemRandom()
    while time.monotonic() < end:
        batch = (fresh.randrange(SEEDS) for _ in range(jobs * 16))
        yield from try_seeds(list(takewhile(lambda _: time.monotonic() < end, batch)), jobs)
