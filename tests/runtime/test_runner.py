"""The runner against the embedded cluster: one controller that would do its work twice if it acted on a stale view."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES
from roadstead.kinds.object import Json, Object, Ref, Resource, owner_reference
from roadstead.runtime.cluster import (
    EVERYTHING,
    Cluster,
    Create,
    Delete,
    Listing,
    Outcome,
    Result,
    Selector,
    WatchEvent,
    Write,
)
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import NOTHING, Action, Index, Key, KeysOf, Read, Step, in_order, together
from tests.cluster.kinds import small_registry

DEADLINE_SECONDS = 20.0


class Wrapped:
    """A Cluster in front of another: watches lag by a number of events, chosen writes lose their answers."""

    def __init__(
        self, inner: Cluster, *, lag_events: int = 0, lose: Callable[[Write, int], str] = lambda write, number: ""
    ) -> None:
        self._inner = inner
        self._lag = lag_events
        self._lose = lose
        self.writes: list[Write] = []

    async def get(self, ref: Ref) -> Object | None:
        return await self._inner.get(ref)

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        return await self._inner.list(resource, namespace, selector)

    async def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        """Each event is shown only when `lag` more have happened, or nothing happened for a while."""
        held: asyncio.Queue[WatchEvent] = asyncio.Queue()

        async def gather() -> None:
            async for event in self._inner.watch(resource, since, namespace, selector):
                held.put_nowait(event)

        task = asyncio.create_task(gather())
        try:
            while True:
                event = await held.get()
                for _ in range(self._lag):
                    if held.qsize() >= self._lag:
                        break
                    await asyncio.sleep(0.002)
                yield event
        finally:
            task.cancel()

    async def write(self, write: Write) -> Outcome:
        self.writes.append(write)
        lost = self._lose(write, len(self.writes))
        if lost == "before":
            return Outcome(Result.UNKNOWN, message="the request was lost")
        outcome = await self._inner.write(write)
        return Outcome(Result.UNKNOWN, message="the answer was lost") if lost == "after" else outcome


class Children:
    """ConfigMap `parent` with data.children=N gets N children; data.done says how many it has counted. Not idempotent
    by name on purpose: names come from the number of children in view, so a stale view would create too many."""

    name: ClassVar[str] = "children"
    watches: Mapping[Resource, KeysOf]
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def __init__(self) -> None:
        def keys(changed: Object, read: Read) -> Iterable[Key]:
            owner = changed.meta.controller
            return ((changed.meta.namespace, owner.name),) if owner else (changed.key,)

        self.watches = {CONFIG_MAPS: keys}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        parent = read.get(CONFIG_MAPS, *key)
        if parent is None or parent.meta.controller or parent.meta.name == "result":
            return NOTHING
        wanted = int(parent.decode()["data"]["children"])
        have = read.owned_by(CONFIG_MAPS, parent.meta.uid)
        if len(have) >= wanted:
            return NOTHING
        return in_order(
            Create(CONFIG_MAPS, child(parent, len(have))), again_at=now
        )  # at once: faster than any informer


def child(parent: Object, number: int) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{parent.meta.name}-{number}-{number * 7919 % 101}",
            "namespace": parent.meta.namespace,
            "ownerReferences": [owner_reference(parent)],
        },
    }


def parent(children: int) -> Json:
    metadata = {"name": "parent", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"children": str(children)}}


@asynccontextmanager
async def embedded() -> AsyncIterator[EmbeddedCluster]:
    store = Store.in_memory()
    cluster = EmbeddedCluster(Resources(store, small_registry()))
    await cluster.write(Create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}))
    try:
        yield cluster
    finally:
        await store.close()


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not check():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(runner: Runner) -> AsyncIterator[None]:
    task = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("lag", [0, 3])
def test_a_controller_never_acts_on_a_view_without_its_own_writes(lag: int) -> None:
    async def story() -> list[str]:
        async with embedded() as inner:
            cluster = Wrapped(inner, lag_events=lag)
            async with running(runner := Runner(cluster, [Children()])):
                await inner.write(Create(CONFIG_MAPS, parent(12)))
                await until(lambda: len(runner.caches[CONFIG_MAPS]) >= 13)
            return [type(write).__name__ for write in cluster.writes]

    assert asyncio.run(story()) == ["Create"] * 12


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_lost_answer_neither_repeats_nor_forgets_a_write(lost: str) -> None:
    async def story() -> int:
        async with embedded() as inner:
            cluster = Wrapped(inner, lose=lambda write, number: lost if number in (2, 3, 5) else "")
            async with running(runner := Runner(cluster, [Children()])):
                await inner.write(Create(CONFIG_MAPS, parent(6)))
                await until(lambda: len(runner.caches[CONFIG_MAPS]) >= 7)
            return len((await inner.list(CONFIG_MAPS)).items)

    assert asyncio.run(story()) == 7


def test_the_runner_survives_a_controller_that_raises() -> None:
    class Broken(Children):
        name: ClassVar[str] = "broken"

        def reconcile(self, key: Key, read: Read, now: int) -> Step:
            raise RuntimeError("a bug")

    async def story() -> None:
        async with embedded() as inner, running(runner := Runner(inner, [Broken(), Children()])):
            await inner.write(Create(CONFIG_MAPS, parent(3)))
            await until(lambda: len(runner.caches[CONFIG_MAPS]) >= 4)

    asyncio.run(story())


@pytest.mark.parametrize("culprit", ["watches", "index"])
def test_an_object_that_one_controller_cannot_read_is_nobody_elses_problem(culprit: str) -> None:
    def stumble(changed: Object, read: Read | None = None) -> Iterable[Key]:
        raise ValueError("not what was expected")

    class Broken(Children):
        name: ClassVar[str] = "broken"

        def __init__(self) -> None:
            super().__init__()
            if culprit == "watches":
                self.watches = {CONFIG_MAPS: stumble}
            else:
                self.indexes = {(CONFIG_MAPS, "broken"): lambda obj: [name for _, name in stumble(obj)]}

        def reconcile(self, key: Key, read: Read, now: int) -> Step:
            return NOTHING

    async def story() -> None:
        async with embedded() as inner, running(runner := Runner(inner, [Broken(), Children()])):
            await inner.write(Create(CONFIG_MAPS, parent(3)))
            await until(lambda: len(runner.caches[CONFIG_MAPS]) >= 4)

    asyncio.run(story())


class Collector:
    """A Decider that deletes every child it is told of, and hears how that went."""

    name: ClassVar[str] = "collector"
    resources: Sequence[Resource] = (CONFIG_MAPS,)

    def __init__(self) -> None:
        self.known: dict[Key, Object] = {}
        self.asked: set[str] = set()
        self.heard: list[Result] = []

    def observe(self, resource: Resource, key: Key, current: Object | None) -> None:
        if current is None:
            self.known.pop(key, None)
        else:
            self.known[key] = current

    def decide(self, now: int) -> tuple[Sequence[Action], int | None]:
        children = [obj for obj in self.known.values() if obj.meta.controller and obj.meta.uid not in self.asked]
        self.asked |= {obj.meta.uid for obj in children}
        return [Action(obj.ref, together(Delete(obj.ref, obj.meta.uid))) for obj in children], None

    def concluded(self, action: Action, outcomes: Sequence[Outcome]) -> None:
        self.heard += [outcome.result for outcome in outcomes]


@pytest.mark.parametrize("lost", ["", "after"])
def test_a_decider_hears_what_really_became_of_each_action(lost: str) -> None:
    async def story() -> list[Result]:
        async with embedded() as inner:
            outcome = await inner.write(Create(CONFIG_MAPS, parent(0)))
            assert outcome.object is not None
            for number in range(3):
                await inner.write(Create(CONFIG_MAPS, child(outcome.object, number)))
            decider = Collector()
            cluster = Wrapped(inner, lose=lambda write, number: lost)
            async with running(Runner(cluster, [], [decider])):
                await until(lambda: len(decider.known) == 1)
            return decider.heard

    assert asyncio.run(story()) == [Result.DONE] * 3


def test_a_decider_that_raises_once_decides_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadstead.runtime.runner.DECIDER_RETRY_SECONDS", 0.01)

    class Stumbles(Collector):
        stumbled = False

        def decide(self, now: int) -> tuple[Sequence[Action], int | None]:
            if not self.stumbled:
                self.stumbled = True
                raise RuntimeError("a bug")
            return super().decide(now)

    async def story() -> list[Result]:
        async with embedded() as inner:
            outcome = await inner.write(Create(CONFIG_MAPS, parent(0)))
            assert outcome.object is not None
            await inner.write(Create(CONFIG_MAPS, child(outcome.object, 0)))
            decider = Stumbles()
            async with running(Runner(inner, [], [decider])):
                await until(lambda: len(decider.known) == 1)
            return decider.heard

    assert asyncio.run(story()) == [Result.DONE]


@pytest.mark.parametrize("where", ["write", "concluded"])
def test_an_action_that_fails_ends_neither_the_decider_nor_the_runner(where: str) -> None:
    class Stumbles(Collector):
        def concluded(self, action: Action, outcomes: Sequence[Outcome]) -> None:
            super().concluded(action, outcomes)
            if where == "concluded":
                raise RuntimeError("a bug")

    def lose(write: Write, number: int) -> str:
        if where == "write" and number == 1:
            raise RuntimeError("a bug in the adapter")
        return ""

    expected = 1 if where == "write" else 2

    async def story() -> list[Result]:
        async with embedded() as inner:
            outcome = await inner.write(Create(CONFIG_MAPS, parent(0)))
            assert outcome.object is not None
            decider = Stumbles()
            async with running(Runner(Wrapped(inner, lose=lose), [], [decider])):
                await inner.write(Create(CONFIG_MAPS, child(outcome.object, 0)))
                await until(lambda: len(decider.asked) == 1)
                await inner.write(Create(CONFIG_MAPS, child(outcome.object, 1)))
                await until(lambda: len(decider.asked) == 2 and decider.heard.count(Result.DONE) >= expected)
            return decider.heard

    assert asyncio.run(story()).count(Result.DONE) == expected


class Refusing(Wrapped):
    """A server that refuses every deletion."""

    def __init__(self, inner: Cluster, outcome: Outcome) -> None:
        super().__init__(inner)
        self._outcome = outcome
        self.refused = 0

    async def write(self, write: Write) -> Outcome:
        if not isinstance(write, Delete):
            return await super().write(write)
        self.refused += 1
        return self._outcome


class Stubborn(Collector):
    """Decides the same again whatever it hears."""

    def concluded(self, action: Action, outcomes: Sequence[Outcome]) -> None:
        super().concluded(action, outcomes)
        self.asked.clear()


@pytest.mark.parametrize(
    "outcome",
    [Outcome(Result.THROTTLED, retry_after=60.0), Outcome(Result.INVALID, message="no")],
    ids=["throttled", "invalid"],
)
def test_a_server_that_refuses_is_not_asked_without_a_pause(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadstead.runtime.runner.REFUSED_RETRY_SECONDS", 60.0)

    async def story() -> None:
        async with embedded() as inner:
            made = await inner.write(Create(CONFIG_MAPS, parent(0)))
            assert made.object is not None
            await inner.write(Create(CONFIG_MAPS, child(made.object, 0)))
            refusing = Refusing(inner, outcome)
            async with running(Runner(refusing, [], [Stubborn()])):
                await until(lambda: refusing.refused > 0)
                await asyncio.sleep(0.05)
            assert refusing.refused == 1

    asyncio.run(story())
