"""Commands in running containers, as the agent asks for them: streams in, streams out, an exit code
(keeper/commands.py).

The run's directory carries everything, so nothing here is needed to end a command: its shim kills it when this process
is gone.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Sequence

from roadstead.node.keeper import commands, locks, runs
from roadstead.node.keeper.commands import Ended

OUTPUT_LIMIT = 10 * 1024
"""Bytes of a probe's or hook's output that are kept (kubelet: maxReadLength)."""
_CHUNK = 64 * 1024
_OPEN_SECONDS = 0.002
_LOOK_SECONDS = 0.5  # between looks at a shim that says nothing


class Execution:
    """One command. Use `begin`; `close` when done, which kills it if it still runs."""

    def __init__(self, path: str, command_id: str, lock: int, streams: Sequence[str]) -> None:
        self._path, self._id, self._lock = path, command_id, lock
        here = commands.directory(path, command_id)
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self._stdin = os.open(os.path.join(here, "stdin"), os.O_RDWR | flags) if "stdin" in streams else -1
        outputs = [name for name in ("stdout", "stderr") if name in streams]
        self._outputs = {name: os.open(os.path.join(here, name), os.O_RDONLY | flags) for name in outputs}
        self._done = os.open(os.path.join(here, "done"), os.O_RDONLY | flags)
        self._over = asyncio.Event()
        self._watching = asyncio.ensure_future(self._watch())

    @classmethod
    def begin(
        cls,
        root: str,
        run_id: str,
        argv: Sequence[str],
        *,
        timeout_seconds: float | None = None,
        streams: Sequence[str] = ("stdout", "stderr"),
    ) -> Execution:
        """Start `argv` in the container of a running run; some milliseconds. RunError says why that cannot be.

        Of `streams` (stdin, stdout, stderr), stdin is empty if it is not asked for, and stderr goes where stdout goes.
        """
        path = runs.directory(root, run_id)
        run = runs.look(root, run_id)
        if run is None or run.state != runs.RUNNING:
            raise runs.RunError(f"container {run_id} does not run: a command needs a running container")
        if runs.format_of(path) < commands.FORMAT_NEEDED:
            raise runs.RunError(
                f"container {run_id} was started by an older version, which runs no commands in containers: restart it"
            )
        command_id = uuid.uuid4().hex
        lock = commands.prepare(path, command_id, list(argv), timeout_seconds, list(streams))
        try:
            made = cls(path, command_id, lock, streams)
        except OSError:
            os.close(lock)
            raise
        commands.ask(path, command_id)
        return made

    async def _watch(self) -> None:
        """Until the command has ended, or its container."""
        while not await self._readable(self._done, _LOOK_SECONDS):
            if commands.ended(self._path, self._id) is not None:
                break
            if not locks.is_held(os.path.join(self._path, "lock")):
                break
        self._over.set()

    async def wait(self) -> Ended:
        """How it ended."""
        await asyncio.shield(self._watching)
        found = commands.ended(self._path, self._id)
        return found or Ended(137, 9, "ContainerEnded", "its container ended")

    async def read(self, stream: str) -> AsyncIterator[bytes]:
        """The bytes of stdout or stderr as they come, until the command ends (what its orphans write later is not
        waited for)."""
        fd = self._outputs[stream]
        over = asyncio.ensure_future(self._over.wait())
        try:
            while not over.done():
                ready = asyncio.ensure_future(self._readable(fd, None))
                try:
                    await asyncio.wait((ready, over), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    ready.cancel()
                    await asyncio.gather(ready, return_exceptions=True)
                if over.done():
                    break
                data = _read(fd)
                if data == b"":
                    return
                if data:
                    yield data
            while data := _read(fd):
                yield data
        finally:
            over.cancel()

    async def write(self, data: bytes) -> bool:
        """Write to stdin; False if the command ended before it read all."""
        while data:
            try:
                data = data[os.write(self._stdin, data) :]
            except BlockingIOError:
                if self._over.is_set():
                    return False
                await self._writable(self._stdin, _LOOK_SECONDS)
        return True

    async def close_stdin(self) -> None:
        """The command reads end-of-file after what was written."""
        while not self._is_open():  # a fifo that nobody else has open forgets what was written to it
            try:
                await asyncio.wait_for(self._over.wait(), _OPEN_SECONDS)
                break
            except TimeoutError:
                continue
        self._drop_stdin()

    def _is_open(self) -> bool:
        return os.path.exists(os.path.join(commands.directory(self._path, self._id), "opened"))

    def _drop_stdin(self) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    async def close(self) -> None:
        """Kill the command if it still runs; forget it."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        self._drop_stdin()
        for fd in (*self._outputs.values(), self._done):
            os.close(fd)
        os.close(self._lock)
        # Asked after letting go: either we see its end, or the shim, which writes that first, sees that we have let go.
        is_over = commands.ended(self._path, self._id) is not None
        if is_over or not locks.is_held(os.path.join(self._path, "lock")):
            commands.remove(self._path, self._id)

    async def _readable(self, fd: int, seconds: float | None) -> bool:
        """Wait for data or end-of-file (a fifo that nobody has opened yet has neither); False after that time."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(fd, _resolve, ready)
        try:
            await asyncio.wait_for(ready, seconds)
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(fd)
        return True

    async def _writable(self, fd: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_writer(fd, _resolve, ready)
        try:
            await asyncio.wait((ready,), timeout=seconds)
        finally:
            loop.remove_writer(fd)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _read(fd: int) -> bytes | None:
    """What is there, b"" at the end, None if there is nothing now."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return None


async def run_command(
    root: str, run_id: str, argv: Sequence[str], timeout_seconds: float | None, limit: int = OUTPUT_LIMIT
) -> tuple[Ended, bytes]:
    """Run a command with empty stdin to its end: how it ended, and the beginning of stdout and stderr together."""
    try:
        execution = Execution.begin(root, run_id, argv, timeout_seconds=timeout_seconds, streams=("stdout",))
    except (runs.RunError, OSError) as error:
        return Ended(126, 0, "Refused", str(error)), b""
    kept = b""
    try:
        async for data in execution.read("stdout"):
            kept += data[: limit - len(kept)]
        return await execution.wait(), kept
    finally:
        await execution.close()
