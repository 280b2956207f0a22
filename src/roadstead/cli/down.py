"""`roadstead down`: stop the cluster and everything it runs."""

from __future__ import annotations

import click

from roadstead.cli.home import find_home
from roadstead.cli.output import home_option
from roadstead.cli.stopping import GRACE_SECONDS, stop_everything

YIELD_SECONDS = GRACE_SECONDS + 3.0
"""How long jobs may take to give their places back; processes that are still there then are stopped as the others
are."""


@click.command(short_help="stop it and everything it runs")
@home_option
@click.option("--delete-data", is_flag=True, help="Forget all objects, logs and run directories too.")
def command(home: str | None, delete_data: bool) -> None:
    """Stop the cluster and everything it runs. Objects stay on disk: the next `up` continues with them.

    Jobs in queues yield, as when they are preempted: SIGTERM, and they start again at the next `up` (from their
    checkpoint, if they keep one). Pods outside queues end."""
    from roadstead.cli.yielding import yield_work

    where = find_home(home)
    count = 0 if delete_data else yield_work(where, YIELD_SECONDS)
    if count:
        click.echo(f"{count} job{'s' if count != 1 else ''} yielded: back in the queue until the next `roadstead up`")
    stopped = stop_everything(where)
    click.echo(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")
    if delete_data and not where.data.exists():
        click.echo(f"nothing to delete: there is no cluster in {where.root}")
    elif delete_data:
        where.forget()
        click.echo(f"deleted the cluster in {where.root}")
