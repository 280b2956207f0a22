"""The product's own entry points, with numbered places to die.

    python -m tests.crash.whole_child server|node ARGUMENTS

runs `roadstead server|node ARGUMENTS`. As soon as the file named by ROADSTEAD_TEST_ARM exists, steps are counted: rows
that the server commits, or what the agent does (ask the keeper, write or delete a pod). The file says `before K SERIAL`
or `after K SERIAL`: the process takes the file away (who takes it away first, this or the test, has it) and kills
itself before or after step K, and appends what that step was to the file beside it. `before` a row means that earlier
writes of its batch are on the disk and that nobody was told; `after` means that the row is, too. `before ACTION:K`
counts only that one action of the agent.

Mutant `skip PREFIX:K`: from the creation of an object whose key starts so, rows are answered for and never written; the
K-th kills.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from roadstead.cli import main
from roadstead.cluster.embedded.log import Row, SqliteLog
from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json
from roadstead.node.agent.runtimes import ProcessRuntime
from roadstead.runtime.cluster import Outcome, Write

ARM = "ROADSTEAD_TEST_ARM"


class Trigger:
    """Counts steps once it is armed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._said = ""
        self.mode = ""
        self.at = 0
        self.prefix = ""
        self.count = 0

    def is_armed(self) -> bool:
        try:
            with open(self._path) as file:
                said = file.read()
        except FileNotFoundError:
            said = ""
        if said != self._said:  # armed anew: the count begins anew, too
            self._said, self.count = said, 0
            self.mode, at, _ = said.split() if said else ("", "0", "")
            self.prefix, _, at = at.rpartition(":")
            self.at = int(at)
        return bool(self.mode)

    def die(self, step: str) -> None:
        """Returns if the test was quicker to take the file away: then it is not to die any more."""
        firing = f"{self._path}.firing"
        try:
            os.rename(self._path, firing)
        except FileNotFoundError:
            return
        log = os.open(f"{self._path}.deaths", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(log, f"{self.mode} {self.at} {step}\n".encode())
        os.unlink(firing)
        os.kill(os.getpid(), signal.SIGKILL)


def arm_the_store(trigger: Trigger) -> None:
    """Die at a row."""
    whole = SqliteLog.commit

    def commit(self: SqliteLog, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        if not trigger.is_armed():
            return whole(self, rows, dead, floor)
        done = 0
        for index, row in enumerate(rows):
            is_counted = trigger.count or (row.op == "ADDED" and row.key.startswith(trigger.prefix))
            trigger.count += bool(is_counted) or trigger.mode != "skip"
            if trigger.count == trigger.at:
                if trigger.mode != "skip":
                    done = index + (trigger.mode == "after")
                    if done:
                        whole(self, rows[:done], (), floor)
                trigger.die(f"{row.op} {row.key}")
        if trigger.mode != "skip" or not trigger.count:
            whole(self, rows[done:], dead, floor)
        return None

    SqliteLog.commit = commit  # type: ignore[method-assign]  # the place to die


def arm_the_agent(trigger: Trigger) -> None:
    """Die at something that the agent does to the world."""

    def is_the_one(name: str) -> bool:
        """Counts it."""
        if not trigger.is_armed() or trigger.prefix not in ("", name):
            return False
        trigger.count += 1
        return trigger.count == trigger.at

    async def act(name: str, action: Callable[[], Awaitable[Any]]) -> Any:
        is_it = is_the_one(name)
        if is_it and trigger.mode == "before":
            trigger.die(name)
        found = await action()
        if is_it and trigger.mode == "after":
            trigger.die(name)
        return found

    write, start, stop, settle = RemoteCluster.write, ProcessRuntime.start, ProcessRuntime.stop, ProcessRuntime.settle
    remove = ProcessRuntime.remove

    async def counted_write(self: RemoteCluster, asked: Write) -> Outcome:
        if asked.resource != PODS:
            return await write(self, asked)
        outcome: Outcome = await act(type(asked).__name__.lower(), lambda: write(self, asked))
        return outcome

    async def counted_start(self: ProcessRuntime, run: str, spec: Json, level: int) -> None:
        await act("start", lambda: start(self, run, spec, level))

    async def counted_stop(self: ProcessRuntime, run: str, grace_seconds: float) -> None:
        await act("stop", lambda: stop(self, run, grace_seconds))

    async def counted_settle(self: ProcessRuntime, run: str) -> None:
        await act("settle", lambda: settle(self, run))

    def counted_remove(self: ProcessRuntime, pod_uid: str) -> bool:
        is_it = is_the_one("remove")
        if is_it and trigger.mode == "before":
            trigger.die("remove")
        done = remove(self, pod_uid)
        if is_it and trigger.mode == "after":
            trigger.die("remove")
        return done

    RemoteCluster.write = counted_write  # type: ignore[method-assign,assignment]  # the places to die
    ProcessRuntime.start = counted_start  # type: ignore[method-assign]
    ProcessRuntime.stop = counted_stop  # type: ignore[method-assign]
    ProcessRuntime.settle = counted_settle  # type: ignore[method-assign]
    ProcessRuntime.remove = counted_remove  # type: ignore[method-assign]


if __name__ == "__main__":
    (arm_the_store if sys.argv[1] == "server" else arm_the_agent)(Trigger(os.environ[ARM]))
    main(sys.argv[1:])
