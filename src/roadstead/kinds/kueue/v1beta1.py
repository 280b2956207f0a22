"""Kueue's v1beta1 objects as v1beta2 (kueue 1.11; apis/kueue/v1beta1/*_conversion.go), for clusters that serve nothing
newer.

One way only: nothing is ever written in v1beta1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roadstead.kinds.names import CLUSTER_QUEUES, KUEUE, LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Json, Resource

_SOURCES: Final = {
    "kueue.x-k8s.io/workloadpriorityclass": (KUEUE, "WorkloadPriorityClass"),
    "scheduling.k8s.io/priorityclass": ("scheduling.k8s.io", "PriorityClass"),
}
_STOPS_SEARCH: Final = {"whenCanBorrow": "Borrow", "whenCanPreempt": "Preempt"}


def as_v1beta2(resource: Resource, value: Json) -> Json:
    """An object of v1beta1 as one of `resource`, which is of v1beta2. `value` is taken over and edited."""
    value["apiVersion"] = resource.api_version
    spec, status = value.get("spec") or {}, value.get("status") or {}
    match resource:
        case _ if resource == CLUSTER_QUEUES:
            _cluster_queue(spec)
            status.pop("pendingWorkloadsStatus", None)
        case _ if resource == LOCAL_QUEUES:
            _rename(status, "flavorUsage", "flavorsUsage")
            status.pop("flavors", None)
        case _ if resource == WORKLOADS:
            _workload(spec, status)
    return value


def _cluster_queue(spec: Json) -> None:
    _rename(spec, "cohort", "cohortName")
    checks = spec.pop("admissionChecks", None)
    if checks:
        strategy = spec.setdefault("admissionChecksStrategy", {})
        strategy.setdefault("admissionChecks", [{"name": name} for name in checks])
    fungibility = spec.get("flavorFungibility") or {}
    for field, old in _STOPS_SEARCH.items():
        if fungibility.get(field) == old:
            fungibility[field] = "MayStopSearch"


def _workload(spec: Json, status: Json) -> None:
    name, source = spec.pop("priorityClassName", ""), spec.pop("priorityClassSource", "")
    if name and source in _SOURCES:
        group, kind = _SOURCES[source]
        spec["priorityClassRef"] = {"group": group, "kind": kind, "name": name}
    _rename(status, "accumulatedPastExexcutionTimeSeconds", "accumulatedPastExecutionTimeSeconds")
    for assigned in (status.get("admission") or {}).get("podSetAssignments") or ():
        topology = assigned.get("topologyAssignment")
        if topology and "domains" in topology:
            topology["slices"] = _slices(topology.pop("domains") or ())


def _slices(domains: Sequence[Json]) -> list[Json]:
    """Domains in one slice, without compression (kueue 4.6)."""
    if not domains:
        return []
    return [
        {
            "domainCount": len(domains),
            "valuesPerLevel": [
                {"individual": {"roots": list(column)}}
                for column in zip(*(domain["values"] for domain in domains), strict=True)
            ],
            "podCounts": {"individual": [domain["count"] for domain in domains]},
        }
    ]


def _rename(parent: Json, old: str, new: str) -> None:
    if old in parent:
        parent.setdefault(new, parent.pop(old))
