"""`roadstead run`: submit a command, say why it waits, follow its output, relay its exit code."""

from __future__ import annotations

import asyncio
import os

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import find_home
from roadstead.cli.output import home_option, namespace_option


@click.command(
    short_help="submit a command, follow it, relay its exit code", context_settings={"allow_interspersed_args": False}
)
@home_option
@namespace_option
@click.option("--gpus", type=click.IntRange(min=0), default=0, metavar="N", help="Whole GPUs. Default: none.")
@click.option("--cpus", default="", metavar="N", help="CPUs, as a Kubernetes quantity (2, 500m). Default: 1.")
@click.option("--memory", default="", metavar="SIZE", help="Memory, as a Kubernetes quantity (4Gi). Default: no limit.")
@click.option("--queue", default="", metavar="NAME", help="LocalQueue. Default: the namespace's queue named default.")
@click.option("--priority", default="", metavar="CLASS", help="WorkloadPriorityClass: low, normal, high, or your own.")
@click.option(
    "--env", "environment", multiple=True, metavar="NAME=VALUE", help="Environment variable; may be repeated."
)
@click.option("--name", default="", metavar="NAME", help="Name of the job. Default: made from the command.")
@click.option("--detach", is_flag=True, help="Print the job's name and return at once.")
@click.option("-o", "--output", "form", type=click.Choice(("name", "json", "yaml")), default=None,
              help="With --detach: how to print the job. Default: name.")  # fmt: skip
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
def command(
    home: str | None, namespace: str, gpus: int, cpus: str, memory: str, queue: str, priority: str,
    environment: tuple[str, ...], name: str, detach: bool, form: str | None, words: tuple[str, ...],
) -> int:  # fmt: skip
    """Run a command as a job: it waits its turn, runs here, and its exit code becomes this one's.

    \b
    roadstead run --gpus 2 -- python train.py --epochs 3

    Output goes to stdout, remarks to stderr. Ctrl-C asks once and cancels the job; to leave it running, close the
    terminal or use --detach, and come back with: roadstead logs -f NAME. A process ended by a signal gives 128 + its
    number (137: SIGKILL, 143: SIGTERM), one that could not be started 128, a refusal 1, a slip in the words 2.
    """
    if form is not None and not detach:
        raise click.UsageError("-o prints the job instead of its output: it needs --detach.")
    from roadstead.cli.jobs import Request, job_manifest
    from roadstead.cli.submit import submit

    request = Request(words, gpus, cpus, memory, queue, priority, _variables(environment), name, namespace)
    try:
        directory = os.getcwd()
    except FileNotFoundError as error:
        raise Failure(
            "the directory you are in was deleted.", "Change to another: a job starts where you are."
        ) from error
    manifest = job_manifest(request, directory=directory, shell=os.environ)
    return asyncio.run(submit(find_home(home), manifest, detach=detach, form=form or "name"))


def _variables(entries: tuple[str, ...]) -> dict[str, str]:
    variables = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--env {entry!r}: expected NAME=VALUE.")
        variables[key] = value
    return variables
