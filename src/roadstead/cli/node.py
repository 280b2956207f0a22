"""`roadstead node`: a node agent in the foreground. `up` starts one in the background."""

from __future__ import annotations

import os
import time

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, find_home, read_record, write_record
from roadstead.cli.kubeconfig import require_up
from roadstead.cli.log_setup import log_to_stderr
from roadstead.cli.nodes import chosen_nodes, parse_node, remember_nodes
from roadstead.cli.output import home_option
from roadstead.cli.processes import myself, running


@click.command(short_help="a node agent, in the foreground")
@home_option
@click.option("--node", "nodes", multiple=True, metavar="NAME=PROFILE[,cpu=4][,memory=8Gi]",
              help="A node and its (simulated) devices; may be repeated. Default: those of last time, else this machine as it is.")  # fmt: skip
@click.option("--simulate", is_flag=True, help="Pods are timers instead of processes.")
@click.option("--verbose", is_flag=True, help="Log every decision.")
def command(home: str | None, nodes: tuple[str, ...], simulate: bool, verbose: bool) -> None:
    """Join this machine to the cluster, as one node or several. Processes that it started outlive it."""
    log_to_stderr(verbose)
    where = find_home(home)
    wait_for_server(where)
    found = running(where, "node")
    if found is not None:
        raise Failure(f"a node agent runs on {where.root} already (pid {found.pid}).", "See: roadstead status")
    words = chosen_nodes(where, nodes)
    chosen = [parse_node(text, simulate=simulate) for text in words]
    remember_nodes(where, words)
    from roadstead.compose.agent import AgentSetup, run_node

    setup = AgentSetup(where.socket, where.pki, where.nodes, chosen, lambda: server_url(where))
    os.chdir("/")
    run_node(setup, lambda: write_record(where.record("node"), {**myself(), "nodes": [node.name for node in chosen]}))


def server_url(home: Home) -> str:
    """Where the server of this home listens now; "" if it is down."""
    return str((read_record(home.record("server")) or {}).get("url", ""))


SERVER_SECONDS = 5.0
"""How long an agent that starts waits for a server that is just being started again."""


def wait_for_server(home: Home) -> None:
    """Return once a server is up; Failure if there is none after a while. One that goes away later is waited for without end."""
    deadline = time.monotonic() + SERVER_SECONDS
    while running(home, "server") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    require_up(home)
