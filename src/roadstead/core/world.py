"""The world as the core knows it: facts and memory, in the shape in which decisions are cheap.

`apply` takes facts (from `ingest`), in any order across kinds; `assume` takes what `cycle` decided, so that the next
cycle sees it before the API does; `forget` takes one command back that could not be carried out. `trial` opens an undo
log for what-if. Nothing is ever deep-copied.

Facts make the digest (`core/dump.py`); memory is listed in `core/memory.py`, dumped and loaded, and may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from roadstead.core.facts import NOUNS, FactBook, FactKey
from roadstead.core.facts import key_of as key_of
from roadstead.core.fairness.usage import Penalties, requested
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.memory import Moved, Place, Ran, Scanned, Stuck, Unparked
from roadstead.core.plan import Admit, BindPod, Command, Evict, Plan
from roadstead.core.preemption.feuds import Feuds
from roadstead.core.queueing.classes import Classes
from roadstead.core.queueing.lone_pods import LonePods
from roadstead.core.queueing.pending import PendingQueue
from roadstead.core.queueing.standings import Standings
from roadstead.core.quota.holds import Holds
from roadstead.core.quota.table import QueueTable, compile_queue
from roadstead.core.quota.tree import QuotaTree
from roadstead.core.undo import UndoLog, put
from roadstead.expr.selectors import matches_selector
from roadstead.model.dra import DeviceClass, DeviceTaintRule, ResourceClaim, ResourceSlice
from roadstead.model.facts import Fact, Gone, Noun
from roadstead.model.nodes import Node
from roadstead.model.queues import (
    AdmissionCheck,
    ClusterQueue,
    Cohort,
    LocalQueue,
    Namespace,
    ResourceFlavor,
    Topology,
)
from roadstead.model.workload import Admission, Pod, Workload, WorkloadState

T = TypeVar("T")


class World:
    """Facts plus memory. Order of growth: applying a workload O(log n), a queue or flavor O(queues) at the next
    question."""

    def __init__(self) -> None:
        self.undo = UndoLog()
        self.book = FactBook(self.undo)
        self.facts = self.book.tables
        self.tree = QuotaTree(self.undo)
        self.fleet = Fleet(self.undo)
        self.holds = Holds(self.undo, self.tree, self.fleet)
        self.holders = self.holds.holders
        self.lone_pods = LonePods(self.undo, self.holds)
        self.waiting_pods = self.lone_pods.waiting
        self.bound_pods = self.lone_pods.bound
        self.classes = Classes()
        self.feuds = Feuds(self.undo)
        self.penalties = Penalties(self.undo)
        self.standings = Standings(self.undo, self.facts, self.tree, self.holds, self.classes)
        self.workloads = self.standings.by_key
        self.pending = self.standings.pending
        self.draining = self.standings.draining
        self.stranded = self.standings.stranded
        self.requests = self.standings.requests
        self._tables: dict[str, QueueTable] = {}
        self._stale = True  # tree and tables must be rebuilt before the next question

    # --- facts

    def apply(self, fact: Fact) -> None:
        """Take one fact. Idempotent; the order across kinds does not matter. Raises TypeError for what is not a
        fact."""
        if isinstance(fact, Gone):
            if fact.key in self.facts[fact.noun]:
                self._forget_fact(fact.noun, fact.key)
            return
        noun = type(fact)
        if noun not in self.facts:
            raise TypeError(f"{noun.__name__} is not a fact; the facts are {', '.join(n.__name__ for n in NOUNS)}")
        if isinstance(fact, Workload):
            fact = self.classes.interned(fact)
        key = key_of(fact)
        before = self.facts[noun].get(key)
        if before == fact:
            return
        if before is not None and getattr(before, "uid", "") != getattr(fact, "uid", ""):
            self._forget_fact(noun, key)
            before = None
        self.book.put(noun, key, fact)
        match fact:
            case Workload():
                self.standings.apply(fact)
                if fact.state is WorkloadState.FINISHED:
                    self.feuds.forget(key)
                elif fact.admission is not None:
                    self._charge(fact, fact.admission, fact.reserved_at)
                elif before is not None and before.admission is not None:
                    self.penalties.drop((fact.namespace, fact.queue), key)
            case Pod():
                if self.lone_pods.apply(before, fact):
                    self._request_all()
            case Node():
                self.fleet.set_node(fact)
                self._node_changed(fact.name)
            case DeviceClass() | ResourceSlice() | DeviceTaintRule() | ResourceClaim():
                self._apply_devices(type(fact), key, fact)
            case LocalQueue():
                self._apply_local_queue(fact)
            case ClusterQueue():
                self._apply_cluster_queue(before, fact)
            case Cohort():
                self._mark_stale()
                self.tree.touch(self.tree.cohort(fact.name))
                self._request_all()
            case Namespace():
                self._apply_namespace(before, fact)
            case _:
                self._mark_stale()
                self._request_all()

    def _forget_fact(self, noun: type[Noun], key: FactKey) -> None:
        before = self.facts[noun][key]
        self.book.put(noun, key, None)
        match before:
            case Workload():
                self.standings.remove(key)
                self.feuds.forget(key)
            case Pod():
                if self.lone_pods.remove(before):
                    self._request_all()
            case Node():
                self.fleet.remove_node(before.name)
                self._node_changed(before.name)
            case DeviceClass() | ResourceSlice() | DeviceTaintRule() | ResourceClaim():
                self._apply_devices(noun, key, None)
            case LocalQueue():
                self.standings.replace_members(key)
            case ClusterQueue():
                self._mark_stale()
                self.tree.touch(self.tree.queue(before.name))
                self.standings.recheck_drain(before.name)
            case Namespace():
                pass
            case _:
                self._mark_stale()
                self._request_all()

    def _apply_devices(self, noun: type[Noun], key: FactKey, fact: Any) -> None:
        """What is published or claimed changed (None: is gone). A claim that is given devices lets nobody in, whatever
        else does."""
        claims, is_relevant = self.fleet.claims, True
        if noun is DeviceClass:
            claims.set_class(key[1], fact)
            self._mark_stale()  # what claims are charged depends on it
        elif noun is ResourceSlice:
            claims.set_slice(key[1], fact)
        elif noun is DeviceTaintRule:
            claims.set_rule(key[1], fact)
        else:
            is_relevant = claims.set_claim(key, fact)
        if is_relevant:
            self._request_all()

    def _mark_stale(self) -> None:
        self.feuds.clear()
        self._stale = True

        def again() -> None:
            self._stale = True

        self.undo.record(again)

    # --- queues

    def tables(self) -> dict[str, QueueTable]:
        """ClusterQueues compiled, after rebuilding what facts have changed."""
        if self._stale:
            queues: dict[str, ClusterQueue] = {name: q for (_, name), q in self.facts[ClusterQueue].items()}
            cohorts: dict[str, Cohort] = {name: c for (_, name), c in self.facts[Cohort].items()}
            flavors = {name: f for (_, name), f in self.facts[ResourceFlavor].items()}
            topologies = {name: t for (_, name), t in self.facts[Topology].items()}
            checks = {name: c for (_, name), c in self.facts[AdmissionCheck].items()}
            self.tree.rebuild(queues, cohorts)
            self._tables = {
                name: compile_queue(queues[name], self.tree, flavors, topologies, checks) for name in sorted(queues)
            }
            self._stale = False
        return self._tables

    def pending_queue(self, name: str) -> PendingQueue:
        """The line of a ClusterQueue; an empty one if there is none yet."""
        return self.standings.pending_queue(name)

    def local_queue(self, namespace: str, name: str) -> LocalQueue | None:
        return self.standings.local_queue(namespace, name)

    @property
    def cycles(self) -> int:
        """How many cycles were assumed."""
        return self.standings.cycles

    @property
    def now(self) -> int:
        """The latest time heard of, in nanoseconds."""
        return self.standings.now

    def flavor(self, name: str) -> ResourceFlavor | None:
        found: ResourceFlavor | None = self.facts[ResourceFlavor].get(("", name))
        return found

    def topology(self, name: str) -> Topology | None:
        found: Topology | None = self.facts[Topology].get(("", name))
        return found

    def namespace_labels(self, name: str) -> dict[str, str]:
        namespace: Namespace | None = self.facts[Namespace].get(("", name))
        return dict(namespace.labels) if namespace is not None else {}

    def namespace_matches(self, queue: ClusterQueue, namespace: str) -> bool:
        """May workloads of this namespace use the queue?"""
        selector = queue.namespace_selector
        if selector is not None and not selector.requirements:
            return True
        return matches_selector(selector, self.namespace_labels(namespace))

    def _apply_cluster_queue(self, before: ClusterQueue | None, queue: ClusterQueue) -> None:
        self._mark_stale()
        self.tree.touch(self.tree.queue(queue.name))
        if before is not None and before.cohort not in ("", queue.cohort):
            self.tree.touch(self.tree.cohort(before.cohort))
        self.pending_queue(queue.name).set_strategy(queue.strategy)
        self.standings.request(queue.name)
        self.standings.recheck_drain(queue.name)

    def _apply_namespace(self, before: Namespace | None, fact: Namespace) -> None:
        old = dict(before.labels) if before is not None else {}
        new = dict(fact.labels)
        for (_, name), queue in self.facts[ClusterQueue].items():
            selector = queue.namespace_selector
            if matches_selector(selector, new) and not matches_selector(selector, old):
                self.standings.request(name)

    def _apply_local_queue(self, fact: LocalQueue) -> None:
        self.penalties.settle(fact.key, fact.sampled_at)
        self.standings.replace_members(fact.key)
        if fact.cluster_queue:
            self.standings.request(fact.cluster_queue)

    def _node_changed(self, name: str) -> None:
        self.holds.touch()  # who holds what on nodes with which labels
        self.standings.recheck_node(name)
        self._request_all()

    # --- un-parking

    @property
    def unpark_requested(self) -> bool:
        """Something happened that may let parked workloads in; `unpark` gives them their chance. Callers may batch."""
        return bool(self.requests)

    @property
    def next_timer(self) -> int | None:
        """When the next back-off ends, or None."""
        return self.standings.timers.next

    def _request_all(self) -> None:
        for _, name in self.facts[ClusterQueue]:
            self.standings.request(name)

    def unpark(self, now: int) -> int:
        """Move parked workloads whose cohort tree was freed, for whom nodes or devices were, or whose back-off ended by
        `now`, to their heaps; how many.

        A timed event, never implied by another call: Kueue batches it by a second, tests and the simulator choose when
        (kueue.md 3.3). O(parked workloads of the trees concerned).
        """
        self.standings.set_clock(self.cycles, now)
        moved = 0
        names: dict[str, None] = {}
        tables = self.tables()
        for name, whole_tree in self.requests.items():
            node = self.tree.queue(name)
            if node.cyclic:
                continue
            for member in node.root.queues() if whole_tree else (node,):
                names[member.name] = None
        for name in sorted(names):
            table = tables.get(name)
            pending = self.pending.get(name)
            if table is None or pending is None:
                continue
            moved += pending.unpark(partial(self.namespace_matches, table.fact), self.standings.is_backing_off)
            put(self.undo, self.standings.waiting_for_fleet, name, None)
        for name in list(self.requests):
            put(self.undo, self.requests, name, None)
        while (key := self.standings.timers.pop_due(now)) is not None:
            standing = self.workloads[key]
            if not standing.fact.requeue_blocked:
                self.standings.move(standing, Place.HEAP)
                moved += 1
        return moved

    # --- decisions

    def assume(self, plan: Plan) -> bool:
        """Make the next cycle see a plan before the API does; True if anything changed.

        Commands about a workload that is gone, was replaced (other uid) or holds quota by now are ignored.
        """
        changed = bool(plan.commands)
        for item in plan.memory:
            if isinstance(item, Ran):
                self.standings.set_clock(item.cycle, item.now)
        for command in plan.commands:
            match command:
                case Admit():
                    self.standings.assume_admission(command)
                    self.feuds.got_in(command.workload)
                    admitted = self.workloads.get(command.workload)
                    if admitted is not None and admitted.assumed == command:
                        self._charge(admitted.fact, command.admission, self.now)
                case Evict():
                    self._count_displacement(command)
                    self.standings.assume_eviction(command)
                case BindPod():
                    self.lone_pods.assume(self.facts[Pod].get(command.pod), command)
        for item in plan.memory:
            changed = self._remember(item) or changed
        return changed

    def _remember(self, item: object) -> bool:
        match item:
            case Moved():
                standing = self.workloads.get(item.workload)
                if standing is None or standing.fact.uid != item.uid or standing.place is not Place.HEAP:
                    return False
                if item.place is Place.HEAP:
                    if item.for_fleet:
                        self.standings.wait_for_fleet(standing.cluster_queue)
                    return False
                if item.whole_class:
                    self.pending_queue(standing.cluster_queue).park_class(standing.shape)
                else:
                    self.standings.move(standing, item.place)
                if item.for_fleet:
                    self.standings.wait_for_fleet(standing.cluster_queue)
                return True
            case Stuck():
                pending = self.pending_queue(item.cluster_queue)
                sticky = (item.workload, item.generation)
                if pending.sticky == sticky or not pending.is_active(item.workload):
                    return False
                pending.set_sticky(sticky)
                return True
            case Scanned():
                standing = self.workloads.get(item.workload)
                if standing is None or standing.hold is not None:
                    return False
                return self.standings.remember_scan(standing, item.pod_sets)
            case Unparked():
                return self.unpark(item.now) > 0
            case _:
                return False

    def forget(self, command: Command) -> None:
        """Take back one command that was assumed and could not be carried out. The workload is tried again at once."""
        if isinstance(command, BindPod):
            self.lone_pods.forget(self.facts[Pod].get(command.pod), command)
            return
        standing = self.workloads.get(command.workload)
        if isinstance(command, Evict) and command.preemptor and standing is not None and standing.evicting == command:
            self.feuds.count(command.preemptor, command.workload, -1)
        if isinstance(command, Admit) and standing is not None and standing.assumed == command:
            self.penalties.drop((standing.fact.namespace, standing.fact.queue), standing.key)
        self.standings.forget(command)

    def _charge(self, fact: Workload, admission: Admission, at: int) -> None:
        """Whoever is let in counts against its LocalQueue at once, where ClusterQueues go by usage."""
        queue: ClusterQueue | None = self.facts[ClusterQueue].get(("", admission.cluster_queue))
        if queue is None or not queue.usage_based:
            return
        local = self.local_queue(fact.namespace, fact.queue)
        if local is not None and at >= local.sampled_at:
            self.penalties.charge(local.key, fact.key, at, requested(admission))

    def _count_displacement(self, command: Evict) -> None:
        standing = self.workloads.get(command.workload)
        is_news = standing is not None and standing.fact.uid == command.uid and not standing.is_leaving
        if is_news and command.preemptor in self.workloads:
            self.feuds.count(command.preemptor, command.workload)

    @contextmanager
    def trial(self) -> Iterator[World]:
        """Whatever happens inside is taken back at the end, at the cost of what it changed. Nestable."""
        mark = self.undo.begin()
        try:
            yield self
        finally:
            self.undo.rollback(mark)

    def cached(self, question: Hashable, answer: Callable[[], T]) -> T:
        """The answer to a question about holders, worked out once for as long as none comes or goes."""
        return self.holds.cached(question, answer)
