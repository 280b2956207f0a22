"""`roadstead why NAME`: the binding reason with its numbers, everything else that would bind next, and who is in the way."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import click

from roadstead.cli.home import find_home
from roadstead.cli.output import dump, home_option, namespace_option, output_option
from roadstead.cli.queue import ask


@click.command(short_help="why a job waits, with the numbers")
@home_option
@namespace_option
@output_option
@click.argument("name")
def command(home: str | None, namespace: str, form: str, name: str) -> None:
    """Why does job (or workload, or pod) NAME wait? Evaluated anew by the deciding core, for this question."""
    answer = asyncio.run(ask(find_home(home), f"why/{quote(namespace)}/{quote(name)}"))
    if form in ("json", "yaml"):
        click.echo(dump(answer, form))
        return
    if form == "name":
        click.echo(answer["workload"]["name"] if answer.get("workload") else name)
        return
    click.echo(answer["headline"])
    for reason in answer["reasons"]:
        if reason["sentence"] != answer["headline"]:
            click.echo(f"  also ({reason['verdict']}): {reason['sentence']}")
        if reason["holders"]:
            click.echo(f"  {reason['holders']}")
    for detail in answer["details"]:
        click.echo(f"  {detail}")
