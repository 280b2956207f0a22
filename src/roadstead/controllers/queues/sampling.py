"""Samples of what LocalQueues used, for queues in which usage decides whose turn it is (Kueue KEP-4136; kueue.md 3.11).

The LocalQueue's status keeps what was consumed, decayed, and when that was last added up; everything since follows from
the workloads, so a restart loses nothing. A sample written at second T holds whoever reserved quota before T; the core
charges those from T on (`core/fairness/usage.py`). Nothing is written for a queue that used nothing.

What a workload that was evicted, or deleted, before the next sample was charged is not remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from roadstead.controllers.queues import names
from roadstead.controllers.queues.names import BY_CLUSTER_QUEUE, path_of
from roadstead.core.fairness.usage import Milli, penalty, sampled
from roadstead.core.rules import AdmissionFairSharing
from roadstead.expr.quantity import QuantityError, parse
from roadstead.ingest.queues import BY_USAGE, milli_amounts
from roadstead.kinds.names import CLUSTER_QUEUES, LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.kinds.views.common import Condition, find_condition
from roadstead.kinds.views.kueue import ClusterQueueView, LocalQueueView, WorkloadView
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, in_order, same_key

LET_IN: Final = "let-in"
"""Workloads that reserve quota, or did until they finished, by "namespace/LocalQueue"."""


class UsageController:
    """Adds up, every sampling interval, what each LocalQueue of a usage-based ClusterQueue consumed. Stateless."""

    name: ClassVar[str] = "local-queue-usage"
    watches: Mapping[Resource, KeysOf] = {
        LOCAL_QUEUES: same_key,
        CLUSTER_QUEUES: names.local_queues_of_cluster_queue,
        WORKLOADS: lambda workload, read: (),
    }

    def __init__(self, sharing: AdmissionFairSharing) -> None:
        self.sharing = sharing
        self.indexes: Mapping[tuple[Resource, str], Index] = {
            (LOCAL_QUEUES, BY_CLUSTER_QUEUE): names.by_cluster_queue,
            (WORKLOADS, LET_IN): by_let_in,
        }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        """O(workloads of the LocalQueue that reserve quota or are finished and not deleted), once an interval."""
        queue = read.get(LOCAL_QUEUES, *key)
        if queue is None:
            return NOTHING
        view = queue.view(LocalQueueView)
        cluster_queue = read.get(CLUSTER_QUEUES, "", view.spec.cluster_queue)
        scope = cluster_queue.view(ClusterQueueView).spec.admission_scope if cluster_queue is not None else None
        if scope is None or scope.admission_mode != BY_USAGE:
            return NOTHING
        sharing = view.status.fair_sharing
        last = sharing.admission_fair_sharing_status if sharing is not None else None
        before = parse_time(last.last_update) if last is not None and last.last_update else 0
        if before and now < before + self.sharing.interval:
            return Step(again_at=before + self.sharing.interval)
        at = now // SECOND * SECOND
        consumed = dict(milli_amounts(last.consumed_resources, [])) if last is not None else {}
        found = self._consumed(consumed, before, at, read.by_index(WORKLOADS, LET_IN, path_of(queue)))
        if not found and not consumed:
            return Step(again_at=now + self.sharing.interval)
        value = queue.decode()
        status = value.setdefault("status", {}).setdefault("fairSharing", {"weightedShare": 0})
        status["admissionFairSharingStatus"] = {
            "consumedResources": {name: f"{amount}m" for name, amount in found.items()},
            "lastUpdate": format_time(at),
        }
        return in_order(Update(LOCAL_QUEUES, value, "status"), again_at=at + self.sharing.interval)

    def _consumed(self, consumed: Milli, before: int, at: int, let_in: Iterable[Object]) -> dict[str, int]:
        """What was consumed by `at`: what was by `before`, decayed, and everybody's use and entry since."""
        total = sampled(consumed, {}, at - before, self.sharing) if before else {}
        for workload in let_in:
            view = workload.view(WorkloadView)
            conditions = view.status.conditions
            reserved, admitted = (
                _since(find_condition(conditions, "QuotaReserved")),
                find_condition(conditions, "Admitted"),
            )
            asked = _asked(view)
            parts: list[Mapping[str, int]] = []
            if before <= reserved < at:
                parts.append(sampled(penalty(asked, self.sharing), {}, at - reserved, self.sharing))
            is_running = admitted is not None and admitted.is_true and not _is_true(view, "Finished")
            if is_running and (start := max(before, _since(admitted))) < at:
                parts.append(sampled({}, asked, at - start, self.sharing))
            for part in parts:
                for name, amount in part.items():
                    total[name] = total.get(name, 0) + amount
        return dict(sorted(total.items()))


def usage_controllers(sharing: AdmissionFairSharing | None) -> tuple[UsageController, ...]:
    """Those that the configuration asks for."""
    return (UsageController(sharing),) if sharing is not None else ()


def by_let_in(workload: Object) -> Iterable[str]:
    view = workload.view(WorkloadView)
    return (f"{workload.meta.namespace}/{view.spec.queue_name}",) if _is_true(view, "QuotaReserved") else ()


def _is_true(view: WorkloadView, type: str) -> bool:
    found = find_condition(view.status.conditions, type)
    return found is not None and found.is_true


def _since(condition: Condition | None) -> int:
    return parse_time(condition.last_transition_time) if condition is not None and condition.last_transition_time else 0


def _asked(view: WorkloadView) -> dict[str, int]:
    """What its admission is charged in all, in thousandths."""
    found: dict[str, int] = {}
    admission = view.status.admission
    for assigned in admission.pod_set_assignments if admission is not None else ():
        for name, quantity in assigned.resource_usage.items():
            try:
                found[name] = found.get(name, 0) + max(parse(quantity).milli, 0)
            except QuantityError:
                continue  # the Workload's own trouble, said elsewhere
    return found
