"""Notes become Events: side by side, counted, combined when very many wait, never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import EVENTS, NAMESPACES
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from roadstead.runtime import recorder as recording
from roadstead.runtime.cluster import Create, Delete, Outcome, Result, Update, Write
from roadstead.runtime.recorder import COMBINED, LANES, Recorder
from roadstead.runtime.step import SECOND, Note
from tests.runtime.objects import config_map

REGISTRY = default_registry()


class Ticking:
    """A clock that moves a second with every look."""

    def __init__(self) -> None:
        self.seconds = 1_000_000

    def now(self) -> int:
        self.seconds += 1
        return self.seconds * SECOND


class Slow(EmbeddedCluster):
    """Writes wait for `gate`; the most that ever waited together is kept."""

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self.gate = asyncio.Event()
        self.now = self.most = self.writes = 0

    async def write(self, write: Write) -> Outcome:
        self.now += 1
        self.writes += 1
        self.most = max(self.most, self.now)
        await self.gate.wait()
        outcome = await super().write(write)
        self.now -= 1
        return outcome


def note(name: str = "a", reason: str = "Started", message: str = "it began") -> Note:
    return Note(config_map(name), "Normal", reason, message)


def run(check: Callable[[Slow, Recorder], object], *notes: Note, between: int = -1) -> tuple[Slow, list[Json]]:
    """Record notes (those from `between` on while the first are being written), write them, and give the Events by
    name."""

    async def go() -> tuple[Slow, list[Json]]:
        store = Store.in_memory()
        cluster = Slow(Resources(store, REGISTRY))
        recorder = Recorder(cluster, Ticking(), "test")
        cluster.gate.set()
        await cluster.write(Create(NAMESPACES, {"metadata": {"name": "default"}}))
        cluster.gate.clear()
        cluster.most = cluster.writes = 0
        task = asyncio.create_task(recorder.run())
        for number, each in enumerate(notes):
            if number == between:
                await asyncio.sleep(0.001)
            recorder.record(each)
        await asyncio.sleep(0.001)
        check(cluster, recorder)
        cluster.gate.set()
        deadline = asyncio.get_running_loop().time() + 10
        while recorder._waiting or cluster.now:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return cluster, [found.decode() for found in store.list(EVENTS)]

    return asyncio.run(go())


def nothing(cluster: Slow, recorder: Recorder) -> None:
    """Nothing to check in between."""


def test_events_of_different_objects_are_written_side_by_side() -> None:
    cluster, events = run(nothing, *(note(f"n{number}") for number in range(50)))
    assert 2 <= cluster.most <= LANES
    assert len(events) == 50
    assert {event["count"] for event in events} == {1}


def test_equal_notes_that_wait_are_counted_before_anything_is_written() -> None:
    cluster, events = run(nothing, *[note()] * 7)
    assert cluster.writes == 1
    assert [(event["count"], event["message"]) for event in events] == [(7, "it began")]
    assert events[0]["firstTimestamp"] < events[0]["lastTimestamp"]


def test_equal_notes_that_come_later_raise_the_count() -> None:
    cluster, events = run(nothing, note(), note(), note(), between=1)
    assert [event["count"] for event in events] == [3]
    assert cluster.writes == 2


class Strict(EmbeddedCluster):
    """An Event that is not there cannot be updated: `answer`."""

    answer = Result.MISSING

    async def write(self, write: Write) -> Outcome:
        if isinstance(write, Update) and await self.get(write.ref) is None:
            return Outcome(self.answer)
        return await super().write(write)


@pytest.mark.parametrize(
    ("answer", "expires", "counts"),
    [
        pytest.param(Result.MISSING, True, [1, 1, 2], id="it has expired"),
        pytest.param(Result.CONFLICT, True, [1, 1, 2], id="it has expired, and its uid is in conflict with none"),
        pytest.param(Result.CONFLICT, False, [1, 2, 3], id="somebody has changed it"),
    ],
)
def test_an_event_that_is_not_as_known_is_written_all_the_same(
    answer: Result, expires: bool, counts: list[int]
) -> None:
    async def go() -> None:
        store = Store.in_memory()
        cluster = Strict(Resources(store, REGISTRY))
        cluster.answer = answer
        await cluster.write(Create(NAMESPACES, {"metadata": {"name": "default"}}))
        recorder = Recorder(cluster, Ticking(), "test")
        task = asyncio.create_task(recorder.run())
        for time, count in enumerate(counts):
            recorder.record(note())
            async with asyncio.timeout(10):
                while [event.decode()["count"] for event in store.list(EVENTS)] != [count]:
                    await asyncio.sleep(0)
            if time == 0:
                (event,) = store.list(EVENTS)
                changed = event.decode() | {"action": "Seen"}
                gone: Write = Delete(event.ref, event.meta.uid) if expires else Update(EVENTS, changed)
                assert (await cluster.write(gone)).is_done
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())


def test_messages_that_differ_are_events_of_their_own() -> None:
    _, events = run(nothing, note(message="pod a"), note(message="pod b"), note(reason="Other", message="pod a"))
    assert sorted((event["reason"], event["message"], event["count"]) for event in events) == [
        ("Other", "pod a", 1),
        ("Started", "pod a", 1),
        ("Started", "pod b", 1),
    ]


def test_when_very_many_wait_those_of_one_object_and_reason_are_combined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "COMBINE_ABOVE", 3)
    _, events = run(nothing, *(note(message=f"pod {number}") for number in range(10)))
    combined = [event for event in events if event["message"].startswith(COMBINED)]
    assert [(event["message"], event["count"]) for event in combined] == [(f"{COMBINED}pod 9", 7)]
    assert sum(event["count"] for event in events) == 10


def test_beyond_the_limit_notes_are_dropped_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "QUEUE_LIMIT", 5)

    def check(cluster: Slow, recorder: Recorder) -> None:
        assert recorder.dropped == 15

    _, events = run(check, *(note(f"n{number}") for number in range(20)))
    assert len(events) == 5
    assert len([record for record in caplog.records if "dropped event" in record.message]) == 4  # 1, 2, 4, 8
