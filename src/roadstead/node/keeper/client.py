"""Asking the keeper, and starting one where there is none. Blocking calls of a few milliseconds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

from roadstead.node.keeper import locks, runs
from roadstead.node.keeper.main import LOCK, SOCKET, receive_frame, send_frame

_START_SECONDS = 10.0
_SPAWN_SECONDS = 1.0  # a keeper that was killed before it took its lock is made good after this
_ANSWER_SECONDS = 15.0
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from roadstead.node.keeper.main import main; main(sys.argv[2])"


class KeeperError(Exception):
    """The keeper cannot be started, or refused; the text says why."""


def start(root: str, run_id: str) -> None:
    """Have a prepared run started. Returns when a shim was forked: the run's files say what became of it. Safe to
    repeat."""
    ask(root, {"op": "start", "run": run_id})


def settle(root: str, run_id: str) -> None:
    """Have a LOST run given its exit record. Safe to repeat."""
    ask(root, {"op": "settle", "run": run_id})


def ask(root: str, request: runs.Json) -> runs.Json:
    """Send a request, to a new keeper if there is none, and again if the keeper dies over it; the answer, which is
    ok."""
    for _ in range(3):
        ensure(root)
        try:
            answer = _call(root, request)
        except (OSError, ValueError):
            continue
        if not answer.get("ok"):
            raise KeeperError(str(answer.get("error", "the keeper refused and gave no reason")))
        return answer
    raise KeeperError(f"the keeper of {root} died over {request['op']} three times: see {root}/keeper.log")


def is_alive(root: str) -> bool:
    return locks.is_held(os.path.join(root, LOCK))


def ensure(root: str) -> None:
    """Start a keeper unless one of this version (or newer) is alive; returns when it answers."""
    deadline = time.monotonic() + _START_SECONDS
    spawn_at = 0.0
    while True:
        try:
            answer = _call(root, {"op": "ping"})
            if answer.get("format", runs.FORMAT) >= runs.FORMAT:
                return
            _call(root, {"op": "quit"})  # of an older program: it cannot start our runs, and its shims do without it
        except (OSError, ValueError):
            pass
        now = time.monotonic()
        if now > deadline:
            raise KeeperError(f"no keeper answers in {root} after {_START_SECONDS:.0f} s: see {root}/keeper.log")
        if now >= spawn_at and not is_alive(root):
            _spawn(root)
            spawn_at = now + _SPAWN_SECONDS
        time.sleep(0.005)


def quit_keeper(root: str) -> None:
    """Have the keeper leave, if there is one. Shims and their processes go on."""
    try:
        _call(root, {"op": "quit"})
    except (OSError, ValueError):
        return


def _call(root: str, request: runs.Json) -> runs.Json:
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(f"/proc/self/fd/{here}/{SOCKET}")  # the real path may be longer than sockets allow
            send_frame(connection, request)
            return receive_frame(connection)
    finally:
        os.close(here)


def _spawn(root: str) -> None:
    """Start a keeper that outlives us: a grandchild in a session of its own."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    log = os.open(os.path.join(root, "keeper.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        # -S and -E: no site packages and no PYTHON* variables, so the keeper is small and starts in a few milliseconds.
        shell = ["/bin/sh", "-c", '"$@" &', "sh"]
        command = [sys.executable, "-S", "-E", "-s", "-c", _PROGRAM, source, os.path.abspath(root)]
        subprocess.run(
            shell + command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            check=True,
        )
    finally:
        os.close(log)
