"""How an informer waits for a server that went away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from roadstead.kinds.names import PODS
from roadstead.kinds.object import Object, Ref, Resource
from roadstead.runtime import informer
from roadstead.runtime.cluster import EVERYTHING, EventType, Listing, Outcome, Selector, Unavailable, WatchEvent, Write
from roadstead.runtime.informer import Informer
from roadstead.runtime.view import Cache

HEARD = -1.0


class Flaky:
    """A cluster whose watches live for so many seconds each, and then break. HEARD: breaks after saying something."""

    def __init__(self, lives: Iterator[float]) -> None:
        self._lives = lives
        self.done = asyncio.Event()

    async def get(self, ref: Ref) -> Object | None:
        return None

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        return Listing((), "1")

    async def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        life = next(self._lives, None)
        if life is None:
            self.done.set()
            await asyncio.Event().wait()
        await asyncio.sleep(max(life or 0, 0))
        if life == HEARD:
            yield WatchEvent(EventType.BOOKMARK, None, "2")
        raise Unavailable("broken")

    async def write(self, write: Write) -> Outcome:
        raise NotImplementedError


def waits(lives: list[float], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays, as multiples of the first."""
    monkeypatch.setattr(informer, "BACKOFF_FIRST_SECONDS", 0.004)
    monkeypatch.setattr(informer, "BACKOFF_MAX_SECONDS", 0.016)
    found: list[float] = []

    def note(message: str, resource: Resource, error: Exception, delay: float) -> None:
        found.append(round(delay / 0.004))

    monkeypatch.setattr(informer.log, "debug", note)

    async def run() -> None:
        cluster = Flaky(iter(lives))
        running = asyncio.create_task(Informer(cluster, PODS, Cache(PODS)).run())
        await asyncio.wait_for(cluster.done.wait(), 5)
        running.cancel()

    asyncio.run(run())
    return found


def test_the_wait_doubles_while_the_server_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits([0, 0, 0, 0], monkeypatch) == [1, 2, 4, 4]


def test_a_watch_that_lived_starts_the_waits_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits([0, 0, 0.1, 0, 0.1], monkeypatch) == [1, 2, 1, 2, 1]


def test_a_watch_that_said_something_starts_the_waits_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits([0, 0, HEARD, 0, 0, HEARD], monkeypatch) == [1, 2, 1, 2, 4, 1]
