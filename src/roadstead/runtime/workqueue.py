"""A queue of keys: each at most once, never two workers on one key, delays and per-key back-off (client-go's
workqueue)."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque

from roadstead.runtime.clock import Clock
from roadstead.runtime.step import SECOND, Key

BACKOFF_FIRST = SECOND // 100
BACKOFF_MAX = 30 * SECOND


class WorkQueue:
    """Keys to reconcile. A key added while it is being worked on comes again afterwards."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[Key] = deque()
        self._queued: set[Key] = set()
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._delayed: list[tuple[int, Key]] = []
        self._due: dict[Key, int] = {}
        self._failures: dict[Key, int] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()  # workers without a key
        self.adds = 0
        """Keys made ready so far."""
        self.retries = 0
        """Of which after a failure."""

    @property
    def depth(self) -> int:
        """Keys ready to be taken."""
        return len(self._ready)

    def __len__(self) -> int:
        return len(self._ready) + len(self._working)

    def add(self, key: Key) -> None:
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.append(key)
            self.adds += 1
            self._wake_one()

    def add_at(self, key: Key, when: int) -> None:
        """Add `key` at a time; of several times the earliest counts."""
        due = self._due.get(key)
        if due is None or when < due:
            self._due[key] = when
            heapq.heappush(self._delayed, (when, key))
            if self._delayed[0][0] == when:
                self._wake_one()

    def add_after_failure(self, key: Key, at_least: float = 0.0) -> None:
        """Add `key` after a back-off that doubles with each failure in a row (10 ms to 30 s), or `at_least` seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.retries += 1
        delay = min(BACKOFF_FIRST << min(failures, 20), BACKOFF_MAX)
        self.add_at(key, self._clock.now() + max(delay, int(at_least * SECOND)))

    def succeeded(self, key: Key) -> None:
        self._failures.pop(key, None)

    async def take(self) -> Key:
        """The next key; the caller must call `done`."""
        while True:
            self._release_due()
            if self._ready:
                key = self._ready.popleft()
                self._queued.discard(key)
                self._working.add(key)
                return key
            await self._wait()

    async def _wait(self) -> None:
        """Until a key may be there: one was added, or the first of the delayed ones is due."""
        timeout = None
        if self._delayed:
            timeout = max(0.0, (self._delayed[0][0] - self._clock.now()) / SECOND)
        woken = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):  # unlike wait_for (before 3.12) it never swallows a cancellation
                    await woken
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():
                self._wake_one()  # the key that this was woken for is somebody else's now
            raise
        finally:
            if woken in self._waiting:
                self._waiting.remove(woken)

    def _wake_one(self) -> None:
        while self._waiting:
            woken = self._waiting.popleft()
            if not woken.done():
                woken.set_result(None)
                return

    def done(self, key: Key) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _release_due(self) -> None:
        now = self._clock.now()
        while self._delayed and self._delayed[0][0] <= now:
            when, key = heapq.heappop(self._delayed)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
