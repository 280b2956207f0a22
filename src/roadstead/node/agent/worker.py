"""One task per pod: look, decide (`pod_state`), carry out, report; again when something changed.

What must survive the agent is on disk or in the API; this task may be killed between any two lines. Its own memory
saves repeated work only: what it asked for a moment ago, and which version of the pod it wrote last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Mapping

from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json, Object, ObjectMeta
from roadstead.kinds.times import SECOND, parse_time
from roadstead.node.agent import allotment, devices, isolation, launch, peers, pod_state
from roadstead.node.agent.addresses import choose_address
from roadstead.node.agent.care import Care
from roadstead.node.agent.claims import giving, visible
from roadstead.node.agent.claims.giving import Claims
from roadstead.node.agent.claims.preparation import FILES, Preparation
from roadstead.node.agent.echo import ECHO_SECONDS, Echo
from roadstead.node.agent.host import Host
from roadstead.node.agent.pod_state import Around, Attempts, Decision, Start, Stop
from roadstead.node.agent.problems import CannotStart, Problem
from roadstead.node.agent.runtimes import forgotten, run_id, run_seconds
from roadstead.node.agent.status import pod_status, says_the_same
from roadstead.node.agent.views import Pod
from roadstead.node.agent.volumes.upkeep import Upkeep
from roadstead.node.keeper import runs
from roadstead.node.keeper.client import KeeperError
from roadstead.node.keeper.crash import crashpoint
from roadstead.node.keeper.runs import Run, RunError
from roadstead.runtime.cluster import Delete, Result, Unavailable, Update
from roadstead.runtime.writing import write_once

log = logging.getLogger(__name__)

_RETRY = (1 * SECOND, 10 * SECOND)  # after a failed start: first, at most
_PATIENCE = 1 * SECOND  # how long a start that was asked for, or a dull status, may wait


class Unsettled(Exception):
    """A run's end could not be recorded just now; looking again later is right."""


class Worker:
    """One pod on one node. `current` is the newest version known; None once the object is gone."""

    def __init__(self, host: Host, uid: str, current: Object | None) -> None:
        self.host = host
        self.uid = uid
        self.current = current
        self.directory = host.state / "pods" / uid
        self._claims = Preparation(host.cluster, host.hardware, self.directory, host.now, host.cdi_directories)
        self._upkeep = Upkeep(host.cluster, host.objects, host.now, self.directory / launch.VOLUMES)
        self._wake = asyncio.Event()
        self._care = Care(os.fspath(host.state), host.now, self.wake, self._tell)
        self._echo = Echo()
        self._problems: dict[str, Problem] = {}
        self._retries: dict[str, tuple[int, int]] = {}  # container -> (not before, delay)
        self._asked: dict[str, int] = {}  # run id -> when its start was asked for
        self._stopping: dict[str, int] = {}  # run id -> when it will be killed
        self._announced: set[str] = set()  # runs whose stop has its Event
        self._deleted = ""
        record = self._load_record()
        self.start_time: int = record["start_time"]
        self.pod_ip: str = record["ip"]
        self.live: list[Run] = []
        """Runs that may have a process, as of the last look."""
        self._allotted: tuple[str, ...] = tuple(record.get("devices", ()))
        """Devices that this node chose for the pod."""
        if current is not None:
            pod = self._view(current)
            host.runtime.adopt(pod)
            if any(attempt.end is None for known in host.runtime.attempts(pod).values() for attempt in known):
                self._hold(pod)

    def _load_record(self) -> Json:
        """What the node once decided about this pod: its address, and when it first saw it."""
        path = self.directory / "pod.json"
        try:
            record: Json | None = runs.read_json(str(path))
        except RunError:
            record = None
        if record is None:
            record = {"format": runs.FORMAT, "uid": self.uid, "start_time": self.host.now(), "ip": ""}
            record["node"] = self.host.name
            if self.current is not None:
                status = self.current.view(Pod).status
                record["ip"] = status.pod_ip or choose_address(self.uid, self.host.addresses)
                if status.start_time:
                    record["start_time"] = parse_time(status.start_time)
                record |= {"namespace": self.current.meta.namespace, "name": self.current.meta.name}
                # Whatever becomes of the pod while no agent looks: who comes back knows what its processes may still
                # use.
                if names := devices.assigned(self.current.view(Pod)):
                    record["devices"] = list(names)
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            runs.replace_json(str(path), record)
        return record

    def _view(self, current: Object) -> Pod:
        pod = current.view(Pod)
        return allotment.given(pod, self._allotted) if self._allotted else pod

    def _allot(self, pod: Pod) -> Pod:
        """The pod with devices of this node, if it needs some and they are free: from now on they are its own."""
        count = allotment.wants(pod, self.host.profile)
        is_ending = pod.metadata.deletion_timestamp is not None or pod.status.is_final
        chosen = allotment.choose(count, self.host.profile, self.host.occupancy.busy()) if not is_ending else ()
        if not chosen:
            return pod
        path = os.fspath(self.directory / "pod.json")
        runs.replace_json(path, {**(runs.read_json(path) or {}), "devices": list(chosen)})
        self._allotted = chosen
        pod = allotment.given(pod, chosen)
        self._hold(pod)
        return pod

    def _hold(self, pod: Pod) -> None:
        self.host.occupancy.hold(pod, self._claims.uses)

    async def _prepare(self, current: Object, pod: Pod) -> int | None:
        """See to the pod's claims, unless it is ending; when to look again if they are not as they must be."""
        if pod.metadata.deletion_timestamp is not None or pod.status.is_final:
            return None
        before = self._claims.problem
        again_at = await self._claims.look(pod)
        if self._claims.problem not in ("", before):
            text = f"Failed to prepare dynamic resources: {self._claims.problem}"
            self.host.note(current, "Warning", "FailedPrepareDynamicResources", text)
        return again_at

    # --- what others tell it

    def wake(self) -> None:
        self._wake.set()

    def observe(self, new: Object | None) -> None:
        """The informer brought a version (None: gone). Versions from before our own last write are passed over."""
        if self._echo.is_news(new):
            self.current = new
        self.wake()

    def look_again(self) -> None:
        """Wake up if a live run is perhaps not alive any more."""
        if any(self.host.runtime.has_changed(run) for run in self.live):
            self.wake()

    # --- the task

    def _tell(self, kind: str, reason: str, message: str) -> None:
        if self.current is not None:
            self.host.note(self.current, kind, reason, message)

    async def run(self) -> None:
        """Until the pod is gone and nothing of it is left on this node."""
        try:
            await self._keep_stepping()
        finally:
            self._care.close()

    async def _keep_stepping(self) -> None:
        delay = 0.0
        while True:
            try:
                again_at = await self._step()
                delay = 0.0
            except Unavailable:
                again_at = self.host.now() + SECOND
            except Unsettled as waiting:
                log.debug("pod %s: %s", self.uid, waiting)
                again_at = self.host.now() + SECOND // 10
            except Exception:
                log.exception("pod %s: trying again", self.uid)
                delay = min(delay * 2 or 0.5, 30.0)
                again_at = self.host.now() + int(delay * SECOND)
            if again_at is not None and again_at < 0:
                return
            timeout = None if again_at is None else max(0.0, (again_at - self.host.now()) / SECOND)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):  # unlike wait_for (before 3.12) it never swallows a cancellation
                    await self._wake.wait()
            self._wake.clear()

    async def _step(self) -> int | None:
        """One round; when to look again even if nobody calls, -1 if there is nothing left to do."""
        if self._echo.is_overdue(asyncio.get_running_loop().time()):
            await self._read_again()
        if self.current is None:
            return await self._wind_up()
        current = self.current
        pod = self._view(current)
        attempts = await self._look(pod)
        if not self.host.is_simulated:
            self._care.follow(pod, self.pod_ip, attempts)
        if self.host.gives_devices and not any(attempts.values()):
            pod = self._allot(pod)
        prepare_at = await self._prepare(current, pod)
        now = self.host.now()
        around = self._around(pod, attempts)
        decided = pod_state.decide(pod, attempts, around, now)
        for stop in decided.stop:
            await self._stop(current, stop)
        started = [start for start in decided.start if await self._start(current, pod, start)]
        if started:
            return now + _PATIENCE  # the shim will call
        status = pod_status(
            pod, current.decode().get("status") or {}, attempts, self._around(pod, attempts), decided, now
        )
        if decided.is_over:
            self._claims.unprepare()  # before anybody hears that the pod is over
        wait = await self._report(current, pod, attempts, decided, status)
        if decided.is_over:
            self.host.occupancy.release(self.uid)
        echo = now + int(ECHO_SECONDS * SECOND) if self._echo.awaited else None
        volumes = await self._keep_volumes(pod)
        times = [
            time
            for time in (decided.again_at, wait, self._next_retry(decided), echo, volumes, prepare_at)
            if time is not None
        ]
        return min(times) if times else None

    async def _look(self, pod: Pod) -> Attempts:
        """The attempts on this node; lost ones settled; those that only the API remembers as lost."""
        runtime = self.host.runtime
        attempts = runtime.attempts(pod)
        lost = [known[-1].run.run_id for known in attempts.values() if known and known[-1].run.state == runs.LOST]
        for run in lost:
            await runtime.settle(run)
        if lost:
            attempts = runtime.attempts(pod)
            if any(known and known[-1].run.state == runs.LOST for known in attempts.values()):
                raise Unsettled(f"run {lost[0]} has no shim and no exit record yet")
        attempts = {**forgotten(pod, attempts), **{name: known for name, known in attempts.items() if known}}
        last = [known[-1] for known in attempts.values()]
        self.live = [attempt.run for attempt in last if attempt.run.state in (runs.STARTING, runs.RUNNING, runs.ENDING)]
        return attempts

    def _around(self, pod: Pod, attempts: Attempts) -> Around:
        rejected = None
        held = None
        if self._claims.problem:
            held = Problem("ContainerCreating", f"waiting for its claims: {self._claims.problem}")
        elif not any(attempts.values()):
            waits = self.host.gives_devices and allotment.wants(pod, self.host.profile)
            rejected = None if waits else devices.rejection(pod, self.host.profile)
            holder = self.host.occupancy.holder(pod, self._claims.uses)
            if waits:
                self.host.occupancy.wait(pod, self.wake)
                text = f"waiting for {waits} free devices: {', '.join(sorted(self.host.occupancy.busy()))} are in use"
                held = Problem("ContainerCreating", text)
            elif holder:
                self.host.occupancy.wait(pod, self.wake)
                text = f"waiting for pod {holder} to end: it still holds one of this pod's devices"
                held = Problem("ContainerCreating", text)
        healthy = pod_state.unwatched(attempts) if self.host.is_simulated else self._care.conditions()
        return Around(
            self.start_time,
            self.pod_ip,
            self.host.address,
            dict(self._problems),
            held,
            rejected,
            self.host.backoff,
            healthy,
            self._allocated(pod),
        )

    def _allocated(self, pod: Pod) -> dict[str, list[Json]]:
        lost = self.host.health.lost
        told = {one.name: visible.allocated_resources(one, self._claims.prepared, lost) for one in pod.spec.containers}
        return {name: resources for name, resources in told.items() if resources}

    # --- starting and stopping

    async def _start(self, current: Object, pod: Pod, start: Start) -> bool:
        """Start one attempt; False if that has to wait (then the reason is in `_problems`)."""
        name, now = start.container.name, self.host.now()
        run = run_id(self.uid, name, start.number)
        if now < self._asked.get(run, 0) + _PATIENCE:
            return True
        if now < self._retries.get(name, (0, 0))[0]:
            return False
        self._hold(pod)
        try:
            await self.host.runtime.start(run, await self._spec(pod, start, run), start.level)
        except (CannotStart, KeeperError, OSError, RunError) as error:
            problem = error.problem if isinstance(error, CannotStart) else Problem("CreateContainerError", str(error))
            delay = min(self._retries.get(name, (0, _RETRY[0] // 2))[1] * 2, _RETRY[1])
            self._retries[name] = (now + delay, delay)
            if self._problems.get(name) != problem:
                self._problems[name] = problem
                self.host.note(current, "Warning", "Failed", f"Error: {problem.message}")
            return False
        crashpoint("agent.started")
        self._asked[run] = now
        self._problems.pop(name, None)
        self._retries.pop(name, None)
        self.host.note(current, "Normal", "Started", f"Started container {name}")
        if start.number == 0 and (missing := self._left_out(pod, start)):
            self.host.note(current, "Warning", "DevicesNotWhole", f"Container {name}: {missing}")
        unmounted = launch.unmounted(pod, start.container, self.host.tier) if start.number == 0 else ""
        if unmounted and not self.host.is_simulated:
            self.host.note(current, "Warning", "VolumesNotMounted", f"Container {name}: {unmounted}")
        return True

    def _left_out(self, pod: Pod, start: Start) -> str:
        mounts = self.host.tier != isolation.BARE
        return (
            ""
            if self.host.is_simulated
            else giving.left_out(pod, start.container, self._place(pod).claims, mounts=mounts)
        )

    async def _spec(self, pod: Pod, start: Start, run: str) -> Json:
        if self.host.is_simulated:
            return {"run_for": run_seconds(pod, start.container.name)}
        launch.check(pod)
        wanted = sorted(launch.references(pod, start.container))
        read = asyncio.gather(*(self.host.objects.get(pod.metadata.namespace, one) for one in wanted))
        tokens, found = await asyncio.gather(self._upkeep.tokens(pod), read)
        objects = dict(zip(wanted, found, strict=True))
        self._claims.write_files()
        return launch.spec_of(pod, start.container, run, objects, self._place(pod), tokens)

    async def _keep_volumes(self, pod: Pod) -> int | None:
        """Volumes of running containers follow their sources; when to look again."""
        if not self.live or self.host.is_simulated:
            return None
        return await self._upkeep.look(pod, lambda objects: launch.sources_of(objects, self._place(pod)))

    def _place(self, pod: Pod) -> launch.Place:
        host = self.host
        known = peers.peers_of(pod, host.pods_in(pod.metadata.namespace)) if peers.wants_peers(pod) else []
        return launch.Place(
            self.directory,
            host.state,
            self.pod_ip,
            host.address,
            host.profile,
            host.allocatable,
            host.tier,
            host.inherited,
            known,
            host.api_server(),
            Claims(self._claims.prepared, self.directory / FILES, host.cdi_directories),
        )

    def refresh_hosts(self) -> None:
        """Peers changed: bring the pod's hosts file up to date, if it has one."""
        if self.current is not None and (self.directory / "hosts").exists():
            pod = self.current.view(Pod)
            launch.write_hosts(pod, self._place(pod))

    async def _stop(self, current: Object | None, stop: Stop) -> None:
        if stop.run_id not in self._announced and current is not None:
            self._announced.add(stop.run_id)
            self.host.note(current, "Normal", "Killing", stop.message or f"Stopping container {stop.container}")
        grace = self._care.before_stop(stop)
        if grace is None:
            return  # its preStop hook is at work
        kill_at = self.host.now() + int(grace * SECOND)
        known = self._stopping.get(stop.run_id)
        if known is not None and kill_at >= known - SECOND // 10:
            return
        await self.host.runtime.stop(stop.run_id, grace)
        self._stopping[stop.run_id] = kill_at
        crashpoint("agent.stopped")

    def _next_retry(self, decided: Decision) -> int | None:
        names = {start.container.name for start in decided.start}
        times = [at for name, (at, _) in self._retries.items() if name in names]
        return min(times) if times else None

    # --- reporting

    async def _report(
        self, current: Object, pod: Pod, attempts: Attempts, decided: Decision, status: Json
    ) -> int | None:
        """Write the status if it says something new, then delete the pod if it is through; when to look again, if
        soon."""
        stored: Json = current.decode().get("status") or {}
        if not says_the_same(status, stored):
            now = self.host.now()
            soon = [asked + _PATIENCE for asked in self._unanswered(attempts).values() if asked + _PATIENCE > now]
            if soon:
                return min(soon)
            if self._is_dull(decided) and now < self.start_time + _PATIENCE and not stored.get("podIP"):
                return self.start_time + _PATIENCE
            crashpoint("agent.reporting")
            if not await self._write_status(current, status):
                return self.host.now() + SECOND // 2
            crashpoint("agent.reported")
            return self.host.now()  # with the version that we just wrote
        if decided.is_over and current.meta.deletion_timestamp is not None:
            return await self._delete(current)
        return None

    def _unanswered(self, attempts: Attempts) -> Mapping[str, int]:
        """Starts that were asked for and have not shown yet."""
        last = [known[-1].run for known in attempts.values()]
        return {
            run.run_id: self._asked[run.run_id]
            for run in last
            if run.state in (runs.PREPARED, runs.STARTING) and run.run_id in self._asked
        }

    def _is_dull(self, decided: Decision) -> bool:
        """Would a reader learn nothing from it but that the pod is about to start?"""
        return decided.phase == "Pending" and not self._problems and not decided.waiting

    async def _write_status(self, current: Object, status: Json) -> bool:
        value = current.decode()
        value["status"] = status
        outcome = await write_once(self.host.cluster, Update(PODS, value, "status"))
        if outcome.is_done and outcome.object is not None:
            self._take(outcome.object)
            return True
        if outcome.result in (Result.CONFLICT, Result.MISSING):
            await self._read_again()
            return True
        log.warning("status of pod %s was refused: %s %s", current.meta.name, outcome.result, outcome.message)
        return False

    async def _read_again(self) -> None:
        if self.current is None:
            return
        fresh = await self.host.cluster.get(self.current.ref)
        self._echo = Echo()
        self.current = fresh if fresh is not None and fresh.meta.uid == self.uid else None

    def _take(self, obj: Object) -> None:
        """What our own write made of the pod: newer than what the informer has brought, unless it was quicker than the
        answer."""
        self.current = self._echo.wrote(obj, asyncio.get_running_loop().time())

    async def _delete(self, current: Object) -> int | None:
        """The last word: nothing of the pod runs any more, its object may go (finalizers may still hold it). When to
        try again."""
        if current.meta.deletion_grace_period_seconds == 0 or self._deleted == current.meta.resource_version:
            return None
        outcome = await write_once(self.host.cluster, Delete(current.ref, self.uid, propagation="", grace_seconds=0))
        crashpoint("agent.deleted")
        if outcome.is_done:
            if outcome.object is not None:
                self._take(outcome.object)
                self._deleted = outcome.object.meta.resource_version
            else:
                self._deleted = current.meta.resource_version
        elif outcome.result in (Result.CONFLICT, Result.MISSING):
            await self._read_again()
            self.wake()
        else:
            log.warning("pod %s could not be deleted: %s", current.meta.name, outcome.message)
            return self.host.now() + SECOND // 2
        return None

    # --- the end

    async def _wind_up(self) -> int:
        """The object is gone: stop what still runs, then remove everything. -1 when done."""
        runtime = self.host.runtime
        nobody = _bare_pod(self.uid)
        busy = False
        for known in runtime.attempts(nobody).values():
            for attempt in known:
                if attempt.run.state == runs.LOST:
                    await runtime.settle(attempt.run.run_id)
                elif attempt.end is None:
                    busy = True
                    grace = pod_state.LEAST_GRACE_SECONDS
                    await self._stop(None, Stop(attempt.run.run_id, "", grace))
        if busy or not runtime.remove(self.uid):
            return self.host.now() + SECOND // 2
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)
        self.host.occupancy.release(self.uid)
        return -1


def _bare_pod(uid: str) -> Pod:
    return Pod(metadata=ObjectMeta(uid=uid))
