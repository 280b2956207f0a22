"""`roadstead up`: start the embedded cluster in the background, wait until it is ready, say how to use it."""

from __future__ import annotations

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, find_home
from roadstead.cli.output import home_option
from roadstead.cli.processes import DidNotStart, Running, running, start, stop

DEFAULT_PORT = 6443


@click.command(short_help="start the embedded cluster on this machine")
@home_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="TCP port; 0: any free one."
)
@click.option("--durability", type=click.Choice(["full", "normal"]), default="full", show_default=True,
              help="full: a write is on the disk before it is answered; normal: survives a kill, not a power cut.")  # fmt: skip
@click.option("--node", "nodes", multiple=True, metavar="NAME=PROFILE",
              help="A node and its (simulated) devices, e.g. gpu=h100x8; may be repeated. Default: this machine as it is.")  # fmt: skip
def command(home: str | None, port: int, durability: str, nodes: tuple[str, ...]) -> None:
    """Start the embedded cluster: an API server and a node agent, in the background, away from this terminal."""
    where = find_home(home)
    bring_up(where, port=port, durability=durability, nodes=nodes)
    found = running(where, "server")
    assert found is not None
    click.echo(f"Roadstead is up at {found.record['url']} (state: {where.root}).")
    click.echo("")
    click.echo("  roadstead run -- hostname                # submit, follow, relay the exit code")
    click.echo(f"  export KUBECONFIG={where.kubeconfig}")
    click.echo("  kubectl get nodes,clusterqueues          # and every other kubectl command")


def bring_up(home: Home, *, port: int = 0, durability: str = "full", nodes: tuple[str, ...] = ()) -> Running:
    """Start server and node agent and wait until both are ready; leaves nothing running if one fails."""
    found = running(home, "server")
    if found is not None:
        raise Failure(
            f"Roadstead is already up (pid {found.pid}, {found.record.get('url')}, state: {home.root}).",
            "Use it: roadstead status. Or stop it first: roadstead down",
        )
    try:
        home.prepare()
    except OSError as error:
        raise Failure(
            f"cannot use {home.root}: {error.strerror}.", "Set ROADSTEAD_HOME to a directory of your own."
        ) from error
    try:
        server = start(home, "server", ["--port", str(port), "--durability", durability])
        if running(home, "node") is None:
            start(home, "node", [argument for node in nodes for argument in ("--node", node)])
    except DidNotStart as error:
        for part in ("node", "server"):
            stop(home, part)
        said = error.tail or "It said nothing."
        raise Failure(f"the {error.part} {error.why}.\n{said}", f"The whole log: {error.log}") from error
    return server
