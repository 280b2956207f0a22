"""Who holds what: the lists of holders, kept together with the quota tree and the Fleet."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, Final, TypeVar

from roadstead.core.fleet.fleet import Fleet
from roadstead.core.queueing.standing import PreemptionOrder, Standing
from roadstead.core.quota.tree import QuotaTree, Slot
from roadstead.core.undo import UndoLog
from roadstead.model.amounts import ResourceName
from roadstead.model.workload import Member, Placement, Pod, PodSetPlacement, WorkloadKey

CACHED_MAX: Final = 10_000

FIRST: Final = 8
"""So many holders of one cell are named at most; the rest follow them anyway."""

T = TypeVar("T")


def holder_of(key: WorkloadKey) -> str:
    """The name under which the Fleet lists a workload's places."""
    return f"workload:{key[0]}/{key[1]}"


def pod_holder(key: tuple[str, str]) -> str:
    """The name under which the Fleet lists the place of a pod that no queue admits."""
    return f"pod:{key[0]}/{key[1]}"


@lru_cache(maxsize=4096)
def _alone(member: Member, requests: tuple[tuple[ResourceName, int], ...]) -> Placement:
    """Where one pod without claims is: equal pods of one node share it."""
    return Placement((PodSetPlacement("", (member,), requests),))


class Holds:
    """Holders of each ClusterQueue in preemption order, and answers about them that stay true while none comes or goes."""

    def __init__(self, undo: UndoLog, tree: QuotaTree, fleet: Fleet) -> None:
        self._undo = undo
        self._tree = tree
        self._fleet = fleet
        self.holders: dict[str, list[tuple[PreemptionOrder, Standing]]] = {}
        self._first: dict[str, dict[Slot, list[tuple[PreemptionOrder, Standing]]]] = {}
        self._version = 0  # only grows, also when a trial is taken back
        self._cache: dict[Any, tuple[int, Any]] = {}

    def lay(self, standing: Standing) -> None:
        """Enter what a standing's `hold` says into the ledgers. O(cells x depth + members), undoable like all of these."""
        hold = standing.hold
        assert hold is not None
        queue = hold.admission.cluster_queue
        self._tree.add(self._tree.queue(queue), hold.usage)
        self._list(standing, queue, add=True)
        if hold.placement is not None:
            self._fleet.hold(holder_of(standing.key), hold.placement)

    def lift(self, standing: Standing) -> None:
        """The inverse of `lay`; the standing keeps its `hold`, so that it can be laid again."""
        hold = standing.hold
        assert hold is not None
        queue = hold.admission.cluster_queue
        self._tree.remove(self._tree.queue(queue), hold.usage)
        self._list(standing, queue, add=False)
        if hold.placement is not None:
            self._fleet.release(holder_of(standing.key))

    def speak(self, key: WorkloadKey, placement: Placement | None) -> None:
        """The claims that this placement gives devices to are this workload's, held at the moment or lifted on a trial. Undoable."""
        self._fleet.claims.speak(holder_of(key), placement)

    def lost_since(self, placement: Placement) -> int | None:
        """Since when a node of this placement is not ready (0: one is gone); None while all are there. O(members)."""
        found: int | None = None
        for name in {member.node for pod_set in placement.pod_sets for member in pod_set.members}:
            node = self._fleet.node(name)
            if node is None:
                return 0
            if node.unready_since:
                found = node.unready_since if found is None else min(found, node.unready_since)
        return found

    def workloads_on(self, node: str) -> list[WorkloadKey]:
        """Workloads with a member on the node."""
        found = []
        for holder in self._fleet.holders_on(node):
            kind, _, path = holder.partition(":")
            if kind == "workload":
                namespace, _, name = path.partition("/")
                found.append((namespace, name))
        return found

    def hold_pod(self, pod: Pod, member: Member) -> None:
        """A pod that no queue admits occupies its place."""
        self.touch()
        if pod.pod.claims:
            shared = tuple((each.name, each.shared) for each in pod.pod.claims if each.shared is not None)
            placement = Placement((PodSetPlacement("", (member,), pod.pod.requests, shared),))
        else:
            placement = _alone(member, pod.pod.requests)
        self._fleet.hold(pod_holder(pod.key), placement)

    def pod_member(self, key: tuple[str, str]) -> Member | None:
        """The place of such a pod, if it has one."""
        held = self._fleet.held(pod_holder(key))
        return held.pod_sets[0].members[0] if held is not None else None

    def release_pod(self, key: tuple[str, str]) -> None:
        self.touch()
        self._fleet.release(pod_holder(key))

    def _list(self, standing: Standing, cluster_queue: str, *, add: bool) -> None:
        self.touch()
        holders = self.holders.setdefault(cluster_queue, [])
        order = standing.preemption_order

        def put() -> None:
            insort(holders, (order, standing), key=lambda item: item[0])
            self._first.pop(cluster_queue, None)

        def take() -> None:
            del holders[bisect_left(holders, order, key=lambda item: item[0])]
            self._first.pop(cluster_queue, None)

        do, back = (put, take) if add else (take, put)
        do()
        if self._undo.is_recording:
            self._undo.record(back)

    def first(self, cluster_queue: str, slot: Slot) -> list[tuple[PreemptionOrder, Standing]]:
        """The first FIRST holders of a cell in one queue, in preemption order. O(its holders at worst) after one came or went there,
        else O(1)."""
        known = self._first.setdefault(cluster_queue, {})
        found = known.get(slot)
        if found is None:
            found = known[slot] = []
            for item in self.holders.get(cluster_queue, ()):
                hold = item[1].hold
                for used, amount in hold.usage if hold is not None else ():
                    if used == slot and amount:
                        found.append(item)
                        break
                if len(found) == FIRST:
                    break
        return found

    def touch(self) -> None:
        """Something about holders has changed, and changes again if a trial takes it back."""
        self._bump()
        if self._undo.is_recording:
            self._undo.record(self._bump)

    def _bump(self) -> None:
        self._version += 1

    def cached(self, question: Hashable, answer: Callable[[], T]) -> T:
        """The answer to a question about holders, worked out once for as long as none comes or goes."""
        known = self._cache.get(question)
        if known is not None and known[0] == self._version:
            found: T = known[1]
            return found
        if len(self._cache) > CACHED_MAX:
            self._cache.clear()
        made = answer()
        self._cache[question] = (self._version, made)
        return made
