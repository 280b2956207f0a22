"""The second phase of admission: a workload that holds quota is admitted when all its checks are ready (kueue 2.1, 2.6,
6.1).

Keyed by the Workload. Whoever plays the controller of a check writes that check's entry and nobody else does: here the
list is kept to what the ClusterQueue asks for, and what the entries say is carried out. A retry is an eviction, which
admission writes like all others; a rejection marks the workload to be deactivated, and whatever is marked so is
deactivated here.

What must hold: quota before admission; an entry for every check before anything counts as ready (admission adds them
with the reservation); Pending after admission changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from roadstead.controllers import checks
from roadstead.controllers.checks import CheckState
from roadstead.controllers.queues import names
from roadstead.controllers.workload.status import holds_quota, is_admitted, is_evicted, is_finished
from roadstead.kinds.names import CLUSTER_QUEUES, LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.times import SECOND, parse_time
from roadstead.kinds.views.common import find_condition, has_condition
from roadstead.kinds.views.kueue import AdmissionChecksStrategyView, ClusterQueueView, LocalQueueView, WorkloadView
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Read, Step, in_order, same_key

EVENT_LIMIT = 1024
"""Characters of an Event's message (kueue 2.2)."""


class AdmissionChecksController:
    """Reconciles Workloads with their checks. What it remembers spares looking at every workload whenever a queue's
    counts change."""

    name: ClassVar[str] = "workload-checks"
    watches: Mapping[Resource, KeysOf]
    indexes: Mapping[tuple[Resource, str], Index] = {
        (WORKLOADS, names.WAITING): names.by_waiting,
        (WORKLOADS, names.BY_RESERVATION): names.by_reservation,
        (LOCAL_QUEUES, names.BY_CLUSTER_QUEUE): names.by_cluster_queue,
    }

    def __init__(self) -> None:
        self.watches = {
            WORKLOADS: same_key,
            CLUSTER_QUEUES: self._workloads_of_cluster_queue,
            LOCAL_QUEUES: self._workloads_of_local_queue,
        }
        self._asked_for: dict[str, AdmissionChecksStrategyView | None] = {}  # ClusterQueue -> its checks, as last seen
        self._leads_to: dict[Key, str] = {}  # LocalQueue -> ClusterQueue

    # ------------------------------------------------------------------ who wakes up

    def _workloads_of_cluster_queue(self, queue: Object, read: Read) -> Iterable[Key]:
        """All of its workloads, when the checks that it asks for changed."""
        name = queue.meta.name
        strategy = queue.view(ClusterQueueView).spec.admission_checks_strategy
        if self._asked_for.get(name) == strategy:
            return ()
        self._asked_for[name] = strategy
        keys = [workload.key for workload in read.by_index(WORKLOADS, names.BY_RESERVATION, name)]
        for local in read.by_index(LOCAL_QUEUES, names.BY_CLUSTER_QUEUE, name):
            keys += [workload.key for workload in read.by_index(WORKLOADS, names.WAITING, names.path_of(local))]
        return keys

    def _workloads_of_local_queue(self, queue: Object, read: Read) -> Iterable[Key]:
        """Those that wait in it, when it appeared or leads elsewhere."""
        leads_to = queue.view(LocalQueueView).spec.cluster_queue
        if self._leads_to.get(queue.key) == leads_to:
            return ()
        self._leads_to[queue.key] = leads_to
        return [workload.key for workload in read.by_index(WORKLOADS, names.WAITING, names.path_of(queue))]

    # ------------------------------------------------------------------ the rules, in order

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        workload = read.get(WORKLOADS, *key)
        if workload is None or workload.meta.deletion_timestamp or is_finished(workload):
            return NOTHING
        return (
            self._deactivate(workload)
            or self._carry(workload, read, now)
            or self._admit(workload, now)
            or self._reject(workload, now)
            or NOTHING
        )

    @staticmethod
    def _deactivate(workload: Object) -> Step | None:
        """Whatever is marked so is deactivated; the eviction that follows takes the mark off (kueue 2.8)."""
        view = workload.view(WorkloadView)
        if not has_condition(view.status.conditions, "DeactivationTarget"):
            return None
        value = workload.decode()
        if view.spec.active is not False:
            value["spec"]["active"] = False
            return in_order(Update(WORKLOADS, value))
        if holds_quota(workload) and not is_evicted(workload):
            return NOTHING  # it is about to be evicted for what the mark says
        checks.take_target(value)
        return in_order(Update(WORKLOADS, value, "status"))

    @staticmethod
    def _carry(workload: Object, read: Read, now: int) -> Step | None:
        """It carries the checks that its queue asks for: before a reservation those for all flavors, then those for its
        own."""
        view = workload.view(WorkloadView)
        admission = view.status.admission
        if admission is not None:
            cluster_queue = admission.cluster_queue
        else:
            local = read.get(LOCAL_QUEUES, workload.meta.namespace, view.spec.queue_name)
            cluster_queue = local.view(LocalQueueView).spec.cluster_queue if local is not None else ""
        queue = read.get(CLUSTER_QUEUES, "", cluster_queue) if cluster_queue else None
        if queue is None:
            return None
        needs = checks.required(queue, checks.assigned_flavors(view.status))
        if len(needs) == len(view.status.admission_checks) and set(needs) == {
            c.name for c in view.status.admission_checks
        }:
            return None
        value = workload.decode()
        return in_order(Update(WORKLOADS, value, "status")) if checks.sync(value, needs, now) else None

    @staticmethod
    def _admit(workload: Object, now: int) -> Step | None:
        """Quota reserved, every check ready: admitted."""
        if not holds_quota(workload) or is_admitted(workload) or is_evicted(workload):
            return None
        status = workload.view(WorkloadView).status
        if status.admission is None or not checks.all_ready(status.admission_checks):
            return None
        value = workload.decode()
        checks.say_admitted(value, now)
        reserved = find_condition(status.conditions, "QuotaReserved")
        since = parse_time(reserved.last_transition_time) if reserved and reserved.last_transition_time else now
        message = (
            f"Admitted by ClusterQueue {status.admission.cluster_queue}, "
            f"wait time since reservation was {max(0, (now - since) // SECOND)}s"
        )
        return in_order(Update(WORKLOADS, value, "status"), notes=[Note(workload, "Normal", "Admitted", message)])

    @staticmethod
    def _reject(workload: Object, now: int) -> Step | None:
        """A check that says never: the workload is to be deactivated."""
        view = workload.view(WorkloadView)
        rejected = checks.in_state(view.status.admission_checks, CheckState.REJECTED)
        if not rejected or not holds_quota(workload) or is_evicted(workload) or view.spec.active is False:
            return None
        message = checks.describe(rejected, CheckState.REJECTED)
        value = workload.decode()
        checks.say_target(value, "AdmissionCheck", message, now)
        told = f"Deactivated due to {message}"[:EVENT_LIMIT]
        return in_order(
            Update(WORKLOADS, value, "status"), notes=[Note(workload, "Warning", "AdmissionCheckRejected", told)]
        )
