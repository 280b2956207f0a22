"""`roadstead kubeconfig`: what kubectl needs to reach this cluster."""

from __future__ import annotations

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, find_home
from roadstead.cli.output import home_option
from roadstead.cli.processes import Running, running


@click.command(short_help="print a kubeconfig for kubectl")
@home_option
@click.option("--path", is_flag=True, help="Print the file's path instead of its content.")
def command(home: str | None, path: bool) -> None:
    """Print a kubeconfig for kubectl.

    \b
    export KUBECONFIG=$(roadstead kubeconfig --path)
    """
    where = find_home(home)
    require_up(where)
    click.echo(str(where.kubeconfig) if path else where.kubeconfig.read_text(), nl=path)


def require_up(home: Home) -> Running:
    """The running server, or a failure that says how to start one."""
    found = running(home, "server")
    if found is None:
        raise Failure(f"no cluster is up (state: {home.root}).", "Start one with: roadstead up")
    return found
