"""The world as the core knows it: facts and memory, in the shape in which decisions are cheap.

`apply` takes facts (from `ingest`), in any order across kinds; `assume` takes what `cycle` decided, so that the next cycle
sees it before the API does; `forget` takes one command back that could not be carried out. `trial` opens an undo log for
what-if. Nothing is ever deep-copied.

Facts make the digest; memory is listed in `core/memory.py`, dumped and loaded, and may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from roadstead.core.dump import digest_text, dump_world, ledger_parts, load_world, memory_digest_of
from roadstead.core.facts import NOUNS, FactBook, FactKey, key_of
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.memory import Moved, Place, Ran, Scanned, Stuck, Tried, Unparked
from roadstead.core.plan import Admit, BindPod, Command, Evict, EvictionReason, Plan
from roadstead.core.queueing.classes import Classes
from roadstead.core.queueing.lone_pods import LonePods
from roadstead.core.queueing.pending import PendingQueue
from roadstead.core.queueing.standing import Hold, PreemptionOrder, Standing
from roadstead.core.queueing.timers import Timers
from roadstead.core.quota.holds import Holds
from roadstead.core.quota.table import QueueTable, compile_queue
from roadstead.core.quota.tree import QuotaTree
from roadstead.core.quota.usage import admission_usage
from roadstead.core.undo import UndoLog, put
from roadstead.expr.selectors import matches_selector
from roadstead.model.facts import Fact, Gone, Noun
from roadstead.model.nodes import Node
from roadstead.model.queues import ClusterQueue, Cohort, LocalQueue, Namespace, ResourceFlavor, StopPolicy, Topology
from roadstead.model.workload import Pod, Workload, WorkloadKey, WorkloadState

T = TypeVar("T")


class World:
    """Facts plus memory. Order of growth: applying a workload O(log n), a queue or flavor O(queues) at the next question."""

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
        self.workloads: dict[WorkloadKey, Standing] = {}
        self.pending: dict[str, PendingQueue] = {}
        self.draining: dict[WorkloadKey, EvictionReason] = {}
        self.requests: dict[str, bool] = {}  # ClusterQueues whose trees are to be un-parked
        self.cycles = 0
        self.now = 0
        self._timers = Timers(self.undo, self._is_live_timer)
        self._members: dict[FactKey, dict[WorkloadKey, bool]] = {}  # LocalQueue -> workloads naming it
        self._tables: dict[str, QueueTable] = {}
        self._stale = True  # tree and tables must be rebuilt before the next question

    # --- facts

    def apply(self, fact: Fact) -> None:
        """Take one fact. Idempotent; the order across kinds does not matter. Raises TypeError for what is not a fact."""
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
                self._apply_workload(fact)
            case Pod():
                if self.lone_pods.apply(before, fact):
                    self._request_all()
            case Node():
                self.fleet.set_node(fact)
                self._request_all()
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
                self._remove_workload(key)
            case Pod():
                if self.lone_pods.remove(before):
                    self._request_all()
            case Node():
                self.fleet.remove_node(before.name)
                self._request_all()
            case LocalQueue():
                self._replace_members(key)
            case ClusterQueue():
                self._mark_stale()
                self.tree.touch(self.tree.queue(before.name))
                self._recheck_drain(before.name)
            case Namespace():
                pass
            case _:
                self._mark_stale()
                self._request_all()

    def _mark_stale(self) -> None:
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
            self.tree.rebuild(queues, cohorts)
            self._tables = {
                name: compile_queue(queues[name], self.tree, flavors, topologies) for name in sorted(queues)
            }
            self._stale = False
        return self._tables

    def pending_queue(self, name: str) -> PendingQueue:
        queue = self.pending.get(name)
        if queue is None:
            queue = self.pending[name] = PendingQueue(name, self.undo)
        return queue

    def local_queue(self, namespace: str, name: str) -> LocalQueue | None:
        found: LocalQueue | None = self.facts[LocalQueue].get((namespace, name))
        return found

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
        return matches_selector(queue.namespace_selector, self.namespace_labels(namespace))

    def _apply_cluster_queue(self, before: ClusterQueue | None, queue: ClusterQueue) -> None:
        self._mark_stale()
        self.tree.touch(self.tree.queue(queue.name))
        if before is not None and before.cohort not in ("", queue.cohort):
            self.tree.touch(self.tree.cohort(before.cohort))
        self.pending_queue(queue.name).set_strategy(queue.strategy)
        self._request(queue.name)
        self._recheck_drain(queue.name)

    def _apply_namespace(self, before: Namespace | None, fact: Namespace) -> None:
        old = dict(before.labels) if before is not None else {}
        new = dict(fact.labels)
        for (_, name), queue in self.facts[ClusterQueue].items():
            selector = queue.namespace_selector
            if matches_selector(selector, new) and not matches_selector(selector, old):
                self._request(name)

    def _apply_local_queue(self, fact: LocalQueue) -> None:
        self._replace_members(fact.key)
        if fact.cluster_queue:
            self._request(fact.cluster_queue)

    def _replace_members(self, key: FactKey) -> None:
        for member in list(self._members.get(key, ())):
            standing = self.workloads[member]
            self._place(standing)
            self._check_drain(standing)

    def _recheck_drain(self, cluster_queue: str) -> None:
        for _, standing in list(self.holders.get(cluster_queue, ())):
            self._check_drain(standing)

    # --- workloads

    def _apply_workload(self, fact: Workload) -> None:
        standing = self.workloads.get(fact.key)
        if standing is None:
            standing = Standing(fact, self.classes.shape(fact))
            put(self.undo, self.workloads, fact.key, standing)
            before = None
        else:
            before = standing.fact
        relevant = before is None or _what_unparks(before) != _what_unparks(fact)
        if before is not None:
            if before.queue != fact.queue:
                self._unlink_member(standing)
            if relevant or fact.uid != before.uid:
                self._move(standing, Place.NOWHERE)
                tried = standing.tried if before.pod_sets == fact.pod_sets else None
                self._set(standing, tried=tried, shape=self.classes.shape(fact))
        self._set(standing, fact=fact, heap_order=(-fact.priority, fact.queued_at, fact.uid, fact.key))
        if before is None or before.queue != fact.queue:
            self._link_member(standing)
        assumed, evicting = standing.assumed, standing.evicting
        if fact.state is not WorkloadState.PENDING:
            assumed = None
        if fact.state is WorkloadState.FINISHED or fact.evicted or (assumed is None and fact.admission is None):
            evicting = None
        if assumed is not standing.assumed or evicting is not standing.evicting:
            self._set(standing, assumed=assumed, evicting=evicting)
        self._hold(standing, before)
        if relevant or standing.hold is not None or standing.place is Place.HELD:
            self._place(standing)
        self._check_drain(standing)
        if before is not None and _frees_others(before, fact):
            self._request(standing.cluster_queue)

    def _remove_workload(self, key: WorkloadKey) -> None:
        standing = self.workloads[key]
        self._move(standing, Place.NOWHERE)
        self._set(standing, assumed=None, evicting=None)
        self._change_hold(standing, None)
        self._drain(standing, None)
        self._unlink_member(standing)
        self._request(standing.cluster_queue)
        put(self.undo, self.workloads, key, None)

    def _set(self, standing: Standing, **changes: Any) -> None:
        before = {name: getattr(standing, name) for name in changes} if self.undo.is_recording else {}
        for name, value in changes.items():
            setattr(standing, name, value)
        if before:

            def back() -> None:
                for name, value in before.items():
                    setattr(standing, name, value)

            self.undo.record(back)

    def _link_member(self, standing: Standing) -> None:
        members = self._members.setdefault((standing.fact.namespace, standing.fact.queue), {})
        put(self.undo, members, standing.key, True)

    def _unlink_member(self, standing: Standing) -> None:
        put(self.undo, self._members[(standing.fact.namespace, standing.fact.queue)], standing.key, None)

    def _place(self, standing: Standing) -> None:
        """Put a workload where its facts and holdings say (kueue.md 3.2)."""
        fact = standing.fact
        queue = self.local_queue(fact.namespace, fact.queue)
        target = queue.cluster_queue if queue is not None else ""
        if target != standing.cluster_queue:
            self._move(standing, Place.NOWHERE)
            self._set(standing, cluster_queue=target)
        if standing.hold is not None:
            place = Place.HELD
        elif (
            fact.state is WorkloadState.FINISHED
            or not fact.active
            or queue is None
            or queue.stop is not StopPolicy.NONE
        ):
            place = Place.NOWHERE
        elif standing.place in (Place.HEAP, Place.PARKED):
            return
        elif self._is_backing_off(standing):
            place = Place.PARKED
            if fact.requeue_at > self.now:
                self._timers.set(fact.requeue_at, fact.key)
        else:
            place = Place.HEAP  # in the line of its class, which may be parked
        self._move(standing, place)

    def _is_backing_off(self, standing: Standing) -> bool:
        return standing.fact.requeue_blocked or standing.fact.requeue_at > self.now

    def _move(self, standing: Standing, place: Place) -> None:
        if standing.own_place is not place:
            self.pending_queue(standing.cluster_queue).put(standing, place)

    # --- holding quota, nodes and devices

    def _hold(self, standing: Standing, before: Workload | None) -> None:
        """Bring what a workload holds in line with its fact, or with what is assumed."""
        fact = standing.fact
        admission, placement, reserved_at = None, None, 0
        if fact.state is WorkloadState.RESERVED and fact.admission is not None:
            admission, placement, reserved_at = fact.admission, fact.placement, fact.reserved_at
            held = standing.hold
            if placement is None and held is not None and (before is None or before.placement is None):
                placement = held.placement if held.admission == admission else None
        elif standing.assumed is not None:
            admission, placement = standing.assumed.admission, standing.assumed.placement
            reserved_at = standing.assumed_at
        if admission is None:
            self._change_hold(standing, None)
            return
        usage = admission_usage(self.tree, admission, fact)
        self._change_hold(standing, Hold(admission, usage, reserved_at, placement))

    def _change_hold(self, standing: Standing, hold: Hold | None) -> None:
        before = standing.hold
        order: PreemptionOrder = (
            standing.fact.priority,
            0 if hold is None else -hold.reserved_at,
            standing.fact.uid,
            standing.key,
        )
        if before == hold and order == standing.preemption_order:
            return
        if before is not None:
            self.holds.lift(standing)
            node = self.tree.queue(before.admission.cluster_queue)
            self.tree.touch(node)
            if hold is None or hold.usage != before.usage:
                self._request(before.admission.cluster_queue)
        self._set(standing, hold=hold, preemption_order=order)
        if hold is not None:
            self.holds.lay(standing)

    def _check_drain(self, standing: Standing) -> None:
        """Must this holder be evicted for a reason other than preemption (kueue.md 2.8, 2.9)?"""
        fact = standing.fact
        reason: EvictionReason | None = None
        if standing.hold is not None and not standing.is_leaving and fact.state is not WorkloadState.FINISHED:
            local = self.local_queue(fact.namespace, fact.queue)
            held_in = standing.hold.admission.cluster_queue
            queue: ClusterQueue | None = self.facts[ClusterQueue].get(("", held_in))
            admitted = fact.admitted or standing.assumed is not None
            if not fact.active:
                reason = EvictionReason.DEACTIVATED
            elif local is not None and _drains(local.stop, admitted):
                reason = EvictionReason.LOCAL_QUEUE_STOPPED
            elif queue is not None and _drains(queue.stop, admitted):
                reason = EvictionReason.CLUSTER_QUEUE_STOPPED
        self._drain(standing, reason)

    def _drain(self, standing: Standing, reason: EvictionReason | None) -> None:
        if self.draining.get(standing.key) is not reason:
            put(self.undo, self.draining, standing.key, reason)

    # --- un-parking

    @property
    def unpark_requested(self) -> bool:
        """Something happened that may let parked workloads in; `unpark` gives them their chance. Callers may batch."""
        return bool(self.requests)

    @property
    def next_timer(self) -> int | None:
        """When the next back-off ends, or None."""
        return self._timers.next

    def _is_live_timer(self, at: int, key: WorkloadKey) -> bool:
        standing = self.workloads.get(key)
        return standing is not None and standing.place is Place.PARKED and standing.fact.requeue_at == at

    def _request(self, cluster_queue: str) -> None:
        if cluster_queue and cluster_queue not in self.requests:
            put(self.undo, self.requests, cluster_queue, True)

    def _request_all(self) -> None:
        for _, name in self.facts[ClusterQueue]:
            self._request(name)

    def unpark(self, now: int) -> int:
        """Move parked workloads whose cohort tree was freed, or whose back-off ended by `now`, to their heaps; how many.

        A timed event, never implied by another call: Kueue batches it by a second, tests and the simulator choose when
        (kueue.md 3.3). O(parked workloads of the trees concerned).
        """
        self.set_clock(self.cycles, now)
        moved = 0
        names: dict[str, None] = {}
        tables = self.tables()
        for name in self.requests:
            node = self.tree.queue(name)
            if node.cyclic:
                continue
            for member in node.root.queues():
                names[member.name] = None
        for name in sorted(names):
            table = tables.get(name)
            pending = self.pending.get(name)
            if table is None or pending is None:
                continue
            moved += pending.unpark(partial(self.namespace_matches, table.fact), self._is_backing_off)
        for name in list(self.requests):
            put(self.undo, self.requests, name, None)
        while (key := self._timers.pop_due(now)) is not None:
            standing = self.workloads[key]
            if not standing.fact.requeue_blocked:
                self._move(standing, Place.HEAP)
                moved += 1
        return moved

    def set_clock(self, cycles: int, now: int) -> None:
        before = (self.cycles, self.now)
        self.cycles, self.now = cycles, max(now, self.now)

        def back() -> None:
            self.cycles, self.now = before

        self.undo.record(back)

    # --- decisions

    def assume(self, plan: Plan) -> bool:
        """Make the next cycle see a plan before the API does; True if anything changed.

        Commands about a workload that is gone, was replaced (other uid) or holds quota by now are ignored.
        """
        changed = bool(plan.commands)
        for item in plan.memory:
            if isinstance(item, Ran):
                self.set_clock(item.cycle, item.now)
        for command in plan.commands:
            match command:
                case Admit():
                    self._assume_admission(command)
                case Evict():
                    standing = self.workloads.get(command.workload)
                    if standing is not None and standing.fact.uid == command.uid and not standing.is_leaving:
                        self._set(standing, evicting=command)
                        self.holds.touch()
                        self._drain(standing, None)
                case BindPod():
                    self.lone_pods.assume(self.facts[Pod].get(command.pod), command)
        for item in plan.memory:
            changed = self._remember(item) or changed
        return changed

    def _assume_admission(self, command: Admit) -> None:
        standing = self.workloads.get(command.workload)
        if standing is None or standing.fact.uid != command.uid or standing.hold is not None:
            return
        self._set(standing, assumed=command, assumed_at=self.now, tried=None)
        self._move(standing, Place.HELD)
        self._hold(standing, standing.fact)
        pending = self.pending_queue(standing.cluster_queue)
        if pending.sticky is not None and pending.sticky[0] == standing.key:
            pending.set_sticky(None)
        self._check_drain(standing)

    def _remember(self, item: object) -> bool:
        match item:
            case Moved():
                standing = self.workloads.get(item.workload)
                if standing is None or standing.fact.uid != item.uid or standing.place is not Place.HEAP:
                    return False
                if item.place is Place.HEAP:
                    return False
                if item.whole_class:
                    self.pending_queue(standing.cluster_queue).park_class(standing.shape)
                else:
                    self._move(standing, item.place)
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
                return self._remember_scan(standing, item.pod_sets)
            case Unparked():
                return self.unpark(item.now) > 0
            case _:
                return False

    def _remember_scan(self, standing: Standing, pod_sets: tuple[tuple[tuple[str, int], ...], ...] | None) -> bool:
        before, after = standing.tried, None
        if pod_sets is not None:
            generation = self.tree.queue(standing.cluster_queue).root.generation
            after = Tried(self.cycles, generation, standing.shape, pod_sets)
        self._set(standing, tried=after)
        return (before.pod_sets if before is not None else None) != pod_sets

    def forget(self, command: Command) -> None:
        """Take back one command that was assumed and could not be carried out. The workload is tried again at once."""
        if isinstance(command, BindPod):
            self.lone_pods.forget(self.facts[Pod].get(command.pod), command)
            return
        standing = self.workloads.get(command.workload)
        if standing is None:
            return
        if isinstance(command, Admit) and standing.assumed == command:
            self._set(standing, assumed=None, evicting=None)
            self._hold(standing, standing.fact)
            self._place(standing)
        elif isinstance(command, Evict) and standing.evicting == command:
            self._set(standing, evicting=None)
        self._check_drain(standing)

    @contextmanager
    def trial(self) -> Iterator[World]:
        """Whatever happens inside is taken back at the end, at the cost of what it changed. Nestable."""
        mark = self.undo.begin()
        try:
            yield self
        finally:
            self.undo.rollback(mark)

    def restore(
        self,
        standing: Standing,
        *,
        place: Place,
        assumed: Admit | None,
        assumed_at: int,
        evicting: Evict | None,
        tried: Tried | None,
    ) -> None:
        """Bring back what a dump remembers of one workload (its facts are there already)."""
        self._set(standing, assumed=assumed, assumed_at=assumed_at, evicting=evicting, tried=tried)
        self._hold(standing, standing.fact)
        self._move(standing, Place.HELD if standing.hold is not None else place)
        self._check_drain(standing)

    def cached(self, question: Hashable, answer: Callable[[], T]) -> T:
        """The answer to a question about holders, worked out once for as long as none comes or goes."""
        return self.holds.cached(question, answer)

    # --- whole-world values

    def all_facts(self) -> Iterator[Noun]:
        """Every fact, in a fixed order."""
        return self.book.all()

    def dump(self) -> dict[str, Any]:
        """Facts and memory as plain JSON-able values with a format version: for forks, snapshots, bug reports."""
        return dump_world(self)

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> World:
        """A world from `dump`. ValueError if the format is newer than this program or not a dump."""
        world = cls()
        load_world(world, dumped)
        return world

    def digest(self) -> str:
        """Hash of all facts and of the ledgers derived from them, equal for equal facts applied in any order.

        Memory is left out, except that assumed commands occupy the ledgers until they are facts: once all of them are,
        the digest equals that of a world rebuilt from objects. O(facts changed since the last call + queues + nodes).
        """
        return digest_text(self.book.hash(), ledger_parts(self))

    def memory_digest(self) -> str:
        """Hash of memory alone. O(workloads)."""
        return memory_digest_of(self)


def _drains(stop: StopPolicy, admitted: bool) -> bool:
    return stop is StopPolicy.HOLD_AND_DRAIN or (stop is StopPolicy.HOLD and not admitted)


def _what_unparks(fact: Workload) -> tuple[object, ...]:
    """A change of any of these gives a parked workload a new chance by itself (kueue.md 3.2, push rules)."""
    return (
        fact.queue, fact.pod_sets, fact.priority, fact.active, fact.reclaimable, fact.evicted, fact.requeue_blocked,
        fact.requeue_at, fact.state, fact.queued_at,
    )  # fmt: skip


def _frees_others(before: Workload, fact: Workload) -> bool:
    """Changes that may let others in: finished, deactivated, returned to pending, a holder needs fewer pods, other priority."""
    return (
        (fact.state is not before.state and fact.state is not WorkloadState.RESERVED)
        or (before.active and not fact.active)
        or (fact.reclaimable != before.reclaimable and fact.state is WorkloadState.RESERVED)
        or fact.priority != before.priority
    )
