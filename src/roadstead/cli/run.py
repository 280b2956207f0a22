"""`roadstead run`: submit a command, say why it waits, follow its output, relay its exit code."""

from __future__ import annotations

import asyncio

import click

from roadstead.cli.home import find_home
from roadstead.cli.job_options import JobWords, job_options
from roadstead.cli.output import home_option, namespace_option


@click.command(
    short_help="submit a command, follow it, relay its exit code", context_settings={"allow_interspersed_args": False}
)
@home_option
@namespace_option
@job_options
@click.option("--detach", is_flag=True, help="Print the job's name and return at once.")
@click.option("-o", "--output", "form", type=click.Choice(("name", "json", "yaml")), default=None,
              help="With --detach: how to print the job. Default: name.")  # fmt: skip
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
def command(
    home: str | None, namespace: str, job: JobWords, detach: bool, form: str | None, words: tuple[str, ...]
) -> int:
    """Run a command as a job: it waits its turn, runs here, and its exit code becomes this one's.

    \b
    roadstead run --gpus 2 -- python train.py --epochs 3

    Output goes to stdout, remarks to stderr. Ctrl-C asks once and cancels the job; to leave it running, close the
    terminal or use --detach, and come back with: roadstead logs -f NAME. A process ended by a signal gives 128 + its
    number (137: SIGKILL, 143: SIGTERM), one that could not be started 128, a refusal 1, a slip in the words 2.
    """
    if form is not None and not detach:
        raise click.UsageError("-o prints the job instead of its output: it needs --detach.")
    from roadstead.cli.submit import submit

    manifest = job.manifest(words, namespace)
    return asyncio.run(submit(find_home(home), manifest, detach=detach, form=form or "name"))
