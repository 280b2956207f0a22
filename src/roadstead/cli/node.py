"""`roadstead node`: a node agent in the foreground, of the embedded cluster or of any other. `up` starts one in the
background."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, find_home, read_record, write_record
from roadstead.cli.kubeconfig import require_up
from roadstead.cli.log_setup import log_to_stderr
from roadstead.cli.nodes import chosen_nodes, forget_gone, gone_nodes, parse_node, remember_nodes
from roadstead.cli.output import home_option
from roadstead.cli.processes import myself, running
from roadstead.cli.whole import Whole

if TYPE_CHECKING:
    from roadstead.node.agent.options import NodeOptions


@click.command(short_help="a node agent, in the foreground")
@home_option
@click.option("--node", "nodes", multiple=True, metavar="NAME=PROFILE[,cpu=4][,memory=8Gi][,devices=claims]",
              help="A node and its (simulated) devices; may be repeated. Default: those of last time, else this machine as it is.")  # fmt: skip
@click.option("--kubeconfig", type=click.Path(path_type=Path), default=None, metavar="FILE",
              help="Join the cluster that this file names instead of the embedded one.")  # fmt: skip
@click.option("--context", default="", help="With --kubeconfig: a context in it.  [default: its current-context]")
@click.option("--taint", "taints", multiple=True, metavar="KEY=VALUE:EFFECT",
              help="Keep pods off that do not tolerate this; given to nodes that are new. May be repeated.")  # fmt: skip
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the nodes. May be repeated.")
@click.option("--address", default="", metavar="IP",
              help="With --kubeconfig: this machine's address.  [default: the one that reaches the API server]")  # fmt: skip
@click.option("--port", type=Whole(0, 65535), default=0, help="With --kubeconfig: the port for logs.  [default: any free one]")  # fmt: skip
@click.option("--client-ca", type=click.Path(path_type=Path), default=None, metavar="FILE",
              help="With --kubeconfig: who signs the certificates of those that read logs.  [default: as the cluster publishes]")  # fmt: skip
@click.option("--simulate", is_flag=True, help="Pods are timers instead of processes.")
@click.option("--verbose", is_flag=True, help="Log every decision.")
def command(
    home: str | None,
    nodes: tuple[str, ...],
    kubeconfig: Path | None,
    context: str,
    taints: tuple[str, ...],
    labels: tuple[str, ...],
    address: str,
    port: int,
    client_ca: Path | None,
    simulate: bool,
    verbose: bool,
) -> None:
    """Join this machine to a cluster, as one node or several. Processes that it started outlive it.

    Without --kubeconfig that is the embedded cluster (roadstead up). With it, it is any Kubernetes cluster: its
    scheduler binds pods, and they run here as processes, without images. Pods that are meant for containers must be
    kept off, with --taint or by node selectors. Pods' addresses reach no further than this machine.

    The identity in the kubeconfig is an administrator, or system:node:NAME in group system:nodes (as kubelets have; it
    may not see the cluster's other pods, so members of a job find only those on this node by name). To read who may see
    logs it needs role extension-apiserver-authentication-reader in kube-system, else give --client-ca.
    """
    from roadstead.compose.running import Refused

    log_to_stderr(verbose)
    where = find_home(home)
    if kubeconfig is None:
        wrong = [name for name, given in (("--context", context), ("--address", address), ("--port", port), ("--client-ca", client_ca)) if given]  # fmt: skip
        if wrong:
            raise Failure(
                f"{wrong[0]} says how to join a cluster of others, and none is named.", "Name it with --kubeconfig.", 2
            )
        wait_for_server(where)
        chosen = choose(where, nodes, taints, labels, simulate=simulate)
        from roadstead.compose.agent import AgentSetup, run_node

        setup = AgentSetup(
            where.socket, where.pki, where.nodes, chosen, lambda: server_url(where), gone_nodes(where), lambda: forget_gone(where)
        )  # fmt: skip
        os.chdir("/")
        try:
            run_node(setup, lambda: say_ready(where, chosen))
        except Refused as error:
            raise Failure(str(error), error.hint) from error
        return
    from roadstead.cluster.remote import KubeconfigError
    from roadstead.compose.join import JoinSetup, join, server_of

    kubeconfig = kubeconfig.absolute()
    try:
        place = joined(where, server_of(kubeconfig, context))
        place.prepare()
        chosen = choose(place, nodes, taints, labels, simulate=simulate)
        authority = client_ca.absolute() if client_ca else None
        request = JoinSetup(kubeconfig, context, place.pki, place.nodes, chosen, address, port, authority)
        os.chdir("/")
        join(request, lambda: say_ready(place, chosen))
    except KubeconfigError as error:
        raise Failure(str(error)) from error
    except Refused as error:
        raise Failure(str(error), error.hint) from error


def joined(home: Home, url: str) -> Home:
    """Where the state of a cluster of others is kept. Each has its own: an agent ends processes whose pods its cluster
    does not know."""
    return Home(home.root / "joined" / re.sub(r"[^A-Za-z0-9.-]+", "-", url.partition("://")[2]).strip("-"))


def choose(
    home: Home, words: Sequence[str], taints: Sequence[str], labels: Sequence[str], *, simulate: bool
) -> list[NodeOptions]:
    """The nodes that this agent is to be. Raises Failure if it cannot be that."""
    from dataclasses import replace

    from roadstead.node.agent.options import Taint

    found = running(home, "node")
    if found is not None:
        raise Failure(
            f"a node agent runs on {home.root} already (pid {found.pid}).",
            f"Stop it first: kill {found.pid} (what it runs goes on). Or give this one a --home of its own.",
        )
    named = chosen_nodes(home, words)
    try:
        kept_off = tuple(Taint.parse(text) for text in taints)
    except ValueError as error:
        raise Failure(str(error), "E.g. --taint roadstead.dev/processes=true:NoSchedule", 2) from error
    pairs = tuple(text.partition("=")[::2] for text in labels)
    for text, (key, _) in zip(labels, pairs, strict=True):
        if not key:
            raise Failure(f"--label {text!r} has no key.", "Write KEY=VALUE.", 2)
    chosen = [replace(parse_node(text, simulate=simulate), taints=kept_off, labels=pairs) for text in named]
    remember_nodes(home, named)
    return chosen


def server_url(home: Home) -> str:
    """Where the server of this home listens now; "" if it is down."""
    return str((read_record(home.record("server")) or {}).get("url", ""))


def say_ready(home: Home, nodes: Sequence[NodeOptions]) -> None:
    write_record(home.record("node"), {**myself(), "nodes": [node.name for node in nodes]})


SERVER_SECONDS = 5.0
"""How long an agent that starts waits for a server that is just being started again."""


def wait_for_server(home: Home) -> None:
    """Return once a server is up; Failure if there is none after a while. One that goes away later is waited for
    without end."""
    deadline = time.monotonic() + SERVER_SECONDS
    while running(home, "server") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    require_up(home)
