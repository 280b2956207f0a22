"""kill -9 of the agent (and of what it started) at every numbered step, and of everything at random, with pods on a
real API.

Judged by a ledger outside the product: every process appends its pod's name to a file. No name is there twice, and
every pod ends in the API with the exit code that its process had, or with 137 and the reason that says what was killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from roadstead.kinds.names import NAMESPACES, PODS
from roadstead.kinds.object import Json, Ref
from roadstead.node.keeper import client, runs, tree
from roadstead.runtime.cluster import Cluster, Create, Delete, Unavailable, Update
from roadstead.runtime.writing import write_once
from tests.crash.node_processes import SOURCE, Processes
from tests.crash.test_node_keeper import SHIM_LOST_STEPS, START_STEPS, STOP_STEPS
from tests.node.agent.world import pod, stop_everything

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

AGENT_STEPS = ("agent.started", "agent.reporting", "agent.reported")
AGENT_STOP_STEPS = ("agent.stopped", "agent.reporting", "agent.deleted")
DEADLINE_SECONDS = 100.0


def test_every_step_of_the_agent_is_tried() -> None:
    code = "".join(path.read_text() for path in (SOURCE / "roadstead/node/agent").glob("*.py"))
    assert set(re.findall(r'crashpoint\("([^"]+)"\)', code)) == {*AGENT_STEPS, *AGENT_STOP_STEPS}


@asynccontextmanager
async def processes(directory: Path) -> AsyncIterator[tuple[Processes, Cluster]]:
    made = Processes(directory)
    cluster = made.cluster()
    try:
        await made.keep_up("server")
        await write_once(cluster, Create(NAMESPACES, {"metadata": {"name": "default"}}))
        yield made, cluster
    finally:
        made.close()
        stop_everything(made.state)
        await cluster.close()


async def read(cluster: Cluster, name: str) -> Json | None:
    try:
        obj = await cluster.get(Ref(PODS, "default", name))
    except Unavailable:
        return {"status": {}, "metadata": {}}
    return None if obj is None else obj.decode()


async def until_final(made: Processes, cluster: Cluster, name: str, crash_at: str = "") -> Json:
    """Keep server and agent up until the pod is over; the pod."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while True:
        await made.keep_up("server")
        await made.keep_up("agent", crash_at)
        found = await read(cluster, name)
        if found is not None and found["status"].get("phase") in ("Succeeded", "Failed"):
            return found
        assert asyncio.get_running_loop().time() < deadline, f"{found}\n{(made.directory / 'agent.log').read_text()}"
        await asyncio.sleep(0.01)


def terminated(value: Json) -> Json:
    found: Json = value["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


@pytest.mark.parametrize("step", [*START_STEPS, *AGENT_STEPS])
def test_killed_at_a_step_of_starting_and_ending(tmp_path: Path, step: str) -> None:
    async def story() -> None:
        ledger, once = tmp_path / "ledger", tmp_path / "once"
        async with processes(tmp_path / "world") as (made, cluster):
            is_lost = step in SHIM_LOST_STEPS
            command = f"echo p >> {ledger}; sleep {100 if is_lost else 0.05}; exit 7"
            await write_once(cluster, Create(PODS, pod("p", command)))
            ended = terminated(await until_final(made, cluster, "p", f"{step}@{once}"))
            assert once.exists(), f"nothing was killed at {step}"
            count = ledger.read_text().count("p") if ledger.exists() else 0
            if is_lost:
                assert count <= 1
                assert (ended["exitCode"], ended["reason"]) == (137, "ShimLost")
            else:
                assert count == 1
                assert (ended["exitCode"], ended["reason"]) == (7, "Error")

    asyncio.run(story())


@pytest.mark.parametrize("step", [*(step for step in STOP_STEPS if step.startswith("stop.")), *AGENT_STOP_STEPS])
def test_killed_at_a_step_of_stopping(tmp_path: Path, step: str) -> None:
    """The agent's steps; those of shims are in test_node_keeper."""

    async def story() -> None:
        ledger, once = tmp_path / "ledger", tmp_path / "once"
        async with processes(tmp_path / "world") as (made, cluster):
            await made.keep_up("agent")
            kept = {"finalizers": ["example.com/kept"]}
            await write_once(
                cluster,
                Create(
                    PODS,
                    pod("p", f"trap 'exit 5' TERM; echo p >> {ledger}; while :; do sleep 0.01; done", metadata=kept),
                ),
            )
            while not ledger.exists() or (await read(cluster, "p") or {})["status"].get("phase") != "Running":
                await asyncio.sleep(0.01)
            made.kill("agent")  # from now on with a crash point
            held = await cluster.get(Ref(PODS, "default", "p"))
            assert held is not None
            await write_once(cluster, Delete(held.ref, held.meta.uid, propagation="", grace_seconds=30))
            value = await until_final(made, cluster, "p", f"{step}@{once}")
            ended = terminated(value)
            assert ledger.read_text().count("p") == 1
            assert ended["exitCode"] == 5
            await _until_released(made, cluster, f"{step}@{once}")
            assert once.exists(), f"nothing was killed at {step}"

    asyncio.run(story())


async def _until_released(made: Processes, cluster: Cluster, crash_at: str) -> None:
    """Until the agent has let the object go; then take the finalizer away and see it vanish."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while True:
        await made.keep_up("agent", crash_at)
        obj = await cluster.get(Ref(PODS, "default", "p"))
        if obj is None:
            break
        if obj.meta.deletion_grace_period_seconds == 0 and obj.meta.finalizers:
            value = obj.decode()
            value["metadata"]["finalizers"] = []
            await write_once(cluster, Update(PODS, value))
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


def test_random_kills_of_everything_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Twenty pods; server, agent, keeper and shims are killed thirty times while they start, run and end."""

    async def story() -> None:
        dice = random.Random(7)
        ledger, gate = tmp_path / "ledger", tmp_path / "gate"
        names = [f"p{index}" for index in range(20)]
        codes = {name: dice.randrange(1, 100) for name in names}
        async with processes(tmp_path / "world") as (made, cluster):
            root = os.fspath(made.state)
            for name in names:
                command = f"echo {name} >> {ledger}; until [ -e {gate} ]; do sleep 0.02; done; exit {codes[name]}"
                outcome = await write_once(cluster, Create(PODS, pod(name, command)))
                assert outcome.is_done
            shims_killed = 0
            for kill in range(30):
                await made.keep_up("server")
                await made.keep_up("agent")
                await asyncio.sleep(dice.random() * 0.4)
                victim = dice.choice(["server", "agent", "keeper", "shim"])
                if victim in ("server", "agent"):
                    made.kill(victim)
                elif victim == "keeper":
                    _kill_keeper(root)
                else:
                    shims_killed += _kill_a_shim(root, dice)
                if kill == 20:
                    gate.touch()
            ends = {name: terminated(await until_final(made, cluster, name)) for name in names}
            counts = Counter(ledger.read_text().split())
            assert max(counts.values()) == 1
            lost = [name for name in names if ends[name]["reason"] == "ShimLost"]
            wrong = {name: ends[name] for name in names if name not in lost and ends[name]["exitCode"] != codes[name]}
            assert not wrong
            assert all(counts[name] == 1 for name in names if name not in lost)
            assert len(lost) <= shims_killed

    asyncio.run(story())


def _kill_keeper(root: str) -> None:
    if client.is_alive(root):
        pid = client.ask(root, {"op": "ping"})["pid"]
        os.kill(pid, signal.SIGKILL)


def _kill_a_shim(root: str, dice: random.Random) -> bool:
    """Was there one?"""
    running = [run for run in runs.scan(root) if run.state == runs.RUNNING]
    about = tree.stat(dice.choice(running).pid) if running else None
    if about is None or about[1] <= 1:
        return False
    tree.send(about[1], signal.SIGKILL)
    return True
