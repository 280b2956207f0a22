"""`roadstead run`: submit a command, say why it waits, follow its output, relay its exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import click

from roadstead.cli.client import Client
from roadstead.cli.failure import Failure
from roadstead.cli.follow import Ending, Follower
from roadstead.cli.home import find_home
from roadstead.cli.jobs import Request, job_manifest
from roadstead.cli.output import home_option, namespace_option, note
from roadstead.kinds.names import JOBS
from roadstead.kinds.object import Object
from roadstead.runtime.cluster import Create, Delete, Outcome, Result

INTERRUPTED = 130


@click.command(
    short_help="submit a command, follow it, relay its exit code", context_settings={"allow_interspersed_args": False}
)
@home_option
@namespace_option
@click.option("--gpus", type=click.IntRange(min=0), default=0, help="Whole GPUs.")
@click.option("--cpus", default="", metavar="N", help="CPUs, as a Kubernetes quantity (2, 500m). Default: 1.")
@click.option("--memory", default="", metavar="SIZE", help="Memory, as a Kubernetes quantity (4Gi).")
@click.option("--queue", default="", metavar="NAME", help="LocalQueue. Default: the namespace's queue named default.")
@click.option("--priority", default="", metavar="CLASS", help="WorkloadPriorityClass: low, normal, high, or your own.")
@click.option(
    "--env", "environment", multiple=True, metavar="NAME=VALUE", help="Environment variable; may be repeated."
)
@click.option("--name", default="", help="Name of the job. Default: made from the command.")
@click.option("--detach", is_flag=True, help="Print the job's name and return at once.")
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
def command(
    home: str | None, namespace: str, gpus: int, cpus: str, memory: str, queue: str, priority: str,
    environment: tuple[str, ...], name: str, detach: bool, words: tuple[str, ...],
) -> int:  # fmt: skip
    """Run a command as a job: it waits its turn, runs here, and its exit code becomes this one's.

    \b
    roadstead run --gpus 2 -- python train.py --epochs 3
    """
    variables = {}
    for entry in environment:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--env {entry!r}: expected NAME=VALUE.")
        variables[key] = value
    request = Request(words, gpus, cpus, memory, queue, priority, variables, name, namespace)
    manifest = job_manifest(request, directory=os.getcwd(), shell=os.environ)
    return asyncio.run(_run(Client(find_home(home)), manifest, detach))


async def _run(client: Client, manifest: dict[str, object], detach: bool) -> int:
    async with client:
        outcome = await client.cluster.write(Create(JOBS, manifest))
        if outcome.object is None or not outcome.is_done:
            raise _refused(manifest, outcome)
        job = outcome.object
        if detach:
            click.echo(f"job.batch/{job.meta.name}")
            return 0
        note(f"job {job.meta.name} submitted")
        return await _follow(client, job)


def _refused(manifest: dict[str, object], outcome: Outcome) -> Failure:
    metadata = manifest["metadata"]
    name = metadata["name"] if isinstance(metadata, dict) else ""
    if outcome.result is Result.EXISTS:
        return Failure(
            f"a job named {name} exists already.", "Choose another --name, or delete it: kubectl delete job " + name
        )
    return Failure(f"the job was refused: {outcome.message}")


async def _follow(client: Client, job: Object) -> int:
    """Follow to the end. Ctrl-C asks once (on a terminal) and then cancels the job; a second one cancels at once."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        following = asyncio.create_task(Follower(client, job, note).to_the_end())
        while True:
            waiting = asyncio.create_task(interrupted.wait())
            await asyncio.wait((following, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if following.done():
                return _say_ending(job, following.result())
            interrupted.clear()
            if not sys.stdin.isatty() or await _confirmed(interrupted, job.meta.name):
                following.cancel()
                await client.cluster.write(Delete(job.ref, job.meta.uid))
                note(f"job {job.meta.name} cancelled")
                return INTERRUPTED
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _confirmed(interrupted: asyncio.Event, name: str) -> bool:
    """Ask whether to cancel; no answer but another Ctrl-C means yes, end of input too."""
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


def _say_ending(job: Object, ending: Ending) -> int:
    if ending.exit_code:
        note(f"job {job.meta.name} failed: {ending.message or ending.reason} (exit code {ending.exit_code})")
    return ending.exit_code
