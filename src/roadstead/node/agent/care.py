"""Looking after a pod's running containers: their probes, and the hooks after their start and before their stop.

The worker says what runs (`follow`), asks how it is (`conditions`), and asks before it stops something (`before_stop`).
What is learnt wakes the worker; nothing here writes to the API but Events, and of those no more than the kubelet sends.

A hook is carried out at least once, as Kubernetes promises: that postStart is through is noted in the run's directory,
and preStop is not repeated once the stop itself has been asked for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import zlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from roadstead.kinds.times import SECOND
from roadstead.node.agent.handling import Outcome, Target, carry_out
from roadstead.node.agent.pod_state import LEAST_GRACE_SECONDS, Attempts, Stop
from roadstead.node.agent.probe_state import Check, Condition, Health, ProbeKind, Result, checks_of
from roadstead.node.agent.probe_views import Handler
from roadstead.node.agent.status import container_id
from roadstead.node.agent.views import Container, Pod
from roadstead.node.keeper import runs
from roadstead.node.keeper.runs import Run

log = logging.getLogger(__name__)

SET_UP = "post-start.json"
"""In a run's directory: its postStart hook is through, and whether it succeeded."""

_EVENTS_BURST = 25  # kubelet: spam filter of client-go's event correlator, for each object
_EVENTS_REFILL = 300 * SECOND

Tell = Callable[[str, str, str], None]
"""Record an Event about the pod: type, reason, message."""


class Care:
    """All containers of one pod. `root`: the agent's state directory."""

    def __init__(self, root: str, now: Callable[[], int], wake: Callable[[], None], tell: Tell) -> None:
        self._root, self._now, self._wake, self._tell_all = root, now, wake, tell
        self._watches: dict[str, _Watch] = {}  # by container
        self._tokens = float(_EVENTS_BURST)
        self._tokens_at = 0

    def follow(self, pod: Pod, pod_ip: str, attempts: Attempts) -> None:
        """These are the pod's attempts now: begin with runs that began, let go of those that ended."""
        for container in pod.spec.all_containers:
            known = attempts.get(container.name)
            run = known[-1].run if known else None
            watch = self._watches.get(container.name)
            if watch is not None and (run is None or run.run_id != watch.run.run_id):
                watch.close()
                del self._watches[container.name]
                watch = None
            if run is None:
                continue
            if run.state != runs.RUNNING:
                if watch is not None:
                    watch.close()  # its condition still tells why it was stopped
            elif watch is None and _needs_care(container):
                target = Target(self._root, run.run_id, container, pod_ip)
                self._watches[container.name] = _Watch(self, pod, run, target)
            elif watch is not None:
                watch.observe(pod)

    def conditions(self) -> Mapping[str, Condition]:
        """By container, of those that need looking after."""
        return {name: watch.condition for name, watch in self._watches.items()}

    def before_stop(self, stop: Stop) -> float | None:
        """The grace that is left for TERM, LEAST_GRACE_SECONDS at least; None while a preStop hook is at work (the
        worker is woken at its end)."""
        watch = self._watches.get(stop.container)
        if watch is None or watch.run.run_id != stop.run_id:
            return max(LEAST_GRACE_SECONDS, stop.grace_seconds)
        return watch.before_stop(stop.grace_seconds)

    def close(self) -> None:
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()

    def tell(self, kind: str, reason: str, message: str) -> None:
        """Record an Event, unless too many were: 25 at once, then one in five minutes."""
        now = self._now()
        self._tokens = min(_EVENTS_BURST, self._tokens + (now - self._tokens_at) / _EVENTS_REFILL)
        self._tokens_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            self._tell_all(kind, reason, message)

    def now(self) -> int:
        return self._now()

    def wake(self) -> None:
        self._wake()


def _needs_care(container: Container) -> bool:
    return bool(checks_of(container)) or container.lifecycle is not None


class _Watch:
    """One run."""

    def __init__(self, care: Care, pod: Pod, run: Run, target: Target) -> None:
        self.care, self.run, self.target = care, run, target
        container = target.container
        before = pod.status_of(container.name)
        known = before is not None and before.container_id == container_id(run)
        checks = checks_of(container)
        self.health = Health(
            checks,
            run.started_at,
            has_started=known and before is not None and bool(before.started),
            is_ready=known and before is not None and before.ready,
            not_before=care.now() + _offset(run, checks) if known else 0,
        )
        lifecycle = container.lifecycle
        self._post_start = lifecycle.post_start if lifecycle is not None else None
        self._pre_stop = lifecycle.pre_stop if lifecycle is not None else None
        self.is_set_up = self._post_start is None
        self.hook_failed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stop_begun = False
        self._stop_until = 0
        self._pre_stop_is_through = False
        self.observe(pod)
        if not self.is_set_up:
            self._read_set_up()
        if not self.is_set_up:
            self._spawn(self._set_up())
        if checks:
            self._spawn(self._keep_probing())

    @property
    def condition(self) -> Condition:
        health = self.health
        return Condition(
            self.run.run_id, health.has_started, health.is_ready, health.failed, self.is_set_up, self.hook_failed
        )

    def observe(self, pod: Pod) -> None:
        is_leaving = pod.metadata.deletion_timestamp is not None
        if is_leaving != self.health.is_leaving:
            self.health.is_leaving = is_leaving
            self._changed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("looking after %s failed", self.run.run_id, exc_info=task.exception())

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    # --- probes

    async def _keep_probing(self) -> None:
        while True:
            now = self.care.now()
            if self.is_set_up:
                for check in self.health.due(now):
                    self._spawn(self._probe(check, now))
            at = self.health.next_at() if self.is_set_up else None
            seconds = None if at is None else max(0.0, (at - self.care.now()) / SECOND)
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                continue
            self._changed.clear()

    async def _probe(self, check: Check, begun_at: int) -> None:
        outcome = await self._attempt(check.handler, check.timeout_seconds)
        is_news = self.health.record(check.kind, outcome.result, begun_at, self.care.now())
        self._changed.set()
        if is_news:
            self.care.wake()
        self._report(check, outcome)

    async def _attempt(self, handler: Handler, timeout_seconds: float | None) -> Outcome:
        """Carry it out. What nobody foresaw says nothing about the container, and must not be the last that is heard of
        it."""
        try:
            return await carry_out(handler, self.target, timeout_seconds)
        except Exception as error:
            log.exception("looking after %s: a probe or hook could not be carried out", self.run.run_id)
            return Outcome(Result.UNKNOWN, str(error) or type(error).__name__)

    def _report(self, check: Check, outcome: Outcome) -> None:
        kind = check.kind.capitalize()
        if outcome.result is Result.FAILURE:
            self.care.tell("Warning", "Unhealthy", f"{kind} probe failed: {outcome.text}")
        elif outcome.result is Result.UNKNOWN:
            text = f"{kind} probe errored and resulted in unknown state: {outcome.text}"
            self.care.tell("Warning", "Unhealthy", text)
        elif outcome.text:
            self.care.tell("Warning", "ProbeWarning", f"{kind} probe warning: {outcome.text}")

    # --- hooks

    def _read_set_up(self) -> None:
        record = runs.read_json(os.path.join(self.run.path, SET_UP))
        if record is not None:
            self.is_set_up, self.hook_failed = True, not record["ok"]

    async def _set_up(self) -> None:
        assert self._post_start is not None
        is_ok = _is_done(await self._attempt(self._post_start, None))
        try:
            runs.replace_json(os.path.join(self.run.path, SET_UP), {"format": runs.FORMAT, "ok": is_ok})
        except OSError as error:  # a full disk, say: then the next agent carries the hook out once more
            log.warning("that the postStart hook of %s is through cannot be noted: %s", self.run.run_id, error)
        self.is_set_up, self.hook_failed = True, not is_ok
        if not is_ok:
            self.care.tell("Warning", "FailedPostStartHook", "PostStartHook failed")
        self._changed.set()
        self.care.wake()

    def before_stop(self, grace_seconds: float) -> float | None:
        now = self.care.now()
        until = now + int(grace_seconds * SECOND)
        if self._stop_begun:
            self._stop_until = min(self._stop_until, until)
        elif (
            self._pre_stop is None
            or grace_seconds <= 0  # no time for it (kubelet: killContainer)
            or os.path.exists(os.path.join(self.run.path, "stop.json"))
        ):
            return max(LEAST_GRACE_SECONDS, grace_seconds)
        else:
            self._stop_begun, self._stop_until = True, until
            self._spawn(self._before_stop())
        return max(LEAST_GRACE_SECONDS, (self._stop_until - now) / SECOND) if self._pre_stop_is_through else None

    async def _before_stop(self) -> None:
        assert self._pre_stop is not None
        work = asyncio.ensure_future(self._attempt(self._pre_stop, None))
        try:
            while not work.done() and (left := self._stop_until - self.care.now()) > 0:
                await asyncio.wait((work,), timeout=min(left / SECOND, 1.0))
            is_ok = work.done() and _is_done(work.result())
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        if not is_ok:
            self.care.tell("Warning", "FailedPreStopHook", "PreStopHook failed")
        self._pre_stop_is_through = True
        self.care.wake()


def _is_done(outcome: Outcome) -> bool:
    """Did a hook that came out like this succeed?"""
    return outcome.result is Result.SUCCESS or outcome.was_answered


def _offset(run: Run, checks: Mapping[ProbeKind, Check]) -> int:
    """After a start of the agent the probes of all its pods shall not come at one moment: a share of the period, the
    same each time."""
    period = max((check.period for check in checks.values()), default=0)
    return period * (zlib.crc32(run.run_id.encode()) % 1000) // 1000
