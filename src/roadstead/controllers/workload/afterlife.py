"""What happens to a Workload outside its job's reconciler: orphans let go, doors reopened, priorities followed.

Keyed by the Workload, so that it also serves Workloads that no job controls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from roadstead.controllers.conditions import get_condition
from roadstead.controllers.node_lifecycle import BY_NODE, pods_by_node
from roadstead.controllers.workload.limits import limit
from roadstead.controllers.workload.pods import (
    WORKLOAD_INDEX,
    all_seen,
    end_of_grace,
    is_departing,
    leaving_pods_of,
    live_pods,
    pods_by_workload,
)
from roadstead.controllers.workload.policy import NO_POLICY, Policy
from roadstead.controllers.workload.retention import expire_deactivated, expire_finished
from roadstead.controllers.workload.status import (
    drop_placement,
    finished,
    holds_quota,
    is_evicted,
    is_finished,
    released,
    requeued,
    without_finalizer,
)
from roadstead.controllers.workload.waking import PRIORITY_CLASS_INDEX, workloads_by_priority_class
from roadstead.integrations import ALL, for_owner
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    IN_USE_FINALIZER,
    JOB_UID_LABEL,
    LOCAL_QUEUES,
    NODES,
    PLACEMENTS,
    PODS,
    WORKLOAD_ANNOTATION,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.times import parse_time
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import ClusterQueueView, LocalQueueView, WorkloadPriorityClassView, WorkloadView
from roadstead.kinds.views.pod import node_of
from roadstead.runtime.cluster import Update, Write
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, in_order, nobody, same_key

SHUT_OUT_INDEX: Final = "requeued-false"
"""Workloads by the reason of Requeued=False: those that a restarted queue lets in again."""
AFTER_A_DELAY: Final = ("AdmissionCheck", "PodsReadyTimeout")
"""Reasons of an eviction after which a workload waits as long as requeueState says: not at all if that says nothing."""
NOT_STOPPED: Final = (None, "", "None")


def _shut_out(workload: Object) -> Iterable[str]:
    condition = find_condition(workload.view(WorkloadView).status.conditions, "Requeued")
    return (condition.reason,) if condition and condition.status == "False" else ()


def _workload_of_pod(changed: Object, read: Read) -> Iterable[Key]:
    """Only pods that are leaving matter: somebody may be waiting for the last of them."""
    name = changed.meta.annotations.get(WORKLOAD_ANNOTATION)
    return ((changed.meta.namespace, name),) if name and is_departing(changed, read) else ()


def _workloads_of_departed(changed: Object, read: Read) -> Iterable[Key]:
    """A job that is gone leaves its Workloads to us, in whatever order the news comes; one that is there keeps them."""
    found = read.get(changed.resource, *changed.key)
    if found is None or found.meta.uid != changed.meta.uid:
        return [workload.key for workload in read.owned_by(WORKLOADS, changed.meta.uid)]
    return ()


def _workloads_that_wait_for_node(changed: Object, read: Read) -> Iterable[Key]:
    for pod in leaving_pods_of(changed, read):
        yield from _workload_of_pod(pod, read)


def _shut_out_by(reason: str) -> KeysOf:
    def keys(changed: Object, read: Read) -> Iterable[Key]:
        del changed
        return [workload.key for workload in read.by_index(WORKLOADS, SHUT_OUT_INDEX, reason)]

    return keys


def _workloads_of_class(changed: Object, read: Read) -> Iterable[Key]:
    return [workload.key for workload in read.by_index(WORKLOADS, PRIORITY_CLASS_INDEX, changed.meta.name)]


class AfterlifeController:
    """Reconciles Workloads with what is left around them. Stateless."""

    name: ClassVar[str] = "workload-afterlife"
    watches: Mapping[Resource, KeysOf]
    indexes: Mapping[tuple[Resource, str], Index]

    def __init__(self, policy: Policy = NO_POLICY) -> None:
        self._policy = policy
        self.watches = {
            WORKLOADS: same_key,
            **{kind.resource: _workloads_of_departed for kind in ALL},
            PODS: _workload_of_pod,
            NODES: _workloads_that_wait_for_node,
            PLACEMENTS: nobody,
            CLUSTER_QUEUES: _shut_out_by("ClusterQueueStopped"),
            LOCAL_QUEUES: _shut_out_by("LocalQueueStopped"),
            WORKLOAD_PRIORITY_CLASSES: _workloads_of_class,
        }
        self.indexes = {
            (PODS, WORKLOAD_INDEX): pods_by_workload,
            (PODS, BY_NODE): pods_by_node,
            (WORKLOADS, PRIORITY_CLASS_INDEX): workloads_by_priority_class,
            (WORKLOADS, SHUT_OUT_INDEX): _shut_out,
        }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        workload = read.get(WORKLOADS, *key)
        if workload is None:
            return NOTHING
        if not self._has_job(workload, read):
            step = self._orphan(workload, read, now)
            if step is not None:
                return step
        if workload.meta.deletion_timestamp:
            return NOTHING
        if is_finished(workload):
            return expire_finished(workload, self._policy, now) or NOTHING
        return (
            self._reopen(workload, read, now)
            or self._reprice(workload, read)
            or limit(workload, self._policy, now)
            or expire_deactivated(workload, self._policy, read, now)
            or NOTHING
        )

    def _has_job(self, workload: Object, read: Read) -> bool:
        """True while a job that we know controls it exists: then that job's reconciler does everything else."""
        owner = workload.meta.controller
        kind = for_owner(owner)
        if owner is None or kind is None:
            return False
        job = read.get(kind.resource, workload.meta.namespace, owner.name)
        return job is not None and job.meta.uid == owner.uid

    def _orphan(self, workload: Object, read: Read, now: int) -> Step | None:
        """No job (any more): a leaving Workload is let go once nothing of it is alive."""
        leaving = workload.meta.deletion_timestamp is not None
        if not leaving and not is_finished(workload):
            if not workload.meta.owner_references and JOB_UID_LABEL in workload.meta.labels:
                if left := self._left_to_themselves(workload, read, now):
                    return Step(again_at=end_of_grace(left, now))
                return in_order(
                    Update(
                        WORKLOADS,
                        finished(workload, "OwnerNotFound", "The job of this workload does not exist", now),
                        "status",
                    ),
                    confirm=(all_seen(read, workload),) if holds_quota(workload) else (),
                )
            return self._release(workload, read, now)
        if not leaving:
            return None  # finished: whatever it held is free already
        alive = live_pods(read, workload, now)
        if alive:
            return Step(again_at=end_of_grace(alive, now))
        writes: list[Write] = list(drop_placement(workload, read))
        if IN_USE_FINALIZER in workload.meta.finalizers:
            writes.append(Update(WORKLOADS, without_finalizer(workload)))
        may_have_more = holds_quota(workload) and not is_finished(workload)
        return in_order(*writes, confirm=(all_seen(read, workload),) if may_have_more else ()) if writes else None

    @staticmethod
    def _left_to_themselves(workload: Object, read: Read, now: int) -> list[Object]:
        """Pods of a job that was deleted without its dependents (propagation Orphan): they keep what they run on until
        they have ended. (Kueue gives the quota back at once; but devices that are in use are not free.) Who has no node
        yet still gets it, unless the Workload is evicted."""
        if not holds_quota(workload):
            return []
        is_leaving = is_evicted(workload)
        return [pod for pod in live_pods(read, workload, now) if not is_leaving or node_of(pod)]

    @staticmethod
    def _release(workload: Object, read: Read, now: int) -> Step | None:
        """An evicted Workload without any owner has no job to stop: it gives everything back once no pod of it is
        alive. With an owner that we do not know, that owner is the one who stops and gives back (kueue 2.4)."""
        if workload.meta.owner_references or not (is_evicted(workload) and holds_quota(workload)):
            return None
        alive = live_pods(read, workload, now)
        if alive:
            return Step(again_at=end_of_grace(alive, now))
        evicted = find_condition(workload.view(WorkloadView).status.conditions, "Evicted")
        assert evicted is not None
        value = released(workload, evicted.reason, evicted.message, now)
        confirm = (all_seen(read, workload),)
        return in_order(*drop_placement(workload, read), Update(WORKLOADS, value, "status"), confirm=confirm)

    def _reopen(self, workload: Object, read: Read, now: int) -> Step | None:
        """Requeued=False ends when its cause does (kueue 2.5, 2.8, 2.9)."""
        value = workload.decode()
        condition = get_condition(value, "Requeued")
        state = workload.view(WorkloadView).status.requeue_state
        if condition is None or condition["status"] != "False" or holds_quota(workload):
            return None
        reason = condition["reason"]
        active = value["spec"].get("active", True) is not False
        if reason.startswith("Deactivated") and active:
            return self._let_in(workload, "Reactivated", "The workload was reactivated", now)
        if reason == "LocalQueueStopped" and self._is_open(workload, read, of_cluster_queue=False):
            return self._let_in(
                workload, "LocalQueueRestarted", "The LocalQueue was restarted after being stopped", now
            )
        if reason == "ClusterQueueStopped" and self._is_open(workload, read, of_cluster_queue=True):
            return self._let_in(
                workload, "ClusterQueueRestarted", "The ClusterQueue was restarted after being stopped", now
            )
        if state is not None and state.requeue_at:
            at = parse_time(state.requeue_at)
            if at > now:
                return Step(again_at=at)
            return self._let_in(workload, "BackoffFinished", "The workload backoff was finished", now)
        if reason in AFTER_A_DELAY:
            return self._let_in(workload, "BackoffFinished", "The workload backoff was finished", now)
        return None

    @staticmethod
    def _let_in(workload: Object, reason: str, message: str, now: int) -> Step:
        value = requeued(workload, reason, message, now)
        state = value["status"].get("requeueState")
        if state:
            state.pop("requeueAt", None)
        return in_order(Update(WORKLOADS, value, "status"))

    @staticmethod
    def _is_open(workload: Object, read: Read, *, of_cluster_queue: bool) -> bool:
        queue = read.get(LOCAL_QUEUES, workload.meta.namespace, workload.view(WorkloadView).spec.queue_name)
        if queue is None:
            return False
        spec = queue.view(LocalQueueView).spec
        if not of_cluster_queue:
            return spec.stop_policy in NOT_STOPPED
        cluster_queue = read.get(CLUSTER_QUEUES, "", spec.cluster_queue)
        return cluster_queue is not None and cluster_queue.view(ClusterQueueView).spec.stop_policy in NOT_STOPPED

    @staticmethod
    def _reprice(workload: Object, read: Read) -> Step | None:
        """A WorkloadPriorityClass changed its value: so does the priority of everything that refers to it (kueue
        1.7)."""
        spec = workload.view(WorkloadView).spec
        ref = spec.priority_class_ref
        if ref is None or ref.kind != "WorkloadPriorityClass":
            return None
        found = read.get(WORKLOAD_PRIORITY_CLASSES, "", ref.name)
        if found is None or found.view(WorkloadPriorityClassView).value == spec.priority:
            return None
        value = workload.decode()
        value["spec"]["priority"] = found.view(WorkloadPriorityClassView).value
        return in_order(Update(WORKLOADS, value))
