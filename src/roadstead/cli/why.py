"""`roadstead why NAME`: the binding reason with its numbers, who is in the way, what would bind next, and what would
help."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import click

from roadstead.cli.named import named
from roadstead.cli.output import dump, namespace_option, output_option
from roadstead.cli.reasons import reason_lines
from roadstead.cli.source import Source, ask, source_options


@click.command(short_help="why a job waits, with the numbers")
@source_options
@namespace_option
@output_option
@click.argument("name")
def command(
    home: str | None, context: str | None, kubeconfig: str | None, namespace: str, form: str, name: str
) -> None:
    """Why does job (or workload, or pod) NAME wait? Evaluated anew by the deciding core, for this question.

    NAME may say the kind: job/NAME, workload/NAME, pod/NAME, job.batch/NAME.

    First what binds, with its numbers and who holds what is missing; then what would bind next; then the smallest
    change of the request that would start it now (tried, before it is told). With --context, of any cluster that runs
    Kueue: only the right to list is needed, and nothing is written.
    """
    meant = named(name)
    kind = f"{meant.kind}:" if meant.kind else ""
    question = f"why/{quote(namespace, safe='')}/{kind}{quote(meant.name, safe='')}"
    answer = asyncio.run(ask(Source(home, context, kubeconfig), question))
    if form in ("json", "yaml"):
        click.echo(dump(answer, form))
        return
    if form == "name":
        click.echo(answer["workload"]["name"] if answer.get("workload") else meant.name)
        return
    click.echo(answer["headline"])
    for line in (*reason_lines(answer), *answer["details"]):
        click.echo(f"  {line}")
