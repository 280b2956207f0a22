"""An Event that cannot be written is dropped without fuss: it is nobody's bug that a server is away."""

from __future__ import annotations

import asyncio

import pytest

from roadstead.kinds.object import Object, Ref
from roadstead.runtime.clock import WallClock
from roadstead.runtime.cluster import Cluster, Outcome, Result, Unavailable, Write
from roadstead.runtime.recorder import Recorder
from roadstead.runtime.step import Note
from tests.runtime.objects import config_map


class Away:
    """The name is taken, and what has it cannot be read."""

    def __init__(self) -> None:
        self.asked = 0

    async def write(self, write: Write) -> Outcome:
        return Outcome(Result.EXISTS)

    async def get(self, ref: Ref) -> Object | None:
        self.asked += 1
        raise Unavailable("nobody answers")


def test_a_server_that_is_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        away = Away()
        cluster: Cluster = away  # type: ignore[assignment]  # lists and watches are never asked for here
        recorder = Recorder(cluster, WallClock(), "test")
        for reason in ("Started", "Stopped"):
            recorder.record(Note(config_map("a"), "Normal", reason, "it is so"))
        running = asyncio.ensure_future(recorder.run())
        async with asyncio.timeout(10):
            while away.asked < 2:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())
    assert caplog.records == []
