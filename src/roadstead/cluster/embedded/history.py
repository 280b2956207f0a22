"""The recent past, in memory: what watches resume from and what paged lists go back to.

One feed of changes per resource, trimmed together, oldest first, by number, bytes and age. A watch is a position in a
feed, not a queue of its own: a thousand watchers cost a thousand integers, and a slow one falls off the end of the
history instead of holding anybody up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from roadstead.kinds.object import Object, Resource


class Change:
    """One committed change. `type` is ADDED, MODIFIED or DELETED; `object` the state after it (for DELETED the last
    state, with the deletion's resourceVersion); `previous` the state before it, None if there was none or
    (`is_previous_known` False, after a restart) if it is no longer kept."""

    __slots__ = ("_field_values", "is_previous_known", "object", "previous", "rv", "type")

    def __init__(
        self, rv: int, type: str, object: Object, previous: Object | None, is_previous_known: bool = True
    ) -> None:
        self.rv = rv
        self.type = type
        self.object = object
        self.previous = previous
        self.is_previous_known = is_previous_known
        self._field_values: dict[int, dict[str, str]] = {}

    def field_values(self, of: Object, compute: Callable[[Object], dict[str, str]]) -> dict[str, str]:
        """Field selector values of `object` or `previous`, computed once for all watchers."""
        found = self._field_values.get(id(of))
        if found is None:
            found = self._field_values[id(of)] = compute(of)
        return found

    def __repr__(self) -> str:
        return f"<{self.rv} {self.type} {self.object!r}>"


class Lagging(Exception):
    """A subscriber is further behind than the history kept: it missed changes and must start over."""


class Feed:
    """The changes of one resource that are still kept, and who waits for more."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        """Every change with a higher rv is here. (For changes up to it nothing is promised.)"""
        self.is_closed = False
        self._changes: list[Change] = []
        self._first = 0  # position of _changes[0], counted from the beginning of time
        self._dropped = 0  # how many at the front of _changes are already dropped: erased in bulk
        self._waiting: list[asyncio.Future[None]] = []
        self.listeners: list[Callable[[], None]] = []
        """Called after changes were appended, and when the feed is closed. They must not block."""

    @property
    def end(self) -> int:
        """The position after the newest change."""
        return self._first + len(self._changes)

    @property
    def newest(self) -> int:
        """rv of the newest change, or the floor."""
        return self._changes[-1].rv if self._changes else self.floor

    def append(self, change: Change) -> None:
        self._changes.append(change)

    def drop_oldest(self) -> None:
        self.floor = self._changes[self._dropped].rv
        self._dropped += 1
        if self._dropped > 512 and self._dropped * 2 > len(self._changes):
            del self._changes[: self._dropped]
            self._first += self._dropped
            self._dropped = 0

    def position_after(self, rv: int) -> int:
        """The position of the first change newer than `rv`. O(log n)."""
        low, high = self._dropped, len(self._changes)
        while low < high:
            middle = (low + high) // 2
            if self._changes[middle].rv <= rv:
                low = middle + 1
            else:
                high = middle
        return self._first + low

    def since(self, position: int, limit: int) -> list[Change]:
        """Up to `limit` changes from `position` on. Raises Lagging if some of them are gone."""
        start = position - self._first
        if start < self._dropped:
            raise Lagging
        return self._changes[start : start + limit]

    def newest_first(self, down_to: int) -> Iterator[Change]:
        """Changes newer than rv `down_to`, newest first."""
        for index in range(len(self._changes) - 1, self._dropped - 1, -1):
            if self._changes[index].rv <= down_to:
                return
            yield self._changes[index]

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for listener in self.listeners:
            listener()

    def close(self) -> None:
        self.is_closed = True
        self.wake()

    async def wait_beyond(self, position: int, timeout_seconds: float | None) -> None:
        """Return when there is a change at `position`, when the feed is closed, or after the time."""
        if self.end > position or self.is_closed:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        timer = None if timeout_seconds is None else loop.call_later(timeout_seconds, _finish, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            if future in self._waiting:
                self._waiting.remove(future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Subscription:
    """A reader of one feed: everything after a version, in order, none left out."""

    BATCH = 500

    def __init__(self, feed: Feed, position: int) -> None:
        self._feed = feed
        self._position = position

    def take(self) -> Sequence[Change]:
        """What has come since the last call, up to BATCH changes; empty if nothing has. Raises Lagging."""
        taken = self._feed.since(self._position, self.BATCH)
        self._position += len(taken)
        return taken

    @property
    def is_closed(self) -> bool:
        """The store is closing: nothing more will come."""
        return self._feed.is_closed

    async def wait(self, timeout_seconds: float | None = None) -> None:
        """Return when `take` may give something, when the store closes, or after the time."""
        await self._feed.wait_beyond(self._position, timeout_seconds)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much history is kept: whatever is reached first."""

    changes: int = 50_000
    bytes: int = 64 << 20
    age_seconds: float = 3600.0


class History:
    """All feeds, and the order in which they are trimmed."""

    def __init__(self, floor: int, limits: Limits) -> None:
        self.floor = floor
        """rv of the newest change dropped. Feeds may know more: theirs counts for watches."""
        self._start = floor
        self._limits = limits
        self._feeds: dict[Resource, Feed] = {}
        self._retired: dict[Resource, int] = {}
        """Resources whose feed was closed -> its newest version."""
        self._order: deque[tuple[Feed, Change]] = deque()
        self._bytes = 0
        self._marks: deque[tuple[float, int]] = deque()  # (time, newest rv then): ages, to within a minute

    def feed(self, resource: Resource) -> Feed:
        found = self._feeds.get(resource)
        if found is None:
            found = self._feeds[resource] = Feed(max(self._start, self._retired.get(resource, 0)))
        return found

    def retire(self, resource: Resource) -> None:
        """Close the feed of a resource. Its changes are trimmed as all are; a new feed of it knows none of them."""
        feed = self._feeds.pop(resource, None)
        if feed is not None:
            self._retired[resource] = max(self._retired.get(resource, 0), feed.newest)
            feed.close()

    def append(self, change: Change) -> Feed:
        feed = self.feed(change.object.resource)
        feed.append(change)
        self._order.append((feed, change))
        self._bytes += len(change.object.raw)
        return feed

    def trim(self, now_seconds: float) -> list[Change]:
        """Drop what is beyond the limits and say what was dropped. The newest change always stays (it carries the
        counter)."""
        if not self._order:
            return []
        if not self._marks or now_seconds - self._marks[-1][0] >= 60.0:
            self._marks.append((now_seconds, self._order[-1][1].rv))
        too_old = -1
        while self._marks and now_seconds - self._marks[0][0] > self._limits.age_seconds:
            too_old = self._marks.popleft()[1]
        dropped: list[Change] = []
        while len(self._order) > 1 and (
            len(self._order) > self._limits.changes
            or self._bytes > self._limits.bytes
            or self._order[0][1].rv <= too_old
        ):
            feed, change = self._order.popleft()
            feed.drop_oldest()
            self._bytes -= len(change.object.raw)
            self.floor = change.rv
            dropped.append(change)
        return dropped

    def forget(self) -> list[Change]:
        """Drop everything but the newest change, and say what was dropped: whoever asks for an older version hears
        410."""
        dropped = []
        while len(self._order) > 1:
            feed, change = self._order.popleft()
            feed.drop_oldest()
            self._bytes -= len(change.object.raw)
            self.floor = change.rv
            dropped.append(change)
        self._start = self.floor
        for feed in self._feeds.values():
            feed.floor = max(feed.floor, self.floor)
        return dropped

    def close(self) -> None:
        for feed in self._feeds.values():
            feed.close()
