"""Python's cyclic garbage collector in a process that keeps hundreds of thousands of objects: looked at once, then left
alone.

Nearly everything here is freed by its reference count; cycles are rare (a closed connection, an exception with its
traceback). Left to itself the collector walks through all that is kept each time a quarter has come on top: a third of
the server's CPU under load, in pauses of half a second. Here what has survived is put aside (`gc.freeze`) soon after it
was made, so that a collection costs what is new; all of it is looked through again only when nobody is waiting.

Order of growth: `put_aside` O(objects made since the last call), `look_through` O(all objects).
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Final

YOUNG: Final = 10_000
"""Objects made, less those freed, before the youngest are looked at (Python's own: 700 or 2,000)."""
MIDDLE: Final = 10
"""Collections of the youngest before those that survived one are looked at, too."""
NEVER: Final = 1_000_000
"""Collections of the middle before the old are: not by themselves."""

EVERY_SECONDS: Final = 2.0
"""What came is put aside so often."""
IDLE_SHARE: Final = 0.1
"""A process that used less of one core since the last look is idle."""
AT_LEAST_SECONDS: Final = 60.0
"""Between two looks through everything, when idle."""
AT_MOST_SECONDS: Final = 3600.0
"""Between two looks through everything, idle or not."""
GROWN: Final = 1.25
"""So many times as many objects as after the last look make another worth while."""


def begin() -> None:
    """Everything is loaded: what exists now stays, and the collector, if it was at rest, works again. O(1): what was
    just loaded is no garbage, and walking through it would take a good part of the time that loading took."""
    gc.set_threshold(YOUNG, MIDDLE, NEVER)
    gc.freeze()
    gc.enable()


def put_aside() -> None:
    """Collect among what came since the last call, and put aside what is left of it."""
    gc.collect()
    gc.freeze()


def look_through() -> None:
    """Collect among everything: also cycles that were in use when they were put aside."""
    gc.unfreeze()
    put_aside()


class Schedule:
    """When to look through everything. Times are seconds of one monotonic clock, `cpu` this process's seconds."""

    def __init__(self, now: float, cpu: float, kept: int) -> None:
        self._last = now, cpu
        self._looked_at = now
        self._kept = kept

    def is_due(self, now: float, cpu: float, kept: int) -> bool:
        """To be asked now and then. `kept`: how many objects are put aside."""
        (before, cpu_before), self._last = self._last, (now, cpu)
        since = now - self._looked_at
        is_idle = cpu - cpu_before < IDLE_SHARE * (now - before)
        return since >= AT_MOST_SECONDS or (is_idle and since >= AT_LEAST_SECONDS and kept > self._kept * GROWN)

    def looked(self, now: float, kept: int) -> None:
        self._looked_at, self._kept = now, kept


async def keep_collecting() -> None:
    """Until cancelled, after `begin`."""
    schedule = Schedule(time.monotonic(), time.process_time(), gc.get_freeze_count())
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        put_aside()
        if schedule.is_due(time.monotonic(), time.process_time(), gc.get_freeze_count()):
            look_through()
            schedule.looked(time.monotonic(), gc.get_freeze_count())
