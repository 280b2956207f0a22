"""The runner: informers -> keys and changes -> controllers and deciders -> writes, until cancelled.

It orchestrates and decides nothing: which keys wake up is the controllers' `watches`, what to do is their `reconcile`,
how a write went is the Cluster's Outcome. Its own promise is read-your-own-writes (expectations.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from roadstead.kinds.object import Object, Resource
from roadstead.runtime.clock import Clock, WallClock
from roadstead.runtime.cluster import Cluster, Delete, Outcome, Result, Update, Write
from roadstead.runtime.counters import Family
from roadstead.runtime.expectations import Expectations, Waiter
from roadstead.runtime.informer import Informer, Listener
from roadstead.runtime.measures import (
    ERROR,
    REQUEUE,
    REQUEUE_AFTER,
    SUCCESS,
    ControllerCounts,
    DeciderCounts,
    runner_families,
)
from roadstead.runtime.recorder import Recorder
from roadstead.runtime.step import SECOND, Action, Controller, Decider, Index, Key
from roadstead.runtime.view import Cache, View
from roadstead.runtime.workqueue import WorkQueue
from roadstead.runtime.writing import carry_out, confirmed

log = logging.getLogger(__name__)

STUCK_SECONDS = 10.0
"""A key that waits longer than this for its own writes to appear makes their informers list again."""


TURN_SECONDS = 0.02
"""A worker whose steps write nothing goes on at once, and would hold up everybody else in this process: not for longer
than this."""
DECIDER_RETRY_SECONDS = 2.0
REFUSED_RETRY_SECONDS = 0.5


class Runner:
    """Runs controllers and deciders on one cluster. `await run()`; cancel it to stop."""

    def __init__(
        self,
        cluster: Cluster,
        controllers: Sequence[Controller] = (),
        deciders: Sequence[Decider] = (),
        *,
        clock: Clock | None = None,
        workers: int = 4,
        component: str = "roadstead",
    ) -> None:
        self.cluster = cluster
        self.clock = clock or WallClock()
        self._controllers = controllers
        self._deciders = deciders
        self._workers = workers
        self.recorder = Recorder(cluster, self.clock, component)
        self.caches = {resource: Cache(resource, indexes) for resource, indexes in self._resources().items()}
        self.view = View(self.caches)
        self._turn = asyncio.Lock()
        """Who has very many objects to look through takes turns: requests are answered in between."""
        self.informers = {
            resource: Informer(cluster, resource, cache, self._turn) for resource, cache in self.caches.items()
        }
        self._expectations = Expectations()
        self._queues = {controller.name: WorkQueue(self.clock) for controller in controllers}
        self._wake = {decider.name: asyncio.Event() for decider in deciders}
        self._unprimed: dict[str, list[Object]] = {controller.name: [] for controller in controllers}
        """Controllers whose resources are not all listed yet, and what vanished before they were."""
        self._blocked_since: dict[Waiter, int] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[Resource, asyncio.Task[None]] = {}
        self._counts = {controller.name: ControllerCounts() for controller in controllers}
        self._decisions = {decider.name: DeciderCounts() for decider in deciders}
        self._connect()

    def _resources(self) -> dict[Resource, dict[str, Index]]:
        wanted: dict[Resource, dict[str, Index]] = {}
        for controller in self._controllers:
            for resource in controller.watches:
                wanted.setdefault(resource, {})
            for (resource, name), index in controller.indexes.items():
                wanted.setdefault(resource, {})[name] = index
        for decider in self._deciders:
            for resource in decider.resources:
                wanted.setdefault(resource, {})
        return wanted

    def refit(self) -> None:
        """Watch what the controllers name now: informers come for resources that are new among `watches`, and go with
        those that no controller names any longer. Deciders keep theirs. To be called from the loop that runs it."""
        wanted = self._resources()
        for resource in [resource for resource in self.informers if resource not in wanted]:
            del self.informers[resource], self.caches[resource]
            task = self._tasks.pop(resource, None)
            if task is not None:
                task.cancel()
        for resource in [resource for resource in wanted if resource not in self.informers]:
            cache = self.caches[resource] = Cache(resource, wanted[resource])
            informer = self.informers[resource] = Informer(self.cluster, resource, cache, self._turn)
            self._join(informer)
            if self._group is not None:
                self._start(self._group, informer)

    def _start(self, group: asyncio.TaskGroup, informer: Informer) -> None:
        self._tasks[informer.resource] = group.create_task(informer.run(), name=f"informer {informer.resource}")

    def _connect(self) -> None:
        for informer in self.informers.values():
            self._join(informer)

    def _join(self, informer: Informer) -> None:
        informer.listeners.append(self._listener(informer.resource))
        informer.around_list.append(partial(self._before_list, informer.resource))

    def _listener(self, resource: Resource) -> Listener:
        concerned = [controller for controller in self._controllers if resource in controller.watches]
        deciders = [decider for decider in self._deciders if resource in decider.resources]

        def changed(key: Key, old: Object | None, new: Object | None) -> None:
            current = new or old
            assert current is not None
            # A list may show another object under an old name: then the one before has vanished, and nothing else says
            # so.
            gone = old if old is not None and (new is None or old.meta.uid != new.meta.uid) else None
            for decider in deciders:
                decider.observe(resource, key, new)
                self._wake[decider.name].set()
            for controller in concerned:
                missed = self._unprimed.get(controller.name)
                if missed is None:
                    self._wake_up(controller, current, gone)
                elif gone is not None:
                    missed.append(gone)
            self._free(self._expectations.saw(old, new))

        return changed

    def _wake_up(self, controller: Controller, current: Object, gone: Object | None = None) -> None:
        """Queue the keys that a change concerns."""
        queue, keys_of = self._queues[controller.name], controller.watches[current.resource]
        try:
            for woken in keys_of(current, self.view):
                queue.add(woken)
            if gone is not None and gone is not current:
                for woken in keys_of(gone, self.view):
                    queue.add(woken)
        except Exception:  # the others are to hear of this change all the same
            log.exception("%s cannot tell whom %r concerns", controller.name, current)

    def _prime(self, controller: Controller) -> None:
        """All that the controller watches is listed: only now can be told whom every object concerns. Before, with half
        of the view still missing, half of the world would look like an orphan. O(objects)."""
        missed = self._unprimed.pop(controller.name, None)
        if missed is None:
            return
        for gone in missed:
            self._wake_up(controller, gone)
        add, view = self._queues[controller.name].add, self.view
        for resource, keys_of in controller.watches.items():
            for obj in self.caches[resource].all():
                try:
                    for woken in keys_of(obj, view):
                        add(woken)
                except Exception:  # the others are to be told of all the same
                    log.exception("%s cannot tell whom %r concerns", controller.name, obj)

    def _before_list(self, resource: Resource) -> Callable[[], None]:
        awaited = self._expectations.snapshot(resource)
        return lambda: self._free(self._expectations.met_by_list(awaited))

    def _free(self, waiters: set[Waiter]) -> None:
        for name, key in sorted(waiters):  # a set has no order of its own, and the same events must give the same run
            self._queues[name].add(key)

    # ------------------------------------------------------------------ running

    async def run(self) -> None:
        """Run everything; returns only by being cancelled or by a bug, which ends all of it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.recorder.run(), name="recorder")
            self._group = group
            for informer in self.informers.values():
                self._start(group, informer)
            for decider in self._deciders:
                group.create_task(self._decide(decider), name=decider.name)
            for controller in self._controllers:
                for number in range(self._workers):
                    group.create_task(self._work(controller), name=f"{controller.name} {number}")
            group.create_task(self._unstick(), name="unstick")

    async def wait_synced(self) -> None:
        """Return once every informer has listed."""
        for informer in self.informers.values():
            await informer.synced.wait()

    def families(self) -> Iterator[Family]:
        """What has been counted so far, for metrics."""
        return runner_families(self._counts, self._decisions, self._queues, self._workers)

    def unsynced(self) -> Sequence[Resource]:
        """What has not been listed yet."""
        return [resource for resource, informer in self.informers.items() if not informer.synced.is_set()]

    async def _work(self, controller: Controller) -> None:
        for resource in dict.fromkeys((*controller.watches, *(resource for resource, _ in controller.indexes))):
            await self.informers[resource].synced.wait()
        async with self._turn:
            self._prime(controller)
            await asyncio.sleep(0)
        queue, counts = self._queues[controller.name], self._counts[controller.name]
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            key = await queue.take()
            began = loop.time()
            counts.active += 1
            try:
                result = await self._reconcile(controller, queue, key)
                if result:
                    counts.results[result] += 1
                    counts.seconds.observe(loop.time() - began)
            except asyncio.CancelledError:
                raise
            except Exception:
                counts.results[ERROR] += 1
                # A bug in one controller must not stop the others; the key comes again, ever more slowly, and says so
                # each time.
                log.exception("%s failed on %s", controller.name, "/".join(key))
                queue.add_after_failure(key)
            finally:
                counts.active -= 1
                queue.done(key)
            if loop.time() - since > TURN_SECONDS:
                await asyncio.sleep(0)
                since = loop.time()

    async def _reconcile(self, controller: Controller, queue: WorkQueue, key: Key) -> str:
        """Reconcile once; gives the result as it is counted, "" if the view was not ready for it."""
        waiter = (controller.name, key)
        if self._expectations.is_blocked(waiter):
            self._blocked_since.setdefault(waiter, self.clock.now())
            return ""
        self._blocked_since.pop(waiter, None)
        step = controller.reconcile(key, self.view, self.clock.now())
        if step.confirm and not await confirmed(self.cluster, step.confirm):
            log.debug("%s %s: what the view says is absent is there", controller.name, key)
            queue.add_after_failure(key)
            return REQUEUE
        done = await carry_out(self.cluster, step.stages)
        for write, outcome in done:
            self._expect(waiter, write, outcome)
        failed = next((outcome for _, outcome in done if not outcome.is_done), None)
        if failed is None:
            queue.succeeded(key)
            if step.again_at is not None:
                queue.add_at(key, step.again_at)
            for note in step.notes:
                self.recorder.record(note)
            return SUCCESS if step.again_at is None else REQUEUE_AFTER
        if failed.result in (Result.EXISTS, Result.CONFLICT, Result.MISSING):
            log.debug("%s %s: %s", controller.name, key, failed.message)
            queue.add_after_failure(key)
            return REQUEUE
        log.warning("%s %s: %s: %s", controller.name, "/".join(key), failed.result, failed.message)
        queue.add_after_failure(key, failed.retry_after or REFUSED_RETRY_SECONDS)
        return ERROR

    def _expect(self, waiter: Waiter, write: Write, outcome: Outcome) -> None:
        if write.resource not in self.informers:
            return
        if outcome.object is not None:
            self._expectations.expect_version(waiter, write.ref, outcome.object.version)
        elif outcome.is_done and isinstance(write, Delete):
            self._expectations.expect_gone(waiter, write.ref, write.uid)
        elif outcome.is_done and isinstance(write, Update):  # it removed the last finalizer, and so the object
            self._expectations.expect_gone(waiter, write.ref, write.value["metadata"]["uid"])

    async def _unstick(self) -> None:
        while True:
            await asyncio.sleep(STUCK_SECONDS / 2)
            limit = self.clock.now() - int(STUCK_SECONDS * SECOND)
            for waiter, since in list(self._blocked_since.items()):
                if not self._expectations.is_blocked(waiter):
                    del self._blocked_since[waiter]
                elif since < limit:
                    for ref in sorted(self._expectations.waiting_for(waiter)):
                        log.warning("%s %s waits for %s to appear; listing again", waiter[0], waiter[1], ref.name)
                        self.informers[ref.resource].relist()

    # ------------------------------------------------------------------ deciders

    async def _decide(self, decider: Decider) -> None:
        for resource in decider.resources:
            await self.informers[resource].synced.wait()
        wake, counts = self._wake[decider.name], self._decisions[decider.name]
        loop = asyncio.get_running_loop()
        again_at: int | None = None
        wake.set()
        while True:
            timeout = None if again_at is None else max(0.0, (again_at - self.clock.now()) / SECOND)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):  # unlike wait_for (before 3.12) it never swallows a cancellation
                    await wake.wait()
            wake.clear()
            began = loop.time()
            counts.rounds += 1
            try:
                actions, again_at = decider.decide(self.clock.now())
            except Exception:
                counts.failures += 1
                # A bug in deciding must not take the API away from everybody: nothing new starts until it decides
                # again.
                log.exception("%s failed; trying again in %.0f s", decider.name, DECIDER_RETRY_SECONDS)
                await asyncio.sleep(DECIDER_RETRY_SECONDS)
                wake.set()
                continue
            counts.seconds.observe(loop.time() - began)
            counts.actions += len(actions)
            if actions:
                pauses = await asyncio.gather(*(self._act(decider, action) for action in actions))
                wake.set()
                # What a server refuses once it mostly refuses again at once: asking without a pause would be all it
                # ever hears.
                await asyncio.sleep(max(pauses))

    async def _act(self, decider: Decider, action: Action) -> float:
        """Carry an action out; the seconds that its outcomes ask to wait before the next."""
        outcomes: list[Outcome] = []
        try:
            outcomes += [outcome for _, outcome in await carry_out(self.cluster, action.step.stages)]
            if all(outcome.is_done for outcome in outcomes):
                for note in action.step.notes:
                    self.recorder.record(note)
        except Exception:
            # As in deciding. Concluded as if nothing had been written: what was written all the same, an informer will
            # show.
            log.exception("%s: an action failed", decider.name)
        try:
            decider.concluded(action, outcomes)
        except Exception:
            log.exception("%s could not take in what became of an action", decider.name)
        return max(map(_pause, outcomes), default=0.0)


def _pause(outcome: Outcome) -> float:
    """Seconds before whoever got this outcome should try again; what an informer will explain needs none."""
    if outcome.result in (Result.THROTTLED, Result.INVALID):
        return outcome.retry_after or REFUSED_RETRY_SECONDS
    return 0.0
