"""When to probe a container, and what its probes say about it: from results and times, without I/O.

One `Health` per run of a container that has probes. It is asked what is due, told what came out, and says whether the
run has started, is ready, or has to be killed. The rules are the kubelet's (k8s `pkg/kubelet/prober/worker.go`,
`prober_manager.go`):

* a startup probe holds back the other two until it has succeeded;
* a result counts after as many in a row as its threshold says; errors of the prober itself count for nothing;
* a run without a startup probe has started; without a readiness probe it is ready once started; with one it is not ready before
  the first success;
* a failed liveness or startup probe has the run killed, and probing stops;
* once the pod is being deleted, only readiness is probed.

Two things differ, neither visible in a status: first probes come right after the initial delay and not at some point of
a period that began before the container did, and an agent that starts again takes `started` and `ready` from the pod's
status, so nothing flaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from roadstead.kinds.times import SECOND
from roadstead.node.agent.probe_views import Handler, Probe
from roadstead.node.agent.views import Container


class ProbeKind(StrEnum):
    STARTUP = "startup"
    LIVENESS = "liveness"
    READINESS = "readiness"


class Result(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"  # the probe could not be carried out


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that has to be killed because a probe of this kind failed. `grace_seconds`: the probe's own, if it has
    one."""

    kind: ProbeKind
    grace_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One probe with its defaults filled in; times in nanoseconds."""

    kind: ProbeKind
    handler: Handler
    initial_delay: int
    period: int
    timeout_seconds: float
    success_threshold: int
    failure_threshold: int
    grace_seconds: float | None

    @classmethod
    def of(cls, kind: ProbeKind, probe: Probe) -> Check:
        grace = probe.termination_grace_period_seconds
        return cls(
            kind,
            probe,
            probe.initial_delay_seconds * SECOND,
            (probe.period_seconds or 10) * SECOND,
            float(probe.timeout_seconds or 1),
            probe.success_threshold or 1,
            probe.failure_threshold or 3,
            None if grace is None else float(grace),
        )


def checks_of(container: Container) -> dict[ProbeKind, Check]:
    """The probes of a container."""
    given = {
        ProbeKind.STARTUP: container.startup_probe,
        ProbeKind.LIVENESS: container.liveness_probe,
        ProbeKind.READINESS: container.readiness_probe,
    }
    return {kind: Check.of(kind, probe) for kind, probe in given.items() if probe is not None}


_ALWAYS: Final = (ProbeKind.LIVENESS, ProbeKind.READINESS)


class Health:
    """What the probes know about one run. `started_at`: of its process. Times are nanoseconds; nothing here reads a
    clock."""

    def __init__(
        self,
        checks: Mapping[ProbeKind, Check],
        started_at: int,
        *,
        has_started: bool = False,
        is_ready: bool = False,
        not_before: int = 0,
    ) -> None:
        """`has_started`, `is_ready`: what is known from before, if the run is not new. `not_before`: no probe earlier
        than that."""
        self.checks = checks
        self.has_started = has_started or ProbeKind.STARTUP not in checks
        self.failed: Failed | None = None
        self.is_leaving = False
        """The pod is being deleted."""
        self._passed = is_ready
        self._runs: dict[ProbeKind, tuple[Result, int]] = {}
        self._at: dict[ProbeKind, int] = {}
        """When each is due next; those being carried out are not in it."""
        for kind, check in checks.items():
            self._at[kind] = max(started_at + check.initial_delay, not_before)

    @property
    def is_ready(self) -> bool:
        return self.has_started and (self._passed or ProbeKind.READINESS not in self.checks)

    def due(self, now: int) -> list[Check]:
        """The probes to carry out now. Each is then on its way until `record`."""
        found = [self.checks[kind] for kind, at in self._at.items() if at <= now and self._may(kind)]
        for check in found:
            del self._at[check.kind]
        return found

    def next_at(self) -> int | None:
        """When something will be due, None while nothing will be before a result comes."""
        times = [at for kind, at in self._at.items() if self._may(kind)]
        return min(times) if times else None

    def _may(self, kind: ProbeKind) -> bool:
        if self.failed is not None:
            return False
        if kind is ProbeKind.STARTUP:
            return not self.has_started and not self.is_leaving
        return self.has_started and not (self.is_leaving and kind is ProbeKind.LIVENESS)

    def record(self, kind: ProbeKind, result: Result, begun_at: int, now: int) -> bool:
        """A probe that was begun then came out like this; True if what is known of the run is different now."""
        check = self.checks[kind]
        late = max(0, now - begun_at)
        self._at[kind] = begun_at + (late // check.period + 1) * check.period  # ticks that passed meanwhile are dropped
        if result is Result.UNKNOWN or not self._may(kind):
            return False
        last, count = self._runs.get(kind, (Result.UNKNOWN, 0))
        count = count + 1 if last is result else 1
        self._runs[kind] = (result, count)
        threshold = check.success_threshold if result is Result.SUCCESS else check.failure_threshold
        if count < threshold:
            return False
        before = (self.has_started, self._passed, self.failed)
        if kind is ProbeKind.READINESS:
            self._passed = result is Result.SUCCESS
        elif result is Result.FAILURE:
            self.failed = Failed(kind, check.grace_seconds)
        elif kind is ProbeKind.STARTUP:
            self.has_started = True
            for other in _ALWAYS:
                if other in self._at:
                    self._at[other] = max(self._at[other], now)
        return before != (self.has_started, self._passed, self.failed)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a decision or a status needs to know of a run that has probes."""

    run_id: str
    has_started: bool = True
    is_ready: bool = True
    failed: Failed | None = None
    is_set_up: bool = True
    """Its postStart hook, if it has one, is through."""
    hook_failed: bool = False


def condition_of(container: Container, run_id: str, known: Mapping[str, Condition]) -> Condition:
    """What is known of this run of the container; of one with probes or hooks that nobody has looked at yet, the
    least."""
    found = known.get(container.name)
    if found is not None and found.run_id == run_id:
        return found
    has_started = container.startup_probe is None
    lifecycle = container.lifecycle
    return Condition(
        run_id,
        has_started,
        has_started and container.readiness_probe is None,
        is_set_up=lifecycle is None or lifecycle.post_start is None,
    )
