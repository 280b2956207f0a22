"""Stopping a whole cluster: agent, server, and the processes they left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from roadstead.cli.home import Home
from roadstead.cli.processes import stop
from roadstead.node.keeper import client, locks, runs

AGENT_SECONDS = 2.0
"""How long a node agent may take to end; what it had to say is on disk at any moment, so SIGKILL then loses nothing."""
GRACE_SECONDS = 5.0
"""How long running processes may take to end after SIGTERM when the whole cluster stops."""


def stop_everything(home: Home, *, grace_seconds: float = GRACE_SECONDS) -> list[str]:
    """Stop what runs of this cluster: the agent first (it would start again what ends), then its processes and their
    keeper, then the server. Gives the names of the parts that were running."""
    stopped = []
    if stop(home, "node", seconds=AGENT_SECONDS):
        stopped.append("node")
    count = stop_processes(home, grace_seconds)
    if count:
        stopped.append(f"{count} process{'es' if count != 1 else ''}")
    if stop(home, "server"):
        stopped.append("server")
    return stopped


def stop_processes(home: Home, grace_seconds: float) -> int:
    """End every container process of this cluster's node agent: SIGTERM, and SIGKILL after the grace. Gives how many
    there were."""
    root = os.fspath(home.nodes)
    alive = [run for run in runs.scan(root) if _is_alive(run)]
    for run in alive:
        with contextlib.suppress(runs.RunError, OSError):
            runs.request_stop(root, run.run_id, signal.SIGTERM, grace_seconds)
    deadline = time.monotonic() + grace_seconds + 5.0
    while any(_is_alive(run) for run in alive) and time.monotonic() < deadline:
        time.sleep(0.02)
    client.quit_keeper(root)
    return len(alive)


def _is_alive(run: runs.Run) -> bool:
    return locks.is_held(os.path.join(run.path, "lock"))
