"""When a queue's counts are written: what is urgent sooner than the rest, and nothing twice within a few seconds."""

from __future__ import annotations

from typing import Final

from roadstead.runtime.step import SECOND, Key

LOOK_EVERY: Final = 3 * SECOND
"""Counts are added up at most so often, and what is urgent is written then."""
CLUSTER_QUEUE_WITHIN: Final = 20 * SECOND
"""Any other change is written so long after it was first noticed, if it still is one: a job that is over by then, or
has been followed by one like it, has cost its queues nothing."""
LOCAL_QUEUE_WITHIN: Final = 60 * SECOND
"""The same for a LocalQueue, whose numbers are a share of its ClusterQueue's: nobody decides by them.

A one-pod job of some seconds costs 13 writes from submission to its end: Job 4 (created, started, active, complete),
Workload 3 (created, admitted, finished), Placement 1, pod 5 (created, bound, running, succeeded, let go). Each queue
that comes to say that it runs, and then that it does not, adds 2: nothing for a job of less than 20 seconds, 15 in all
for one of less than a minute. One that runs longer costs 17, over more than a minute. Nothing is left to merge without
a lie of many minutes or a write that promises something: the pod's last one says that it was counted, so that whoever
deletes it need not wait for anybody."""


class Patience:
    """Per queue: since when something may have changed, and when to look at it. Soft memory, may be lost."""

    def __init__(self, write_within: int) -> None:
        """`write_within`: nanoseconds after which a change that is not urgent is written."""
        self._write_within = write_within
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
        due = since + self._write_within
        if now >= due:
            return None
        look = min(now + LOOK_EVERY, due)
        self._noticed[key] = since, look
        return look

    def over(self, key: Key) -> None:
        """Everything is written, or nothing has changed after all."""
        self._noticed.pop(key, None)
