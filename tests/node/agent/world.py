"""A small world for agent tests: the embedded API in this loop, one agent on it, real processes below a temporary
directory."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES, PODS, SECRETS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Object, Ref
from roadstead.kinds.served import default_registry
from roadstead.node.agent.agent import Agent
from roadstead.node.agent.options import AgentOptions, NodeOptions
from roadstead.node.agent.pod_state import Backoff
from roadstead.node.agent.views import Pod
from roadstead.node.keeper import client, runs, tree
from roadstead.runtime.cluster import Cluster, Create, Delete, Outcome

NODE = "n1"
QUICK = Backoff(50_000_000, 400_000_000)
DEADLINE_SECONDS = 60.0
KEPT = {"finalizers": ["example.com/kept"]}
"""Metadata of a pod whose object stays until somebody says so."""


class World:
    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.state = directory / "agent"
        self.port = 0
        self.agent: Agent | None = None
        self._task: asyncio.Task[None] | None = None

    async def start_agent(self, *nodes: NodeOptions, **options: Any) -> Agent:
        """Start an agent and wait until it is ready."""
        ready = asyncio.Event()

        def on_ready(port: int) -> None:
            self.port = port
            ready.set()

        base = AgentOptions(self.state, nodes or (NodeOptions(NODE),), backoff=QUICK, on_ready=on_ready)
        self.agent = Agent(self.cluster, replace(base, **options))
        self._task = asyncio.create_task(self.agent.run())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((self._task, waiting), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            waiting.cancel()
            ended, self._task = self._task, None
            ended.result()
        return self.agent

    async def stop_agent(self) -> None:
        """As by kill -9, as far as the agent's own memory goes: nothing is said to the processes."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def end_of_agent(self) -> None:
        """Until the agent ends by itself; raises what it raises."""
        assert self._task is not None
        ended, self._task = self._task, None
        await ended

    async def create(self, obj: Json) -> Object:
        resource = {"Pod": PODS, "ConfigMap": CONFIG_MAPS, "Secret": SECRETS}[obj["kind"]]
        return done(await self.cluster.write(Create(resource, obj)))

    async def pod(self, name: str) -> Object | None:
        return await self.cluster.get(Ref(PODS, "default", name))

    async def delete(self, name: str, grace: int | None = None) -> None:
        obj = await self.pod(name)
        assert obj is not None
        outcome = await self.cluster.write(Delete(obj.ref, obj.meta.uid, propagation="", grace_seconds=grace))
        assert outcome.is_done, outcome

    async def until_pod(self, name: str, holds: Callable[[Json], object], seconds: float = 10.0) -> Json:
        """Poll until the stored pod satisfies `holds`; the pod."""
        last: Json = {}

        async def check() -> bool:
            nonlocal last
            obj = await self.pod(name)
            last = obj.decode() if obj else {}
            return obj is not None and bool(holds(last))

        try:
            await until(check, seconds)
        except AssertionError:
            raise AssertionError(f"pod {name} did not get there; its status is {last.get('status')}") from None
        return last

    async def until_phase(self, name: str, *phases: str, seconds: float = 10.0) -> Json:
        return await self.until_pod(name, lambda pod: pod["status"].get("phase") in phases, seconds)

    async def until_gone(self, name: str, seconds: float = 10.0) -> None:
        async def check() -> bool:
            return await self.pod(name) is None

        await until(check, seconds)

    def log(self, pod: Json, container: str = "main", attempt: int = 0) -> str:
        uid: str = pod["metadata"]["uid"]
        return (self.state / "runs" / uid / container / str(attempt) / "log").read_text()


def done(outcome: Outcome) -> Object:
    assert outcome.is_done, outcome
    assert outcome.object is not None
    return outcome.object


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await holds():
        assert asyncio.get_running_loop().time() < deadline, "did not come to hold in time"
        await asyncio.sleep(0.005)


def pod(name: str, *command: str, policy: str = "Never", node: str = NODE, **spec: Any) -> Json:
    """A pod of one container `main` that runs a shell command (several words: those)."""
    words = ["/bin/sh", "-c", *command] if len(command) == 1 else list(command)
    container = {"name": "main", "image": "none", "command": words, **spec.pop("container", {})}
    metadata = {"name": name, "namespace": "default", **spec.pop("metadata", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": node, "restartPolicy": policy, "containers": [container], **spec},
    }


def main_status(value: Json) -> Json:
    """Status of the first container; restartCount -1 before there is one."""
    found: Json = (value["status"].get("containerStatuses") or [{"restartCount": -1, "state": {}}])[0]
    return found


def condition(value: Json, kind: str) -> Json:
    found: Json = next(one for one in value["status"]["conditions"] if one["type"] == kind)
    return found


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    """An API with a name space `default`, and no agent yet. At the end nothing of it is left running."""
    store = Store.open(directory / "data", "normal")
    cluster = EmbeddedCluster(Resources(store, default_registry(), default_plugins()))
    await cluster.write(Create(NAMESPACES, {"metadata": {"name": "default"}}))
    account = {"metadata": {"name": "default", "namespace": "default"}, "automountServiceAccountToken": False}
    await cluster.write(Create(SERVICE_ACCOUNTS, account))
    made = World(cluster, directory)
    try:
        yield made
    finally:
        await made.stop_agent()
        await store.close()
        await asyncio.get_running_loop().shutdown_default_executor()  # a start on its way would bring a keeper back
        stop_everything(made.state)


def stop_everything(state: Path) -> None:
    """Kill what runs below `state`, and its keeper."""
    if not state.exists():
        return
    for run in runs.scan(os.fspath(state)):
        if run.state in (runs.RUNNING, runs.STARTING, runs.ENDING):
            runs.request_stop(os.fspath(state), run.run_id, signal.SIGKILL, 0)
            if run.pid:
                tree.send_group(run.pid, signal.SIGKILL)
    client.quit_keeper(os.fspath(state))


async def until_file(path: Path) -> None:
    async def exists() -> bool:
        return path.exists()

    await until(exists)


async def until_no_traces(it: World, uid: str) -> None:
    async def check() -> bool:
        return not (it.state / "runs" / uid).exists() and not (it.state / "pods" / uid).exists()

    await until(check)


def view(obj: Object) -> Pod:
    return obj.view(Pod)
