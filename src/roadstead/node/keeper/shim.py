"""The shim: starts one process, waits for it, writes down how it ended. The package docstring numbers the steps.

It is forked from the keeper and shares its memory; it opens no socket and needs nobody. While it waits it moves output
to the log (output.py), runs further commands (commands.py), watches the resident size of the process tree against the
limit, and looks for a request to stop.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

from roadstead.node.keeper import locks, notify, process, runs, tree
from roadstead.node.keeper.commands import Commands
from roadstead.node.keeper.crash import crashpoint
from roadstead.node.keeper.output import LIMIT, Output, open_for_process

_LOOK_SECONDS = 1.0  # a lost poke is made good after this
_OUTPUT_SECONDS = 0.001  # after a little output: it comes line by line, and each look has its price
_OUTPUT_MUCH = 64 * 1024  # after that much there is no pause: the fifo holds no more
_MEMORY_SECONDS = (0.02, 0.25)  # between looks at memory: near the limit, far from it
_SWEEP_ROUNDS = 1000
_LINE_MOST = 4096  # bytes


def run(root: str, run_id: str) -> None:
    """Be the shim of this run until it is over. Returns when there is nothing left to do; the caller exits."""
    path = runs.directory(root, run_id)
    crashpoint("shim.1-forked")
    lock = locks.acquire(os.path.join(path, "lock"))
    if lock is None:
        return
    crashpoint("shim.2-locked")
    if any(os.path.exists(os.path.join(path, name)) for name in ("started", "exit.json")):
        return
    spec = runs.read_json(os.path.join(path, "spec.json"))
    if spec is None or spec["boot"] != runs.boot_id():
        return
    Shim(root, path, run_id, spec, lock).work()


class Shim:
    """One run at work."""

    def __init__(self, root: str, path: str, run_id: str, spec: runs.Json, lock: int) -> None:
        self.root, self.path, self.run_id, self.spec, self.lock = root, path, run_id, spec, lock
        self.pid = 0
        self.started_at = 0
        self.kill_at: int | None = None  # nanoseconds; None: nobody asked to stop
        self.is_killed = False
        self.is_out_of_memory = False
        self.memory_seen = 0
        self._half_heard = b""

    def work(self) -> None:
        self._set_space_aside()
        self.control = os.open(os.path.join(self.path, "control"), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        part, parts = self.spec.get("log_limit") or LIMIT
        self.output = Output(self.path, (part, parts))
        log = open_for_process(self.path)
        problem = self._start(log)
        os.close(log)
        if problem is None:
            return
        self.commands = Commands(self.path, self.spec, self.pid)
        notify.tell(self.root, self.run_id)
        self._wait()
        if self._is_forgotten():
            self._sweep()
            return
        self._finish(problem)

    # --- start

    def _set_space_aside(self) -> None:
        fd = os.open(os.path.join(self.path, "exit.tmp"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, runs.EXIT_SPACE)
        finally:
            os.close(fd)

    def _start(self, log: int) -> str | None:
        """Steps 4 to 6; why the program could not be executed, "" if it was, None if another shim claimed the run."""
        go_read, go_write = os.pipe2(os.O_CLOEXEC)
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        shim = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            process.become(self.spec, self.path, shim, go_read, report_write, log)  # never returns
        os.close(go_read)
        os.close(report_write)
        crashpoint("shim.3-child")
        self.started_at = time.time_ns()
        is_ours = runs.link_json(
            os.path.join(self.path, "started"),
            {
                "format": runs.FORMAT,
                "pid": self.pid,
                "ticks": tree.start_ticks(self.pid),
                "at": self.started_at,
                "boot": self.spec["boot"],
            },
        )
        if not is_ours:
            # Where locks do not work (some network file systems) this is what keeps a run from starting twice.
            os.close(go_write)
            return None
        crashpoint("shim.4-started")
        os.write(go_write, b"!")
        os.close(go_write)
        crashpoint("shim.5-released")
        problem = b""
        while chunk := os.read(report_read, 4096):  # end-of-file when exec succeeded
            problem += chunk
        os.close(report_read)
        crashpoint("shim.6-executed")
        return problem.decode(errors="replace")

    # --- wait

    def _wait(self) -> None:
        """Until the process has ended (it stays a zombie: nothing is reaped here but orphans and commands)."""
        poll = select.poll()
        ending = os.pidfd_open(self.pid)
        output = self.output.fifo
        limit = self.spec.get("memory_bytes") or 0
        next_output = next_memory = next_look = 0.0
        while True:
            now = time.monotonic()
            if limit and now >= next_memory:
                next_memory = now + self._watch_memory(limit)
            if now >= next_look:
                if self._is_forgotten() and not self.is_killed:
                    self._kill()
                self._obey()
                self.commands.find()
                self._reap_orphans()
                next_look = now + _LOOK_SECONDS
            self.commands.look()
            if self.kill_at is not None and not self.is_killed and time.time_ns() >= self.kill_at:
                self._kill()
            times = [next_look, self.commands.next_at, next_memory if limit else None]
            watched = [ending, self.control, *self.commands.descriptors]
            if now < next_output:
                times.append(next_output)
            else:
                watched.append(output)
            undated = self.output.note()
            if undated is not None:
                times.append(now + undated)
            if self.kill_at is not None and not self.is_killed:
                times.append(now + max(0.0, (self.kill_at - time.time_ns()) / 1e9))
            ready = self._poll(poll, watched, min(at for at in times if at is not None) - now)
            if output in ready:
                moved = self.output.drain()
                pause = _LOOK_SECONDS if self.output.is_stuck else 0.0 if moved >= _OUTPUT_MUCH else _OUTPUT_SECONDS
                next_output = time.monotonic() + pause
            for fd in ready & set(self.commands.descriptors):
                self.commands.end(fd)
            if ending in ready:
                break
            if self.control in ready:
                self._hear(os.read(self.control, 4096))
        os.close(ending)

    def _is_forgotten(self) -> bool:
        """The run's directory was removed under us: nobody can find, stop or report the process any more, so it must
        not live on."""
        return os.fstat(self.lock).st_nlink == 0

    @staticmethod
    def _poll(poll: select.poll, watched: list[int], seconds: float) -> set[int]:
        """Those that have something to say within that time."""
        for fd in watched:
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(max(0.0, seconds) * 1000 + 0.1)}
        for fd in watched:
            poll.unregister(fd)
        return ready

    def _watch_memory(self, limit: int) -> float:
        """Kill everything if the tree holds more than `limit` bytes; seconds until the next look."""
        pids = tree.descendants(os.getpid())
        seen = tree.resident_bytes(pids)
        if seen > limit:
            seen = tree.proportional_bytes(pids)  # what forked workers share counts once
        self.memory_seen = max(self.memory_seen, seen)
        if seen > limit and not self.is_killed:
            self.is_out_of_memory = True
            self._kill()
        return _MEMORY_SECONDS[0] if seen * 2 > limit else _MEMORY_SECONDS[1]

    def _hear(self, heard: bytes) -> None:
        """Carry out what was asked through the fifo: the same as in stop.json, which a full disk may have refused. A
        line that a reading has cut is whole with the next."""
        *lines, rest = (self._half_heard + heard).split(b"\n")
        self._half_heard = rest[:_LINE_MOST]  # nobody who knows what to ask writes longer ones
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0] == b"exec":
                self.commands.begin(words[1].decode(errors="replace"))
            elif len(words) == 2 and all(word.isdigit() for word in words):
                self._stop(int(words[0]), int(words[1]))

    def _obey(self) -> None:
        """Carry out what stop.json asks, if it does."""
        try:
            request = runs.read_json(os.path.join(self.path, "stop.json"))
        except runs.RunError:
            return
        if request is not None:
            self._stop(request["signal"], request["kill_at"])

    def _stop(self, number: int, kill_at: int) -> None:
        """Signal once, and kill at the earliest time that anybody asked for."""
        crashpoint("shim.stop-1-read")
        first = self.kill_at is None
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)
        if first and time.time_ns() < kill_at:
            self._signal(number)
            crashpoint("shim.stop-2-signalled")

    def _signal(self, number: int) -> None:
        """Signal the process's group, and every descendant that left the group."""
        tree.send_group(self.pid, number)
        for pid in tree.descendants(os.getpid()):
            try:
                if os.getpgid(pid) != self.pid:
                    tree.send(pid, number)
            except ProcessLookupError:
                continue

    def _kill(self) -> None:
        self.is_killed = True
        self._signal(signal.SIGKILL)
        crashpoint("shim.stop-3-killed")

    def _reap_orphans(self, *, spare_commands: bool = True) -> None:
        """Take the exit of orphaned descendants, so that they do not stay zombies for hours."""
        ours = {self.pid, *(self.commands.pids if spare_commands else ())}
        for pid in tree.children(os.getpid()):
            if pid not in ours:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue

    # --- finish

    def _finish(self, problem: str) -> None:
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        finished_at = time.time_ns()
        crashpoint("shim.7-ended")
        assert ended is not None, "the process was waited for, and nobody else may reap it"
        end = self._judge(ended, problem, finished_at)
        self._record(end)
        crashpoint("shim.8-pending")
        self._sweep()
        while self.output.drain():
            continue
        self.output.close()
        self.commands.finish()
        crashpoint("shim.9-swept")
        os.rename(os.path.join(self.path, "exit.pending"), os.path.join(self.path, "exit.json"))
        crashpoint("shim.10-recorded")
        os.close(self.lock)
        notify.tell(self.root, self.run_id)

    def _judge(self, ended: os.waitid_result, problem: str, finished_at: int) -> runs.Exit:
        if problem:
            return runs.Exit(128, 0, "StartError", problem, self.started_at, finished_at)
        code = runs.Exit(0, 0, "Completed", "", self.started_at, finished_at)
        if ended.si_code == os.CLD_EXITED:
            code = code._replace(exit_code=ended.si_status)
        else:
            code = code._replace(exit_code=128 + ended.si_status, signal=ended.si_status)
        if self.is_out_of_memory:
            limit = self.spec["memory_bytes"]
            text = f"the processes held {self.memory_seen} bytes of memory; the limit is {limit}: raise the limit or use less"
            return code._replace(reason="OOMKilled", message=text)
        return code._replace(reason="Error") if code.exit_code else code

    def _record(self, end: runs.Exit) -> None:
        """Write exit.pending into the space set aside, so that a full disk cannot refuse it."""
        text = json.dumps(runs.exit_record(end)).encode()
        if len(text) > runs.EXIT_SPACE:
            text = json.dumps(runs.exit_record(end._replace(message=end.message[:500]))).encode()
        temporary = os.path.join(self.path, "exit.tmp")
        fd = os.open(temporary, os.O_WRONLY | os.O_CLOEXEC)
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))
        os.close(fd)
        os.rename(temporary, os.path.join(self.path, "exit.pending"))

    def _sweep(self) -> None:
        """Kill and reap whatever the process left behind. It has no second life: its container is over."""
        tree.send_group(self.pid, signal.SIGKILL)
        for _ in range(_SWEEP_ROUNDS):
            left = [pid for pid in tree.descendants(os.getpid()) if pid != self.pid]
            if not left:
                break
            for pid in left:
                tree.send(pid, signal.SIGKILL)
            self._reap_orphans(spare_commands=False)
            time.sleep(0.001)
        os.waitpid(self.pid, 0)
