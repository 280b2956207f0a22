"""kill -9 of the agent of a whole cluster before and after everything it does, and of keeper and shims at every
numbered step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from roadstead.node.keeper import client
from tests.crash.test_node_keeper import START_STEPS
from tests.crash.test_whole_server import Story, every_step, failing, indexed, preempted
from tests.crash.whole_cluster import whole
from tests.crash.whole_story import live

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("story", [indexed, failing, preempted])
@pytest.mark.timeout(1800)
def test_the_agent_killed_at_everything_it_does(tmp_path: Path, story: Story) -> None:
    async def both() -> None:
        before = frozenset({"start", "update", "remove"} | ({"stop", "delete"} if story is preempted else set()))
        after = before - {"remove"}  # the story is over when the run is removed: it may end before the death is seen
        deaths = await asyncio.gather(
            every_step(tmp_path / "after", "node", "after", story, after),
            every_step(tmp_path / "before", "node", "before", story, before),
        )
        print(f"{story.__name__}: {len(deaths[0])} + {len(deaths[1])} kills")

    asyncio.run(both())


@pytest.mark.timeout(600)
def test_keeper_and_shims_killed_at_every_step(tmp_path: Path) -> None:
    async def try_steps(steps: Sequence[str]) -> None:
        for step in steps:
            once = tmp_path / f"once-{step}"
            variables = {"ROADSTEAD_CRASH_AT": f"{step}@{once}"}
            async with whole(tmp_path / step, variables=variables) as cluster:
                complaints = await live(cluster, failing("x"))
                assert not complaints, f"{step}: {complaints}"
                assert await cluster.until(f"something is killed at {step}", partial(_is_there, once))
                assert client.is_alive(os.fspath(cluster.home.nodes))

    async def run() -> None:
        await asyncio.gather(try_steps(START_STEPS[::2]), try_steps(START_STEPS[1::2]))

    asyncio.run(run())


async def _is_there(path: Path) -> bool:
    return path.exists()
