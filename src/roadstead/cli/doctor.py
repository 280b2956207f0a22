"""`roadstead doctor`: what of this machine and this cluster will not work, and what is not enforced here."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from roadstead.cli.home import find_home
from roadstead.cli.output import dump, home_option

if TYPE_CHECKING:
    from roadstead.cli.examine import Finding


@click.command(short_help="what will not work here, and what is not enforced")
@home_option
@click.option("-o", "--output", "form", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True,
              help="How to print the answer.")  # fmt: skip
def command(home: str | None, form: str) -> int:
    """Look at this machine and at the cluster's state, and say what will not work and what is not enforced here.
    Changes nothing.

    Exits 1 if there is a problem, 0 if there are only notes."""
    from roadstead.cli.examine import Level, Machine, examine

    findings = examine(Machine(find_home(home)))
    if form == "table":
        for finding in findings:
            click.echo(page(finding))
    else:
        click.echo(dump([asdict(finding) for finding in findings], form))
    return int(any(finding.level is Level.PROBLEM for finding in findings))


def page(finding: Finding) -> str:
    """One finding as people read it: `mark  about  what was seen`, and below it what to do."""
    line = f"{finding.level:<8} {finding.about:<13} {finding.seen}"
    return f"{line}\n{'':<23}{finding.advice}" if finding.advice else line
