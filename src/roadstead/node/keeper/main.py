"""The keeper process: forks a shim when asked, and settles the runs of shims that died.

Requests are frames on a Unix socket: four bytes of length (big endian), then JSON; so are the answers. Only the same
user and root are heard.

    {"op": "ping"}               -> {"ok": true, "pid": ..., "format": ...}
    {"op": "start", "run": ID}   -> {"ok": true}: a shim was forked. Whether it started anything, the run's files say.
    {"op": "settle", "run": ID}  -> {"ok": true}: if the run was LOST, its exit record is now on disk.
    {"op": "quit"}               -> {"ok": true}, and the keeper leaves; shims go on.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import NoReturn

from roadstead.node.keeper import linux, locks, notify, output, runs, shim, tree
from roadstead.node.keeper.crash import crashpoint

SOCKET = "keeper.sock"
LOCK = "keeper.lock"
FRAME_LIMIT = 1 << 20
_ORPHANS_LIMIT = 4096
_DESCRIPTORS_SPARE = 64
_SETTLE_SECONDS = 5.0
_LOOK_SECONDS = 10.0
_RECEIVE_SECONDS = 5.0


def main(root: str) -> None:
    """Be the keeper of state directory `root`. Returns at once if another keeper is."""
    lock = locks.acquire(os.path.join(root, LOCK))
    if lock is None:
        return
    linux.become_subreaper()
    Keeper(root, lock).serve()


class Keeper:
    """One process, one thread, one request at a time: each takes a few milliseconds."""

    def __init__(self, root: str, lock: int) -> None:
        self.root, self.lock = root, lock
        self.shims: dict[int, str] = {}
        self.lost: dict[int, str] = {}
        """Processes whose shim died: pid to run id, until their end is seen."""
        self.orphans: dict[int, int] = {}
        """Wait statuses of reaped processes that we did not fork, newest last; their shim's death may be seen later."""
        self.outputs: dict[str, int] = {}
        """Run id to a descriptor of its fifo, so that output outlives a shim that is killed."""

    def serve(self) -> None:
        listener = self._listen()
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        gc.collect()
        gc.freeze()  # so that shims share our pages instead of copying them when the collector marks objects
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        for run_id in runs.ids(self.root):
            if locks.is_held(os.path.join(self.root, "runs", run_id, "lock")):
                self._hold_output(run_id)  # an earlier keeper held it
        while True:
            ready = {fd for fd, _ in poll.poll(_LOOK_SECONDS * 1000)}
            if not ready and os.fstat(self.lock).st_nlink == 0:
                return  # the state directory was removed: nobody can ask us anything any more
            if wake_read in ready:
                os.read(wake_read, 65536)
                self._reap()
            if listener.fileno() in ready:
                connection, _ = listener.accept()
                with connection:
                    if not self._answer(connection):
                        return

    def _listen(self) -> socket.socket:
        here = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        path = os.path.join(self.root, SOCKET)
        if os.path.lexists(path):
            os.unlink(path)  # a dead keeper's: we hold the lock
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        listener.bind(f"/proc/self/fd/{here}/{SOCKET}")
        os.umask(before)
        os.close(here)
        listener.listen(128)
        return listener

    # --- requests

    def _answer(self, connection: socket.socket) -> bool:
        """Serve one request; False if the keeper shall leave."""
        connection.settimeout(_RECEIVE_SECONDS)
        try:
            if not _may_ask(connection):
                send_frame(connection, {"ok": False, "error": "only the user that the keeper runs as may ask it"})
                return True
            request = receive_frame(connection)
            operation = request.get("op")
            if operation == "quit":
                send_frame(connection, {"ok": True})
                return False
            send_frame(connection, self._do(operation, request))
        except (OSError, ValueError):
            return True  # the one who asked is gone, or speaks another language
        return True

    def _do(self, operation: object, request: runs.Json) -> runs.Json:
        if operation == "ping":
            return {"ok": True, "pid": os.getpid(), "format": runs.FORMAT}
        try:
            run_id = str(request.get("run", ""))
            runs.split_id(run_id)
            if operation == "start":
                self._start(run_id)
            elif operation == "settle":
                self._settle(run_id)
            else:
                return {"ok": False, "error": f"no operation {operation!r}: ping, start, settle and quit are known"}
        except (runs.RunError, OSError) as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True}

    def _start(self, run_id: str) -> None:
        crashpoint("keeper.1-asked")
        self._hold_output(run_id)
        pid = os.fork()
        if pid == 0:
            _be_shim(self.root, run_id)
        self.shims[pid] = run_id
        crashpoint("keeper.2-forked")

    def _hold_output(self, run_id: str) -> None:
        if run_id in self.outputs:
            return
        for other in self.outputs.keys() - self.shims.values():  # an earlier keeper's: nobody told us of their end
            if not locks.is_held(os.path.join(runs.directory(self.root, other), "lock")):
                run = runs.look(self.root, other)
                if run is None or run.state == runs.EXITED:
                    self._drop_output(other)
        if len(self.outputs) >= _held_limit():
            return
        try:
            self.outputs[run_id] = output.open_fifo(runs.directory(self.root, run_id))
        except OSError:
            return  # an older run

    def _drop_output(self, run_id: str) -> None:
        fd = self.outputs.pop(run_id, None)
        if fd is not None:
            os.close(fd)

    # --- the end of shims

    def _reap(self) -> None:
        """Take the exits of all children: shims, and orphans of dead shims."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            run_id = self.shims.pop(pid, None)
            if run_id is None:
                self._orphan(pid, status)
            elif status != 0:
                self._shim_died(run_id)
            elif run_id not in self.shims.values():
                self._drop_output(run_id)

    def _shim_died(self, run_id: str) -> None:
        run = runs.look(self.root, run_id)
        if run is None or run.state != runs.LOST or run.pid == 0:
            notify.tell(self.root, run_id)
            return
        if run.pid in self.orphans:
            self._record(run, self.orphans.pop(run.pid))
        else:
            self.lost[run.pid] = run_id

    def _orphan(self, pid: int, status: int) -> None:
        run_id = self.lost.pop(pid, None)
        if run_id is None:
            self.orphans[pid] = status
            if len(self.orphans) > _ORPHANS_LIMIT:
                del self.orphans[next(iter(self.orphans))]
            return
        run = runs.look(self.root, run_id)
        if run is not None and run.state == runs.LOST:
            self._record(run, status)

    def _settle(self, run_id: str) -> None:
        """Give a LOST run its exit record."""
        self._reap()
        run = runs.look(self.root, run_id)
        if run is None or run.state != runs.LOST:
            return
        started = runs.read_json(os.path.join(run.path, "started"))
        if started is not None and started["boot"] == runs.boot_id():
            deadline = time.monotonic() + _SETTLE_SECONDS
            while tree.runs_still(run.pid, started["ticks"]) and time.monotonic() < deadline:
                tree.send(
                    run.pid, signal.SIGKILL
                )  # the kernel does so as well; ours is for a process that changed credentials
                time.sleep(0.002)
            self._reap()
            run = runs.look(self.root, run_id)
            if run is None or run.state != runs.LOST:
                return
            self._record(run, self.orphans.pop(run.pid, None))
        else:
            self._record(run, None)
        self.lost.pop(run.pid, None)

    def _kill_orphans(self) -> None:
        """Children of ours that are no shims came from shims that died: none of them has anybody to report to."""
        for _ in range(20):
            orphans = [pid for pid in tree.children(os.getpid()) if pid not in self.shims]
            alive = [pid for pid in orphans if (about := tree.stat(pid)) is not None and about[0] != "Z"]
            if not alive:
                return
            for pid in alive:
                for below in [*tree.descendants(pid), pid]:
                    tree.send(below, signal.SIGKILL)
            time.sleep(0.001)

    def _record(self, run: runs.Run, status: int | None) -> None:
        """Write down how a process without a shim ended; `status` is what waitpid said of it, None if nobody knows."""
        lock = locks.acquire(os.path.join(run.path, "lock"))
        if lock is None:
            notify.tell(
                self.root, run.run_id
            )  # a child that the dead shim had just forked still has it: it will be settled
            return
        self._kill_orphans()
        tree.kill_members(runs.mark(run.path))
        output.rescue(run.path)
        self._drop_output(run.run_id)
        final = os.path.join(run.path, "exit.json")
        pending = os.path.join(run.path, "exit.pending")
        if os.path.exists(pending):
            os.rename(pending, final)
        else:
            runs.link_json(final, runs.exit_record(_judge(run, status)))
        os.close(lock)
        notify.tell(self.root, run.run_id)


def _judge(run: runs.Run, status: int | None) -> runs.Exit:
    code = os.waitstatus_to_exitcode(status) if status is not None else -signal.SIGKILL
    if code == -signal.SIGKILL:
        text = "the process that watched over it was killed, and it with it"
        return runs.Exit(137, int(signal.SIGKILL), "ShimLost", text, run.started_at, time.time_ns())
    number = max(0, -code)
    return runs.Exit(
        128 + number if number else code,
        number,
        "Error" if code else "Completed",
        "",
        run.started_at,
        time.time_ns(),
    )


def _be_shim(root: str, run_id: str) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A shim ends when its process has: a stray TERM for it would cost the exit code. Processes are stopped by
        # `request_stop`.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the keeper's lock and sockets must not live on in us
        os.setsid()
        linux.become_subreaper()
        shim.run(root, run_id)
        status = 0
    except BaseException as error:
        print(f"shim of {run_id}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _held_limit() -> int:
    """How many fifos we may hold: our own descriptors must not run out. What is above it risks a killed shim's last
    moment of output, nothing else."""
    return max(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _DESCRIPTORS_SPARE)


# --- frames


def _may_ask(connection: socket.socket) -> bool:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return uid in (0, os.geteuid())


def send_frame(connection: socket.socket, value: runs.Json) -> None:
    text = json.dumps(value).encode()
    connection.sendall(len(text).to_bytes(4, "big") + text)


def receive_frame(connection: socket.socket) -> runs.Json:
    """One frame; ValueError if it is none, ConnectionError if the other side left."""
    length = int.from_bytes(_receive(connection, 4), "big")
    if length > FRAME_LIMIT:
        raise ValueError(f"a frame of {length} bytes; at most {FRAME_LIMIT} are taken")
    value = json.loads(_receive(connection, length))
    if not isinstance(value, dict):
        raise ValueError("a frame must be a JSON object")
    return value


def _receive(connection: socket.socket, length: int) -> bytes:
    parts = b""
    while len(parts) < length:
        part = connection.recv(length - len(parts))
        if not part:
            raise ConnectionError("the other side left in the middle of a frame")
        parts += part
    return parts
