"""The fan-out: shared bytes, coalescing, slow watchers, and that nobody ever misses or repeats an event."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
import pytest

from roadstead.apiserver import channel
from roadstead.apiserver.fanout import Fanout
from roadstead.apiserver.negotiate import Format
from roadstead.apiserver.watchers import Member
from roadstead.apiserver.watching import EventEncoder
from roadstead.cluster.embedded import watching
from roadstead.cluster.embedded.history import Change, Limits
from roadstead.cluster.embedded.requests import WatchOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.embedded.watching import Event, Watch
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry
from tests.cluster.embedded.objects import CONFIG_MAP, NAMESPACE, OPTIONS, POD, config_map, pod, resources
from tests.cluster.loop import in_loop

SERVED = next(kind for kind in default_registry() if kind.resource == CONFIG_MAP.resource)


@dataclass
class Connection:
    """An outlet that keeps what it is given."""

    is_paused: bool = False
    written: list[bytes] = field(default_factory=list)
    on_writable: Callable[[], None] | None = None
    on_lost: Callable[[], None] | None = None

    def write(self, framed: bytes) -> None:
        self.written.append(framed)

    def listen(self, on_writable: Callable[[], None] | None, on_lost: Callable[[], None] | None) -> None:
        self.on_writable, self.on_lost = on_writable, on_lost

    def resume(self) -> None:
        self.is_paused = False
        if self.on_writable is not None:
            self.on_writable()

    @property
    def events(self) -> list[Json]:
        """Everything written, without the frames."""
        found = []
        for part in self.written:
            size, _, rest = part.partition(b"\r\n")
            assert len(rest) == int(size, 16) + 2
            assert rest.endswith(b"\n\r\n")
            found += [orjson.loads(line) for line in rest[:-3].split(b"\n")]
        return found

    @property
    def versions(self) -> list[int]:
        return [int(event["object"]["metadata"]["resourceVersion"]) for event in self.events]


class Watchers:
    """A fan-out over a store, and how to watch through it."""

    def __init__(self, api: Resources) -> None:
        self.api = api
        self.fanout = Fanout(api.store)
        self.encoder = EventEncoder()
        self.encoded: list[Event] = []

    def watch(
        self,
        connection: Connection,
        since: int | None = None,
        *,
        kind: Kind = CONFIG_MAP,
        namespace: str = "",
        is_first: bool = False,
        **options: object,
    ) -> Member:
        version = self.api.store.revision if since is None else since
        watch = Watch(self.api.store, kind, namespace, WatchOptions(resource_version=str(version), **options))  # type: ignore[arg-type]  # names are checked by the class

        def line(event: Event, is_first: bool) -> bytes:
            self.encoded.append(event)
            return self.encoder.encode(SERVED, event, Format(), "", is_first=is_first)

        return self.fanout.join(watch, "plain", line, connection, version, is_first=is_first)


async def changes(api: Resources, *names: str, **labels: str) -> None:
    await asyncio.gather(
        *(api.create(CONFIG_MAP, "default", config_map(name, labels=labels), OPTIONS) for name in names)
    )
    await settle()


async def settle() -> None:
    """Let everything that is ready run, pauses between flushes included."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(channel.PAUSE_LIMIT / 10)


@in_loop
async def test_equal_watchers_share_one_encoding_and_the_very_same_bytes() -> None:
    api = await resources()
    watchers = Watchers(api)
    same = [Connection() for _ in range(20)]
    other = Connection()
    for connection in same:
        watchers.watch(connection, label_selector="on=yes")
    watchers.watch(other, label_selector="on=no")
    await changes(api, "a", on="yes")
    assert len(watchers.encoded) == 1
    assert {id(connection.written[0]) for connection in same} == {id(same[0].written[0])}
    assert same[0].events[0]["object"]["metadata"]["name"] == "a"
    assert other.written == []
    assert watchers.fanout.sent() == {CONFIG_MAP.resource: 20}
    assert watchers.fanout.watchers() == {CONFIG_MAP.resource: 21}


@in_loop
async def test_changes_of_one_batch_go_out_in_one_chunk() -> None:
    api = await resources()
    watchers = Watchers(api)
    connection = Connection()
    watchers.watch(connection)
    await changes(api, "a", "b", "c")
    assert [len(connection.written), len(connection.events)] == [1, 3]


@in_loop
async def test_a_chunk_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "SLICE_BYTES", 1000)
    api = await resources()
    watchers = Watchers(api)
    connection = Connection()
    watchers.watch(connection)
    await changes(api, *(f"n{number}" for number in range(12)))
    await settle()
    assert len(connection.versions) == 12
    assert max(map(len, connection.written)) < 1600


@in_loop
async def test_a_slow_watcher_holds_up_nobody_and_goes_on_where_it_was() -> None:
    api = await resources()
    watchers = Watchers(api)
    slow, fast = Connection(), Connection()
    watchers.watch(slow)
    watchers.watch(fast)
    await changes(api, "a")
    slow.is_paused = True
    await changes(api, "b", "c")
    await changes(api, "d")
    assert len(slow.versions) == 1
    assert fast.versions == [2, 3, 4, 5]
    slow.resume()
    assert slow.versions == fast.versions
    await changes(api, "e")
    assert slow.versions == fast.versions == [2, 3, 4, 5, 6]
    assert slow.written[-1] is fast.written[-1]  # level again


@in_loop
async def test_a_watcher_slower_than_the_history_is_ended_and_keeps_nothing() -> None:
    api = await resources(Store.in_memory(Limits(changes=10)))
    watchers = Watchers(api)
    slow, fast = Connection(), Connection()
    member = watchers.watch(slow)
    watchers.watch(fast)
    slow.is_paused = True
    for number in range(30):
        await changes(api, f"n{number}")
    assert slow.written == []
    assert member.done.done()
    assert len(fast.versions) == 30


@in_loop
async def test_who_joins_late_or_early_sees_exactly_what_follows_its_version() -> None:
    api = await resources()
    watchers = Watchers(api)
    await changes(api, "a", "b", "c")
    late, early, now = Connection(), Connection(), Connection()
    watchers.watch(late, 2)
    watchers.watch(early, 6)
    watchers.watch(now)
    assert late.versions == [3, 4]
    await changes(api, "d", "e", "f")
    await changes(api, "g")
    assert late.versions == [3, 4, 5, 6, 7, 8]
    assert early.versions == [7, 8]
    assert now.versions == [5, 6, 7, 8]


@in_loop
async def test_a_change_is_looked_at_only_by_those_whom_it_can_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    api = await resources()
    await api.create(NAMESPACE, "", {"metadata": {"name": "other"}}, OPTIONS)
    watchers = Watchers(api)
    asked: list[str] = []

    def count(watch: Watch, change: Change) -> Event | None:
        asked.append(watch.options.field_selector.rpartition("=")[2])
        return event(watch, change)

    event = Watch.event
    monkeypatch.setattr(Watch, "event", count)
    connections = {phase: Connection() for phase in ("Pending", "Running", "Failed")}
    for phase, connection in connections.items():
        watchers.watch(connection, kind=POD, field_selector=f"status.phase={phase}")
    elsewhere, named, everything = Connection(), Connection(), Connection()
    watchers.watch(elsewhere, kind=POD, namespace="other")
    watchers.watch(named, kind=POD, field_selector="metadata.name=b")
    watchers.watch(everything, kind=POD)

    async def become(name: str, phase: str) -> None:
        def apply(obj: Json) -> Json:
            return obj | {"status": {"phase": phase}}

        await api.patch(POD, "default", name, apply, OPTIONS, "status")
        await settle()

    for name in ("a", "b", "c"):
        await api.create(POD, "default", pod(name), OPTIONS)
    await become("b", "Running")
    asked.clear()
    await become("a", "Failed")
    assert sorted(asked) == ["", "Failed", "Pending"]
    seen = {phase: [event["type"] for event in connection.events] for phase, connection in connections.items()}
    assert seen == {
        "Pending": ["ADDED", "ADDED", "ADDED", "DELETED", "DELETED"],
        "Running": ["ADDED"],
        "Failed": ["ADDED"],
    }
    assert elsewhere.events == []
    assert {event["object"]["metadata"]["name"] for event in named.events} == {"b"}
    assert len(everything.events) == 5


@in_loop
async def test_nobody_misses_or_repeats_anything_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "SLICE_BYTES", 2000)
    monkeypatch.setattr(channel, "ROUNDS", 2)
    for seed in range(8):
        chance = random.Random(seed)
        api = await resources()
        watchers = Watchers(api)
        begun: list[tuple[int, Connection, Member, str]] = []
        named: dict[str, int] = {}
        for number in range(120):
            action = chance.randrange(6)
            if action == 0:
                connection, since = Connection(), chance.randint(1, api.store.revision + 2)
                one = f"metadata.name=n{chance.randrange(120)}" if chance.randrange(4) == 0 else ""
                begun.append((since, connection, watchers.watch(connection, since, field_selector=one), one[14:]))
            elif action == 1 and begun:
                chance.choice(begun)[1].is_paused = True
            elif action == 2 and begun:
                chance.choice(begun)[1].resume()
            elif action == 3:
                await asyncio.sleep(0)
            else:
                made = await api.create(CONFIG_MAP, "default", config_map(f"n{number}"), OPTIONS)
                named[f"n{number}"] = int(made.object.meta.resource_version)
        for _, connection, _, _ in begun:
            connection.resume()
        deadline = asyncio.get_running_loop().time() + 5
        for since, connection, member, one in begun:
            wanted = [version for name, version in named.items() if version > since and one in ("", name)]
            while connection.versions != wanted and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.001)
            assert (seed, connection.versions) == (seed, wanted)
            assert not member.done.done()


@in_loop
async def test_bookmarks_are_shared_and_never_overtake_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BOOKMARK_SECONDS", 0.01)
    api = await resources()
    watchers = Watchers(api)
    one, two, without = Connection(), Connection(), Connection()
    watchers.watch(one, bookmarks=True)
    watchers.watch(two, bookmarks=True)
    watchers.watch(without)
    deadline = asyncio.get_running_loop().time() + 5
    number = 0
    while len([event for event in one.events if event["type"] == "BOOKMARK"]) < 3:
        assert asyncio.get_running_loop().time() < deadline
        number += 1
        await changes(api, f"n{number}")
    for connection in (one, two):
        assert connection.versions == sorted(connection.versions)
        events = [event for event in connection.events if event["type"] != "BOOKMARK"]
        assert len(events) >= number - 1
    assert all(event["type"] == "ADDED" for event in without.events)
    shared = [part for part in one.written if b"BOOKMARK" in part]
    assert any(part is other for part in shared for other in two.written)


@in_loop
async def test_after_the_last_watcher_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    api = await resources()
    watchers = Watchers(api)
    connection = Connection()
    member = watchers.watch(connection, timeout_seconds=100, bookmarks=True)
    await changes(api, "a")
    watchers.fanout.leave(member)
    assert api.store.feed(CONFIG_MAP.resource).listeners == []
    assert connection.on_lost is None
    assert all(timer.cancelled() for timer in member.timers)
    await changes(api, "b")
    assert len(connection.written) == 1
    assert watchers.fanout.sent() == {CONFIG_MAP.resource: 1}


@in_loop
async def test_stopping_ends_streams_also_those_that_come_later() -> None:
    api = await resources()
    watchers = Watchers(api)
    member = watchers.watch(Connection())
    watchers.fanout.stop()
    assert member.done.done()
    assert watchers.watch(Connection()).done.done()


@in_loop
async def test_what_cannot_be_encoded_ends_the_streams_that_want_it(caplog: pytest.LogCaptureFixture) -> None:
    api = await resources()
    watchers = Watchers(api)
    member = watchers.watch(Connection(), label_selector="on=yes")
    fine = Connection()
    watchers.watch(fine)
    member.group.line = lambda event, is_first: 1 / 0  # type: ignore[assignment, return-value]  # broken on purpose
    await changes(api, "a", on="yes")
    assert member.done.done()
    assert "cannot be served" in caplog.text
    assert fine.versions == [2]


@in_loop
async def test_who_joins_and_cannot_be_served_is_ended_and_can_leave(caplog: pytest.LogCaptureFixture) -> None:
    api = await resources()
    await changes(api, "a")
    watchers = Watchers(api)
    watchers.encoder.encode = lambda *_, is_first: 1 / 0  # type: ignore[method-assign, assignment]  # broken on purpose
    member = watchers.watch(Connection(), 1)
    assert member.done.done()
    assert "cannot be served" in caplog.text
    watchers.fanout.leave(member)
    assert watchers.fanout.watchers() == {}
    assert api.store.feed(CONFIG_MAP.resource).listeners == []


@in_loop
@pytest.mark.parametrize("is_level", [True, False])
async def test_who_has_ended_hears_nothing_more_though_its_task_had_no_turn_yet(
    is_level: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BOOKMARK_SECONDS", 0.01)
    api = await resources()
    watchers = Watchers(api)
    connection, other = Connection(), Connection()
    member = watchers.watch(connection, bookmarks=True, timeout_seconds=int(watching.LAST_BOOKMARK_SECONDS))
    watchers.watch(other, bookmarks=True)
    await changes(api, "a")
    connection.is_paused = not is_level
    await changes(api, "b")
    connection.is_paused = False
    heard = len(connection.written)
    member.end()
    await changes(api, "c")
    deadline = asyncio.get_running_loop().time() + 5
    while not any(event["type"] == "BOOKMARK" for event in other.events[3:]):
        assert asyncio.get_running_loop().time() < deadline
        await settle()
    assert len(connection.written) == heard
    assert watchers.fanout.sent() == {CONFIG_MAP.resource: 3 + (2 if is_level else 1)}
