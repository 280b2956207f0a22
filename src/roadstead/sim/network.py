"""The way from a process to the server and back: `Link` is the Cluster port with everything on it that networks do.

Requests take time; they or their answers get lost, come late, are throttled or collide. Watches lag, by resource; they
stall, break and expire. How bad it is at the moment is the `Weather`, which the plan of faults changes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, TypeVar

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.kinds.object import Object, Ref, Resource
from roadstead.runtime.cluster import (
    EVERYTHING,
    Expired,
    Listing,
    Outcome,
    Result,
    Selector,
    Unavailable,
    Update,
    WatchEvent,
    Write,
)
from roadstead.sim.chance import Chance
from roadstead.sim.loop import VirtualLoop
from roadstead.sim.process import Life
from roadstead.sim.server import Down, Server

T = TypeVar("T")

CUT_SECONDS: Final = 0.5
"""While the network is cut, news looks so often whether it may pass."""
TIMEOUT_SECONDS: Final = 10.0
"""How long a client waits for an answer."""


@dataclass(slots=True)
class Weather:
    """How the network treats one process now. Numbers are probabilities per request unless they say otherwise."""

    latency_seconds: float = 0.002
    """Most requests take up to this, each way."""
    slow: float = 0.0
    """The request or its answer takes up to two seconds."""
    lost_request: float = 0.0
    lost_answer: float = 0.0
    late: float = 0.0
    """The client gives up; the request is carried out afterwards."""
    throttled: float = 0.0
    conflict: float = 0.0
    """Of updates: the answer is a conflict though nobody else wrote."""
    failed_read: float = 0.0
    broken_watch: float = 0.0
    """Per event: the watch breaks instead."""
    expired_watch: float = 0.0
    """Per watch: the answer is 410."""
    is_cut: bool = False
    """Nothing passes."""
    lag_seconds: dict[Resource, float] = field(default_factory=dict)
    """News of a resource comes up to so much later."""

    @classmethod
    def of(cls, rates: Iterable[tuple[str, float]]) -> Weather:
        """With these probabilities, by name; the rest is fair."""
        made = cls()
        for name, rate in rates:
            setattr(made, name, rate)
        return made

    def clear_up(self) -> None:
        """Nothing goes wrong any more."""
        for name, value in _FAIR.items():
            setattr(self, name, value)
        self.lag_seconds.clear()


_FAIR: Final = {name: getattr(Weather(), name) for name in Weather.__slots__ if name != "lag_seconds"}


class _Stream:
    """One open watch, as the client's side of the connection sees it."""

    def __init__(self) -> None:
        self.coming: deque[tuple[float, WatchEvent]] = deque()
        self.end: BaseException | None = None
        self.last_due = 0.0
        self._news = asyncio.Event()

    def send(self, due: float, event: WatchEvent) -> None:
        self.last_due = max(self.last_due, due)
        self.coming.append((self.last_due, event))
        self._news.set()

    def close(self, end: BaseException) -> None:
        if self.end is None:
            self.end = end
            self._news.set()

    async def wait(self) -> None:
        self._news.clear()
        if not self.coming and self.end is None:
            await self._news.wait()


class _Closed(Exception):
    """The server ended the stream in good order."""


class Link:
    """`runtime.cluster.Cluster` from one life of a process."""

    def __init__(
        self,
        loop: VirtualLoop,
        server: Server,
        life: Life,
        weather: Weather,
        chance: Chance,
        heard: Callable[[Life, Write, Outcome], None],
        before_write: Callable[[Life, Write], None] = lambda life, write: None,
        after_write: Callable[[Life, Write], None] = lambda life, write: None,
    ) -> None:
        """`heard` is told every outcome that the server gave, before the answer travels. `before_write` and
        `after_write` may kill the process: right before a write is sent, and right after it was carried out."""
        self._loop = loop
        self._server = server
        self.life = life
        self._weather = weather
        self._chance = chance
        self._heard = heard
        self._before_write = before_write
        self._after_write = after_write
        self._streams: dict[_Stream, None] = {}
        self._late: set[asyncio.Task[None]] = set()
        self.passed = 0
        """Requests sent and events received so far."""

    # ------------------------------------------------------------------ reads

    async def get(self, ref: Ref) -> Object | None:
        return await self._read(lambda cluster: cluster.get(ref))

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        return await self._read(lambda cluster: cluster.list(resource, namespace, selector))

    async def _read(self, request: Callable[[EmbeddedCluster], Awaitable[T]]) -> T:
        await self.life.go_on()
        self.passed += 1
        await self._travel()
        if self._weather.is_cut:
            await self._silence()
        if self._chance.happens(self._weather.failed_read):
            raise Unavailable("the read failed on purpose")
        try:
            answer = await self._server.call(request)
        except Down as error:
            raise Unavailable(str(error)) from None
        await self._travel()
        if self._weather.is_cut:
            await self._silence()
        await self.life.go_on()
        return answer

    async def _silence(self) -> None:
        await asyncio.sleep(TIMEOUT_SECONDS)
        raise Unavailable("no answer: the network is cut on purpose")

    # ------------------------------------------------------------------ writes

    async def write(self, write: Write) -> Outcome:
        life, weather, chance = self.life, self._weather, self._chance
        await life.go_on()
        life.writes += 1
        self.passed += 1
        self._before_write(life, write)
        await life.go_on()
        if chance.happens(weather.late):
            return await self._write_late(write)
        await self._travel()
        if weather.is_cut or chance.happens(weather.lost_request):
            await asyncio.sleep(TIMEOUT_SECONDS)
            return Outcome(Result.UNKNOWN, message="the request was lost on purpose")
        if chance.happens(weather.throttled):
            return Outcome(Result.THROTTLED, message="throttled on purpose", retry_after=1.0)
        if isinstance(write, Update) and chance.happens(weather.conflict):
            return Outcome(Result.CONFLICT, message="a conflict on purpose")
        outcome = await self._carry_out(write)
        self._after_write(life, write)
        if weather.is_cut or chance.happens(weather.lost_answer):
            await asyncio.sleep(TIMEOUT_SECONDS)
            return Outcome(Result.UNKNOWN, message="the answer was lost on purpose")
        await self._travel()
        await life.go_on()
        return outcome

    async def _carry_out(self, write: Write) -> Outcome:
        try:
            outcome = await self._server.call(lambda cluster: cluster.write(write))
        except Down as error:
            if error.was_reached:
                return Outcome(Result.UNKNOWN, message=str(error))
            return Outcome(Result.THROTTLED, message=str(error), retry_after=1.0)
        self._heard(self.life, write, outcome)
        return outcome

    async def _write_late(self, write: Write) -> Outcome:
        """The client hears nothing in time; the request is on its way all the same, and lands when it lands."""
        patience = self._chance.uniform(0.5, 3.0)

        async def land() -> None:
            await asyncio.sleep(patience + self._chance.expovariate(0.5))
            await self._carry_out(write)

        task = self._loop.create_task(land())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        await asyncio.sleep(patience)
        return Outcome(Result.UNKNOWN, message="no answer in time, on purpose")

    async def _travel(self) -> None:
        seconds = self._chance.random() * self._weather.latency_seconds
        if self._chance.happens(self._weather.slow):
            seconds += self._chance.random() * 2.0
        await asyncio.sleep(seconds)

    # ------------------------------------------------------------------ watches

    async def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        await self.life.go_on()
        await self._travel()
        if self._weather.is_cut:
            await self._silence()
        if self._chance.happens(self._weather.expired_watch):
            raise Expired("the watch expired on purpose")
        stream = _Stream()
        self._streams[stream] = None
        pump = self._loop.create_task(self._pump(stream, resource, since, namespace, selector))
        try:
            async for event in self._arriving(stream):
                yield event
        finally:
            self._streams.pop(stream, None)
            pump.cancel()

    async def _arriving(self, stream: _Stream) -> AsyncIterator[WatchEvent]:
        while True:
            while stream.coming and (stream.end is None or isinstance(stream.end, _Closed)):
                due, event = stream.coming[0]
                if (wait := due - self._loop.time()) > 0 or self._weather.is_cut:
                    await asyncio.sleep(max(wait, 0.0) or CUT_SECONDS)
                    continue
                stream.coming.popleft()
                await self.life.go_on()
                self.passed += 1
                yield event
            if isinstance(stream.end, _Closed):
                return
            if stream.end is not None:
                raise stream.end
            await stream.wait()

    async def _pump(self, stream: _Stream, resource: Resource, since: str, namespace: str, selector: Selector) -> None:
        weather, chance = self._weather, self._chance
        try:
            async with aclosing(self._server.watch(resource, since, namespace, selector)) as events:
                async for event in events:
                    if chance.happens(weather.broken_watch):
                        raise Unavailable("the watch broke on purpose")
                    lag = weather.lag_seconds.get(resource, 0.0)
                    seconds = chance.random() * (lag + weather.latency_seconds)
                    stream.send(self._loop.time() + seconds, event)
        except Down as error:
            stream.close(Unavailable(str(error)))
        except (Expired, Unavailable) as error:
            stream.close(error)
        else:
            stream.close(_Closed())

    @property
    def weather(self) -> Weather:
        return self._weather

    def close(self) -> None:
        """The connections of a dead process are closed: what was on its way and has not arrived is gone."""
        for task in list(self._late):
            task.cancel()

    def break_watches(self, error: BaseException | None = None) -> None:
        """End every open watch: with Expired, say, or as a broken connection."""
        for stream in list(self._streams):
            stream.close(error or Unavailable("the connection broke on purpose"))
