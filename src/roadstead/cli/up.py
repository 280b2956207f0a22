"""`roadstead up`: start the embedded cluster in the background, wait until it is ready, say how to use it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from roadstead.cli.configuration import config_option
from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, find_home
from roadstead.cli.journal_size import journal_option
from roadstead.cli.nodes import chosen_nodes, remember_nodes
from roadstead.cli.output import home_option
from roadstead.cli.processes import DidNotStart, Running, running, start, stop
from roadstead.cli.whole import Whole

DEFAULT_PORT = 6443


@click.command(short_help="start the embedded cluster on this machine")
@home_option
@click.option(
    "--port", type=Whole(0, 65535), default=DEFAULT_PORT, show_default=True, help="TCP port; 0: any free one."
)
@click.option("--durability", type=click.Choice(["full", "normal"]), default="full", show_default=True,
              help="full: a write is on the disk before it is answered; normal: survives a kill, not a power cut.")  # fmt: skip
@journal_option
@config_option("config.yaml in the home directory, if it is there")
@click.option("--node", "nodes", multiple=True, metavar="NAME=PROFILE[,cpu=4][,memory=8Gi][,devices=claims]",
              help="A node and its (simulated) devices, e.g. gpu=h100x8; may be repeated. "
                   "Default: those of last time, else this machine as it is.")  # fmt: skip
@click.option("--default-queues", is_flag=True,
              help="Make the default queue, flavor, priority and device classes again where they were deleted.")  # fmt: skip
def command(
    home: str | None,
    port: int,
    durability: str,
    journal_size: int,
    config: Path | None,
    nodes: tuple[str, ...],
    default_queues: bool,
) -> None:
    """Start the embedded cluster: an API server and a node agent, in the background, away from this terminal."""
    from roadstead.cli.default_queues import look, make_again

    where = find_home(home)
    if default_queues and running(where, "server") and running(where, "node"):
        make_again(where)
        click.echo("The default queue, flavor and classes are there again: roadstead status")
        return
    found = bring_up(where, port=port, durability=durability, nodes=nodes, journal_size=journal_size, config=config)
    if default_queues:
        make_again(where)
    click.echo(f"Roadstead is up at {found.record['url']} (state: {where.root}).")
    click.echo("")
    if home:
        click.echo(f"  export ROADSTEAD_HOME={shlex.quote(str(where.root))}")
    program = "roadstead" if shutil.which("roadstead") else shlex.quote(sys.argv[0])
    click.echo(f"  {program} run -- hostname                # submit, follow, relay the exit code")
    click.echo(f"  export KUBECONFIG={shlex.quote(str(where.kubeconfig))}")
    click.echo("  kubectl get nodes,clusterqueues          # and every other kubectl command")
    if note := look(where):
        click.echo(f"\n{note}")


def bring_up(
    home: Home,
    *,
    port: int = 0,
    durability: str = "full",
    nodes: tuple[str, ...] = (),
    journal_size: int | None = None,
    config: Path | None = None,
) -> Running:
    """Start server and node agent and wait until both are ready; a server that runs without its agent gets one. If one
    fails, what this call has started is stopped again. Raises Failure."""
    from roadstead.cli.yielding import take_work

    chosen = chosen_nodes(home, nodes)
    try:
        home.prepare()
    except OSError as error:
        raise Failure(
            f"cannot use {error.filename or home.root}: {error.strerror}.",
            "Set ROADSTEAD_HOME to a directory of your own, or give --home.",
        ) from error
    started: list[str] = []
    with _alone(home):
        server, agent = running(home, "server"), running(home, "node")
        if server is not None and agent is not None:
            take_work(home)  # a `down` that was killed half way left its nodes shut
            raise Failure(
                f"Roadstead is already up (pid {server.pid}, {server.record.get('url')}, state: {home.root}).",
                "Use it: roadstead status. Or stop it first: roadstead down",
            )
        try:
            if server is None:
                started.append("server")
                words = ["--port", str(port), "--durability", durability]
                if journal_size is not None:
                    words += ["--journal", str(journal_size)]
                if config is not None:
                    words += ["--config", str(config.absolute())]
                server = start(home, "server", words)
            if agent is None:
                started.append("node")
                remember_nodes(home, chosen)
                start(home, "node", [])
            take_work(home)
        except BaseException as error:
            for part in reversed(started):
                stop(home, part)
            if isinstance(error, DidNotStart):
                raise _failure(error) from error
            raise
    return server


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One `up` at a time on a home; SIGTERM ends it as Ctrl-C does, so that what it has started is stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    descriptor = os.open(home.root / "run" / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(descriptor)


def _failure(error: DidNotStart) -> Failure:
    """What the part said of itself if it failed in words, else its last lines."""
    hint = f"The whole log: {error.log}"
    said, marker, reason = error.tail.rpartition("error: ")
    if marker and (not said or said.endswith("\n")):
        what, _, advice = reason.partition("\n")
        return Failure(what, f"{advice}\n{hint}" if advice else hint)
    return Failure(f"the {error.part} {error.why}.\n{error.tail or 'It said nothing.'}", hint)
