"""When a part of the agent fails: what all pods need takes the agent along, what one pod needs does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roadstead.compose.agent import serve_node
from roadstead.compose.running import Refused
from roadstead.kinds.object import Resource
from roadstead.node.agent.agent import Narrowed
from roadstead.node.agent.heartbeat import Heartbeat
from roadstead.node.agent.options import AgentOptions, CannotGoOn, NodeOptions
from roadstead.node.agent.worker import Worker
from roadstead.node.keeper import runs
from roadstead.runtime.cluster import EVERYTHING, Cluster, Selector, WatchEvent
from roadstead.runtime.recorder import Recorder
from tests.cluster.loop import in_loop, until
from tests.node.agent.world import NODE, main_status, pod, world


class Mute(Narrowed):
    """Breaks watches in a way that nobody foresaw, once it is told to."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "", EVERYTHING)
        self.is_broken = False

    async def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        async for event in super().watch(resource, since, namespace, selector):
            if self.is_broken:
                raise KeyError("nobody thought of this")
            yield event


@in_loop
async def test_an_agent_that_cannot_hear_any_more_ends_and_its_processes_go_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        it.cluster = mute = Mute(it.cluster)
        await it.create(pod("p", "exec sleep 100"))
        agent = await it.start_agent()
        running = await it.until_phase("p", "Running")
        mute.is_broken = True
        await it.create(pod("another", "true"))
        with pytest.raises(CannotGoOn) as caught:
            await it.end_of_agent()
        assert str(caught.value) == (
            "The node agent cannot go on: watching pods (spec.nodeName=n1) failed with KeyError: 'nobody thought of this'."
        )
        assert "Start it again" in caught.value.hint
        run = runs.look(str(it.state), f"{running['metadata']['uid']}/main/0")
        assert run is not None
        assert run.state == runs.RUNNING
        assert agent._lock is None, "the state directory is free for the next one"
        it.cluster = mute._cluster
        await it.start_agent()
        assert main_status(await it.until_phase("p", "Running"))["restartCount"] == 0


@pytest.mark.parametrize(
    ("part", "text"),
    [(Recorder, "recording Events failed"), (Heartbeat, "the heartbeat of node n1 failed")],
)
def test_so_does_one_without_events_or_heartbeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, text: str
) -> None:
    async def fail(self: object) -> None:
        raise ValueError("no more")

    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            options = AgentOptions(it.state, (NodeOptions(NODE),))
            with pytest.raises(
                Refused, match=f"^The node agent cannot go on: {text} with ValueError: no more.$"
            ) as caught:
                await serve_node(it.cluster, options)
            assert caught.value.hint.startswith("Start it again")

    monkeypatch.setattr(part, "run", fail)
    story()


class Failing:
    """In place of Worker.run: does the same until it is told to fail, once."""

    def __init__(self) -> None:
        self.is_due = asyncio.Event()
        self.failures = 0

    async def run(self, worker: Worker) -> None:
        if self.failures:
            await RUN(worker)
            return
        work = asyncio.ensure_future(RUN(worker))
        due = asyncio.ensure_future(self.is_due.wait())
        try:
            await asyncio.wait((work, due), return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            due.cancel()
            await asyncio.gather(work, due, return_exceptions=True)
        self.failures += 1
        raise KeyError("nobody thought of this")


RUN = Worker.run


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_pod_whose_worker_fails_gets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_deleted: bool
) -> None:
    @in_loop
    async def story() -> None:
        failing = Failing()

        async def run(worker: Worker) -> None:
            await failing.run(worker)

        monkeypatch.setattr(Worker, "run", run)
        async with world(tmp_path) as it:
            agent = await it.start_agent()
            await it.create(pod("p", f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"))
            uid = (await it.until_phase("p", "Running"))["metadata"]["uid"]
            failing.is_due.set()
            await until(lambda: uid not in agent.workers)
            if is_deleted:  # while nobody looks after it
                await it.delete("p", grace=0)
                await it.until_gone("p")
                await until(lambda: not (it.state / "pods" / uid).exists())
                assert runs.scan(str(it.state)) == []
            else:
                (tmp_path / "go").touch()
                assert main_status(await it.until_phase("p", "Succeeded"))["restartCount"] == 0
            assert failing.failures == 1

    story()


@in_loop
async def test_a_pod_is_found_by_its_name_and_its_successor_after_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        agent = await it.start_agent()
        for command in ("exec sleep 100", "true"):
            made = await it.create(pod("p", command))
            await it.until_phase("p", "Running", "Succeeded")
            found = agent.worker_of("default", "p")
            assert found is not None
            assert (found.uid, agent.worker_of("default", "q"), agent.worker_of("other", "p")) == (
                made.meta.uid,
                None,
                None,
            )
            await it.delete("p", grace=0)
            await it.until_gone("p")
        await until(lambda: agent.worker_of("default", "p") is None)
        assert agent._uids == {}
