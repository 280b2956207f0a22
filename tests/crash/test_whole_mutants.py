"""The judge of the whole cluster turns red on a product with a guard taken out."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from roadstead.node.keeper import client, runs, tree
from tests.crash.test_node_keeper import UNLINKED, UNLOCKED
from tests.crash.test_whole_server import failing
from tests.crash.whole_cluster import DEADLINE_SECONDS, SOURCE, Whole, whole
from tests.crash.whole_story import live, see_through, submit

pytestmark = pytest.mark.crash


@pytest.mark.parametrize(
    ("skipped", "complaint", "patience_seconds"),
    [
        pytest.param("batch/jobs:5", "was acknowledged and is not there", DEADLINE_SECONDS, id="a Job is lost"),
        pytest.param("/pods:10", "", 8.0, id="a pod is forgotten while it runs"),  # that nothing goes on is right, too
    ],
)
@pytest.mark.timeout(600)
def test_commits_that_are_skipped(tmp_path: Path, skipped: str, complaint: str, patience_seconds: float) -> None:
    async def run() -> None:
        async with whole(tmp_path / "w") as cluster:
            cluster.arm("server", f"skip {skipped}")
            killed = asyncio.create_task(_be_impatient(cluster, patience_seconds))
            try:
                complaints = await live(cluster, failing("x"))
            except AssertionError as error:
                complaints = [str(error)]
            killed.cancel()
            assert cluster.died_at("server")
            assert any(complaint in text for text in complaints), complaints

    asyncio.run(run())


async def _be_impatient(cluster: Whole, patience_seconds: float) -> None:
    """From the death of the server on."""
    while not cluster.died_at("server"):
        await asyncio.sleep(0.05)
    cluster.deadline_seconds = patience_seconds


@pytest.mark.parametrize("is_mutant", [False, True])
@pytest.mark.timeout(600)
def test_a_lock_that_is_ignored(tmp_path: Path, is_mutant: bool) -> None:
    """The first shim is held while the keeper is asked again; then it goes on beside its rival."""
    source = SOURCE
    if is_mutant:
        source = tmp_path / "src"
        shutil.copytree(SOURCE / "roadstead", source / "roadstead", ignore=shutil.ignore_patterns("__pycache__"))
        for file, right, wrong in (UNLOCKED, UNLINKED):
            mutated = source / "roadstead/node/keeper" / file
            mutated.write_text(mutated.read_text().replace(right, wrong))
    variables = {"ROADSTEAD_CRASH_AT": f"shim.3-child@{tmp_path / 'once'}", "ROADSTEAD_CRASH_SIGNAL": "STOP"}

    async def run() -> list[str]:
        async with whole(tmp_path / "w", source, variables) as cluster:
            (ask,) = failing("x")
            uids = {ask.name: await submit(cluster, ask)}
            held = await cluster.until("a shim is held", lambda: _held(cluster))
            root = os.fspath(cluster.home.nodes)
            for run in runs.scan(root):
                await asyncio.to_thread(client.start, root, run.run_id)
            await cluster.until("the rivals are through", lambda: _are_left(cluster, [held]))
            os.kill(held, signal.SIGCONT)
            await cluster.until("the held one is through", lambda: _are_left(cluster, []))
            return await see_through(cluster, [ask], uids)

    complaints = asyncio.run(run())
    assert any("was started 2 times" in text for text in complaints) == is_mutant, complaints
    assert is_mutant or not complaints


async def _are_left(cluster: Whole, shims: list[int]) -> bool:
    """Are these the shims that are left?"""
    keeper = client.ask(os.fspath(cluster.home.nodes), {"op": "ping"})["pid"]
    return tree.children(keeper) == shims


async def _held(cluster: Whole) -> int:
    """Pid of a stopped shim, or 0."""
    root = os.fspath(cluster.home.nodes)
    if not client.is_alive(root):
        return 0
    keeper = client.ask(root, {"op": "ping"})["pid"]
    return next((pid for pid in tree.children(keeper) if (about := tree.stat(pid)) and about[0] == "T"), 0)
