"""Stands in for the node agent, as recklessly as can be: asks for starts that were asked for, again and again, whatever
the state.

    python keeper_driver.py ROOT RUN_ID MODE COMMAND

Modes: `run`; `stop` (as soon as it runs, with all the time it needs to end), `stop-soon` (it is killed if it does not);
`cont` and `kill`: the first shim is held at a crash point while others are started, and then goes on, or is killed. It
ends when the run has ended. It may be killed anywhere and run again.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from roadstead.node.keeper import client, runs, tree

DEADLINE_SECONDS = 100.0
SHIMS_SECONDS = 20.0


GRACE_SECONDS = {"stop": 60.0, "stop-soon": 0.2}


def drive(root: str, run_id: str, grace_seconds: float | None, command: str) -> runs.Exit:
    """Start, stop (as soon as it runs, if there is a grace) and wait; how the run ended."""
    env = {"PATH": os.environ["PATH"]}
    deadline = time.monotonic() + DEADLINE_SECONDS
    rounds = 0
    while time.monotonic() < deadline:
        runs.prepare(root, run_id, {"argv": ["/bin/sh", "-c", command], "env": env, "cwd": "/"})
        if rounds < 6:
            client.start(root, run_id)
        run = runs.look(root, run_id)
        assert run is not None
        if run.state == runs.LOST:
            client.settle(root, run_id)
        elif run.state == runs.RUNNING and grace_seconds is not None and os.path.exists(f"{run.path}/ready"):
            runs.request_stop(root, run_id, signal.SIGTERM, grace_seconds)
        elif run.state == runs.PREPARED and rounds >= 6:
            client.start(root, run_id)
        elif run.exit is not None and run.state == runs.EXITED and rounds >= 6:
            client.start(root, run_id)  # once more, and whoever heeds it leaves its mark in the ledger
            _await_shims(root, [])
            return run.exit
        rounds += 1
        time.sleep(0.01)
    raise TimeoutError(f"{run_id} did not end in {DEADLINE_SECONDS:.0f} s")


def _await_shims(root: str, left: list[int]) -> None:
    """Until the keeper has no children but these, or for long enough."""
    keeper = client.ask(root, {"op": "ping"})["pid"]
    deadline = time.monotonic() + SHIMS_SECONDS
    while tree.children(keeper) != left and time.monotonic() < deadline:
        time.sleep(0.001)


def race(root: str, run_id: str, number: int, command: str) -> None:
    """Start the run, wait until its shim is held, start it three times more, give those time, and send the first
    `number`."""
    env = {"PATH": os.environ["PATH"]}
    runs.prepare(root, run_id, {"argv": ["/bin/sh", "-c", command], "env": env, "cwd": "/"})
    client.start(root, run_id)
    keeper = client.ask(root, {"op": "ping"})["pid"]
    held: list[int] = []
    while not held:
        held = [pid for pid in tree.children(keeper) if (about := tree.stat(pid)) and about[0] == "T"]
        time.sleep(0.001)
    for _ in range(3):
        client.start(root, run_id)
    _await_shims(root, held)
    os.kill(held[0], number)


if __name__ == "__main__":
    if sys.argv[3] in ("cont", "kill"):
        race(sys.argv[1], sys.argv[2], signal.SIGCONT if sys.argv[3] == "cont" else signal.SIGKILL, sys.argv[4])
    end = drive(sys.argv[1], sys.argv[2], GRACE_SECONDS.get(sys.argv[3]), sys.argv[4])
    print(end.exit_code, end.reason)
