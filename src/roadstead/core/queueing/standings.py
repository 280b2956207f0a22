"""How every workload stands: in line, parked, holding quota, to be drained. Keeps each where its facts and what is
assumed say.

Called by the World alone. Every change can be undone; applying a workload costs O(log n + cells x depth).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from roadstead.core.facts import FactKey
from roadstead.core.memory import Place, Tried
from roadstead.core.plan import Admit, Evict, EvictionReason
from roadstead.core.queueing.classes import Classes
from roadstead.core.queueing.pending import PendingQueue
from roadstead.core.queueing.readiness import WAIT_FOR_RECOVERY, WAIT_FOR_START
from roadstead.core.queueing.standing import Hold, PreemptionOrder, Standing
from roadstead.core.queueing.timers import Timers
from roadstead.core.quota.holds import Holds
from roadstead.core.quota.tree import QuotaTree
from roadstead.core.quota.usage import admission_usage
from roadstead.core.undo import UndoLog, put
from roadstead.model.facts import Noun
from roadstead.model.queues import ClusterQueue, LocalQueue, StopPolicy
from roadstead.model.workload import Placement, Workload, WorkloadKey, WorkloadState


class Standings:
    """All workloads, the lines of their ClusterQueues, and what has to happen because of them."""

    def __init__(
        self,
        undo: UndoLog,
        facts: Mapping[type[Noun], Mapping[FactKey, Any]],
        tree: QuotaTree,
        holds: Holds,
        classes: Classes,
    ) -> None:
        self._undo = undo
        self._facts = facts
        self._tree = tree
        self._holds = holds
        self._classes = classes
        self.by_key: dict[WorkloadKey, Standing] = {}
        self.pending: dict[str, PendingQueue] = {}
        self.draining: dict[WorkloadKey, EvictionReason] = {}
        self.stranded: dict[WorkloadKey, tuple[int, EvictionReason]] = {}
        """Holders whose place is lost: since when a node is not ready (0: no need to wait), and what to evict them
        for."""
        self.requests: dict[str, bool] = {}  # ClusterQueues to be un-parked; True: with their trees
        self.waiting_for_fleet: dict[str, bool] = {}  # ClusterQueues with somebody parked for want of nodes or devices
        self.timers = Timers(undo, self._is_live_timer)
        self.unready: dict[WorkloadKey, tuple[str, int]] = {}
        """Holders whose pods are waited for: why (kueue.md 2.7), and since when; ("", 0) while only we know of their
        admission."""
        self.starting = Timers(undo, partial(self._is_unready_since, WAIT_FOR_START))
        self.recovering = Timers(undo, partial(self._is_unready_since, WAIT_FOR_RECOVERY))
        self.cycles = 0
        self.now = 0
        self._members: dict[FactKey, dict[WorkloadKey, bool]] = {}  # LocalQueue -> workloads naming it

    def pending_queue(self, name: str) -> PendingQueue:
        queue = self.pending.get(name)
        if queue is None:
            queue = self.pending[name] = PendingQueue(name, self._undo)
        return queue

    def local_queue(self, namespace: str, name: str) -> LocalQueue | None:
        found: LocalQueue | None = self._facts[LocalQueue].get((namespace, name))
        return found

    def apply(self, fact: Workload) -> None:
        """Take a workload's facts, new or changed. What is assumed about it stays until a fact says so or otherwise."""
        standing = self.by_key.get(fact.key)
        if standing is None:
            standing = Standing(fact, self._classes.shape(fact))
            put(self._undo, self.by_key, fact.key, standing)
            before = None
        else:
            before = standing.fact
        was_leaving = standing.is_leaving
        relevant = before is None or _what_unparks(before) != _what_unparks(fact)
        if before is not None:
            if before.queue != fact.queue:
                self._unlink_member(standing)
            if relevant or fact.uid != before.uid:
                self.move(standing, Place.NOWHERE)
                tried = standing.tried if before.pod_sets == fact.pod_sets else None
                self.set(standing, tried=tried, shape=self._classes.shape(fact))
        self.set(standing, fact=fact, heap_order=(-fact.priority, fact.queued_at, fact.uid, fact.key))
        if before is None or before.queue != fact.queue:
            self._link_member(standing)
        assumed, evicting = standing.assumed, standing.evicting
        if fact.state is not WorkloadState.PENDING:
            assumed = None
        if fact.state is WorkloadState.FINISHED or fact.evicted or (assumed is None and fact.admission is None):
            evicting = None
        if assumed is not standing.assumed or evicting is not standing.evicting:
            self.set(standing, assumed=assumed, evicting=evicting)
        reserved = fact.state is WorkloadState.RESERVED
        was_placed = reserved and (fact.placement is not None or (standing.was_placed and before is not None))
        if was_placed is not standing.was_placed:
            self.set(standing, was_placed=was_placed)
        self._bring_in_line(standing)
        if standing.is_leaving is not was_leaving:
            self._holds.touch()
        if relevant or standing.hold is not None or standing.place is Place.HELD:
            self.place(standing)
        self.check_drain(standing)
        if before is not None and _frees_others(before, fact):
            self.request(standing.cluster_queue)

    def remove(self, key: WorkloadKey) -> None:
        """The workload is gone: it holds nothing, waits nowhere, and whoever waits for its quota gets a chance."""
        standing = self.by_key[key]
        self.move(standing, Place.NOWHERE)
        self.set(standing, assumed=None, evicting=None)
        self._change_hold(standing, None)
        self._drain(standing, None)
        self._strand(standing, None)
        self._await_pods(standing)
        self._unlink_member(standing)
        self.request(standing.cluster_queue)
        put(self._undo, self.by_key, key, None)

    def set(self, standing: Standing, **changes: Any) -> None:
        """Change fields of a standing. Undoable."""
        before = {name: getattr(standing, name) for name in changes} if self._undo.is_recording else {}
        for name, value in changes.items():
            setattr(standing, name, value)
        if before:

            def back() -> None:
                for name, value in before.items():
                    setattr(standing, name, value)

            self._undo.record(back)

    def _link_member(self, standing: Standing) -> None:
        members = self._members.setdefault((standing.fact.namespace, standing.fact.queue), {})
        put(self._undo, members, standing.key, True)

    def _unlink_member(self, standing: Standing) -> None:
        put(self._undo, self._members[(standing.fact.namespace, standing.fact.queue)], standing.key, None)

    def place(self, standing: Standing) -> None:
        """Put a workload where its facts and holdings say; one that waits stays where it is in its queue (kueue.md
        3.2)."""
        queue = self.local_queue(standing.fact.namespace, standing.fact.queue)
        target = queue.cluster_queue if queue is not None else ""
        if target != standing.cluster_queue:
            self.move(standing, Place.NOWHERE)
            self.set(standing, cluster_queue=target)
        place = self.first_place(standing)
        if place is Place.HEAP or place is Place.PARKED:
            if standing.place is Place.HEAP or standing.place is Place.PARKED:
                return
            if place is Place.PARKED and standing.fact.requeue_at > self.now:
                self.timers.set(standing.fact.requeue_at, standing.key)
        self.move(standing, place)

    def first_place(self, standing: Standing) -> Place:
        """Where facts and holdings alone would put a workload that nobody has tried yet."""
        if standing.hold is not None:
            return Place.HELD
        fact = standing.fact
        if fact.state is WorkloadState.FINISHED or not fact.active or fact.kept_out:
            return Place.NOWHERE
        queue = self.local_queue(fact.namespace, fact.queue)
        if queue is None or queue.stop is not StopPolicy.NONE:
            return Place.NOWHERE
        return (
            Place.PARKED if self.is_backing_off(standing) else Place.HEAP
        )  # HEAP: in its class's line, which may be parked

    def is_backing_off(self, standing: Standing) -> bool:
        """It was evicted and must not be tried again yet."""
        return standing.fact.requeue_blocked or standing.fact.requeue_at > self.now

    def move(self, standing: Standing, place: Place) -> None:
        """Move a workload within its ClusterQueue."""
        if standing.own_place is not place:
            self.pending_queue(standing.cluster_queue).put(standing, place)

    # --- holding quota, nodes and devices

    def _bring_in_line(self, standing: Standing) -> None:
        """Bring what a workload holds in line with its fact, or with what is assumed."""
        fact = standing.fact
        admission, placement, reserved_at = None, None, 0
        if fact.state is WorkloadState.RESERVED and fact.admission is not None:
            admission, placement, reserved_at = fact.admission, fact.placement, fact.reserved_at
            held = standing.hold
            if placement is None and held is not None and held.admission == admission:
                placement = held.placement  # not shown yet; or deleted, and what was started there still runs
        elif standing.assumed is not None:
            admission, placement = standing.assumed.admission, standing.assumed.placement
            reserved_at = standing.assumed_at
        if admission is None:
            self._change_hold(standing, None)
            return
        usage = admission_usage(self._tree, admission, fact)
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
            self._holds.lift(standing)
            if hold is None or hold.usage != before.usage:
                self._tree.touch(self._tree.queue(before.admission.cluster_queue))
                self.request(before.admission.cluster_queue)
            if before.placement is not None and (hold is None or hold.placement != before.placement):
                self._request_for_fleet()
        self.set(standing, hold=hold, preemption_order=order)
        self._holds.speak(standing.key, hold.placement if hold is not None else None)
        if hold is not None:
            self._holds.lay(standing)

    def check_drain(self, standing: Standing) -> None:
        """Must this holder be evicted for a reason other than preemption (kueue.md 2.6, 2.8, 2.9)?"""
        fact = standing.fact
        reason: EvictionReason | None = None
        if standing.hold is not None and not standing.is_leaving and fact.state is not WorkloadState.FINISHED:
            local = self.local_queue(fact.namespace, fact.queue)
            held_in = standing.hold.admission.cluster_queue
            queue: ClusterQueue | None = self._facts[ClusterQueue].get(("", held_in))
            admitted = fact.admitted or standing.assumed is not None
            if not fact.active:
                reason = EvictionReason.DEACTIVATED
            elif fact.failed_checks == "Retry":
                reason = EvictionReason.ADMISSION_CHECK
            elif local is None and not admitted:
                reason = EvictionReason.LOCAL_QUEUE_MISSING
            elif (queue is None or queue.terminating) and not admitted:
                reason = EvictionReason.CLUSTER_QUEUE_MISSING
            elif local is not None and _drains(local.stop, admitted):
                reason = EvictionReason.LOCAL_QUEUE_STOPPED
            elif queue is not None and _drains(queue.stop, admitted):
                reason = EvictionReason.CLUSTER_QUEUE_STOPPED
        self._drain(standing, reason)
        self._strand(standing, self._stranding(standing) if reason is None else None)
        self._await_pods(standing)

    def _stranding(self, standing: Standing) -> tuple[int, EvictionReason] | None:
        """Is the place of this holder lost, and since when?"""
        fact, hold = standing.fact, standing.hold
        if hold is None or standing.is_leaving or fact.state is WorkloadState.FINISHED:
            return None
        is_shown = fact.state is not WorkloadState.RESERVED or fact.placement is not None
        if not is_shown and (standing.was_placed or hold.placement is None):
            has_pods = any(pod_set.count for pod_set in hold.admission.pod_sets)
            return (0, EvictionReason.PLACEMENT_LOST) if has_pods else None
        since = self._holds.lost_since(hold.placement) if hold.placement is not None else None
        return None if since is None else (since, EvictionReason.NODE_FAILURES)

    def _strand(self, standing: Standing, stranding: tuple[int, EvictionReason] | None) -> None:
        if self.stranded.get(standing.key) != stranding:
            put(self._undo, self.stranded, standing.key, stranding)

    def _await_pods(self, standing: Standing) -> None:
        """Keep the list of those whose pods are waited for. O(1), and O(log n) for who is on it."""
        fact, waits = standing.fact, None
        if standing.hold is not None:
            if standing.assumed is not None:
                waits = ("", 0) if standing.assumed.waits_for_pods else None
            elif fact.admitted and fact.pods_wait:
                waits = (fact.pods_wait, fact.pods_wait_since)
        if self.unready.get(standing.key) != waits:
            put(self._undo, self.unready, standing.key, waits)
        if waits is not None and waits[1] and not standing.is_leaving:
            (self.recovering if waits[0] == WAIT_FOR_RECOVERY else self.starting).set(waits[1], standing.key)

    def _is_unready_since(self, cause: str, at: int, key: WorkloadKey) -> bool:
        return self.unready.get(key) == (cause, at) and not self.by_key[key].is_leaving

    def recheck_node(self, node: str) -> None:
        """A node came, went or changed: is the place of those on it lost? O(holders on it x their members)."""
        for key in self._holds.workloads_on(node):
            standing = self.by_key.get(key)
            if standing is not None:
                self.check_drain(standing)

    def _drain(self, standing: Standing, reason: EvictionReason | None) -> None:
        if self.draining.get(standing.key) is not reason:
            put(self._undo, self.draining, standing.key, reason)

    def replace_members(self, key: FactKey) -> None:
        """A LocalQueue changed: place all workloads that name it anew. O(their number)."""
        for member in list(self._members.get(key, ())):
            standing = self.by_key[member]
            self.place(standing)
            self.check_drain(standing)

    def recheck_drain(self, cluster_queue: str) -> None:
        """A ClusterQueue changed: must its holders go? O(their number)."""
        for _, standing in list(self._holds.holders.get(cluster_queue, ())):
            self.check_drain(standing)

    def assume_admission(self, command: Admit) -> None:
        """Count an admission as done, unless the workload is gone, another one, or holds quota already."""
        standing = self.by_key.get(command.workload)
        if standing is None or standing.fact.uid != command.uid or standing.hold is not None:
            return
        self.set(standing, assumed=command, assumed_at=self.now, tried=None)
        self.move(standing, Place.HELD)
        self._bring_in_line(standing)
        pending = self.pending_queue(standing.cluster_queue)
        if pending.sticky is not None and pending.sticky[0] == standing.key:
            pending.set_sticky(None)
        self.check_drain(standing)

    def assume_eviction(self, command: Evict) -> None:
        """Count an eviction as asked for: the workload holds what it has until its facts say otherwise."""
        standing = self.by_key.get(command.workload)
        if standing is None or standing.fact.uid != command.uid or standing.is_leaving:
            return
        self.set(standing, evicting=command)
        self._holds.touch()
        self._drain(standing, None)
        self._strand(standing, None)

    def forget(self, command: Admit | Evict) -> None:
        """Take back a command that could not be carried out; the workload is decided about again."""
        standing = self.by_key.get(command.workload)
        if standing is None:
            return
        if isinstance(command, Admit) and standing.assumed == command:
            self.set(standing, assumed=None, evicting=None)
            self._bring_in_line(standing)
            self.place(standing)
        elif isinstance(command, Evict) and standing.evicting == command:
            self.set(standing, evicting=None)
            self._holds.touch()
        self.check_drain(standing)

    def remember_scan(self, standing: Standing, pod_sets: tuple[tuple[tuple[str, int], ...], ...] | None) -> bool:
        """Remember where a scan of flavors stopped; True if that is news: it stopped elsewhere, or it was begun anew
        because quota may have become free, so that flavors after this one are yet to be tried."""
        before, after = standing.tried, None
        generation = self._tree.queue(standing.cluster_queue).root.generation
        if pod_sets is not None:
            after = Tried(self.cycles, generation, standing.shape, pod_sets)
        self.set(standing, tried=after)
        if before is None or after is None:
            return before is not after
        return before.pod_sets != after.pod_sets or (before.generation < generation and after.is_pending)

    def restore(
        self,
        standing: Standing,
        *,
        place: Place,
        assumed: Admit | None,
        assumed_at: int,
        evicting: Evict | None,
        tried: Tried | None,
        was_placed: bool,
        placement: Placement | None,
    ) -> None:
        """Bring back what a dump remembers of one workload (its facts are there already)."""
        self.set(
            standing, assumed=assumed, assumed_at=assumed_at, evicting=evicting, tried=tried, was_placed=was_placed
        )
        self._bring_in_line(standing)
        if placement is not None and standing.hold is not None:
            self._change_hold(standing, replace(standing.hold, placement=placement))
        self.move(standing, Place.HELD if standing.hold is not None else place)
        self.check_drain(standing)

    def _is_live_timer(self, at: int, key: WorkloadKey) -> bool:
        standing = self.by_key.get(key)
        return standing is not None and standing.place is Place.PARKED and standing.fact.requeue_at == at

    def request(self, cluster_queue: str) -> None:
        """Something was freed: the queue's whole tree is to be un-parked at the next opportunity (kueue.md 3.3)."""
        if cluster_queue and not self.requests.get(cluster_queue):
            put(self._undo, self.requests, cluster_queue, True)

    def wait_for_fleet(self, cluster_queue: str) -> None:
        """Somebody in this queue was parked because nodes or devices are short."""
        if cluster_queue not in self.waiting_for_fleet:
            put(self._undo, self.waiting_for_fleet, cluster_queue, True)

    def _request_for_fleet(self) -> None:
        """Nodes or devices were given back. All queues share them, also those that share no quota: queues in which
        somebody waits for them are to be un-parked, by themselves. O(such queues)."""
        for name in self.waiting_for_fleet:
            if name not in self.requests:
                put(self._undo, self.requests, name, False)

    def set_clock(self, cycles: int, now: int) -> None:
        """Count a cycle and hear of a time. Time never goes back."""
        before = (self.cycles, self.now)
        self.cycles, self.now = cycles, max(now, self.now)

        def back() -> None:
            self.cycles, self.now = before

        self._undo.record(back)


def _drains(stop: StopPolicy, admitted: bool) -> bool:
    return stop is StopPolicy.HOLD_AND_DRAIN or (stop is StopPolicy.HOLD and not admitted)


def _what_unparks(fact: Workload) -> tuple[object, ...]:
    """A change of any of these gives a parked workload a new chance by itself (kueue.md 3.2, push rules)."""
    return (
        fact.queue, fact.pod_sets, fact.priority, fact.active, fact.reclaimable, fact.evicted, fact.requeue_blocked,
        fact.requeue_at, fact.state, fact.queued_at, fact.kept_out, fact.failed_checks,
    )  # fmt: skip


def _frees_others(before: Workload, fact: Workload) -> bool:
    """Changes that may let others in: finished, deactivated, returned to pending, a holder needs fewer pods, other
    priority."""
    return (
        (fact.state is not before.state and fact.state is not WorkloadState.RESERVED)
        or (before.active and not fact.active)
        or (fact.reclaimable != before.reclaimable and fact.state is WorkloadState.RESERVED)
        or fact.priority != before.priority
    )
