"""One line about one workload: what it is, where it stands, what it asks for and what it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from roadstead.expr.quantity import from_canonical
from roadstead.ingest.pod_class import UnreadableError, pod_class
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, parse_time
from roadstead.kinds.views.common import find_condition, has_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.kinds.views.placement import PlacementView
from roadstead.model.workload import total


class State(StrEnum):
    """Where a workload stands, in one word."""

    WAITING = "Waiting"
    RESERVED = "Reserved"  # holds quota and places, and waits for its admission checks
    STARTING = "Starting"  # admitted, and none of its pods has started yet
    RUNNING = "Running"  # admitted: its pods may run
    STOPPING = "Stopping"  # evicted, and not gone yet
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    INACTIVE = "Inactive"  # spec.active is false


@dataclass(frozen=True, slots=True)
class WorkloadLine:
    """One row of a queue. `job` is what its user called it, `name` the Workload ("" while it has none); times are
    seconds; `requests` are totals of all its pods."""

    namespace: str
    name: str
    job: str
    kind: str
    queue: str
    cluster_queue: str
    priority: int
    state: State
    age_seconds: int
    pods: int
    requests: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""
    position: int = 0
    """Its place among those that wait for the same ClusterQueue, from 1; 0 if it does not wait there, or nobody has
    counted."""

    def as_json(self) -> Json:
        return {
            "namespace": self.namespace,
            "name": self.name,
            "job": self.job,
            "kind": self.kind,
            "queue": self.queue,
            "clusterQueue": self.cluster_queue,
            "priority": self.priority,
            "state": self.state.value,
            "ageSeconds": self.age_seconds,
            "pods": self.pods,
            "requests": dict(self.requests),
            "nodes": list(self.nodes),
            "reason": self.reason,
            "message": self.message,
            "position": self.position,
        }


def state_of(workload: Object) -> State:
    """The workload's state, from its conditions alone: whether anything has started only its pods know
    (`starting.py`)."""
    view = workload.view(WorkloadView)
    conditions = view.status.conditions
    finished = find_condition(conditions, "Finished")
    if finished is not None and finished.is_true:
        return State.SUCCEEDED if finished.reason == "Succeeded" else State.FAILED
    if has_condition(conditions, "QuotaReserved"):
        if has_condition(conditions, "Evicted"):
            return State.STOPPING
        return State.RUNNING if has_condition(conditions, "Admitted") else State.RESERVED
    return State.INACTIVE if view.spec.active is False else State.WAITING


HOLDING: Final = (State.RESERVED, State.STARTING, State.RUNNING, State.STOPPING)
"""States of workloads that hold quota."""


def line_of(workload: Object, placement: Object | None, cluster_queue: str, now: int) -> WorkloadLine:
    """The line of one workload. `cluster_queue` is where its LocalQueue leads, "" if that is not known."""
    view = workload.view(WorkloadView)
    owner = workload.meta.controller
    state = state_of(workload)
    reason, message = _reason(view, state)
    admission = view.status.admission
    return WorkloadLine(
        namespace=workload.meta.namespace,
        name=workload.meta.name,
        job=owner.name if owner else workload.meta.name,
        kind=owner.kind if owner else workload.kind,
        queue=view.spec.queue_name,
        cluster_queue=admission.cluster_queue if admission else cluster_queue,
        priority=view.spec.priority or 0,
        state=state,
        age_seconds=age_of(workload, now),
        pods=sum(pod_set.count for pod_set in view.spec.pod_sets),
        requests=requests_of(workload),
        nodes=nodes_of(placement),
        reason=reason,
        message=message,
    )


def age_of(obj: Object, now: int) -> int:
    """Seconds since it was created."""
    created = obj.meta.creation_timestamp
    return max(0, (now - parse_time(created)) // SECOND) if created else 0


def requests_of(workload: Object) -> dict[str, str]:
    """What all its pods ask for together, as quantities; {} if its templates cannot be read."""
    sums: dict[str, int] = {}
    for pod_set in workload.view(WorkloadView).spec.pod_sets:
        try:
            pod = pod_class(pod_set.template.get("spec") or {})
        except UnreadableError:
            return {}
        for name, amount in total(pod, pod_set.count).items():
            sums[name] = sums.get(name, 0) + amount
    return {name: from_canonical(name, amount) for name, amount in sorted(sums.items())}


def nodes_of(placement: Object | None) -> tuple[str, ...]:
    """The nodes of its members, each once, by name."""
    if placement is None:
        return ()
    spec = placement.view(PlacementView).spec
    return tuple(sorted({member.node for pod_set in spec.pod_sets for member in pod_set.members}))


def _reason(view: WorkloadView, state: State) -> tuple[str, str]:
    wanted = {
        State.WAITING: "QuotaReserved",
        State.RESERVED: "Admitted",
        State.STOPPING: "Evicted",
        State.FAILED: "Finished",
    }.get(state)
    condition = find_condition(view.status.conditions, wanted) if wanted else None
    return (condition.reason, condition.message) if condition is not None else ("", "")
