"""Status of ClusterQueues and LocalQueues, and the finalizers that keep a queue or flavor while it is in use (kueue 1.2, 1.4, 1.5).

Conditions are written at once. Counts change with every workload, so they are written at most once in a few seconds per queue: a
change is noted, and what is true at the end of the window that it opened is written, if it differs from what is there. A job
shorter than that costs its queues no write at all; `roadstead queue` and `why` read the workloads themselves and never lag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from roadstead.controllers.conditions import get_condition, set_condition
from roadstead.controllers.queues.usage import Totals, add_up, flavor_usage
from roadstead.kinds.names import CLUSTER_QUEUES, IN_USE_FINALIZER, LOCAL_QUEUES, RESOURCE_FLAVORS, WORKLOADS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.kueue import ClusterQueueView, LocalQueueView, ResourceGroupView, WorkloadView
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import NOTHING, SECOND, Index, Key, KeysOf, Read, Step, in_order, same_key

COUNTS_EVERY: Final = 3 * SECOND
NOT_STOPPED: Final = (None, "", "None")

BY_QUEUE: Final = "local-queue"
"""Workloads by "namespace/LocalQueue"."""
BY_RESERVATION: Final = "reservation"
"""Workloads that hold quota, by ClusterQueue."""
BY_CLUSTER_QUEUE: Final = "cluster-queue"
"""LocalQueues by their ClusterQueue."""
BY_FLAVOR: Final = "flavor"
"""ClusterQueues by the flavors they name."""


def _by_queue(workload: Object) -> Iterable[str]:
    return (f"{workload.meta.namespace}/{workload.view(WorkloadView).spec.queue_name}",)


def _by_reservation(workload: Object) -> Iterable[str]:
    status = workload.view(WorkloadView).status
    if status.admission is None or has_condition(status.conditions, "Finished"):
        return ()
    return (status.admission.cluster_queue,)


def _by_cluster_queue(queue: Object) -> Iterable[str]:
    return (queue.view(LocalQueueView).spec.cluster_queue,)


def _flavors_of(queue: Object) -> list[str]:
    groups = queue.view(ClusterQueueView).spec.resource_groups
    return [flavor.name for group in groups for flavor in group.flavors]


def _cluster_queues_of_workload(workload: Object, read: Read) -> Iterable[Key]:
    view = workload.view(WorkloadView)
    names = [view.status.admission.cluster_queue] if view.status.admission else []
    queue = read.get(LOCAL_QUEUES, workload.meta.namespace, view.spec.queue_name)
    if queue is not None:
        names.append(queue.view(LocalQueueView).spec.cluster_queue)
    return [("", name) for name in dict.fromkeys(names)]


def _cluster_queue_of_local_queue(queue: Object, read: Read) -> Iterable[Key]:
    del read
    return (("", queue.view(LocalQueueView).spec.cluster_queue),)


def _cluster_queues_of_flavor(flavor: Object, read: Read) -> Iterable[Key]:
    return [queue.key for queue in read.by_index(CLUSTER_QUEUES, BY_FLAVOR, flavor.meta.name)]


def _local_queue_of_workload(workload: Object, read: Read) -> Iterable[Key]:
    del read
    return ((workload.meta.namespace, workload.view(WorkloadView).spec.queue_name),)


def _local_queues_of_cluster_queue(queue: Object, read: Read) -> Iterable[Key]:
    return [local.key for local in read.by_index(LOCAL_QUEUES, BY_CLUSTER_QUEUE, queue.meta.name)]


def _flavors_of_cluster_queue(queue: Object, read: Read) -> Iterable[Key]:
    """A queue that vanished or let go of a flavor wakes flavors that wait to be deleted."""
    waiting = [flavor.key for flavor in read.list(RESOURCE_FLAVORS) if flavor.meta.deletion_timestamp]
    return [*(("", name) for name in _flavors_of(queue)), *waiting]


class Coalescer:
    """When counts are due: COUNTS_EVERY after the first change since they were last written. Soft memory, may be lost."""

    def __init__(self) -> None:
        self._due: dict[Key, int] = {}

    def wait(self, key: Key, now: int) -> int | None:
        """The time to come again at, or None if it has come."""
        due = self._due.setdefault(key, now + COUNTS_EVERY)
        if now < due:
            return due
        del self._due[key]
        return None

    def forget(self, key: Key) -> None:
        self._due.pop(key, None)


class ClusterQueueController:
    """Status and finalizer of ClusterQueues."""

    name: ClassVar[str] = "cluster-queue"
    watches: Mapping[Resource, KeysOf] = {
        CLUSTER_QUEUES: same_key,
        LOCAL_QUEUES: _cluster_queue_of_local_queue,
        WORKLOADS: _cluster_queues_of_workload,
        RESOURCE_FLAVORS: _cluster_queues_of_flavor,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {
        (WORKLOADS, BY_QUEUE): _by_queue,
        (WORKLOADS, BY_RESERVATION): _by_reservation,
        (LOCAL_QUEUES, BY_CLUSTER_QUEUE): _by_cluster_queue,
        (CLUSTER_QUEUES, BY_FLAVOR): _flavors_of,
    }

    def __init__(self) -> None:
        self._counts = Coalescer()

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        queue = read.get(CLUSTER_QUEUES, *key)
        if queue is None:
            self._counts.forget(key)
            return NOTHING
        held = _finalizer(queue, in_use=bool(read.by_index(WORKLOADS, BY_RESERVATION, queue.meta.name)))
        if held is not None:
            return in_order(held)
        value = queue.decode()
        before = queue.decode().get("status")
        active, reason, message = cluster_queue_state(queue, read)
        is_news = set_condition(value, "Active", active, reason, message, now)
        if not is_news:
            again_at = self._counts.wait(key, now)
            if again_at is not None:
                return Step(again_at=again_at)
        self._count(queue, value, read)
        return NOTHING if value.get("status") == before else in_order(Update(CLUSTER_QUEUES, value, "status"))

    @staticmethod
    def _count(queue: Object, value: Json, read: Read) -> None:
        name = queue.meta.name
        found = {obj.key: obj for obj in read.by_index(WORKLOADS, BY_RESERVATION, name)}
        for local in read.by_index(LOCAL_QUEUES, BY_CLUSTER_QUEUE, name):
            path = f"{local.meta.namespace}/{local.meta.name}"
            found.update((obj.key, obj) for obj in read.by_index(WORKLOADS, BY_QUEUE, path))
        spec = queue.view(ClusterQueueView).spec
        has_cohort = bool(spec.cohort_name)
        write_totals(value, add_up(found.values(), name), spec.resource_groups, borrowed=True, has_cohort=has_cohort)


class LocalQueueController:
    """Status of LocalQueues."""

    name: ClassVar[str] = "local-queue"
    watches: Mapping[Resource, KeysOf] = {
        LOCAL_QUEUES: same_key,
        CLUSTER_QUEUES: _local_queues_of_cluster_queue,
        WORKLOADS: _local_queue_of_workload,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {
        (WORKLOADS, BY_QUEUE): _by_queue,
        (LOCAL_QUEUES, BY_CLUSTER_QUEUE): _by_cluster_queue,
    }

    def __init__(self) -> None:
        self._counts = Coalescer()

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        queue = read.get(LOCAL_QUEUES, *key)
        if queue is None:
            self._counts.forget(key)
            return NOTHING
        value = queue.decode()
        before = queue.decode().get("status")
        active, reason, message = local_queue_state(queue, read)
        is_news = set_condition(value, "Active", active, reason, message, now)
        if not is_news:
            again_at = self._counts.wait(key, now)
            if again_at is not None:
                return Step(again_at=again_at)
        cluster_queue = read.get(CLUSTER_QUEUES, "", queue.view(LocalQueueView).spec.cluster_queue)
        groups = cluster_queue.view(ClusterQueueView).spec.resource_groups if cluster_queue is not None else ()
        totals = add_up(read.by_index(WORKLOADS, BY_QUEUE, f"{key[0]}/{key[1]}"))
        write_totals(value, totals, groups, borrowed=False)
        return NOTHING if value.get("status") == before else in_order(Update(LOCAL_QUEUES, value, "status"))


class ResourceFlavorController:
    """The finalizer of ResourceFlavors: one stays while a ClusterQueue names it."""

    name: ClassVar[str] = "resource-flavor"
    watches: Mapping[Resource, KeysOf] = {RESOURCE_FLAVORS: same_key, CLUSTER_QUEUES: _flavors_of_cluster_queue}
    indexes: Mapping[tuple[Resource, str], Index] = {(CLUSTER_QUEUES, BY_FLAVOR): _flavors_of}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        flavor = read.get(RESOURCE_FLAVORS, *key)
        if flavor is None:
            return NOTHING
        held = _finalizer(flavor, in_use=bool(read.by_index(CLUSTER_QUEUES, BY_FLAVOR, flavor.meta.name)))
        return in_order(held) if held is not None else NOTHING


def cluster_queue_state(queue: Object, read: Read) -> tuple[bool, str, str]:
    """Condition Active: status, reason, message. The first problem gives the reason, the message lists all of them."""
    spec = queue.view(ClusterQueueView).spec
    problems: list[tuple[str, str]] = []
    if queue.meta.deletion_timestamp:
        problems.append(("Terminating", "is terminating"))
    if spec.stop_policy not in NOT_STOPPED:
        problems.append(("Stopped", "is stopped"))
    missing = [name for name in dict.fromkeys(_flavors_of(queue)) if read.get(RESOURCE_FLAVORS, "", name) is None]
    if missing:
        problems.append(("FlavorNotFound", f"references missing ResourceFlavor(s): {','.join(missing)}"))
    checks = (queue.decode()["spec"].get("admissionChecksStrategy") or {}).get("admissionChecks") or ()
    if checks:
        names = ",".join(check["name"] for check in checks)
        problems.append(("AdmissionCheckNotFound", f"references missing AdmissionCheck(s): {names}"))
    if problems:
        return False, problems[0][0], f"Can't admit new workloads: {', '.join(text for _, text in problems)}."
    return True, "Ready", "Can admit new workloads"


def local_queue_state(queue: Object, read: Read) -> tuple[bool, str, str]:
    """Condition Active of a LocalQueue."""
    spec = queue.view(LocalQueueView).spec
    if spec.stop_policy not in NOT_STOPPED:
        return False, "Stopped", "LocalQueue is stopped"
    cluster_queue = read.get(CLUSTER_QUEUES, "", spec.cluster_queue)
    if cluster_queue is None:
        return False, "ClusterQueueDoesNotExist", "Can't submit new workloads to clusterQueue"
    known = get_condition(cluster_queue.decode(), "Active")
    is_active = known is None or known["status"] == "True"
    if cluster_queue.meta.deletion_timestamp or not is_active:
        return False, "ClusterQueueIsInactive", "Can't submit new workloads to clusterQueue"
    return True, "Ready", "Can submit new workloads to localQueue"


def write_totals(
    value: Json, totals: Totals, groups: tuple[ResourceGroupView, ...], *, borrowed: bool, has_cohort: bool = False
) -> None:
    """Put counts and usage into a decoded queue's status, in place."""
    status = value.setdefault("status", {})
    status["pendingWorkloads"] = totals.pending
    status["reservingWorkloads"] = totals.reserving
    status["admittedWorkloads"] = totals.admitted
    status["flavorsReservation"] = flavor_usage(groups, totals.reserved, borrowed=borrowed, has_cohort=has_cohort)
    status["flavorsUsage"] = flavor_usage(groups, totals.used, borrowed=borrowed, has_cohort=has_cohort)


def _finalizer(obj: Object, *, in_use: bool) -> Update | None:
    """The write that sets the in-use finalizer, or takes it from an object that is being deleted and not in use."""
    has_it = IN_USE_FINALIZER in obj.meta.finalizers
    if obj.meta.deletion_timestamp is None and not has_it:
        value = obj.decode()
        value["metadata"]["finalizers"] = [*obj.meta.finalizers, IN_USE_FINALIZER]
        return Update(obj.resource, value)
    if obj.meta.deletion_timestamp is not None and has_it and not in_use:
        value = obj.decode()
        value["metadata"]["finalizers"] = [name for name in obj.meta.finalizers if name != IN_USE_FINALIZER]
        return Update(obj.resource, value)
    return None
