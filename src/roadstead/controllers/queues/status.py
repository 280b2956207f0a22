"""Status of ClusterQueues and LocalQueues (kueue 1.2, 1.4).

Conditions are written at once. Counts change with every workload, so they are written late and together: a change in
who waits or in what is borrowed within three seconds, because others act on it; what runs and what it uses within
twenty seconds for a ClusterQueue, within a minute for a LocalQueue, and only if it is still a change then (`patience`).
A short job that finds room costs its queues no write at all, and neither do long ones that follow one another;
`roadstead queue` and `why` read the workloads themselves and never lag.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final

from roadstead.controllers.conditions import set_condition
from roadstead.controllers.queues import names
from roadstead.controllers.queues.activity import (
    ACTIVE,
    Activity,
    cluster_queue_activity,
    local_queue_activity,
)
from roadstead.controllers.queues.in_use import finalizer_write
from roadstead.controllers.queues.names import (
    BY_CHECK,
    BY_CLUSTER_QUEUE,
    BY_FLAVOR,
    BY_RESERVATION,
    BY_TOPOLOGY,
    HOLDING,
    WAITING,
    path_of,
)
from roadstead.controllers.queues.patience import CLUSTER_QUEUE_WITHIN, LOCAL_QUEUE_WITHIN, Patience
from roadstead.controllers.queues.usage import Totals, add_up, flavor_usage
from roadstead.kinds.names import (
    ADMISSION_CHECKS,
    CLUSTER_QUEUES,
    COHORTS,
    LOCAL_QUEUES,
    RESOURCE_FLAVORS,
    TOPOLOGIES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.kueue import ClusterQueueView, LocalQueueView, QueueStatusView, ResourceGroupView
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, in_order, same_key

_PENDING: Final = "pendingWorkloads"


class _QueueStatus(ABC):
    """What both kinds of queue do: say at once whether they are open, and count with patience."""

    resource: ClassVar[Resource]
    write_within: ClassVar[int]

    def __init__(self) -> None:
        self._patience = Patience(self.write_within)

    @abstractmethod
    def _status(self, queue: Object) -> QueueStatusView: ...

    @abstractmethod
    def _activity(self, queue: Object, read: Read) -> Activity: ...

    @abstractmethod
    def _count(self, queue: Object, read: Read) -> Json:
        """Counts and usage as the status writes them. O(w log w), w workloads that wait (their names only) or hold
        quota."""

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        queue = read.get(self.resource, *key)
        if queue is None:
            self._patience.over(key)
            return NOTHING
        activity = self._activity(queue, read)
        is_said = activity.is_said_by(self._status(queue).conditions, queue.meta.generation)
        if is_said and (again_at := self._patience.look_at(key, now)) is not None:
            return Step(again_at=again_at)
        value = queue.decode()
        stored: Json = value.setdefault("status", {})
        counts = self._count(queue, read)
        if is_said and stored == stored | counts:
            self._patience.over(key)
            return NOTHING
        if is_said and _urgent(counts) == _urgent(stored):
            again_at = self._patience.can_wait(key, now)
            if again_at is not None:
                return Step(again_at=again_at)
        self._patience.over(key)
        stored.update(counts)
        set_condition(value, ACTIVE, activity.is_active, activity.reason, activity.message, now)
        return in_order(Update(self.resource, value, "status"))


class ClusterQueueController(_QueueStatus):
    """Status and finalizer of ClusterQueues."""

    name: ClassVar[str] = "cluster-queue"
    resource: ClassVar[Resource] = CLUSTER_QUEUES
    write_within: ClassVar[int] = CLUSTER_QUEUE_WITHIN
    watches: Mapping[Resource, KeysOf] = {
        CLUSTER_QUEUES: same_key,
        LOCAL_QUEUES: names.cluster_queue_of_local_queue,
        WORKLOADS: names.cluster_queues_of_workload,
        RESOURCE_FLAVORS: names.cluster_queues_of_flavor,
        TOPOLOGIES: names.cluster_queues_of_topology,
        ADMISSION_CHECKS: names.cluster_queues_of_check,
        COHORTS: names.cluster_queues_in_cohorts,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {
        (WORKLOADS, WAITING): names.by_waiting,
        (WORKLOADS, BY_RESERVATION): names.by_reservation,
        (LOCAL_QUEUES, BY_CLUSTER_QUEUE): names.by_cluster_queue,
        (CLUSTER_QUEUES, BY_FLAVOR): names.flavors_of,
        (CLUSTER_QUEUES, BY_CHECK): names.checks_of,
        (RESOURCE_FLAVORS, BY_TOPOLOGY): names.topologies_of,
    }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        queue = read.get(CLUSTER_QUEUES, *key)
        if queue is not None:
            held = finalizer_write(queue, lambda: bool(read.by_index(WORKLOADS, BY_RESERVATION, key[1])))
            if held is not None:
                return in_order(held)
        return super().reconcile(key, read, now)

    def _status(self, queue: Object) -> QueueStatusView:
        return queue.view(ClusterQueueView).status

    def _activity(self, queue: Object, read: Read) -> Activity:
        return cluster_queue_activity(queue, read)

    def _count(self, queue: Object, read: Read) -> Json:
        name = queue.meta.name
        leading = read.by_index(LOCAL_QUEUES, BY_CLUSTER_QUEUE, name)
        pending = sum(len(read.by_index(WORKLOADS, WAITING, path_of(local))) for local in leading)
        totals = add_up(read.by_index(WORKLOADS, BY_RESERVATION, name))
        spec = queue.view(ClusterQueueView).spec
        return _counts(pending, totals, spec.resource_groups, borrowed=True, has_cohort=bool(spec.cohort_name))


class LocalQueueController(_QueueStatus):
    """Status of LocalQueues."""

    name: ClassVar[str] = "local-queue"
    resource: ClassVar[Resource] = LOCAL_QUEUES
    write_within: ClassVar[int] = LOCAL_QUEUE_WITHIN
    watches: Mapping[Resource, KeysOf] = {
        LOCAL_QUEUES: same_key,
        CLUSTER_QUEUES: names.local_queues_of_cluster_queue,
        WORKLOADS: names.local_queue_of_workload,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {
        (WORKLOADS, WAITING): names.by_waiting,
        (WORKLOADS, HOLDING): names.by_holding,
        (LOCAL_QUEUES, BY_CLUSTER_QUEUE): names.by_cluster_queue,
    }

    def _status(self, queue: Object) -> QueueStatusView:
        return queue.view(LocalQueueView).status

    def _activity(self, queue: Object, read: Read) -> Activity:
        return local_queue_activity(queue, read)

    def _count(self, queue: Object, read: Read) -> Json:
        cluster_queue = read.get(CLUSTER_QUEUES, "", queue.view(LocalQueueView).spec.cluster_queue)
        groups = cluster_queue.view(ClusterQueueView).spec.resource_groups if cluster_queue is not None else ()
        pending = len(read.by_index(WORKLOADS, WAITING, path_of(queue)))
        return _counts(pending, add_up(read.by_index(WORKLOADS, HOLDING, path_of(queue))), groups, borrowed=False)


def _urgent(status: Json) -> tuple[int, list[str]]:
    """What others act on: who waits, and what is borrowed."""
    flavors = status.get("flavorsReservation") or ()
    borrowed = [str(entry.get("borrowed", "0")) for flavor in flavors for entry in flavor["resources"]]
    return status.get(_PENDING, 0), [amount for amount in borrowed if amount != "0"]


def _counts(
    pending: int, totals: Totals, groups: tuple[ResourceGroupView, ...], *, borrowed: bool, has_cohort: bool = False
) -> Json:
    return {
        _PENDING: pending,
        "reservingWorkloads": totals.reserving,
        "admittedWorkloads": totals.admitted,
        "flavorsReservation": flavor_usage(groups, totals.reserved, borrowed=borrowed, has_cohort=has_cohort),
        "flavorsUsage": flavor_usage(groups, totals.used, borrowed=borrowed, has_cohort=has_cohort),
    }
