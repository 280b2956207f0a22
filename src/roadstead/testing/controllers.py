"""A laboratory for controllers: the runner's promises, the embedded store in memory, and a clock, all stepped by hand.

    lab = Lab(lambda: [JobController()])
    lab.create(JOBS, job)
    lab.settle()                      # until nobody has anything to do
    lab.advance(10)                   # ten seconds later, and again until nobody has anything to do

What can go wrong in production can be ordered here: informers that lag (`lag`), and at the k-th write of the
controllers a crash, a conflict, or an answer that is lost (`faults`). The same seed and faults give the same run, write
by write.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Final, TypeVar

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.kinds.registry import Registry
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import EVERYTHING, Create, Delete, Outcome, Result, Selector, Update, Write
from roadstead.runtime.step import SECOND, Controller, Index, Key, Note, Step
from roadstead.runtime.view import Cache, View
from roadstead.runtime.writing import confirmed, write_once

START: Final = 1_800_000_000 * SECOND
"""When a laboratory's clock begins: 2027-01-15T08:00:00Z."""
MOST_STEPS: Final = 20_000
"""Reconciles in one `settle`; more means that controllers chase each other."""

BACKOFF: Final = SECOND // 100
"""How soon a step whose confirmation failed is looked at again."""

T = TypeVar("T")


class Fault(Enum):
    """What goes wrong with one write of a controller."""

    CRASH_BEFORE = "crash before"
    """The process dies before the write is sent."""
    CRASH_AFTER = "crash after"
    """The process dies after the write was carried out and before it learns of it."""
    LOST_ANSWER = "lost answer"
    """The write is carried out, but the answer says that nobody knows."""
    LOST_REQUEST = "lost request"
    """The write is not carried out, and the answer says that nobody knows."""
    CONFLICT = "conflict"
    """Somebody else was faster."""


class Crash(Exception):
    """The controllers' process died."""


class Restless(AssertionError):
    """Controllers did not come to rest."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """One write of a controller, for the ledger."""

    by: str
    key: Key
    write: Write
    result: Result


@dataclass
class _Brain:
    """Everything that a crash loses: controllers, views, queues, timers."""

    controllers: Sequence[Controller]
    caches: dict[Resource, Cache]
    view: View = field(init=False)
    ready: deque[tuple[Controller, Key]] = field(default_factory=deque)
    timers: list[tuple[int, int, str, Key]] = field(default_factory=list)
    must_see: dict[tuple[str, Key], dict[Resource, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view = View(self.caches)


class _FaultyCluster:
    """The port, with one write of a controller going wrong as ordered."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def get(self, ref: Ref) -> Object | None:
        return await self._lab.cluster.get(ref)

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Any:
        return await self._lab.cluster.list(resource, namespace, selector)

    def watch(self, resource: Resource, since: str, namespace: str = "", selector: Any = None) -> Any:
        return self._lab.cluster.watch(resource, since, namespace)

    async def write(self, write: Write) -> Outcome:
        lab = self._lab
        fault = lab.faults.get(lab.writes)
        lab.writes += 1
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault is Fault.CONFLICT:
            return Outcome(Result.CONFLICT, message="ordered by the test")
        if fault is Fault.LOST_REQUEST:
            return Outcome(Result.UNKNOWN, message="ordered by the test")
        outcome = await lab.cluster.write(write)
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.LOST_ANSWER:
            return Outcome(Result.UNKNOWN, message="ordered by the test")
        return outcome


class Lab:
    """Controllers on an embedded cluster in memory. Close it, or use it as a context manager."""

    def __init__(
        self,
        controllers: Callable[[], Sequence[Controller]],
        *,
        lag: int = 0,
        faults: Mapping[int, Fault] | None = None,
        seed: int = 0,
        registry: Registry | None = None,
        namespaces: Iterable[str] = ("default",),
        may_be_refused: bool = False,
    ) -> None:
        """`controllers` makes them anew after a crash. `lag`: how many events of each resource informers may hold back
        (which ones is drawn from `seed`). `faults`: what goes wrong, by number of the controllers' write, counted from
        0. An invalid write is a controller's bug and fails the test, unless it `may_be_refused` (a namespace that is
        being deleted)."""
        self._may_be_refused = may_be_refused
        self.lag = lag
        self.faults = dict(faults or {})
        self.writes = 0
        """Writes that controllers have tried so far."""
        self.crashes = 0
        self.ledger: list[Wrote] = []
        self.notes: list[Note] = []
        self.clock = START
        self._make = controllers
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._uids = 0
        registry = self._registry = registry or default_registry()
        resources = self._call(
            lambda: Resources(
                Store.in_memory(), registry, clock=lambda: self.clock, new_uid=self._new_uid, name_suffix=self._suffix
            )
        )
        self.cluster = EmbeddedCluster(resources)
        self._resources = self._wanted(controllers())
        self._known: dict[Resource, dict[Key, Object]] = {resource: {} for resource in self._resources}
        self._events: dict[Resource, deque[tuple[int, Key, Object | None, Object | None]]] = {
            resource: deque() for resource in self._resources
        }
        self._happened: dict[Resource, int] = dict.fromkeys(self._resources, 0)
        self._faulty = _FaultyCluster(self)
        self.brain = self._new_brain()
        for name in namespaces:
            self.create(
                Resource("", "v1", "namespaces"), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._loop.close()

    # ------------------------------------------------------------------ what a test does

    @property
    def now(self) -> int:
        return self.clock

    def create(self, resource: Resource, value: Json, namespace: str = "default") -> Object:
        """Create an object as a user would; gives it as stored."""
        value = {**value, "metadata": dict(value.get("metadata") or {})}
        if where := self._where(resource, namespace):
            value["metadata"].setdefault("namespace", where)
        return self.must(Create(resource, value))

    def get(self, resource: Resource, name: str, namespace: str = "default") -> Object | None:
        found: Object | None = self._run(self.cluster.get(Ref(resource, self._where(resource, namespace), name)))
        return found

    def the(self, resource: Resource, name: str, namespace: str = "default") -> Json:
        """The object as it is stored now; it must exist."""
        found = self.get(resource, name, namespace)
        assert found is not None, f"{resource} {name} does not exist"
        return found.decode()

    def all(self, resource: Resource, namespace: str = "") -> list[Json]:
        return [obj.decode() for obj in self._run(self.cluster.list(resource, namespace)).items]

    def edit(
        self,
        resource: Resource,
        name: str,
        change: Callable[[Json], None],
        namespace: str = "default",
        subresource: str = "",
    ) -> Object | None:
        """Change an object as stored; `change` edits the whole dict."""
        value = self.the(resource, name, namespace)
        change(value)
        outcome = self.write(Update(resource, value, subresource))
        assert outcome.is_done, outcome
        return outcome.object

    def edit_status(self, resource: Resource, name: str, namespace: str = "default", **fields: Any) -> None:
        """Set fields of an object's status."""

        def change(value: Json) -> None:
            value.setdefault("status", {}).update(fields)

        self.edit(resource, name, change, namespace, "status")

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "default",
        propagation: str = "Background",
        grace: int | None = None,
    ) -> None:
        uid = self.the(resource, name, namespace)["metadata"]["uid"]
        ref = Ref(resource, self._where(resource, namespace), name)
        outcome = self.write(Delete(ref, uid, "", propagation, grace))
        assert outcome.is_done, outcome

    def must(self, write: Write) -> Object:
        outcome = self.write(write)
        assert outcome.is_done, outcome
        assert outcome.object is not None, outcome
        return outcome.object

    def write(self, write: Write) -> Outcome:
        """Any write, from outside the controllers: no fault befalls it."""
        outcome: Outcome = self._run(self.cluster.write(write))
        self._look_at(write.resource)
        return outcome

    # ------------------------------------------------------------------ running

    def settle(self, until: int | None = None) -> None:
        """Run controllers until nobody has anything to do (with `until`: before or at that time)."""
        for _ in range(MOST_STEPS):
            try:
                if self.brain.ready:
                    self._reconcile(*self.brain.ready.popleft())
                elif not self._deliver_one() and not self._next_timer(until):
                    if until is not None:
                        self.clock = max(self.clock, until)
                    return
            except Crash:
                self.restart()
        waiting = [(controller.name, key) for controller, key in self.brain.ready]
        raise Restless(f"no rest after {MOST_STEPS} reconciles; next: {waiting[:5]}; last: {self.ledger[-5:]}")

    def advance(self, seconds: float) -> None:
        """Let time pass, running what falls due on the way."""
        self.settle(self.clock + int(seconds * SECOND))

    def restart(self) -> None:
        """The controllers' process starts again: nothing is remembered, everything is listed."""
        self.crashes += 1
        self.brain = self._new_brain()

    # ------------------------------------------------------------------ inside

    def _where(self, resource: Resource, namespace: str) -> str:
        """The namespace, or "" for cluster-scoped resources."""
        kind = self._registry.get(resource)
        assert kind is not None, f"{resource} is not served"
        return namespace if kind.namespaced else ""

    def _new_uid(self) -> str:
        self._uids += 1
        return f"00000000-0000-4000-8000-{self._uids:012d}"

    def _suffix(self) -> str:
        return "".join(self._random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))

    @staticmethod
    def _wanted(controllers: Sequence[Controller]) -> dict[Resource, dict[str, Index]]:
        wanted: dict[Resource, dict[str, Index]] = {}
        for controller in controllers:
            for resource in controller.watches:
                wanted.setdefault(resource, {})
            for (resource, name), index in controller.indexes.items():
                wanted.setdefault(resource, {})[name] = index
        return wanted

    def _new_brain(self) -> _Brain:
        controllers = self._make()
        caches = {resource: Cache(resource, indexes) for resource, indexes in self._wanted(controllers).items()}
        brain = _Brain(controllers, caches)
        self.brain = brain
        for resource in caches:
            self._look_at(resource)
            self._events[resource].clear()
            for obj in self._known[resource].values():
                caches[resource].put(obj)
        for resource in caches:
            for obj in list(self._known[resource].values()):
                self._wake(resource, obj)
        return brain

    def _look_at(self, resource: Resource) -> None:
        """Find out what changed in a resource and queue the events."""
        if resource not in self._resources:
            return
        known = self._known[resource]
        current = {obj.key: obj for obj in self._run(self.cluster.list(resource)).items}
        changed = [(key, known.get(key), obj) for key, obj in current.items()]
        gone = [(key, old, None) for key, old in known.items() if key not in current]
        for key, old, new in (*gone, *changed):
            if old is None or new is None or old.version != new.version:
                self._happened[resource] += 1
                self._events[resource].append((self._happened[resource], key, old, new))
        self._known[resource] = current

    def _deliver_one(self) -> bool:
        waiting = [resource for resource, events in self._events.items() if events]
        if not waiting:
            return False
        self._deliver(self._random.choice(waiting) if self.lag else waiting[0])
        return True

    def _deliver(self, resource: Resource) -> int:
        number, key, old, new = self._events[resource].popleft()
        cache = self.brain.caches[resource]
        if new is None:
            cache.remove(key)
        else:
            cache.put(new)
        current = new or old
        assert current is not None
        self._wake(resource, current)
        return number

    def _wake(self, resource: Resource, changed: Object) -> None:
        for controller in self.brain.controllers:
            keys_of = controller.watches.get(resource)
            for key in keys_of(changed, self.brain.view) if keys_of is not None else ():
                self._enqueue(controller, key)

    def _enqueue(self, controller: Controller, key: Key) -> None:
        if (controller, key) not in self.brain.ready:
            self.brain.ready.append((controller, key))

    def _catch_up(self, waiter: tuple[str, Key]) -> None:
        """What the runner promises: the view holds what this key's own steps wrote. Beyond that it lags as much as it
        may."""
        must = self.brain.must_see.pop(waiter, {})
        for resource, events in self._events.items():
            allowed = self._random.randint(0, self.lag) if self.lag else 0
            while events and (events[0][0] <= must.get(resource, 0) or len(events) > allowed):
                self._deliver(resource)

    def _next_timer(self, until: int | None) -> bool:
        timers = self.brain.timers
        if not timers or timers[0][0] > (self.clock if until is None else until):
            return False
        when, _, name, key = heapq.heappop(timers)
        self.clock = max(self.clock, when)
        self._enqueue(next(controller for controller in self.brain.controllers if controller.name == name), key)
        return True

    def _reconcile(self, controller: Controller, key: Key) -> None:
        waiter = (controller.name, key)
        self._catch_up(waiter)
        step = controller.reconcile(key, self.brain.view, self.clock)
        if step.confirm and not self._run(confirmed(self._faulty, step.confirm)):
            self._at(self.clock + BACKOFF, controller, key)
            return
        failed = self._carry_out(controller, key, step)
        if failed is not None:
            refused = failed.result is Result.INVALID
            assert self._may_be_refused or not refused, f"{controller.name} {key}: refused: {failed.message}"
            self._at(self.clock + SECOND if refused else self.clock, controller, key)
            return
        self.notes += step.notes
        if step.again_at is not None:
            self._at(step.again_at, controller, key)

    def _carry_out(self, controller: Controller, key: Key, step: Step) -> Outcome | None:
        """The first outcome that is not DONE; the rest of its stage is tried, later stages are not."""
        for stage in step.stages:
            outcomes = []
            for write in stage:
                try:
                    outcome: Outcome = self._run(write_once(self._faulty, write))
                finally:
                    self._look_at(write.resource)
                self.ledger.append(Wrote(controller.name, key, write, outcome.result))
                if outcome.is_done and write.resource in self._resources:
                    must = self.brain.must_see.setdefault((controller.name, key), {})
                    must[write.resource] = self._happened[write.resource]
                outcomes.append(outcome)
            failed = next((outcome for outcome in outcomes if not outcome.is_done), None)
            if failed is not None:
                return failed
        return None

    def _at(self, when: int, controller: Controller, key: Key) -> None:
        heapq.heappush(self.brain.timers, (when, len(self.brain.timers), controller.name, key))

    def _run(self, awaitable: Any) -> Any:
        return self._loop.run_until_complete(awaitable)

    def _call(self, make: Callable[[], T]) -> T:
        async def call() -> T:
            return make()

        result: T = self._run(call())
        return result
