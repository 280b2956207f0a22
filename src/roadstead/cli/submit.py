"""Submitting a job and staying with it: what `roadstead run` does once its words are understood."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

import click

from roadstead.cli import INTERRUPTED
from roadstead.cli.client import Client
from roadstead.cli.failure import Failure
from roadstead.cli.follow import Ending, Follower
from roadstead.cli.home import Home
from roadstead.cli.output import dump, note, write_bytes
from roadstead.kinds.names import JOBS, LOCAL_QUEUES, PRIORITY_CLASS_LABEL, QUEUE_LABEL, WORKLOAD_PRIORITY_CLASSES
from roadstead.kinds.object import Json, Object, Ref
from roadstead.runtime.cluster import Create, Delete, Outcome, Result

READER_GONE = 141
"""Exit code of a shell for a program that SIGPIPE ended."""


async def submit(home: Home, manifest: Json, *, detach: bool, form: str) -> int:
    """Create the job; unless `detach`, follow it to its end. Gives the exit code of its process. Raises Failure."""
    async with Client(home) as client:
        await _check_names(client, manifest)
        outcome = await client.cluster.write(Create(JOBS, manifest))
        if outcome.object is None or not outcome.is_done:
            raise _refused(manifest, outcome)
        job = outcome.object
        if detach:
            click.echo(f"job.batch/{job.meta.name}" if form == "name" else dump(job.decode(), form))
            return 0
        note(f"job {job.meta.name} submitted")
        if QUEUE_LABEL not in job.meta.labels:
            note(
                f"namespace {job.meta.namespace} has no queue named default: the job is in no queue and starts wherever there is room"
            )
        return await _follow(client, job)


async def _check_names(client: Client, manifest: Json) -> None:
    """A queue or priority class that does not exist yet may be meant in a manifest; on the command line it is a
    slip."""
    metadata = manifest["metadata"]
    namespace = metadata["namespace"]
    for label, kind, resource, where, option in (
        (QUEUE_LABEL, "LocalQueue", LOCAL_QUEUES, namespace, "--queue"),
        (PRIORITY_CLASS_LABEL, "WorkloadPriorityClass", WORKLOAD_PRIORITY_CLASSES, "", "--priority"),
    ):
        name = metadata["labels"].get(label)
        if not name or await client.cluster.get(Ref(resource, where, name)) is not None:
            continue
        there = sorted(found.meta.name for found in (await client.cluster.list(resource, where)).items)
        inside = f" in namespace {where}" if where else ""
        raise Failure(
            f'there is no {kind} "{name}"{inside}; there {"is" if len(there) == 1 else "are"} '
            f"{', '.join(there) or 'none'}.",
            f"Name one of them with {option}, or leave {option} out."
            if there
            else f"Create it, or leave {option} out.",
        )


def _refused(manifest: Json, outcome: Outcome) -> Failure:
    metadata = manifest["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    if outcome.result is Result.EXISTS:
        return Failure(
            f"a job named {name} exists already in namespace {namespace}.",
            f"Choose another --name, or delete it: kubectl delete job -n {namespace} {name}",
        )
    if outcome.result is Result.UNKNOWN:
        return Failure(
            f"the server did not answer; job {name} may or may not have been stored.", f"Look: roadstead why {name}"
        )
    said = outcome.message.rstrip(".")
    return Failure(f"the job was refused: {said}.", "Nothing was stored. Correct it and submit again.")


async def _follow(client: Client, job: Object) -> int:
    """Follow to the end. Ctrl-C asks once (on a terminal) and then cancels the job; a second one cancels at once."""
    name = job.meta.name
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    following = asyncio.create_task(Follower(client, job, note, write_bytes).to_the_end())
    try:
        while True:
            waiting = asyncio.create_task(interrupted.wait())
            await asyncio.wait((following, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if following.done():
                return _say_ending(name, following.result())
            interrupted.clear()
            if await _confirmed(interrupted, name):
                await _stop(following)
                return await _cancel(client, job)
            note(f"job {name} goes on")
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter's last flush would fail once more
        note(f"nobody reads the output any more; job {name} goes on: roadstead logs -f {name}")
        return READER_GONE
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        await _stop(following)


async def _stop(task: asyncio.Task[Ending]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


async def _cancel(client: Client, job: Object) -> int:
    outcome = await client.cluster.write(Delete(job.ref, job.meta.uid))
    if not outcome.is_done and outcome.result is not Result.MISSING:
        raise Failure(
            f"job {job.meta.name} could not be cancelled: {outcome.message or 'the server does not answer'}.",
            f"It goes on. Delete it later: kubectl delete job -n {job.meta.namespace} {job.meta.name}",
            INTERRUPTED,
        )
    note(f"job {job.meta.name} cancelled")
    return INTERRUPTED


async def _confirmed(interrupted: asyncio.Event, name: str) -> bool:
    """Ask whether to cancel. Another Ctrl-C means yes, and so does end of input; without a terminal nobody is asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        return True
    click.echo(f"\ncancel job {name}? [y/N] ", nl=False, err=True)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        loop.remove_reader(sys.stdin)
        if not answer.done():
            answer.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin, read)
    again = asyncio.create_task(interrupted.wait())
    try:
        await asyncio.wait((answer, again), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            return True
        text = answer.result()
        return not text or text.strip().lower() in ("y", "yes")
    finally:
        loop.remove_reader(sys.stdin)
        again.cancel()


def _say_ending(name: str, ending: Ending) -> int:
    if ending.exit_code:
        note(f"job {name} failed: {ending.message}")
    return ending.exit_code
