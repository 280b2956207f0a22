"""`roadstead down`: stop the cluster and everything it runs."""

from __future__ import annotations

import click

from roadstead.cli.home import find_home
from roadstead.cli.output import home_option
from roadstead.cli.stopping import stop_everything


@click.command(short_help="stop it and everything it runs")
@home_option
@click.option("--delete-data", is_flag=True, help="Forget all objects, logs and run directories too.")
def command(home: str | None, delete_data: bool) -> None:
    """Stop the cluster and everything it runs. Objects stay on disk: the next `up` continues with them."""
    where = find_home(home)
    stopped = stop_everything(where)
    click.echo(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")
    if delete_data and where.root.exists():
        where.forget()
        click.echo(f"deleted the cluster in {where.root}")
