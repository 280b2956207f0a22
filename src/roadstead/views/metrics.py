"""Queues and workloads as numbers, under the names and labels that Kueue gives them (kueue 8.1).

O(queues) a time. Gauges of usage are what the queues' own status says, so they are as fresh as that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from roadstead.expr.quantity import QuantityError, canonical
from roadstead.kinds.names import CLUSTER_QUEUES, LOCAL_QUEUES
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import ClusterQueueView, FlavorUsageView, LocalQueueView
from roadstead.runtime.counters import Family, Histogram
from roadstead.runtime.step import Read
from roadstead.views.workload_counts import (
    ACTIVE,
    ADMITTED,
    FINISHED,
    INADMISSIBLE,
    RESERVING,
    Origin,
    WorkloadCounts,
)

ROLE: Final = "standalone"
"""Kueue's label `replica_role` for a server that elects no leader."""
INFINITE: Final = float("inf")


def queue_families(read: Read, counts: WorkloadCounts, role: str = ROLE) -> Iterator[Family]:
    """Everything about queues; series of queues that are gone are gone."""
    leads_to = {queue.key: queue.view(LocalQueueView).spec.cluster_queue for queue in read.list(LOCAL_QUEUES)}
    cluster_queues = read.list(CLUSTER_QUEUES)
    attempts = Family(
        "kueue_admission_attempts", "counter", "Cycles that looked at a workload, by whether they admitted one"
    )
    for result, number in counts.attempts.items():
        attempts.add(number, result=result, replica_role=role)
    yield attempts
    loops = Family(
        "roadstead_preemption_loop_stops",
        "counter",
        "Times that a workload was not let displace others, because they had displaced one another in a circle",
    )
    loops.add(counts.loops_stopped, replica_role=role)
    yield loops
    yield from _standing(cluster_queues, leads_to, counts, role)
    yield from _happened(counts, leads_to, role)
    yield from _cluster_queues(cluster_queues, role)
    yield from _local_queues(read.list(LOCAL_QUEUES), role)


def _standing(
    queues: Sequence[Object], leads_to: Mapping[tuple[str, str], str], counts: WorkloadCounts, role: str
) -> Iterator[Family]:
    pending = Family(
        "kueue_pending_workloads", "gauge", "Workloads that wait: still to be looked at, or refused for now"
    )
    reserving = Family("kueue_reserving_active_workloads", "gauge", "Workloads that hold quota and are not finished")
    admitted = Family("kueue_admitted_active_workloads", "gauge", "Workloads that are admitted and not finished")
    finished = Family("kueue_finished_workloads", "gauge", "Workloads that are finished and not deleted yet")
    local = {
        family.name: Family(family.name.replace("kueue_", "kueue_local_queue_", 1), "gauge", family.help)
        for family in (pending, reserving, admitted, finished)
    }
    by_queue: Counter[tuple[str, str]] = Counter()
    by_local: Counter[tuple[str, str, str]] = Counter()
    for place, number in counts.places.items():
        queue = place.cluster_queue or leads_to.get((place.namespace, place.queue), "")
        by_queue[queue, place.state] += number
        by_local[place.namespace, place.queue, place.state] += number
    names = [queue.meta.name for queue in queues]
    for name in names:
        for state in (ACTIVE, INADMISSIBLE):
            pending.add(by_queue[name, state], cluster_queue=name, status=state, replica_role=role)
        held = by_queue[name, RESERVING] + by_queue[name, ADMITTED]
        reserving.add(held, cluster_queue=name, replica_role=role)
        admitted.add(by_queue[name, ADMITTED], cluster_queue=name, replica_role=role)
        finished.add(by_queue[name, FINISHED], cluster_queue=name, replica_role=role)
    for namespace, name in leads_to:
        labels = {"name": name, "namespace": namespace, "replica_role": role}
        for state in (ACTIVE, INADMISSIBLE):
            local[pending.name].add(by_local[namespace, name, state], status=state, **labels)
        held = by_local[namespace, name, RESERVING] + by_local[namespace, name, ADMITTED]
        local[reserving.name].add(held, **labels)
        local[admitted.name].add(by_local[namespace, name, ADMITTED], **labels)
        local[finished.name].add(by_local[namespace, name, FINISHED], **labels)
    yield from (pending, reserving, admitted, finished, *local.values())
    yield from _unadmitted(counts, leads_to, role)


def _unadmitted(counts: WorkloadCounts, leads_to: Mapping[tuple[str, str], str], role: str) -> Iterator[Family]:
    help = "Workloads that are not admitted, by reason"
    whole, local = (Family(f"kueue_{of}unadmitted_workloads", "gauge", help) for of in ("", "local_queue_"))
    for at, number in counts.unadmitted.items():
        queue = at.cluster_queue or leads_to.get((at.namespace, at.queue), "")
        labels = {"reason": at.reason, "underlying_cause": at.underlying_cause, "replica_role": role}
        whole.add(number, cluster_queue=queue, **labels)
        local.add(number, name=at.queue, namespace=at.namespace, cluster_queue=queue, **labels)
    yield from (_summed(whole), _summed(local))


def _happened(counts: WorkloadCounts, leads_to: Mapping[tuple[str, str], str], role: str) -> Iterator[Family]:
    def labels_of(origin: Origin) -> tuple[dict[str, str], dict[str, str]]:
        queue = origin.cluster_queue or leads_to.get((origin.namespace, origin.queue), "")
        common = {"priority_class": origin.priority_class, "replica_role": role}
        return {"cluster_queue": queue, **common}, {"name": origin.queue, "namespace": origin.namespace, **common}

    for name, help, counted in (
        ("quota_reserved_workloads", "Workloads that got quota", counts.reserved),
        ("admitted_workloads", "Workloads that were admitted", counts.admitted),
        ("finished_workloads", "Workloads that finished", counts.finished),
    ):
        whole: Counter[tuple[tuple[str, str], ...]] = Counter()
        local = Family(f"kueue_local_queue_{name}", "counter", help)
        for origin, number in counted.items():
            of_queue, of_local = labels_of(origin)
            whole[tuple(of_queue.items())] += number
            local.add(number, **of_local)
        family = Family(f"kueue_{name}", "counter", help)
        for labels, number in whole.items():
            family.add(number, **dict(labels))
        yield from (family, local)
    for name, help, histograms in (
        ("quota_reserved_wait_time_seconds", "From creation or requeue to quota", counts.reserve_waits),
        ("admission_wait_time_seconds", "From creation or requeue to admission", counts.admit_waits),
        (
            "admission_checks_wait_time_seconds",
            "From quota to admission, where checks stand between",
            counts.check_waits,
        ),
        ("execution_time_seconds", "From admission to the end", counts.executions),
    ):
        summed: dict[tuple[tuple[str, str], ...], Histogram] = {}
        for origin, histogram in histograms.items():
            of_queue, _ = labels_of(origin)
            into = summed.setdefault(tuple(of_queue.items()), Histogram(histogram.bounds))
            into.sum += histogram.sum
            into.counts = [one + other for one, other in zip(into.counts, histogram.counts, strict=True)]
        yield Family(f"kueue_{name}", "histogram", help, [(dict(labels), found) for labels, found in summed.items()])
    evicted = Family("kueue_evicted_workloads", "counter", "Evictions by reason")
    for (origin, reason), number in counts.evicted.items():
        what, _, cause = reason.partition("DueTo")
        evicted.add(number, reason=what, underlying_cause=cause, **labels_of(origin)[0])
    yield _summed(evicted)
    preempted = Family(
        "kueue_preempted_workloads", "counter", "Preemptions by the queue that got the quota, and reason"
    )
    for (queue, reason), number in counts.preempted.items():
        preempted.add(number, preempting_cluster_queue=queue, reason=reason, replica_role=role)
    yield preempted


def _summed(family: Family) -> Family:
    """Series with equal labels become one."""
    sums: Counter[tuple[tuple[str, str], ...]] = Counter()
    for labels, value in family.samples:
        assert not isinstance(value, Histogram)
        sums[tuple(labels.items())] += int(value)
    family.samples = [(dict(labels), value) for labels, value in sums.items()]
    return family


def _cluster_queues(queues: Sequence[Object], role: str) -> Iterator[Family]:
    status = Family(
        "kueue_cluster_queue_status", "gauge", "1 for what the ClusterQueue is: pending, active or terminating"
    )
    info = Family("kueue_cluster_queue_info", "gauge", "1; the Cohort of a ClusterQueue")
    nominal = Family(
        "kueue_cluster_queue_nominal_quota", "gauge", "Nominal quota, in base units (cores, bytes, devices)"
    )
    borrowing = Family("kueue_cluster_queue_borrowing_limit", "gauge", "What may be borrowed at most")
    lending = Family("kueue_cluster_queue_lending_limit", "gauge", "What may be lent at most")
    reserved = Family("kueue_cluster_queue_resource_reservation", "gauge", "What workloads with reserved quota hold")
    used = Family("kueue_cluster_queue_resource_usage", "gauge", "What admitted workloads hold")
    for queue in queues:
        name, view = queue.meta.name, queue.view(ClusterQueueView)
        cohort = view.spec.cohort_name
        active = find_condition(view.status.conditions, "Active")
        now = "terminating" if queue.meta.deletion_timestamp else "active" if active and active.is_true else "pending"
        for state in ("pending", "active", "terminating"):
            status.add(int(state == now), cluster_queue=name, status=state, replica_role=role)
        info.add(1, cluster_queue=name, parent_cohort=cohort, root_cohort=cohort, replica_role=role)
        for group in view.spec.resource_groups:
            for flavor in group.flavors:
                for quota in flavor.resources:
                    labels = {
                        "cohort": cohort,
                        "cluster_queue": name,
                        "flavor": flavor.name,
                        "resource": quota.name,
                        "replica_role": role,
                    }
                    nominal.add(_amount(quota.name, quota.nominal_quota), **labels)
                    borrowing.add(_limit(quota.name, quota.borrowing_limit), **labels)
                    lending.add(_limit(quota.name, quota.lending_limit), **labels)
        labels = {"cohort": cohort, "cluster_queue": name, "replica_role": role}
        _add_usage(reserved, view.status.flavors_reservation, labels)
        _add_usage(used, view.status.flavors_usage, labels)
    yield from (status, info, nominal, borrowing, lending, reserved, used)


def _local_queues(queues: Sequence[Object], role: str) -> Iterator[Family]:
    status = Family(
        "kueue_local_queue_status", "gauge", "1 for whether the LocalQueue is active: True, False or Unknown"
    )
    reserved = Family("kueue_local_queue_resource_reservation", "gauge", "What workloads with reserved quota hold")
    used = Family("kueue_local_queue_resource_usage", "gauge", "What admitted workloads hold")
    for queue in queues:
        labels = {"name": queue.meta.name, "namespace": queue.meta.namespace, "replica_role": role}
        view: LocalQueueView = queue.view(LocalQueueView)
        active = find_condition(view.status.conditions, "Active")
        for state in ("True", "False", "Unknown"):
            status.add(int(state == (active.status if active else "Unknown")), active=state, **labels)
        _add_usage(reserved, view.status.flavors_reservation, labels)
        _add_usage(used, view.status.flavors_usage, labels)
    yield from (status, reserved, used)


def _add_usage(family: Family, flavors: tuple[FlavorUsageView, ...], labels: Mapping[str, str]) -> None:
    for flavor in flavors:
        for usage in flavor.resources:
            family.add(_amount(usage.name, usage.total), flavor=flavor.name, resource=usage.name, **labels)


def _amount(resource: str, quantity: str | int | float) -> float:
    """In base units: cores, bytes, devices. NaN for what is no quantity."""
    try:
        amount = canonical(resource, quantity)
    except QuantityError:
        return float("nan")
    return amount / 1000 if resource == "cpu" else float(amount)


def _limit(resource: str, quantity: str | int | float | None) -> float:
    return INFINITE if quantity is None else _amount(resource, quantity)
