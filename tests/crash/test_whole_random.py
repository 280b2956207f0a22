"""kill -9 of server, agent, keeper and shims of a whole cluster at random moments while Jobs of every shape run."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash.whole_cluster import Whole, whole
from tests.crash.whole_judge import Ask
from tests.crash.whole_story import see_through, still_counted, submit

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("ROADSTEAD_CRASH_ROUNDS", "40"))
JOBS = 30


def mixture(dice: random.Random) -> Sequence[Ask]:
    """Thirty Jobs of one to eight devices."""
    asks = []
    for number in range(JOBS):
        codes = tuple(dice.choice((0, 0, 0, dice.randrange(1, 100))) for _ in range(dice.choice((1, 1, 2))))
        is_indexed = dice.random() < 0.3 and not any(codes)
        asks.append(
            Ask(
                f"j{number}",
                codes,
                completions=3 if is_indexed else 1,
                gpus=dice.choice((1, 1, 2)) if is_indexed else dice.choice((1, 2, 4, 8)),
                seconds=dice.uniform(0.05, 0.8),
            )
        )
    return asks


async def kill_on(cluster: Whole, dice: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(dice.uniform(0.0, 0.5))  # the moment of the kill is what is tried
        match dice.choice(("server", "server", "node", "keeper", "shim", "shim")):
            case "keeper":
                await asyncio.to_thread(cluster.kill_keeper)
            case "shim":
                cluster.kill_a_shim(dice)
            case role:
                cluster.kill(role)


@pytest.mark.timeout(900)
def test_thirty_jobs_under_random_kills(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)

    async def run() -> None:
        async with whole(tmp_path / "w") as cluster:
            asks = mixture(dice)
            killing = asyncio.create_task(kill_on(cluster, dice))
            uids = {}
            for number, ask in enumerate(asks):
                # On a quick machine all would have ended before much was killed.
                while sum(cluster.deaths.values()) < number // 2 and not killing.done():
                    await asyncio.sleep(0.01)
                uids[ask.name] = await submit(cluster, ask)
            complaints = await see_through(cluster, asks, uids)
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
            await cluster.until_nothing("the queues count nothing", lambda: still_counted(cluster))
            started = cluster.ledger.read_text().count("start ")
            print(f"seed {seed}: {len(asks)} jobs, {started} processes, kills {cluster.deaths}")
            assert not complaints, f"seed {seed}: {complaints}"
            assert sum(cluster.deaths.values()) > 10, "hardly anything was killed: the test says nothing"

    asyncio.run(run())
