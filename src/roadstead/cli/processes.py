"""Starting and stopping the cluster's own processes. A process is named by pid *and* start time, so a recycled pid is
never hit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadstead.cli.home import Home, read_record, write_record

READY_SECONDS = 30.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process that said it is ready."""

    pid: int
    started: int
    record: dict[str, Any]


class DidNotStart(Exception):
    """A part ended, or stayed silent, before it was ready. `tail` is what it said last."""

    def __init__(self, part: str, why: str, tail: str, log: Path) -> None:
        super().__init__(f"{part} {why}")
        self.part = part
        self.why = why
        self.tail = tail
        self.log = log


def start_time(pid: int) -> int | None:
    """Kernel start time of a live process in clock ticks (proc(5), field 22), or None if there is none (zombies count
    as gone)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def myself() -> dict[str, int]:
    """What a part writes into its record about its own process."""
    return {"pid": os.getpid(), "started": start_time(os.getpid()) or 0}


def running(home: Home, part: str) -> Running | None:
    """The live process that said it is ready, if there is one."""
    return _live(home.record(part))


def _starting(home: Home, part: str) -> Path:
    """Where `start` notes the process before it is ready, so that `stop` finds it whatever becomes of `start`."""
    return home.record(f"{part}-starting")


def _live(path: Path) -> Running | None:
    record = read_record(path)
    if record is None:
        return None
    pid, started = record.get("pid"), record.get("started")
    if not isinstance(pid, int) or not isinstance(started, int) or start_time(pid) != started:
        return None
    return Running(pid, started, record)


def start(home: Home, part: str, arguments: Sequence[str], *, ready_seconds: float = READY_SECONDS) -> Running:
    """Start `roadstead PART ARGUMENTS` in the background, away from this terminal, and wait until it says that it is
    ready.

    Raises DidNotStart when it ended or was silent for so long; then it is gone.
    """
    log = home.logs / f"{part}.log"
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as sink:
        begin = sink.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "roadstead.cli", part, "--home", str(home.root), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            cwd="/",
        )
    write_record(_starting(home, part), {"pid": child.pid, "started": start_time(child.pid) or 0})
    deadline = time.monotonic() + ready_seconds
    while time.monotonic() < deadline:
        found = running(home, part)
        if found is not None and found.pid == child.pid:
            _starting(home, part).unlink(missing_ok=True)
            return found
        if child.poll() is not None:
            raise DidNotStart(part, f"ended with exit code {child.returncode}", tail_of(log, begin), log)
        time.sleep(0.02)
    stop(home, part)
    raise DidNotStart(part, f"was not ready after {ready_seconds:.0f} s", tail_of(log, begin), log)


def tail_of(log: Path, begin: int = 0, lines: int = 12) -> str:
    """The last lines written to a log after position `begin`."""
    try:
        with open(log, "rb") as file:
            file.seek(begin)
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def stop(home: Home, part: str, *, seconds: float = STOP_SECONDS) -> bool:
    """Stop a part, ready or still starting: SIGTERM, then SIGKILL when it has not ended in time. True if there was one
    to stop."""
    stopped = False
    for path in (_starting(home, part), home.record(part)):
        found = _live(path)
        if found is not None:
            _end(found, seconds)
            stopped = True
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
    return stopped


def _end(process: Running, seconds: float) -> None:
    for sign, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, sign)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if start_time(process.pid) != process.started:
                return
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
            time.sleep(0.02)
