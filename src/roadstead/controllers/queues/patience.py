"""When a queue's counts are written: what is urgent sooner than the rest, and nothing twice within a few seconds."""

from __future__ import annotations

from typing import Final

from roadstead.runtime.step import SECOND, Key

LOOK_EVERY: Final = 3 * SECOND
"""Counts are added up at most so often, and what is urgent is written then."""
WRITE_WITHIN: Final = 20 * SECOND
"""Any other change is written so long after it was first noticed, if it still is one: a job that is over by then, or has been followed by
one like it, has cost its queues nothing."""


class Patience:
    """Per queue: since when something may have changed, and when to look at it. Soft memory, may be lost."""

    def __init__(self) -> None:
        self._noticed: dict[
            Key, tuple[int, int]
        ] = {}  # key -> (first change since the last write, time of the next look)

    def look_at(self, key: Key, now: int) -> int | None:
        """The time to come again at, or None if it is time to look."""
        _, look = self._noticed.setdefault(key, (now, now + LOOK_EVERY))
        return look if now < look else None

    def can_wait(self, key: Key, now: int) -> int | None:
        """What was seen is not urgent: the time to look again at, or None if it has waited long enough."""
        since, _ = self._noticed[key]
        due = since + WRITE_WITHIN
        if now >= due:
            return None
        look = min(now + LOOK_EVERY, due)
        self._noticed[key] = since, look
        return look

    def over(self, key: Key) -> None:
        """Everything is written, or nothing has changed after all."""
        self._noticed.pop(key, None)
