"""What starts and stops a pod's containers: processes through the keeper, or timers on a simulated node."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from roadstead.kinds.names import RUN_FOR_ANNOTATION
from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND, parse_time
from roadstead.node.agent import messages
from roadstead.node.agent.pod_state import Attempt, Attempts
from roadstead.node.agent.views import Pod
from roadstead.node.keeper import client, locks, runs
from roadstead.node.keeper.runs import Exit, Run

DEFAULT_RUN_SECONDS = 5.0


def run_id(pod_uid: str, container: str, number: int) -> str:
    return f"{pod_uid}/{container}/{number}"


class Runtime(Protocol):
    def adopt(self, pod: Pod) -> None:
        """A pod is seen for the first time since the agent started."""
        ...

    def attempts(self, pod: Pod) -> Attempts:
        """The pod's attempts as they are now: of each container the latest and the one before."""
        ...

    async def start(self, run: str, spec: Json, level: int) -> None:
        """Start an attempt. Safe to repeat; OSError and KeeperError say why not."""
        ...

    async def stop(self, run: str, grace_seconds: float) -> None:
        """TERM now, KILL after the grace. Safe to repeat; only shortens."""
        ...

    async def settle(self, run: str) -> None:
        """Give a run whose shim was lost its exit record."""
        ...

    def has_changed(self, run: Run) -> bool:
        """A cheap look: is this live run perhaps not alive any more?"""
        ...

    def remove(self, pod_uid: str) -> bool:
        """Forget a pod whose containers have all ended; False if one has not."""
        ...


class ProcessRuntime:
    """Real processes. Everything it knows is in the state directory."""

    def __init__(self, root: Path) -> None:
        self.root = os.fspath(root)
        self._levels: dict[str, int] = {}
        self._messages: dict[str, str] = {}

    def adopt(self, pod: Pod) -> None:
        """Nothing to do: what runs is on disk."""

    def attempts(self, pod: Pod) -> Attempts:
        found: dict[str, Sequence[Attempt]] = {}
        top = os.path.join(self.root, "runs", pod.uid)
        for container in _names(top):
            numbers = sorted(int(name) for name in _names(os.path.join(top, container)) if name.isdigit())
            attempts = [self._attempt(pod.uid, container, number) for number in numbers[-2:]]
            found[container] = [attempt for attempt in attempts if attempt is not None]
        return found

    def _attempt(self, uid: str, container: str, number: int) -> Attempt | None:
        name = run_id(uid, container, number)
        run = runs.look(self.root, name)
        if run is None:
            return None
        if run.exit is not None and not run.exit.message:
            run = run._replace(exit=run.exit._replace(message=self._message(run)))
        return Attempt(number, self._level(run), run)

    def _message(self, run: Run) -> str:
        """What the program itself said about its end."""
        text = self._messages.get(run.run_id)
        if text is None:
            text = self._messages[run.run_id] = messages.of(run)
        return text

    def _level(self, run: Run) -> int:
        level = self._levels.get(run.run_id)
        if level is None:
            spec = runs.read_json(os.path.join(run.path, "spec.json")) or {}
            level = self._levels[run.run_id] = int(spec.get("level", 0))
        return level

    def pod_uids(self) -> list[str]:
        """Pods that have runs on disk."""
        return _names(os.path.join(self.root, "runs"))

    async def start(self, run: str, spec: Json, level: int) -> None:
        await asyncio.to_thread(self._start, run, {**spec, "level": level})

    def _start(self, run: str, spec: Json) -> None:
        runs.prepare(self.root, run, spec)
        client.start(self.root, run)
        uid, container, number = runs.split_id(run)
        for old in range(number - 2, -1, -1):  # the latest and the one before are kept, for `kubectl logs --previous`
            path = runs.directory(self.root, run_id(uid, container, old))
            if not os.path.isdir(path):
                break
            shutil.rmtree(path, ignore_errors=True)

    async def stop(self, run: str, grace_seconds: float) -> None:
        found = runs.look(self.root, run)
        if found is not None and found.state == runs.PREPARED:
            runs.cancel(self.root, run)
        runs.request_stop(self.root, run, signal.SIGTERM, grace_seconds)

    async def settle(self, run: str) -> None:
        await asyncio.to_thread(client.settle, self.root, run)

    def has_changed(self, run: Run) -> bool:
        return not locks.is_held(os.path.join(run.path, "lock"))

    def remove(self, pod_uid: str) -> bool:
        if not runs.remove_pod(self.root, pod_uid):
            return False
        for known in (self._levels, self._messages):
            for name in [name for name in known if name.startswith(f"{pod_uid}/")]:
                del known[name]
        return True


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


class TimerRuntime:
    """No processes: a container runs for the time that the pod's annotation names, then it has succeeded; an init
    container succeeds at once. A stopped one ends as by the signal. What a restart needs is in the pod's status."""

    def __init__(self, now: Callable[[], int], wake: Callable[[str], None]) -> None:
        self._now = now
        self._wake = wake
        self._runs: dict[str, dict[str, list[tuple[int, int, Exit]]]] = {}
        """By pod and container: (number, level, how it is going to end)."""
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def adopt(self, pod: Pod) -> None:
        if pod.uid in self._runs:
            return
        known: dict[str, list[tuple[int, int, Exit]]] = {}
        for status in pod.status.init_container_statuses + pod.status.container_statuses:
            state = status.state
            if state.running is not None and state.running.started_at:
                end = self._planned(pod, status.name, parse_time(state.running.started_at))
            elif state.terminated is not None and status.container_id:
                ended = state.terminated
                times = (parse_time(text) if text else 0 for text in (ended.started_at, ended.finished_at))
                end = Exit(ended.exit_code, ended.signal, ended.reason, ended.message, *times)
            else:
                continue
            known[status.name] = [(status.restart_count, 0, end)]
            self._arm(pod.uid, status.name, end)
        self._runs[pod.uid] = known

    def attempts(self, pod: Pod) -> Attempts:
        return {
            name: [self._attempt(pod.uid, name, *one) for one in known[-2:]]
            for name, known in self._runs.get(pod.uid, {}).items()
        }

    def _attempt(self, uid: str, container: str, number: int, level: int, end: Exit) -> Attempt:
        over = self._now() >= end.finished_at
        state = runs.EXITED if over else runs.RUNNING
        return Attempt(
            number, level, Run(run_id(uid, container, number), "", state, 0, end.started_at, end if over else None)
        )

    async def start(self, run: str, spec: Json, level: int) -> None:
        uid, container, number = runs.split_id(run)
        known = self._runs.setdefault(uid, {}).setdefault(container, [])
        if known and known[-1][0] >= number:
            return
        end = Exit(0, 0, "Completed", "", self._now(), self._now() + int(spec["run_for"] * SECOND))
        known.append((number, level, end))
        self._arm(uid, container, end)
        self._wake(uid)

    def _planned(self, pod: Pod, container: str, started_at: int) -> Exit:
        return Exit(0, 0, "Completed", "", started_at, started_at + int(run_seconds(pod, container) * SECOND))

    def _arm(self, uid: str, container: str, end: Exit) -> None:
        name = f"{uid}/{container}"
        if name in self._timers:
            self._timers.pop(name).cancel()
        delay = (end.finished_at - self._now()) / SECOND
        if delay > 0:
            self._timers[name] = asyncio.get_running_loop().call_later(delay + 0.001, self._wake, uid)

    async def stop(self, run: str, grace_seconds: float) -> None:
        uid, container, _ = runs.split_id(run)
        known = self._runs.get(uid, {}).get(container)
        if known and known[-1][2].finished_at > self._now():
            number, level, end = known[-1]
            term = int(signal.SIGTERM)
            known[-1] = (number, level, Exit(128 + term, term, "Error", "", end.started_at, self._now()))
            self._wake(uid)

    async def settle(self, run: str) -> None:
        """Timers do not get lost."""

    def has_changed(self, run: Run) -> bool:
        return False

    def remove(self, pod_uid: str) -> bool:
        for container in self._runs.pop(pod_uid, {}):
            timer = self._timers.pop(f"{pod_uid}/{container}", None)
            if timer is not None:
                timer.cancel()
        return True


def run_seconds(pod: Pod, container: str) -> float:
    """How long a container of a simulated pod runs."""
    if any(one.name == container and one.restart_policy != "Always" for one in pod.spec.init_containers):
        return 0.0
    try:
        seconds = float(pod.metadata.annotations.get(RUN_FOR_ANNOTATION, ""))
    except ValueError:
        return DEFAULT_RUN_SECONDS
    return seconds if 0 <= seconds < 1e9 else DEFAULT_RUN_SECONDS


def forgotten(pod: Pod, attempts: Attempts) -> dict[str, Sequence[Attempt]]:
    """Attempts that the pod's status tells of and this node has no trace of: their processes are lost (kubelet: the
    same words)."""
    found: dict[str, Sequence[Attempt]] = {}
    for status in pod.status.init_container_statuses + pod.status.container_statuses:
        if not status.container_id or attempts.get(status.name):
            continue
        ended = status.state.terminated
        if ended is not None:
            times = (parse_time(text) if text else 0 for text in (ended.started_at, ended.finished_at))
            end = Exit(ended.exit_code, ended.signal, ended.reason, ended.message, *times)
        else:
            text = "The container could not be located when the pod was observed"
            end = Exit(137, 0, "ContainerStatusUnknown", text, 0, 0)
        name = run_id(pod.uid, status.name, status.restart_count)
        found[status.name] = [Attempt(status.restart_count, 0, Run(name, "", runs.EXITED, 0, end.started_at, end))]
    return found
