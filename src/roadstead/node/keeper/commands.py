"""Further commands in a running container: `exec`, as files. Probes and hooks use it, and whoever else wants to look
inside.

    <run>/exec/<id>/
        spec.json                argv, timeout_seconds (null: none), streams
        caller                   lock, held by the one who asked for as long as it wants the command to run
        stdin, stdout, stderr    fifos, those that spec.json names; the others are /dev/null (stderr: as stdout)
        opened                   the command has its ends of the fifos: what is in them will not be lost when the caller closes
        done                     fifo that the shim holds open until exit.json is there, or the shim is not
        exit.json                how it ended

The caller makes the directory (`prepare`), opens its ends of the fifos, and pokes the shim through `control`. The
command is a child of the container's shim: in the container's name spaces, environment and working directory, counted
against its memory limit, killed with it. It also ends when its time is up, or when nobody holds `caller` any more: an
asker that was killed leaves nothing behind, not even the directory. Who waits needs no process to tell it: end-of-file
on `done` means that `exit.json` says how it ended or that the container is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from typing import Final, NamedTuple

from roadstead.node.keeper import locks, process, runs, tree
from roadstead.node.keeper.crash import crashpoint

FORMAT_NEEDED: Final = 2
"""Runs of older formats have shims that know no commands."""
LIMIT: Final = 64
"""Commands at a time in one container."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_CALLER_SECONDS = 1.0


class Ended(NamedTuple):
    """How a command ended. `signal` 0 if it was none; `exit_code` is then 128 + n."""

    exit_code: int
    signal: int
    reason: str  # Completed | Error | StartError | Timeout | CallerGone | ContainerEnded | Refused
    message: str


def directory(path: str, command_id: str) -> str:
    """The directory of a command in the run at `path`."""
    if not _ID.fullmatch(command_id):
        raise runs.RunError(f"command id {command_id!r}: letters, digits and '-' only, at most 63")
    return os.path.join(path, "exec", command_id)


def prepare(path: str, command_id: str, argv: list[str], timeout_seconds: float | None, streams: list[str]) -> int:
    """Make a command's directory; the descriptor that holds its `caller` lock. Close it to have the command killed."""
    here = directory(path, command_id)
    os.makedirs(here, mode=0o700)
    lock = locks.acquire(os.path.join(here, "caller"))
    if lock is None:
        raise runs.RunError(f"somebody else asks for command {command_id}")
    try:
        for name in (*streams, "done"):
            os.mkfifo(os.path.join(here, name), 0o600)
        spec = {"format": runs.FORMAT, "argv": argv, "timeout_seconds": timeout_seconds, "streams": streams}
        runs.link_json(os.path.join(here, "spec.json"), spec)
    except OSError:
        os.close(lock)
        raise
    return lock


def ask(path: str, command_id: str) -> None:
    """Have the shim begin with a prepared command."""
    runs.poke(path, f"exec {command_id}\n")


def ended(path: str, command_id: str) -> Ended | None:
    """How a command ended, None if that is not known (yet)."""
    record = runs.read_json(os.path.join(directory(path, command_id), "exit.json"))
    return None if record is None else Ended(*(record[name] for name in Ended._fields))


def remove(path: str, command_id: str) -> None:
    shutil.rmtree(directory(path, command_id), ignore_errors=True)


class _Command:
    """One command, as its shim knows it."""

    def __init__(self, here: str, spec: runs.Json) -> None:
        self.here = here
        self.pid = 0
        self.ending = -1
        self.report = -1
        self.done = -1
        self.verdict: Ended | None = None
        """Why we killed it, if we did."""
        self.seconds: float | None = spec.get("timeout_seconds")
        self.deadline: float | None = None if self.seconds is None else time.monotonic() + self.seconds


class Commands:
    """The shim's part: forks commands, watches their time and their callers, records their ends."""

    def __init__(self, path: str, spec: runs.Json, container: int) -> None:
        self.path, self.spec, self.container = path, spec, container
        self._running: dict[int, _Command] = {}  # by pidfd
        self._seen: set[str] = set()
        """Begun with, as long as their directories are there: one whose end could not be recorded shall not begin
        twice."""
        self._next_look = 0.0

    @property
    def pids(self) -> set[int]:
        return {command.pid for command in self._running.values()}

    @property
    def descriptors(self) -> list[int]:
        """Readable when a command ended."""
        return list(self._running)

    @property
    def next_at(self) -> float | None:
        """When `look` has something to do (monotonic seconds)."""
        if not self._running:
            return None
        deadlines = [one.deadline for one in self._running.values() if one.deadline is not None and one.verdict is None]
        return min([self._next_look, *deadlines])

    def find(self) -> None:
        """Begin with commands whose poke got lost."""
        try:
            names = os.listdir(os.path.join(self.path, "exec"))
        except FileNotFoundError:
            names = []
        except OSError:
            return
        self._seen.intersection_update(names)
        for name in sorted(names):
            if name not in self._seen:
                self.begin(name)

    def begin(self, command_id: str) -> None:
        """Start the prepared command, once."""
        try:
            here = directory(self.path, command_id)
            spec = runs.read_json(os.path.join(here, "spec.json"))
        except (runs.RunError, OSError):
            return
        if spec is None or command_id in self._seen or os.path.exists(os.path.join(here, "exit.json")):
            return
        self._seen.add(command_id)
        if not locks.is_held(os.path.join(here, "caller")):
            shutil.rmtree(here, ignore_errors=True)
            return
        command = _Command(here, spec)
        with contextlib.suppress(OSError):
            command.done = os.open(os.path.join(here, "done"), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        if len(self._running) >= LIMIT:
            text = f"{LIMIT} commands run in this container already: wait for one to end"
            self._record(command, Ended(126, 0, "Refused", text))
            return
        try:
            self._fork(command, spec)
        except OSError as error:
            self._record(command, Ended(126, 0, "StartError", str(error)))

    def _fork(self, command: _Command, spec: runs.Json) -> None:
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        shim = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            os.close(report_read)
            os.close(report_write)
            raise
        if pid == 0:
            process.join(self.spec, spec, self.path, command.here, shim, self.container, report_write)  # never returns
        os.close(report_write)
        os.set_blocking(report_read, False)
        command.pid, command.report = pid, report_read
        try:
            command.ending = os.pidfd_open(pid)
        except OSError:  # no descriptors left, say: nobody could watch its time, so it must not go on
            self._kill_tree(command)
            os.waitpid(pid, 0)
            os.close(report_read)
            raise
        self._running[command.ending] = command
        crashpoint("shim.exec-1-forked")

    def look(self) -> None:
        """Kill commands whose time is up or whose caller is gone."""
        now = time.monotonic()
        asks = now >= self._next_look
        if asks:
            self._next_look = now + _CALLER_SECONDS
        for command in list(self._running.values()):
            if command.verdict is not None:
                continue
            if command.deadline is not None and now >= command.deadline:
                self._kill(command, Ended(137, 9, "Timeout", f"timed out after {command.seconds:g}s"))
            elif asks and not locks.is_held(os.path.join(command.here, "caller")):
                self._kill(command, Ended(137, 9, "CallerGone", "whoever asked for it is gone"))

    def _kill(self, command: _Command, verdict: Ended) -> None:
        command.verdict = verdict
        self._kill_tree(command)

    @staticmethod
    def _kill_tree(command: _Command) -> None:
        below = tree.descendants(command.pid)
        tree.send_group(command.pid, signal.SIGKILL)
        for pid in (command.pid, *below):
            tree.send(pid, signal.SIGKILL)

    def end(self, descriptor: int) -> None:
        """`descriptor` told that its command ended: write down how."""
        command = self._running.pop(descriptor)
        os.close(command.ending)
        _, status = os.waitpid(command.pid, 0)
        crashpoint("shim.exec-2-ended")
        try:
            problem = os.read(command.report, 4096).decode(errors="replace")
        except BlockingIOError:
            problem = ""  # a descendant that has not executed yet keeps it open
        os.close(command.report)
        self._record(command, command.verdict or _verdict(status, problem))
        if not locks.is_held(os.path.join(command.here, "caller")):
            shutil.rmtree(command.here, ignore_errors=True)

    def finish(self) -> None:
        """The container is over, and with it, reaped already, its commands."""
        for command in self._running.values():
            os.close(command.ending)
            os.close(command.report)
            self._record(command, command.verdict or Ended(137, 9, "ContainerEnded", "its container ended"))
        self._running.clear()

    def _record(self, command: _Command, end: Ended) -> None:
        with contextlib.suppress(OSError):  # removed by an impatient caller, or a full disk: `done` still ends
            runs.link_json(os.path.join(command.here, "exit.json"), {"format": runs.FORMAT, **end._asdict()})
        if command.done >= 0:
            os.close(command.done)


def _verdict(status: int, problem: str) -> Ended:
    code = os.waitstatus_to_exitcode(status)
    if problem:
        return Ended(127 if "not found" in problem else 126, 0, "StartError", problem)
    if code < 0:
        return Ended(128 - code, -code, "Error", f"killed by signal {-code}")
    return Ended(code, 0, "Error" if code else "Completed", "")
