"""Who names whom: the indexes of this package, and the keys that a change wakes up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from roadstead.kinds.names import CLUSTER_QUEUES, COHORTS, LOCAL_QUEUES, RESOURCE_FLAVORS
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.kueue import (
    ClusterQueueView,
    CohortView,
    LocalQueueView,
    ResourceFlavorView,
    WorkloadStatusView,
    WorkloadView,
)
from roadstead.runtime.step import Key, Read

WAITING: Final = "waiting"
"""Workloads that wait, by "namespace/LocalQueue"."""
HOLDING: Final = "holding"
"""Workloads that hold quota, by "namespace/LocalQueue"."""
BY_RESERVATION: Final = "reservation"
"""Workloads that hold quota, by ClusterQueue."""
BY_CLUSTER_QUEUE: Final = "cluster-queue"
"""LocalQueues by their ClusterQueue."""
BY_FLAVOR: Final = "flavor"
"""ClusterQueues by the flavors they name."""
BY_CHECK: Final = "admission-check"
"""ClusterQueues by the admission checks they name."""
BY_TOPOLOGY: Final = "topology"
"""ResourceFlavors by their topology."""


# ---------------------------------------------------------------------- indexes


def path_of(queue: Object) -> str:
    """A LocalQueue as the indexes above name it."""
    return f"{queue.meta.namespace}/{queue.meta.name}"


def by_waiting(workload: Object) -> Iterable[str]:
    view = workload.view(WorkloadView)
    is_over = has_condition(view.status.conditions, "Finished") or view.spec.active is False
    if is_over or _holds(view.status):
        return ()
    return (f"{workload.meta.namespace}/{view.spec.queue_name}",)


def by_holding(workload: Object) -> Iterable[str]:
    view = workload.view(WorkloadView)
    return (f"{workload.meta.namespace}/{view.spec.queue_name}",) if _holds(view.status) else ()


def by_reservation(workload: Object) -> Iterable[str]:
    status = workload.view(WorkloadView).status
    return (status.admission.cluster_queue,) if status.admission is not None and _holds(status) else ()


def _holds(status: WorkloadStatusView) -> bool:
    conditions = status.conditions
    is_reserved = status.admission is not None and has_condition(conditions, "QuotaReserved")
    return is_reserved and not has_condition(conditions, "Finished")


def by_cluster_queue(queue: Object) -> Iterable[str]:
    return (queue.view(LocalQueueView).spec.cluster_queue,)


def flavors_of(queue: Object) -> list[str]:
    """Flavors of a ClusterQueue, in the order of its spec."""
    groups = queue.view(ClusterQueueView).spec.resource_groups
    return [flavor.name for group in groups for flavor in group.flavors]


def checks_of(queue: Object) -> list[str]:
    """Admission checks of a ClusterQueue, in the order of its spec."""
    strategy = queue.view(ClusterQueueView).spec.admission_checks_strategy
    return [rule.name for rule in strategy.admission_checks] if strategy is not None else []


def topologies_of(flavor: Object) -> Iterable[str]:
    topology = flavor.view(ResourceFlavorView).spec.topology_name
    return (topology,) if topology else ()


# ---------------------------------------------------------------------- who wakes up


def cluster_queues_of_workload(workload: Object, read: Read) -> Iterable[Key]:
    view = workload.view(WorkloadView)
    names = [view.status.admission.cluster_queue] if view.status.admission else []
    queue = read.get(LOCAL_QUEUES, workload.meta.namespace, view.spec.queue_name)
    if queue is not None:
        names.append(queue.view(LocalQueueView).spec.cluster_queue)
    return [("", name) for name in dict.fromkeys(names)]


def cluster_queue_of_local_queue(queue: Object, read: Read) -> Iterable[Key]:
    del read
    return (("", queue.view(LocalQueueView).spec.cluster_queue),)


def cluster_queues_of_flavor(flavor: Object, read: Read) -> Iterable[Key]:
    return [queue.key for queue in read.by_index(CLUSTER_QUEUES, BY_FLAVOR, flavor.meta.name)]


def cluster_queues_of_check(check: Object, read: Read) -> Iterable[Key]:
    return [queue.key for queue in read.by_index(CLUSTER_QUEUES, BY_CHECK, check.meta.name)]


def cluster_queues_of_topology(topology: Object, read: Read) -> Iterable[Key]:
    flavors = read.by_index(RESOURCE_FLAVORS, BY_TOPOLOGY, topology.meta.name)
    return list(dict.fromkeys(key for flavor in flavors for key in cluster_queues_of_flavor(flavor, read)))


def cluster_queues_in_cohorts(cohort: Object, read: Read) -> Iterable[Key]:
    """A cohort's parent decides about queues far below it: all that are in any cohort look again. Cohorts rarely
    change."""
    del cohort
    return [queue.key for queue in read.list(CLUSTER_QUEUES) if queue.view(ClusterQueueView).spec.cohort_name]


def local_queue_of_workload(workload: Object, read: Read) -> Iterable[Key]:
    del read
    return ((workload.meta.namespace, workload.view(WorkloadView).spec.queue_name),)


def local_queues_of_cluster_queue(queue: Object, read: Read) -> Iterable[Key]:
    return [local.key for local in read.by_index(LOCAL_QUEUES, BY_CLUSTER_QUEUE, queue.meta.name)]


# ---------------------------------------------------------------------- cohorts


def is_in_circle(cohort: str, read: Read) -> bool:
    """True if the parents of this cohort never end. Cohorts that are only named have no parent. O(depth)."""
    seen: set[str] = set()
    while cohort:
        if cohort in seen:
            return True
        seen.add(cohort)
        found = read.get(COHORTS, "", cohort)
        cohort = found.view(CohortView).spec.parent_name if found is not None else ""
    return False
