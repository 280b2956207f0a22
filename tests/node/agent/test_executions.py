"""Commands in containers as the agent asks for them: streams in both directions, exit codes, giving up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roadstead.node.agent.executions import Execution, run_command
from roadstead.node.keeper import runs
from tests.cluster.loop import in_loop
from tests.node.keeper.box import Box, is_gone, poll


def story(tmp_path: Path, tell: Callable[[Box, str], Awaitable[None]]) -> None:
    """Run `tell` with a container that sleeps."""
    box = Box(tmp_path / "state")
    try:
        run_id = box.start("sleep 100")
        box.until(run_id, runs.RUNNING)

        @in_loop
        async def run() -> None:
            await tell(box, run_id)

        run()
        left = os.path.join(box.look(run_id).path, "exec")
        poll(lambda: not os.listdir(left), "all commands are forgotten")
    finally:
        box.close()


async def collect(execution: Execution, stream: str) -> bytes:
    return b"".join([data async for data in execution.read(stream)])


def test_streams_are_apart_and_whole(tmp_path: Path) -> None:
    async def tell(box: Box, run_id: str) -> None:
        command = "head -c 300000 /dev/zero; echo err >&2; exit 5"
        execution = Execution.begin(box.root, run_id, ["sh", "-c", command])
        out, err = await asyncio.gather(collect(execution, "stdout"), collect(execution, "stderr"))
        end = await execution.wait()
        assert (len(out), err, end.exit_code) == (300000, b"err\n", 5)
        await execution.close()

    story(tmp_path, tell)


def test_more_than_a_pipe_holds_goes_in_and_comes_out(tmp_path: Path) -> None:
    async def tell(box: Box, run_id: str) -> None:
        text = os.urandom(1_000_000)
        execution = Execution.begin(box.root, run_id, ["cat"], streams=("stdin", "stdout"))
        reading = asyncio.ensure_future(collect(execution, "stdout"))
        assert await execution.write(text)
        await execution.close_stdin()
        assert await reading == text
        assert (await execution.wait()).exit_code == 0
        await execution.close()

    story(tmp_path, tell)


def test_what_is_written_before_the_command_is_there_is_not_lost(tmp_path: Path) -> None:
    async def tell(box: Box, run_id: str) -> None:
        for _ in range(5):
            execution = Execution.begin(box.root, run_id, ["cat"], streams=("stdin", "stdout"))
            await execution.write(b"early\n")
            await execution.close_stdin()
            assert await collect(execution, "stdout") == b"early\n"
            await execution.close()

    story(tmp_path, tell)


def test_a_command_that_reads_nothing_does_not_hold_its_writer_up(tmp_path: Path) -> None:
    async def tell(box: Box, run_id: str) -> None:
        execution = Execution.begin(box.root, run_id, ["true"], streams=("stdin",))
        assert not await execution.write(b"x" * 1_000_000)
        assert (await execution.wait()).exit_code == 0
        await execution.close()

    story(tmp_path, tell)


def test_orphans_with_open_streams_are_not_waited_for(tmp_path: Path) -> None:
    async def tell(box: Box, run_id: str) -> None:
        end, output = await run_command(box.root, run_id, ["sh", "-c", "sleep 50 & echo done"], 20)
        assert (end.exit_code, output) == (0, b"done\n")

    story(tmp_path, tell)


def test_who_closes_kills(tmp_path: Path) -> None:
    async def tell(box: Box, run_id: str) -> None:
        execution = Execution.begin(box.root, run_id, ["sh", "-c", "echo $$; exec sleep 100"], streams=("stdout",))
        pid = int(await anext(execution.read("stdout")))
        await execution.close()
        await asyncio.to_thread(poll, lambda: is_gone(pid), "the command is gone")

    story(tmp_path, tell)


def test_output_beyond_the_limit_is_read_and_dropped(tmp_path: Path) -> None:
    async def tell(box: Box, run_id: str) -> None:
        end, output = await run_command(
            box.root, run_id, ["sh", "-c", "head -c 500000 /dev/zero; exit 3"], 20, limit=100
        )
        assert (end.exit_code, len(output)) == (3, 100)

    story(tmp_path, tell)


def test_a_container_that_ends_ends_the_wait(tmp_path: Path) -> None:
    box = Box(tmp_path / "state")
    try:
        run_id = box.start("sleep 0.3")
        box.until(run_id, runs.RUNNING)

        @in_loop
        async def run() -> None:
            end, _ = await run_command(box.root, run_id, ["sleep", "100"], None)
            assert end.exit_code == 137

        run()
        with pytest.raises(runs.RunError, match="does not run"):
            Execution.begin(box.root, run_id, ["true"])
    finally:
        box.close()
