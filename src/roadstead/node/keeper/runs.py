"""A run: one attempt at one container, as files in one directory. The files are the truth; reading them needs no
process.

    runs/<pod uid>/<container>/<attempt>/
        spec.json      what to run; linked once, never changed
        lock           held (locks.py) by the shim for as long as it lives
        started        pid and start time; linked before the process may execute
        output         fifo that the process writes to
        log, log.times, log.begin   what it wrote, when, and from where on it is kept (output.py)
        exec/          further commands in the container (commands.py)
        control        fifo that wakes the shim
        stop.json      request to stop: signal, and when to kill
        exit.pending   how it ended, while leftovers are being killed
        exit.json      how it ended; final
        stage/         empty; the process builds its view of the file system here

The run id is the path below `runs/`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from roadstead.node.keeper import locks, output
from roadstead.node.keeper.crash import crashpoint

Json = dict[str, Any]

FORMAT: Final = 2
"""Version of these files. Newer ones are refused. In format 1 the process wrote to `log` itself, and there was no
`exec/`."""

PREPARED: Final = "prepared"  # may be started (again): its process has certainly not run
STARTING: Final = "starting"  # a shim is alive and has not let the process go yet
RUNNING: Final = "running"  # a shim is alive, and so may the process be
ENDING: Final = "ending"  # how it ended is known; leftovers are being killed
EXITED: Final = "exited"
LOST: Final = "lost"  # may have run, and no shim is alive: the keeper must settle it

EXIT_SPACE = 4096
"""Bytes set aside before the start for the exit record."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


class Exit(NamedTuple):
    """How a run ended. Times are nanoseconds since the epoch; `signal` 0 if it was not a signal; `exit_code` is then
    128 + n."""

    exit_code: int
    signal: int
    reason: str  # Completed | Error | OOMKilled | StartError | ShimLost | ContainerStatusUnknown (never started)
    message: str
    started_at: int
    finished_at: int


class Run(NamedTuple):
    """A run as its directory tells. `pid` and `started_at` are 0 before the start."""

    run_id: str
    path: str
    state: str
    pid: int = 0
    started_at: int = 0
    exit: Exit | None = None

    @property
    def log(self) -> str:
        return os.path.join(self.path, "log")


class RunError(Exception):
    """A run directory or run id that cannot be used; the text says why and what to do."""


def split_id(run_id: str) -> tuple[str, str, int]:
    """(pod uid, container, attempt) of a run id."""
    parts = run_id.split("/")
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts) or not parts[2].isdigit():
        raise RunError(f"run id {run_id!r} is not <pod uid>/<container>/<attempt>")
    return parts[0], parts[1], int(parts[2])


def directory(root: str, run_id: str) -> str:
    split_id(run_id)
    return os.path.join(root, "runs", run_id)


def mark(path: str) -> str:
    """What the processes of the run at `path` carry in their environment (`tree.MARK`)."""
    return os.path.realpath(path)


def boot_id() -> str:
    """Names this boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def read_json(path: str) -> Json | None:
    """A record, or None if it does not exist."""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}; remove the directory of that run") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: not a JSON object; remove the directory of that run")
    if value.get("format", FORMAT) > FORMAT:
        raise RunError(f"{path} has format {value['format']}; this program reads up to {FORMAT}: use the newer program")
    return value


def link_json(path: str, value: Json) -> bool:
    """Create a record, whole or not at all; False if it exists already (then it is left as it is)."""
    temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}"
    with open(temporary, "wb", opener=_private) as file:
        file.write(json.dumps(value).encode())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def replace_json(path: str, value: Json) -> None:
    """Write a record, whole or not at all, over what was there."""
    temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}"
    with open(temporary, "wb", opener=_private) as file:
        file.write(json.dumps(value).encode())
    os.rename(temporary, path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def prepare(root: str, run_id: str, spec: Json) -> str:
    """Make the run's directory and spec, unless they exist; the directory's path. Safe to repeat and to race.

    `spec`: argv, env (all of it: nothing is inherited), cwd; optional: memory_bytes, log_limit [bytes, parts],
    hostname, isolation ("bare" | "userns" | "root"), binds [{source, target, read_only, within}] (mounts.py), user
    {uid, gid, groups}.
    """
    path = directory(root, run_id)
    os.makedirs(os.path.join(path, "stage"), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkfifo(os.path.join(path, "control"), 0o600)
    output.make_fifo(path)
    link_json(os.path.join(path, "spec.json"), {**spec, "format": FORMAT, "run_id": run_id, "boot": boot_id()})
    crashpoint("start.1-prepared")
    return path


def look(root: str, run_id: str) -> Run | None:
    """The run as its files tell now; None if it was never prepared. Takes no lock and changes nothing."""
    path = directory(root, run_id)
    # The lock is asked first: whatever a shim wrote before it left is then visible below.
    alive = locks.is_held(os.path.join(path, "lock"))
    ended = read_json(os.path.join(path, "exit.json"))
    started = read_json(os.path.join(path, "started"))
    pid, started_at = (started["pid"], started["at"]) if started else (0, 0)
    if ended is not None:
        return Run(run_id, path, EXITED, pid, started_at, _exit_of(ended))
    if alive:
        pending = read_json(os.path.join(path, "exit.pending"))
        if pending is not None:
            return Run(run_id, path, ENDING, pid, started_at, _exit_of(pending))
        return Run(run_id, path, RUNNING if started else STARTING, pid, started_at)
    if started:
        return Run(run_id, path, LOST, pid, started_at)
    spec = read_json(os.path.join(path, "spec.json"))
    if spec is None:
        return None
    # A machine that went down may have forgotten `started`: only a spec of this boot proves that nothing ran.
    return Run(run_id, path, PREPARED if spec["boot"] == boot_id() else LOST)


def format_of(path: str) -> int:
    """The format of the run at `path`, 0 if it was never prepared."""
    spec = read_json(os.path.join(path, "spec.json"))
    return 0 if spec is None else int(spec.get("format", 1))


def _exit_of(record: Json) -> Exit:
    return Exit(*(record[name] for name in Exit._fields))


def exit_record(end: Exit) -> Json:
    return {**end._asdict(), "format": FORMAT}


def scan(root: str) -> list[Run]:
    """All runs on disk, sorted by id. O(runs)."""
    found = []
    for run_id in ids(root):
        try:
            run = look(root, run_id)
        except RunError:
            continue  # a stranger's directory, or a damaged one: `look` on that run id says why
        if run is not None:
            found.append(run)
    return found


def ids(root: str) -> Iterator[str]:
    """Ids of what looks like runs on disk, sorted."""
    top = os.path.join(root, "runs")
    for pod in _names(top):
        for container in _names(os.path.join(top, pod)):
            for attempt in _names(os.path.join(top, pod, container)):
                yield f"{pod}/{container}/{attempt}"


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def request_stop(root: str, run_id: str, signal: int, grace_seconds: float) -> None:
    """Have the run's processes signalled now and killed after the grace. May be repeated; a later call can only
    shorten."""
    path = directory(root, run_id)
    deadline = time.time_ns() + int(grace_seconds * 1e9)
    record = os.path.join(path, "stop.json")
    earlier = read_json(record)
    if earlier is None or deadline < earlier["kill_at"]:
        with contextlib.suppress(OSError):  # a full disk: then only the shim that is poked now hears of it
            replace_json(record, {"format": FORMAT, "signal": signal, "kill_at": deadline})
    crashpoint("stop.1-written")
    poke(path, f"{int(signal)} {deadline}\n")
    crashpoint("stop.2-poked")


def cancel(root: str, run_id: str) -> None:
    """Make sure that a prepared run will never start: it gets an exit record. No effect on one that a shim has taken
    up."""
    path = directory(root, run_id)
    lock = locks.acquire(os.path.join(path, "lock"))
    if lock is None:
        return  # a shim is alive: ask it to stop
    try:
        if not os.path.exists(os.path.join(path, "started")):
            end = Exit(137, 0, "ContainerStatusUnknown", "stopped before it was started", 0, time.time_ns())
            link_json(os.path.join(path, "exit.json"), exit_record(end))
    finally:
        os.close(lock)


def poke(path: str, request: str) -> None:
    """Wake the shim of the run at `path`, if there is one, and tell it what is asked: `<signal> <kill at>` or `exec
    <id>`, and a newline."""
    try:
        fd = os.open(os.path.join(path, "control"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return  # no shim is reading: it is gone, or has not begun, and will look by itself
    try:
        with contextlib.suppress(OSError):  # the fifo is full of earlier pokes
            os.write(fd, request.encode())
    finally:
        os.close(fd)


def remove_pod(root: str, pod_uid: str) -> bool:
    """Remove all runs of a pod; False (and nothing removed) while a shim of one is alive."""
    if not _PART.fullmatch(pod_uid):
        raise RunError(f"pod uid {pod_uid!r} cannot be a directory name")
    top = os.path.join(root, "runs", pod_uid)
    for container in _names(top):
        for attempt in _names(os.path.join(top, container)):
            if locks.is_held(os.path.join(top, container, attempt, "lock")):
                return False
    shutil.rmtree(top, ignore_errors=True)
    return True
