"""A Cluster that misbehaves on purpose, as networks and servers do: answers lost, requests lost, news that comes late.

It wraps any adapter of the port, so the same faults can be tried on the embedded store, through HTTP and on a real
server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum

from roadstead.kinds.object import Object, Ref, Resource
from roadstead.runtime.cluster import (
    EVERYTHING,
    Cluster,
    Listing,
    Outcome,
    Result,
    Selector,
    Unavailable,
    WatchEvent,
    Write,
)


class Fault(Enum):
    """What goes wrong with one write."""

    NONE = "none"
    LOST_REQUEST = "lost request"  # not carried out; the caller cannot know
    LOST_ANSWER = "lost answer"  # carried out; the caller cannot know
    THROTTLED = "throttled"  # refused for now; not carried out


class FaultyCluster:
    """`inner` with faults. Writes take theirs from `faults`, first come first served; when it is empty they go well."""

    def __init__(self, inner: Cluster) -> None:
        self._inner = inner
        self.faults: deque[Fault] = deque()
        self.reads_fail = False
        """While True, get and list raise Unavailable."""
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._broken: list[asyncio.Future[Exception]] = []

    def hold_news(self) -> None:
        """From now on watch events are withheld: views lag."""
        self._flowing.clear()

    def release_news(self) -> None:
        """Deliver what was withheld."""
        self._flowing.set()

    def break_watches(self, error: Exception | None = None) -> None:
        """End every watch that is open: with Expired, say, or (None) as a server that closes the stream."""
        broken, self._broken = self._broken, []
        for future in broken:
            if not future.done():
                future.set_result(error or StopAsyncIteration())

    async def get(self, ref: Ref) -> Object | None:
        self._may_read()
        return await self._inner.get(ref)

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        self._may_read()
        return await self._inner.list(resource, namespace, selector)

    def _may_read(self) -> None:
        if self.reads_fail:
            raise Unavailable("reads fail on purpose")

    async def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        broken: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._broken.append(broken)
        events = self._inner.watch(resource, since, namespace, selector)
        coming: asyncio.Future[WatchEvent] | None = None
        try:
            while True:
                coming = asyncio.ensure_future(anext(events))
                await asyncio.wait((coming, broken), return_when=asyncio.FIRST_COMPLETED)
                if not broken.done():
                    flowing = asyncio.ensure_future(self._flowing.wait())
                    await asyncio.wait((flowing, broken), return_when=asyncio.FIRST_COMPLETED)
                    flowing.cancel()
                if broken.done():
                    error = broken.result()
                    if isinstance(error, StopAsyncIteration):
                        return
                    raise error
                try:
                    event = coming.result()
                except StopAsyncIteration:
                    return
                yield event
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()

    async def write(self, write: Write) -> Outcome:
        fault = self.faults.popleft() if self.faults else Fault.NONE
        match fault:
            case Fault.LOST_REQUEST:
                return Outcome(Result.UNKNOWN, message="the request was lost on purpose")
            case Fault.THROTTLED:
                return Outcome(Result.THROTTLED, message="throttled on purpose", retry_after=0.01)
            case Fault.LOST_ANSWER:
                await self._inner.write(write)
                return Outcome(Result.UNKNOWN, message="the answer was lost on purpose")
            case Fault.NONE:
                return await self._inner.write(write)
