"""A hundred kills of the whole server (API, controllers, deciding core) while clients write over its socket."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest

from roadstead.cli.home import Home
from roadstead.cli.processes import running
from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES
from roadstead.runtime.cluster import Create
from tests.crash.store_child import token_of
from tests.crash.store_judge import Judge
from tests.crash.test_store_server_kill import MOST_AWAITED, WRITERS, some_writes, until_gone, write_on

pytestmark = pytest.mark.crash

ROUNDS = int(os.environ.get("ROADSTEAD_CRASH_ROUNDS", "100"))
START_SECONDS = 120.0


async def started(home: Home) -> asyncio.subprocess.Process:
    """The server, ready."""
    with (home.logs / "server.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "roadstead.cli", "server", "--home", os.fspath(home.root)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while (found := running(home, "server")) is None or found.pid != child.pid:
        said = (home.logs / "server.log").read_text()
        assert child.returncode is None, said
        assert asyncio.get_running_loop().time() < deadline, said
        await asyncio.sleep(0.005)
    return child


async def run(home: Home, seed: int) -> Judge:
    judge, chance = Judge(), random.Random(seed)
    home.prepare()
    for round_ in range(ROUNDS + 1):
        child = await started(home)
        cluster = RemoteCluster("http://localhost", uds=home.socket, timeout_seconds=10)
        try:
            if round_ == 0:
                await cluster.write(Create(NAMESPACES, {"metadata": {"name": "load"}}))
            listing = await cluster.list(CONFIG_MAPS, "load")
            own = [item for item in listing.items if item.meta.name.startswith("w")]
            stored = {item.meta.name: (int(item.meta.resource_version), token_of(item)) for item in own}
            judge.reopened(stored, int(listing.resource_version))
            if judge.complaints or round_ == ROUNDS:
                return judge
            work = [asyncio.ensure_future(write_on(cluster, judge, writer, round_, False)) for writer in range(WRITERS)]
            await some_writes(judge, work, chance.uniform(0.0, 0.25), chance.randrange(MOST_AWAITED))
            child.kill()
            await child.wait()
            await asyncio.wait_for(asyncio.gather(*map(until_gone, work)), 30)
        finally:
            await cluster.close()
            if child.returncode is None:
                child.kill()
                await child.wait()
    return judge


@pytest.mark.timeout(1800)
def test_what_clients_were_told_holds_after_every_kill(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    judge = asyncio.run(run(Home(tmp_path / "h"), seed))
    print(f"seed {seed}: {ROUNDS} kills, {judge.acknowledged} acknowledged writes, {len(judge.complaints)} complaints")
    assert judge.complaints == [], f"seed {seed}"
    assert judge.acknowledged > ROUNDS * 5, "hardly anything was written: the test says nothing"
