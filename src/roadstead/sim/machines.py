"""The machines behind the nodes: the processes that run there, whether or not an agent looks after them.

Processes outlive the agent that started them, and end with the machine. The ledger of what was ever started is kept
here, for the judges, apart from anything that the product remembers.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from roadstead.kinds.names import JOB_INDEX_ANNOTATION, POD_DEVICES_ANNOTATION
from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND
from roadstead.node.agent.pod_state import Attempt, Attempts
from roadstead.node.agent.runtimes import run_id
from roadstead.node.agent.views import Pod
from roadstead.node.keeper import runs
from roadstead.node.keeper.runs import Exit, Run
from roadstead.sim.chance import Chance
from roadstead.sim.loop import VirtualLoop

FAILURES_ANNOTATION: Final = "sim.roadstead.dev/failures"
"""On pods: so many of the first processes of this job (Indexed: of this index) fail."""
STUBBORN_ANNOTATION: Final = "sim.roadstead.dev/stubborn"
"""On pods: does not heed TERM."""


@dataclass(slots=True, eq=False)
class Program:
    """One process of a container attempt."""

    run: str
    pod_uid: str
    container: str
    number: int
    level: int
    node: str
    devices: tuple[str, ...]
    is_stubborn: bool
    exit_code: int
    started_at: int
    state: str = runs.RUNNING
    exit: Exit | None = None
    end: asyncio.TimerHandle | None = None
    kill_at: float | None = None

    @property
    def is_alive(self) -> bool:
        return self.state == runs.RUNNING


@dataclass(slots=True)
class _Known:
    """What the machine must know of a pod to run it."""

    node: str
    devices: tuple[str, ...]
    who: tuple[str, str]
    failures: int
    is_stubborn: bool


@dataclass(slots=True)
class Ledger:
    """What really ran, for the judges."""

    started: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Run id -> (uid of the job, its index or "")."""
    ended: dict[str, int] = field(default_factory=dict)
    """Run id -> exit code."""


class Machines:
    """All machines of one cluster."""

    def __init__(self, loop: VirtualLoop, chance: Chance, complain: Callable[[str], None]) -> None:
        """`complain` is told at once what should never happen on a machine."""
        self._loop = loop
        self._chance = chance
        self._complain = complain
        self.ledger = Ledger()
        self.programs: dict[str, Program] = {}
        self.failing_starts = 0.0
        """Probability that a start fails as on a full disk."""
        self.deaf = 0.0
        """Probability that the word that a process ended gets lost."""
        self.slow_seconds = 0.0
        """Starts take up to so long."""
        self._pods: dict[str, _Known] = {}
        self._starts: dict[tuple[str, str], int] = {}
        self._wakes: dict[str, Callable[[str], None]] = {}

    # ------------------------------------------------------------------ what agents ask

    def listen(self, node: str, wake: Callable[[str], None]) -> None:
        """From now on this agent hears (by pod uid) of what changes on the node."""
        self._wakes[node] = wake

    def know(self, pod: Pod) -> None:
        annotations = pod.metadata.annotations
        owner = pod.metadata.controller
        devices = annotations.get(POD_DEVICES_ANNOTATION, "")
        self._pods[pod.uid] = _Known(
            pod.spec.node_name,
            tuple(devices.split(",")) if devices else (),
            (owner.uid if owner else pod.uid, annotations.get(JOB_INDEX_ANNOTATION, "")),
            int(annotations.get(FAILURES_ANNOTATION, "0")),
            STUBBORN_ANNOTATION in annotations,
        )

    def attempts(self, pod_uid: str) -> dict[str, list[Program]]:
        found: dict[str, list[Program]] = {}
        for program in self.programs.values():
            if program.pod_uid == pod_uid:
                found.setdefault(program.container, []).append(program)
        return found

    async def start(self, run: str, run_for: float, level: int, now: Callable[[], int]) -> None:
        """Start a process, once however often it is asked for. OSError when the machine cannot just now."""
        if self.slow_seconds:
            await asyncio.sleep(self._chance.random() * self.slow_seconds)
        if run in self.programs:
            return
        if self._chance.happens(self.failing_starts):
            raise OSError(28, "No space left on device, on purpose")
        uid, container, number = runs.split_id(run)
        known = self._pods[uid]
        if run in self.ledger.started:
            self._complain(f"run {run} was started a second time after it had ended and was forgotten")
        for other in self.programs.values():
            if other.is_alive and other.node == known.node and other.pod_uid != uid:
                for device in set(other.devices) & set(known.devices):
                    self._complain(
                        f"{run} starts with {device} of {known.node} while the live process {other.run} has it"
                    )
        count = self._starts.get(known.who, 0)
        self._starts[known.who] = count + 1
        self.ledger.started[run] = known.who
        program = Program(
            run,
            uid,
            container,
            number,
            level,
            known.node,
            known.devices,
            known.is_stubborn,
            1 if count < known.failures else 0,
            now(),
        )
        self.programs[run] = program
        program.end = self._loop.call_later(run_for, self._end, program, program.exit_code, 0, now)
        self._tell(program)

    def stop(self, run: str, grace_seconds: float, now: Callable[[], int]) -> None:
        """TERM now, KILL after the grace, which only ever becomes shorter."""
        program = self.programs.get(run)
        if program is None or not program.is_alive:
            return
        kill_at = self._loop.time() + max(grace_seconds, 0.0)
        if program.kill_at is not None and program.kill_at <= kill_at:
            return
        is_first = program.kill_at is None
        program.kill_at = kill_at
        if program.is_stubborn:
            self._schedule(program, kill_at, signal.SIGKILL, now)
        elif is_first:
            self._schedule(program, self._loop.time() + self._chance.random() * 0.5, signal.SIGTERM, now)

    def _schedule(self, program: Program, at: float, number: int, now: Callable[[], int]) -> None:
        assert program.end is not None
        if at < program.end.when():
            program.end.cancel()
            program.end = self._loop.call_at(at, self._end, program, 128 + int(number), int(number), now)

    def settle(self, run: str, now: int) -> None:
        """Give a run whose end nobody saw its record."""
        program = self.programs.get(run)
        if program is not None and program.state == runs.LOST:
            program.state = runs.EXITED
            program.exit = Exit(137, 0, "ShimLost", "", program.started_at, now)

    def remove(self, pod_uid: str) -> bool:
        """Forget a pod; False while a process of it lives."""
        mine = [program for program in self.programs.values() if program.pod_uid == pod_uid]
        if any(program.is_alive for program in mine):
            return False
        for program in mine:
            del self.programs[program.run]
        self._pods.pop(pod_uid, None)
        return True

    # ------------------------------------------------------------------ what happens to machines

    def reboot(self, node: str) -> None:
        """Every process on the node is gone, and nobody saw how it ended."""
        for program in list(self.programs.values()):
            if program.node == node and program.is_alive:
                self.lose(program)

    def lose(self, program: Program) -> None:
        """The process dies together with the one who watched it."""
        assert program.end is not None
        program.end.cancel()
        program.state = runs.LOST
        self.ledger.ended[program.run] = 137
        self._tell(program)

    def alive(self, node: str = "") -> list[Program]:
        return [one for one in self.programs.values() if one.is_alive and node in ("", one.node)]

    def _end(self, program: Program, code: int, number: int, now: Callable[[], int]) -> None:
        program.state = runs.EXITED
        program.exit = Exit(code, number, "Completed" if code == 0 else "Error", "", program.started_at, now())
        self.ledger.ended[program.run] = code
        self._tell(program)

    def _tell(self, program: Program) -> None:
        wake = self._wakes.get(program.node)
        if wake is not None and not self._chance.happens(self.deaf):
            wake(program.pod_uid)


class MachineRuntime:
    """`node.agent.runtimes.Runtime` of one life of an agent."""

    def __init__(self, machines: Machines, now: Callable[[], int]) -> None:
        """`now` is the clock of the agent's machine."""
        self._machines = machines
        self._now = now

    def adopt(self, pod: Pod) -> None:
        self._machines.know(pod)

    def attempts(self, pod: Pod) -> Attempts:
        return {
            container: [_attempt(program) for program in programs[-2:]]
            for container, programs in self._machines.attempts(pod.uid).items()
        }

    async def start(self, run: str, spec: Json, level: int) -> None:
        await self._machines.start(run, float(spec["run_for"]), level, self._now)

    async def stop(self, run: str, grace_seconds: float) -> None:
        self._machines.stop(run, grace_seconds, self._now)

    async def settle(self, run: str) -> None:
        self._machines.settle(run, self._now())

    def has_changed(self, run: Run) -> bool:
        program = self._machines.programs.get(run.run_id)
        return program is None or not program.is_alive

    def remove(self, pod_uid: str) -> bool:
        return self._machines.remove(pod_uid)


def _attempt(program: Program) -> Attempt:
    name = run_id(program.pod_uid, program.container, program.number)
    run = Run(name, "", program.state, 0, program.started_at, program.exit)
    return Attempt(program.number, program.level, run)


__all__ = ["FAILURES_ANNOTATION", "SECOND", "STUBBORN_ANNOTATION", "MachineRuntime", "Machines", "Program"]
