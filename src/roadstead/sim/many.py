"""Many seeds, on several processes: a range of them, or as many as fit into a time."""

from __future__ import annotations

import contextlib
import gc
import math
import multiprocessing
import multiprocessing.pool
import random
import time
from collections.abc import Iterable, Iterator
from typing import Final

from roadstead.kinds.object import forget_views
from roadstead.sim.verdict import Verdict, try_seed

SEEDS: Final = 1 << 48
"""Seeds of a soak are drawn from as many."""


def try_seeds(seeds: Iterable[int], jobs: int, seconds: float = math.inf) -> Iterator[Verdict]:
    """The verdict on every seed, as they come; after so many seconds no more."""
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        if jobs == 1:
            verdicts: Iterator[Verdict] = map(try_seed, seeds)
        else:
            verdicts = stack.enter_context(_pool(jobs)).imap_unordered(_try_and_tidy, seeds, chunksize=2)
        for verdict in verdicts:
            yield verdict
            if time.monotonic() > end:
                return


def soak(seconds: float, jobs: int) -> Iterator[Verdict]:
    """Verdicts on random seeds until the time is over."""
    end = time.monotonic() + seconds
    fresh = random.SystemRandom()
    if jobs == 1:
        while time.monotonic() < end:
            yield try_seed(fresh.randrange(SEEDS))
        return
    with _pool(jobs) as pool:
        while time.monotonic() < end:
            batch = [fresh.randrange(SEEDS) for _ in range(jobs * 4)]
            yield from pool.imap_unordered(_try_and_tidy, batch)


def _pool(jobs: int) -> multiprocessing.pool.Pool:
    """Children of a process that has no threads: one forked from the caller's might wait for ever for a lock of
    theirs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["roadstead.sim.verdict"])
    return context.Pool(jobs, gc.freeze)


def _try_and_tidy(seed: int) -> Verdict:
    """A simulation runs without the collector; thousands of them in one process need it in between."""
    verdict = try_seed(seed)
    forget_views()
    gc.collect()
    return verdict
