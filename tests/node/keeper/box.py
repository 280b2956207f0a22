"""A state directory with a keeper, for tests of runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roadstead.node.keeper import client, runs, tree
from roadstead.node.keeper.runs import Exit, Run

DEADLINE_SECONDS = 60.0


class Box:
    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.root = os.fspath(path)
        self.ledger = path / "ledger"
        self._count = 0

    def fresh_id(self) -> str:
        self._count += 1
        return f"pod-{self._count}/main/0"

    def prepare(self, run_id: str, *argv: str, **spec: Any) -> str:
        env = {"PATH": os.environ["PATH"], "LEDGER": os.fspath(self.ledger), **spec.pop("env", {})}
        words = ["/bin/sh", "-c", *argv] if len(argv) == 1 else list(argv)
        return runs.prepare(self.root, run_id, {"argv": words, "env": env, "cwd": "/", **spec})

    def start(self, *argv: str, **spec: Any) -> str:
        """Start a fresh run of a shell command (several words: those); its id."""
        run_id = self.fresh_id()
        self.prepare(run_id, *argv, **spec)
        client.start(self.root, run_id)
        return run_id

    def look(self, run_id: str) -> Run:
        run = runs.look(self.root, run_id)
        assert run is not None
        return run

    def until(self, run_id: str, *states: str) -> Run:
        found = poll(lambda: run if (run := self.look(run_id)).state in states else None, f"{run_id}: {states}")
        assert isinstance(found, Run)
        return found

    def end_of(self, run_id: str) -> Exit:
        run = self.until(run_id, runs.EXITED)
        assert run.exit is not None
        return run.exit

    def run(self, *argv: str, **spec: Any) -> tuple[Exit, str]:
        """Start, wait, and read the log."""
        run_id = self.start(*argv, **spec)
        return self.end_of(run_id), self.log(run_id)

    def log(self, run_id: str) -> str:
        path = Path(self.look(run_id).log)
        return path.read_text() if path.exists() else ""

    def until_log(self, run_id: str, text: str) -> None:
        poll(lambda: text in self.log(run_id), f"{text!r} in the log")

    def shim_of(self, run_id: str) -> int:
        """Pid of the shim of a running run."""
        about = tree.stat(self.until(run_id, runs.RUNNING).pid)
        assert about is not None
        return about[1]

    def keeper_pid(self) -> int:
        pid = client.ask(self.root, {"op": "ping"})["pid"]
        assert isinstance(pid, int)
        return pid

    def ledger_lines(self) -> list[str]:
        return self.ledger.read_text().split() if self.ledger.exists() else []

    def close(self) -> None:
        """Kill everything that runs here, and the keeper."""
        for run in runs.scan(self.root):
            if run.state in (runs.STARTING, runs.RUNNING, runs.ENDING):
                runs.request_stop(self.root, run.run_id, signal.SIGKILL, 0)
        client.quit_keeper(self.root)


def poll(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, f"did not come to hold in {DEADLINE_SECONDS:.0f} s: {what}"
        time.sleep(0.002)
    return found


def is_gone(pid: int) -> bool:
    about = tree.stat(pid)
    return about is None or about[0] == "Z"
