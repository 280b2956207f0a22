"""`roadstead server`: the API server, controllers and the deciding core, in the foreground. `up` starts it in the
background."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from roadstead.cli.configuration import config_option, configuration
from roadstead.cli.failure import Failure
from roadstead.cli.home import find_home, write_record
from roadstead.cli.journal_size import journal_option
from roadstead.cli.log_setup import log_to_stderr
from roadstead.cli.output import home_option
from roadstead.cli.processes import myself, running
from roadstead.cli.whole import Whole


@click.command(short_help="the API server and controllers, in the foreground")
@home_option
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on (TLS and a token are always needed)."
)
@click.option("--port", type=Whole(0, 65535), default=0, help="TCP port; 0: any free one.")
@click.option("--durability", type=click.Choice(["full", "normal"]), default="full", show_default=True)
@journal_option
@config_option("config.yaml in the home directory, if it is there")
@click.option("--verbose", is_flag=True, help="Log what controllers do.")
def command(
    home: str | None,
    host: str,
    port: int,
    durability: Literal["full", "normal"],
    journal_size: int,
    config: Path | None,
    verbose: bool,
) -> None:
    """Serve until SIGTERM or SIGINT. Unexpected ends lose nothing that was answered."""
    log_to_stderr(verbose)
    where = find_home(home)
    if running(where, "server") is not None:
        raise Failure(f"a server runs on {where.root} already.", "See: roadstead status")
    where.prepare()
    from roadstead.compose.embedded import ServerOptions, serve_forever
    from roadstead.compose.running import Refused

    options = ServerOptions(
        data=where.data,
        pki=where.pki,
        socket=where.socket,
        kubeconfig=where.kubeconfig,
        host=host,
        port=port,
        durability=durability,
        journal_size=journal_size,
        configured=configuration(config, where.root),
    )
    try:
        serve_forever(options, lambda url: write_record(where.record("server"), {**myself(), "url": url}))
    except Refused as error:
        raise Failure(str(error), error.hint) from error
