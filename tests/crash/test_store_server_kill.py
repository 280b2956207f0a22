"""kill -9 of the API server while clients write and watch over its socket: what they were told is the ledger."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES
from roadstead.kinds.object import Ref
from roadstead.runtime.cluster import Create, Delete, Expired, Outcome, Result, Unavailable, Update
from tests.crash.store_child import token_of
from tests.crash.store_judge import Judge, Told
from tests.crash.store_server_child import SOCKET

ROOT = Path(__file__).parents[2]
ROUNDS = 10
MUTANT_ROUNDS = 15
WRITERS = 6
MOST_AWAITED = 24
START_SECONDS = 100.0


async def started(directory: Path, mutant: str) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.store_server_child", str(directory), mutant),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    line = await asyncio.wait_for(child.stdout.readline(), START_SECONDS)
    assert line == b"ready\n"
    return child


async def write_on(cluster: RemoteCluster, judge: Judge, writer: int, round_: int, is_mutant: bool) -> None:
    """Write until the server is gone, noting every promise. One writer a name, so nobody else moves it."""
    chance = random.Random(f"{round_}/{writer}")
    name, count = f"w{writer}", 0
    while True:
        count += 1
        token = f"{round_}.{writer}.{count}"
        found = await cluster.get(Ref(CONFIG_MAPS, "load", name))
        write: Create | Update | Delete
        if found is None:
            op = "ADDED"
            write = Create(CONFIG_MAPS, {"metadata": {"name": name, "namespace": "load"}, "data": {"token": token}})
        elif chance.random() < 0.2:
            op = "DELETED"
            write = Delete(found.ref, found.meta.uid)
        else:
            op = "MODIFIED"
            write = Update(CONFIG_MAPS, found.decode() | {"data": {"token": token}})
        judge.sent(name, op, token)
        outcome = await cluster.write(write)
        if outcome.object is not None:
            judge.acked(Told(int(outcome.object.meta.resource_version), op, name, token))
        elif outcome.is_done:
            judge.gone(name)
        elif _was_not_carried_out(outcome, is_mutant):
            judge.refused(name)
        elif outcome.result is not Result.UNKNOWN:
            raise AssertionError(f"a write of the only writer was refused: {outcome}")


def _was_not_carried_out(outcome: Outcome, is_mutant: bool) -> bool:
    return outcome.result is Result.THROTTLED or (is_mutant and outcome.result is not Result.UNKNOWN)


async def watch_on(cluster: RemoteCluster, judge: Judge, since: str) -> None:
    async for event in cluster.watch(CONFIG_MAPS, since, "load"):
        if event.object is not None:
            token = "" if event.type == "DELETED" else token_of(event.object)
            judge.saw(Told(int(event.resource_version), event.type, event.object.meta.name, token))


async def some_writes(judge: Judge, work: Sequence[asyncio.Future[None]], seconds: float, count: int) -> None:
    """The moment of the kill, which is what is tried: after some time, and after some writes, which take longer on a
    slow machine."""
    enough = judge.acknowledged + count
    await asyncio.sleep(seconds)
    async with asyncio.timeout(START_SECONDS):
        while judge.acknowledged < enough and not any(one.done() for one in work):
            await asyncio.sleep(0.002)


async def until_gone(work: asyncio.Future[None]) -> None:
    with suppress(Unavailable, Expired, asyncio.CancelledError):
        await work


async def run(directory: Path, count: int, seed: int, mutant: str = "") -> Judge:
    judge, chance = Judge(), random.Random(seed)
    for round_ in range(count):
        child = await started(directory, mutant)
        cluster = RemoteCluster("http://localhost", uds=directory / SOCKET, timeout_seconds=10)
        try:
            if round_ == 0:
                await cluster.write(Create(NAMESPACES, {"metadata": {"name": "load"}}))
            listing = await cluster.list(CONFIG_MAPS, "load")
            stored = {item.meta.name: (int(item.meta.resource_version), token_of(item)) for item in listing.items}
            judge.reopened(stored, int(listing.resource_version))
            if judge.complaints:
                return judge
            work = [asyncio.ensure_future(watch_on(cluster, judge, listing.resource_version))]
            work += [
                asyncio.ensure_future(write_on(cluster, judge, writer, round_, bool(mutant)))
                for writer in range(WRITERS)
            ]
            await some_writes(judge, work, chance.uniform(0.02, 0.25), chance.randrange(MOST_AWAITED))
            child.kill()
            await child.wait()
            await asyncio.wait_for(asyncio.gather(*map(until_gone, work)), 30)
        finally:
            await cluster.close()
            if child.returncode is None:
                child.kill()
                await child.wait()
    return judge


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_what_clients_were_told_holds_after_every_kill(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    judge = asyncio.run(run(tmp_path, ROUNDS + 1, seed))
    print(f"seed {seed}: {ROUNDS} kills, {judge.acknowledged} acknowledged writes, {len(judge.complaints)} complaints")
    assert judge.complaints == [], f"seed {seed}"
    assert judge.acknowledged > ROUNDS * 5, "hardly anything was written: the test says nothing"


@pytest.mark.crash
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", ["acknowledges-early", "skips-commits"])
def test_the_judge_notices_through_http(mutant: str, tmp_path: Path) -> None:
    assert asyncio.run(run(tmp_path, MUTANT_ROUNDS, 1, mutant)).complaints
