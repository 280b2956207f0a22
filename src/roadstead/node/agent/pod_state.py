"""What to do about one pod: from the pod, its runs and the time, without I/O.

`decide` is asked again whenever any of them changed, and at `again_at`. It keeps nothing between calls: what matters is
in the pod and in the runs, so an agent that was killed decides the same after it looked. Rules: workloads of Kubernetes
as the kubelet runs them (k8s `pkg/kubelet/kuberuntime` computePodActions, `pkg/kubelet/kubelet_pods.go` getPhase).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND, parse_time
from roadstead.node.agent.probe_state import Condition, condition_of
from roadstead.node.agent.problems import Problem
from roadstead.node.agent.views import Container, Pod
from roadstead.node.keeper import runs
from roadstead.node.keeper.runs import Exit, Run

BACKOFF_RESET = 600 * SECOND
LEAST_GRACE_SECONDS = 2.0
"""Between TERM and KILL, however late it is (kubelet: minimumGracePeriodInSeconds)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between restarts: none before the first, then `base` doubling up to `cap` (nanoseconds)."""

    base: int = 10 * SECOND
    cap: int = 300 * SECOND

    def delay(self, level: int) -> int:
        """Nanoseconds to wait after the end of an attempt that is the `level`-th restart."""
        return min(self.base << (level - 1), self.cap) if level else 0


KUBELET_BACKOFF = Backoff()


@dataclass(frozen=True, slots=True)
class Attempt:
    """The latest (or an earlier) run of one container. `level` counts restarts since it last ran for long."""

    number: int
    level: int
    run: Run

    @property
    def has_started(self) -> bool:
        return self.run.state in (runs.RUNNING, runs.ENDING, runs.LOST, runs.EXITED)

    @property
    def end(self) -> Exit | None:
        return self.run.exit if self.run.state == runs.EXITED else None


Attempts = Mapping[str, Sequence[Attempt]]
"""By container: its attempts known on this node, oldest first."""


@dataclass(frozen=True, slots=True)
class Around:
    """What the node knows about a pod besides its object and its runs."""

    start_time: int
    pod_ip: str = ""
    host_ip: str = ""
    problems: Mapping[str, Problem] = field(default_factory=dict)
    """By container: why it could not be started when it was last tried."""
    held: Problem | None = None
    """Why nothing of the pod may start yet."""
    rejected: Problem | None = None
    """Why this node will never run the pod."""
    backoff: Backoff = KUBELET_BACKOFF
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    """By container: what probes and hooks say about its latest run."""
    allocated: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """By container: the devices of its claims and their health, as its status tells them."""


@dataclass(frozen=True, slots=True)
class Start:
    container: Container
    number: int
    level: int


@dataclass(frozen=True, slots=True)
class Stop:
    run_id: str
    container: str
    grace_seconds: float
    """0: so little that a preStop hook is not begun. TERM gets LEAST_GRACE_SECONDS before KILL even so."""
    message: str = ""
    """Why, if it is not just the pod's end."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that ended and will be started again at `until`."""

    problem: Problem
    until: int


@dataclass(frozen=True, slots=True)
class Decision:
    start: tuple[Start, ...] = ()
    stop: tuple[Stop, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    is_over: bool = False
    """Nothing of the pod runs and nothing will."""
    is_initialized: bool = False
    again_at: int | None = None


def latest(attempts: Attempts, container: str) -> Attempt | None:
    known = attempts.get(container)
    return known[-1] if known else None


def unwatched(attempts: Attempts) -> dict[str, Condition]:
    """What is known of runs that nobody probes: they are healthy."""
    return {name: Condition(known[-1].run.run_id) for name, known in attempts.items() if known}


def is_sidecar(pod: Pod, container: Container) -> bool:
    """A restartable init container (KEP-753)."""
    return container.restart_policy == "Always" and container in pod.spec.init_containers


def restarts_after(pod: Pod, container: Container, end: Exit) -> bool:
    """Does the policy start this container again after it ended like this?"""
    policy = container.restart_policy or pod.spec.restart_policy
    if policy == "Always" and (container not in pod.spec.init_containers or container.restart_policy == "Always"):
        return True
    return policy != "Never" and end.exit_code != 0


def decide(pod: Pod, attempts: Attempts, around: Around, now: int) -> Decision:
    """What to start and stop now, and what the pod's state is. O(containers)."""
    return _Deciding(pod, attempts, around, now).decide()


class _Deciding:
    def __init__(self, pod: Pod, attempts: Attempts, around: Around, now: int) -> None:
        self.pod, self.attempts, self.around, self.now = pod, attempts, around, now
        self.starts: list[Start] = []
        self.stops: list[Stop] = []
        self.waiting: dict[str, Waiting] = {}
        self.times: list[int] = []

    def decide(self) -> Decision:
        grace = self.pod.spec.grace_seconds
        if self.pod.metadata.deletion_timestamp is not None:
            grace = (parse_time(self.pod.metadata.deletion_timestamp) - self.now) / SECOND
            return self._wind_down(grace)
        if self.pod.status.is_final:
            return self._wind_down(grace)  # somebody else ended it, or we did
        if self.around.rejected is not None:
            return self._wind_down(0.0, failed=self.around.rejected)
        deadline = self._deadline()
        if deadline is not None and self.now >= deadline and not self._ended_by(deadline):
            text = "Pod was active on the node longer than the specified deadline"
            return self._wind_down(grace, failed=Problem("DeadlineExceeded", text))
        if deadline is not None:
            self.times.append(deadline)
        return self._run()

    # --- running

    def _run(self) -> Decision:
        grace = self.pod.spec.grace_seconds
        initialized, failed = self._initialize()
        if failed:
            return self._wind_down(grace, failed=Problem("", ""))
        if initialized:
            for container in self.pod.spec.containers:
                self._keep_up(container)
                if not self._is_set_up(container):
                    break  # a postStart hook holds up the containers after it
        for container in self.pod.spec.all_containers:
            self._stop_unhealthy(container)
        regular = [latest(self.attempts, one.name) for one in self.pod.spec.containers]
        done = initialized and not self.waiting_or_starting() and all(one is not None and one.end for one in regular)
        if done:
            return self._wind_down(grace)
        running = initialized and all(one is not None and one.has_started for one in regular)
        phase = "Running" if running and all(map(self._is_set_up, self.pod.spec.containers)) else "Pending"
        again_at = min(self.times) if self.times else None
        return Decision(
            tuple(self.starts),
            tuple(self.stops),
            waiting=self.waiting,
            phase=phase,
            is_initialized=initialized,
            again_at=again_at,
        )

    def waiting_or_starting(self) -> bool:
        """Will a regular container start (again)?"""
        names = {one.name for one in self.pod.spec.containers}
        return any(start.container.name in names for start in self.starts) or any(
            name in names for name in self.waiting
        )

    def _initialize(self) -> tuple[bool, bool]:
        """(all init containers are through, one failed for good). Starts the one whose turn it is."""
        if any(self.attempts.get(one.name) for one in self.pod.spec.containers):
            for container in self.pod.spec.init_containers:
                if is_sidecar(self.pod, container):
                    self._keep_up(container)
            return True, False
        for container in self.pod.spec.init_containers:
            attempt = latest(self.attempts, container.name)
            if is_sidecar(self.pod, container):
                self._keep_up(container)
                if attempt is None or not attempt.has_started:
                    return False, False
                if attempt.end is None and not (
                    self._condition(container, attempt).has_started and self._is_set_up(container)
                ):
                    return False, False
                continue
            if attempt is not None and attempt.end is not None:
                if attempt.end.exit_code == 0:
                    continue
                if not restarts_after(self.pod, container, attempt.end):
                    return False, True
            self._keep_up(container)
            return False, False
        return True, False

    def _keep_up(self, container: Container) -> None:
        """Start the container if it has to run and does not."""
        attempt = latest(self.attempts, container.name)
        if attempt is None:
            self._start(Start(container, 0, 0))
        elif attempt.run.state == runs.PREPARED:
            self._start(Start(container, attempt.number, attempt.level))
        elif attempt.end is not None and (
            restarts_after(self.pod, container, attempt.end) or self._was_stopped_to_restart(container, attempt)
        ):
            self._restart(container, attempt, attempt.end)

    def _condition(self, container: Container, attempt: Attempt) -> Condition:
        return condition_of(container, attempt.run.run_id, self.around.conditions)

    def _is_set_up(self, container: Container) -> bool:
        """Has it no postStart hook, or is it through with it (or ended meanwhile)?"""
        attempt = latest(self.attempts, container.name)
        if attempt is None or not attempt.has_started:
            return container.lifecycle is None or container.lifecycle.post_start is None
        if attempt.end is not None:
            return True
        condition = self._condition(container, attempt)
        return condition.is_set_up and not condition.hook_failed

    def _may_restart(self, container: Container) -> bool:
        return (container.restart_policy or self.pod.spec.restart_policy) != "Never"

    def _was_stopped_to_restart(self, container: Container, attempt: Attempt) -> bool:
        """Stopped for its health, it is started again whatever exit code it chose (k8s computePodActions)."""
        condition = self._condition(container, attempt)
        return (condition.failed is not None or condition.hook_failed) and self._may_restart(container)

    def _stop_unhealthy(self, container: Container) -> None:
        """Stop the container if a probe or its postStart hook says so."""
        attempt = latest(self.attempts, container.name)
        if attempt is None or attempt.end is not None or not attempt.has_started:
            return
        condition, grace = self._condition(container, attempt), self.pod.spec.grace_seconds
        if condition.failed is not None:
            text = f"Container {container.name} failed {condition.failed.kind} probe"
            text += ", will be restarted" if self._may_restart(container) else ""
            grace = grace if condition.failed.grace_seconds is None else condition.failed.grace_seconds
        elif condition.hook_failed:
            text = "FailedPostStartHook"
        else:
            return
        self.stops.append(Stop(attempt.run.run_id, container.name, grace, text))

    def _restart(self, container: Container, attempt: Attempt, end: Exit) -> None:
        ran_long = end.finished_at - end.started_at >= BACKOFF_RESET
        level = 0 if ran_long else attempt.level
        delay = self.around.backoff.delay(level)
        until = end.finished_at + delay
        if self.now >= until:
            self._start(Start(container, attempt.number + 1, level + 1))
            return
        meta = self.pod.metadata
        who = f"container={container.name} pod={meta.name}_{meta.namespace}({meta.uid})"
        text = f"back-off {_duration(delay)} restarting failed {who}"
        self.waiting[container.name] = Waiting(Problem("CrashLoopBackOff", text), until)
        self.times.append(until)

    def _start(self, start: Start) -> None:
        if self.around.held is None:
            self.starts.append(start)

    # --- ending

    def _wind_down(self, grace: float, failed: Problem | None = None) -> Decision:
        """Stop what runs, side cars last; when nothing runs, say how the pod ended."""
        regular = self._live(one for one in self.pod.spec.containers)
        ordinary_inits = self._live(one for one in self.pod.spec.init_containers if not is_sidecar(self.pod, one))
        sidecars = self._live(one for one in self.pod.spec.init_containers if is_sidecar(self.pod, one))
        live = regular or ordinary_inits or sidecars
        if live:
            first = regular + ordinary_inits
            chosen = first or list(reversed(sidecars))
            return Decision(
                stop=tuple(Stop(attempt.run.run_id, name, max(grace, LEAST_GRACE_SECONDS)) for name, attempt in chosen),
                phase=self._phase_meanwhile(),
                is_initialized=self._was_initialized(),
            )
        phase, reason, message = self._verdict(failed)
        return Decision(
            phase=phase, reason=reason, message=message, is_over=True, is_initialized=self._was_initialized()
        )

    def _phase_meanwhile(self) -> str:
        """While it is being stopped."""
        if self.pod.status.is_final:
            return self.pod.status.phase
        regular = [latest(self.attempts, one.name) for one in self.pod.spec.containers]
        return "Running" if any(one is not None and one.has_started for one in regular) else "Pending"

    def _live(self, containers: Iterable[Container]) -> list[tuple[str, Attempt]]:
        """Those that run or still may: a prepared one too, since a shim may be on its way to it."""
        both = ((one.name, latest(self.attempts, one.name)) for one in containers)
        return [(name, attempt) for name, attempt in both if attempt is not None and attempt.end is None]

    def _was_initialized(self) -> bool:
        if any(self.attempts.get(one.name) for one in self.pod.spec.containers):
            return True
        inits = [one for one in self.pod.spec.init_containers if not is_sidecar(self.pod, one)]
        ends = [attempt.end if (attempt := latest(self.attempts, one.name)) else None for one in inits]
        return all(end is not None and end.exit_code == 0 for end in ends)

    def _verdict(self, failed: Problem | None) -> tuple[str, str, str]:
        if self.pod.status.is_final:
            return self.pod.status.phase, self.pod.status.reason, ""
        if failed is not None:
            return "Failed", failed.reason, failed.message
        ends = [
            attempt.end if (attempt := latest(self.attempts, one.name)) else None for one in self.pod.spec.containers
        ]
        succeeded = all(end is not None and end.exit_code == 0 for end in ends)
        return ("Succeeded" if succeeded else "Failed"), "", ""

    def _deadline(self) -> int | None:
        seconds = self.pod.spec.active_deadline_seconds
        return None if seconds is None else self.around.start_time + seconds * SECOND

    def _ended_by(self, deadline: int) -> bool:
        """Had every regular container ended for good before the deadline?"""
        for container in self.pod.spec.containers:
            attempt = latest(self.attempts, container.name)
            end = attempt.end if attempt else None
            if end is None or end.finished_at >= deadline or restarts_after(self.pod, container, end):
                return False
        return True


def _duration(ns: int) -> str:
    """As Go prints a time.Duration: 10s, 2m40s, 100ms."""
    if ns < SECOND:
        return f"{ns // 1_000_000}ms"
    minutes, seconds = divmod(ns // SECOND, 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
