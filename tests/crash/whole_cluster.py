"""A whole cluster as processes of their own, started as `roadstead up` starts them, and started again whenever they
died.

Judged by what is outside of it: the ledger that the containers write, the kernel's locks, and what the API says in the
end.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import roadstead
from roadstead.cli.home import Home
from roadstead.cli.processes import running, tail_of
from roadstead.cli.stopping import stop_processes
from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import JOBS, PLACEMENTS, PODS, WORKLOADS
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.node.keeper import client, runs, tree
from roadstead.runtime.cluster import Create, Delete, Outcome, Result, Unavailable, Write
from roadstead.runtime.writing import write_once
from tests.crash.whole_child import ARM

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
SOURCE = Path(roadstead.__file__).parent.parent
NODE = "gpu=h100x8,cpu=8,memory=16Gi"
ROLES = ("server", "node")
DEADLINE_SECONDS = 120.0
_LOOK_SECONDS = 0.01


class Whole:
    """One cluster in `directory`. Use with `async with whole(directory) as cluster`."""

    def __init__(self, directory: Path, source: Path = SOURCE, variables: dict[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.home = Home(directory / "h")
        self.source = source
        self.variables = variables or {}
        """What the agent gets besides, and through it keeper and shims."""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.deaths = {"server": 0, "node": 0, "keeper": 0, "shim": 0}
        self._starts = {"server": 0, "node": 0}
        self._server_of_node = 0
        """Which start of the server the agent was started beside."""
        self._armed = 0
        self.ledger = directory / "ledger"
        self.deadline_seconds = DEADLINE_SECONDS
        self.cluster = RemoteCluster("http://localhost", uds=self.home.socket, timeout_seconds=10)
        self._keeping: asyncio.Task[None] | None = None

    # --- processes

    async def start(self) -> None:
        """Bring both parts up and keep them up from now on."""
        self.home.prepare()
        (self.directory / "gates").mkdir(exist_ok=True)
        self.ledger.touch()
        await self._keep_up(*ROLES)
        self._keeping = asyncio.create_task(self._keep_on())

    async def _keep_on(self) -> None:
        while True:
            await self._keep_up(*ROLES)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _keep_up(self, *roles: str) -> None:
        for role in roles:
            process = self.processes.get(role)
            if process is None or process.poll() is not None:
                await self._start(role)

    async def _start(self, role: str) -> None:
        """Until the part says that it is ready. It may be killed meanwhile; it must not end by itself, unless its
        server died. The agent waits for its server, so whoever waits for the agent keeps the server up."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while True:
            self._note_death(role)
            if role == "node":
                await self._keep_up("server")
            process = self._spawn(role)
            while process.poll() is None:
                if role == "node":
                    await self._keep_up("server")
                found = running(self.home, role)
                if found is not None and found.pid == process.pid:
                    return
                assert asyncio.get_running_loop().time() < deadline, f"{role} does not get ready:\n{self.log(role)}"
                await asyncio.sleep(_LOOK_SECONDS / 2)
            assert asyncio.get_running_loop().time() < deadline, f"{role} does not get ready:\n{self.log(role)}"

    def _note_death(self, role: str) -> None:
        process = self.processes.get(role)
        if process is None:
            return
        code = process.returncode
        is_orphan = role == "node" and (
            self.processes["server"].poll() is not None or self._starts["server"] != self._server_of_node
        )
        assert code == -signal.SIGKILL or is_orphan, f"{role} ended by itself with {code}:\n{self.log(role)}"
        self.deaths[role] += code == -signal.SIGKILL

    def _spawn(self, role: str) -> subprocess.Popen[bytes]:
        self._starts[role] += 1
        if role == "node":
            self._server_of_node = self._starts["server"]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([os.fspath(self.source), os.fspath(REPOSITORY)]),
            ARM: os.fspath(self.directory / f"arm-{role}"),
            **(self.variables if role == "node" else {}),
        }
        words = ["--node", NODE] if role == "node" else ["--port", "0"]
        with suppress(FileNotFoundError):
            self.home.record(role).unlink()
        with (self.home.logs / f"{role}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.whole_child", role, "--home", os.fspath(self.home.root), *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        self.processes[role] = process
        return process

    def log(self, role: str) -> str:
        return tail_of(self.home.logs / f"{role}.log", lines=40)

    def arm(self, role: str, what: str) -> None:
        """Have the part die at a step, counted from now: `before K` or `after K`. See whole_child."""
        self._armed += 1
        path = self.directory / f"arm-{role}"
        scratch = path.with_suffix(".new")
        scratch.write_text(f"{what} {self._armed}")
        os.replace(scratch, path)

    async def disarm(self, role: str, patience_seconds: float = 1.0) -> bool:
        """False if it has died of it. The last thing that a part does is seen before it dies of having done it: hence
        the patience."""
        path = self.directory / f"arm-{role}"
        deadline = time.monotonic() + patience_seconds
        while path.exists() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        try:
            path.unlink()
        except FileNotFoundError:
            while path.with_name(f"{path.name}.firing").exists() and time.monotonic() < deadline + DEADLINE_SECONDS:
                await asyncio.sleep(0.001)  # its last word is being written
            return False
        return True

    def died_at(self, role: str) -> list[str]:
        """The steps at which it died, in words."""
        path = self.directory / f"arm-{role}.deaths"
        return path.read_text().splitlines() if path.exists() else []

    def kill(self, role: str) -> None:
        """kill -9, now."""
        process = self.processes[role]
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def kill_keeper(self) -> None:
        root = os.fspath(self.home.nodes)
        if client.is_alive(root):
            with suppress(client.KeeperError):
                tree.send(client.ask(root, {"op": "ping"})["pid"], signal.SIGKILL)
                self.deaths["keeper"] += 1

    def kill_a_shim(self, dice: random.Random) -> None:
        alive = [run for run in runs.scan(os.fspath(self.home.nodes)) if run.state == runs.RUNNING]
        about = tree.stat(dice.choice(alive).pid) if alive else None
        if about is not None and about[1] > 1:
            tree.send(about[1], signal.SIGKILL)
            self.deaths["shim"] += 1

    async def close(self) -> None:
        """Leave nothing running, whatever went wrong."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        stop_processes(self.home, 0.0)
        await self.cluster.close()

    # --- the API, whatever dies

    async def until(self, what: str, holds: Callable[[], Awaitable[T]]) -> T:
        """Poll until it holds, with everything kept up. What it gave."""
        began = asyncio.get_running_loop().time()
        while True:
            self.check()
            with suppress(Unavailable):
                found = await holds()
                if found:
                    return found
            if asyncio.get_running_loop().time() > began + self.deadline_seconds:
                raise AssertionError(f"not so after {self.deadline_seconds:.0f} s: {what}\n{await self._state()}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def until_nothing(self, what: str, left: Callable[[], Awaitable[Sequence[str]]]) -> None:
        """Poll until nothing is left."""
        last: Sequence[str] = ()

        async def is_empty() -> bool:
            nonlocal last
            last = await left()
            return not last

        try:
            await self.until(what, is_empty)
        except AssertionError as error:
            raise AssertionError(f"{error}\nleft: {last}") from error

    def check(self) -> None:
        """Raises what went wrong with keeping the parts up."""
        if self._keeping is not None and self._keeping.done():
            self._keeping.result()

    async def _state(self) -> str:
        processes = {role: process.poll() for role, process in self.processes.items()}
        parts = [
            f"deaths {self.deaths}; exit codes {processes}; keeper {client.is_alive(os.fspath(self.home.nodes))}",
            *self.ledger.read_text().splitlines()[-8:],
            *(f"run {run.run_id} {run.state} {run.exit}" for run in runs.scan(os.fspath(self.home.nodes))),
            *await self._unfinished(),
            self.log("server"),
            self.log("node"),
        ]
        return "\n".join(parts)

    async def _unfinished(self) -> Sequence[str]:
        """All objects of the story with what they say of themselves."""
        try:
            found = [one for resource in (JOBS, WORKLOADS, PLACEMENTS, PODS) for one in await self.list(resource)]
        except Unavailable as error:
            return (f"the API says nothing: {error}",)
        return [f"{one.ref} {one.decode().get('status')}" for one in found if b'"Complete"' not in one.raw]

    async def create(self, resource: Resource, value: Json) -> Object:
        """Create it, again if the server died over it and it is not there; the object as acknowledged."""
        while True:
            outcome = await self._write(Create(resource, value))
            if outcome.is_done and outcome.object is not None:
                return outcome.object
            assert outcome.result in (Result.CONFLICT, Result.THROTTLED), outcome  # it was certainly not done
            await asyncio.sleep(_LOOK_SECONDS)

    async def remove(self, ref: Ref, uid: str) -> None:
        """Delete it, again if the server died over it and it is still there."""
        while True:
            outcome = await self._write(Delete(ref, uid))
            if outcome.is_done or outcome.result is Result.MISSING:
                return
            assert outcome.result in (Result.CONFLICT, Result.THROTTLED), outcome
            await asyncio.sleep(_LOOK_SECONDS)

    async def _write(self, write: Write) -> Outcome:
        """Never UNKNOWN: the server comes back, and then it is read what became of it."""
        writing = asyncio.create_task(write_once(self.cluster, write))
        while not writing.done():
            self.check()
            await asyncio.wait([writing], timeout=0.2)
        return writing.result()

    async def get(self, ref: Ref) -> Object | None:
        return await self.cluster.get(ref)

    def live_runs(self) -> list[str]:
        """Runs that have a shim, or a process that carries their name."""
        alive = (runs.STARTING, runs.RUNNING, runs.ENDING, runs.LOST)
        return [run.run_id for run in runs.scan(os.fspath(self.home.nodes)) if run.state in alive]

    async def list(self, resource: Resource, namespace: str = "default") -> Sequence[Object]:
        return (await self.cluster.list(resource, namespace)).items


@asynccontextmanager
async def whole(
    directory: Path, source: Path = SOURCE, variables: dict[str, str] | None = None
) -> AsyncIterator[Whole]:
    """A running cluster; at the end nothing of it is left."""
    made = Whole(directory, source, variables)
    try:
        await made.start()
        yield made
    finally:
        await made.close()
