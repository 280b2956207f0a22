"""The page of the queue: what each ClusterQueue has and uses, who runs, who waits, in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from roadstead.expr.quantity import QuantityError, canonical, from_canonical
from roadstead.kinds.names import CLUSTER_QUEUES, LOCAL_QUEUES, PLACEMENTS, WORKLOADS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import parse_time
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import ClusterQueueView, LocalQueueView, ResourceQuotaView, WorkloadView
from roadstead.runtime.step import Read
from roadstead.views.starting import as_it_stands
from roadstead.views.unqueued import unqueued_lines
from roadstead.views.workload import HOLDING, State, WorkloadLine, line_of


@dataclass(frozen=True, slots=True)
class QuotaLine:
    """One cell of a ClusterQueue: nominal quota, what its workloads hold, and how much of that is borrowed, as
    quantities."""

    flavor: str
    resource: str
    nominal: str
    used: str
    borrowed: str


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One ClusterQueue: is it open, how full, and how many LocalQueues lead to it."""

    name: str
    cohort: str
    is_active: bool
    message: str
    local_queues: int
    pending: int
    admitted: int
    quotas: tuple[QuotaLine, ...]


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Queues by name; workloads in the order of their queue: those that hold quota (oldest first), then those that
    wait, in the order in which they will be looked at."""

    queues: tuple[QueueLine, ...]
    workloads: tuple[WorkloadLine, ...]

    def as_json(self) -> Json:
        return {
            "queues": [
                {
                    "name": queue.name,
                    "cohort": queue.cohort,
                    "localQueues": queue.local_queues,
                    "active": queue.is_active,
                    "message": queue.message,
                    "pending": queue.pending,
                    "admitted": queue.admitted,
                    "quotas": [
                        {
                            "flavor": quota.flavor,
                            "resource": quota.resource,
                            "nominal": quota.nominal,
                            "used": quota.used,
                            "borrowed": quota.borrowed,
                        }
                        for quota in queue.quotas
                    ],
                }
                for queue in self.queues
            ],
            "workloads": [line.as_json() for line in self.workloads],
        }


def queue_page(read: Read, now: int, *, namespace: str = "", finished: bool = False) -> QueuePage:
    """The page of all queues; `namespace` narrows the workloads shown (not the sums). O(workloads log workloads + pods
    of those admitted)."""
    lines: list[tuple[tuple[object, ...], WorkloadLine]] = []
    pending: dict[str, int] = {}
    admitted: dict[str, int] = {}
    used: dict[str, dict[tuple[str, str], int]] = {}
    for workload in read.list(WORKLOADS):
        leads_to = cluster_queue_of(workload, read)
        line = as_it_stands(line_of(workload, read.get(PLACEMENTS, *workload.key), leads_to, now), workload, read)
        if line.state in HOLDING:
            admitted[line.cluster_queue] = admitted.get(line.cluster_queue, 0) + 1
            _add_usage(workload, used.setdefault(line.cluster_queue, {}))
        elif line.state is State.WAITING:
            pending[line.cluster_queue] = pending.get(line.cluster_queue, 0) + 1
        elif not finished:
            continue
        lines.append((_order(workload, line), line))
    for job, line in unqueued_lines(read, now):
        lines.append(((line.cluster_queue, 2, 0, 0, job.meta.uid), line))
    lines.sort(key=lambda item: item[0])
    counted = _with_positions([line for _, line in lines])
    shown = tuple(line for line in counted if not namespace or line.namespace == namespace)
    leading = Counter(queue.view(LocalQueueView).spec.cluster_queue for queue in read.list(LOCAL_QUEUES))
    queues = tuple(
        _queue_line(
            queue,
            leading[queue.meta.name],
            pending.get(queue.meta.name, 0),
            admitted.get(queue.meta.name, 0),
            used.get(queue.meta.name, {}),
        )
        for queue in read.list(CLUSTER_QUEUES)
    )
    return QueuePage(queues, shown)


def _with_positions(lines: Sequence[WorkloadLine]) -> Iterator[WorkloadLine]:
    """The same lines; those that wait with their place in the order of their ClusterQueue."""
    counted: Counter[str] = Counter()
    for line in lines:
        if line.state is State.WAITING and line.name and line.cluster_queue:
            counted[line.cluster_queue] += 1
            line = replace(line, position=counted[line.cluster_queue])
        yield line


def cluster_queue_of(workload: Object, read: Read) -> str:
    """Where the workload's LocalQueue leads, or "" if there is no such LocalQueue."""
    local = read.get(LOCAL_QUEUES, workload.meta.namespace, workload.view(WorkloadView).spec.queue_name)
    return local.view(LocalQueueView).spec.cluster_queue if local is not None else ""


def _order(workload: Object, line: WorkloadLine) -> tuple[object, ...]:
    """Queue order: higher priority, earlier, smaller uid (kueue 3.2); holders before them, by the time they got their
    quota."""
    if line.state is State.WAITING:
        created = parse_time(workload.meta.creation_timestamp) if workload.meta.creation_timestamp else 0
        return (line.cluster_queue, 1, -line.priority, created, workload.meta.uid)
    reserved = find_condition(workload.view(WorkloadView).status.conditions, "QuotaReserved")
    since = parse_time(reserved.last_transition_time) if reserved and reserved.last_transition_time else 0
    rank = 0 if line.state in HOLDING else 2
    return (line.cluster_queue, rank, 0, since, workload.meta.uid)


def _add_usage(workload: Object, used: dict[tuple[str, str], int]) -> None:
    admission = workload.view(WorkloadView).status.admission
    for assignment in admission.pod_set_assignments if admission else ():
        for resource, amount in assignment.resource_usage.items():
            cell = (assignment.flavors.get(resource, ""), resource)
            used[cell] = used.get(cell, 0) + _canonical(resource, amount)


def _canonical(resource: str, amount: str | int | float) -> int:
    try:
        return canonical(resource, amount)
    except QuantityError:
        return 0


def _queue_line(
    queue: Object, local_queues: int, pending: int, admitted: int, used: dict[tuple[str, str], int]
) -> QueueLine:
    view = queue.view(ClusterQueueView)
    active = find_condition(view.status.conditions, "Active")
    cohort = view.spec.cohort_name
    quotas = tuple(
        _quota_line(flavor.name, quota, used.get((flavor.name, quota.name), 0), has_cohort=bool(cohort))
        for group in view.spec.resource_groups
        for flavor in group.flavors
        for quota in flavor.resources
    )
    return QueueLine(
        name=queue.meta.name,
        cohort=cohort,
        is_active=active is None or active.is_true,
        message="" if active is None else active.message,
        local_queues=local_queues,
        pending=pending,
        admitted=admitted,
        quotas=quotas,
    )


def _quota_line(flavor: str, quota: ResourceQuotaView, used: int, *, has_cohort: bool) -> QuotaLine:
    nominal = _canonical(quota.name, quota.nominal_quota)
    borrowed = max(0, used - nominal) if has_cohort else 0
    return QuotaLine(flavor, quota.name, *(from_canonical(quota.name, each) for each in (nominal, used, borrowed)))
