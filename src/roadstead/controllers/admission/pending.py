"""Refusals as conditions: what a person reads on a workload that waits, or on a pod without a node.

Written only when the code changes (numbers move all the time), and in words that name nobody else's work. Everything that was
refused stays in memory for `why`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead.controllers.admission import writes
from roadstead.controllers.conditions import get_condition
from roadstead.core.explain.sentences import public_sentence
from roadstead.core.plan import Verdicts
from roadstead.kinds.names import PODS, WORKLOADS
from roadstead.kinds.object import Object, Resource
from roadstead.model.refusals import Code
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import Key, Note, Step, in_order

REASONS: Final[dict[Code, str]] = {
    Code.QUEUE_NOT_FOUND: "Misconfigured",
    Code.CLUSTER_QUEUE_NOT_FOUND: "Misconfigured",
    Code.NAMESPACE_MISMATCH: "Misconfigured",
    Code.REQUESTS_ABOVE_LIMITS: "Misconfigured",
    Code.CLUSTER_QUEUE_INACTIVE: "Suspended",
    Code.QUEUE_STOPPED: "Suspended",
    Code.WORKLOAD_INACTIVE: "Deactivated",
    Code.ADMISSION_GATED: "AdmissionGated",
    Code.ON_HOLD: "OnHold",
    Code.CHECKS_FAILED: "PendingEvaluation",
    Code.BACKOFF: "PendingEvaluation",
    Code.BEHIND_HEAD: "PendingEvaluation",
    Code.NOT_EVALUATED: "PendingEvaluation",
    Code.CYCLES_EXHAUSTED: "PendingEvaluation",
    Code.RESOURCE_NOT_COVERED: "NoMatchingFlavor",
    Code.FLAVOR_NOT_FOUND: "NoMatchingFlavor",
    Code.FLAVOR_TOPOLOGY_MISMATCH: "NoMatchingFlavor",
    Code.UNTOLERATED_TAINT: "NoMatchingFlavor",
    Code.NODE_AFFINITY_MISMATCH: "NoMatchingFlavor",
    Code.EXCEEDS_MAX_QUOTA: "ExceedsMaxQuota",
    Code.WAITING_FOR_QUOTA: "WaitingForQuota",
    Code.NO_PREEMPTION_CANDIDATES: "WaitingForQuota",
    Code.OVERTAKEN_IN_CYCLE: "WaitingForQuota",
    Code.WAITING_FOR_PODS_READY: "WaitingForPodsReady",
    Code.PENDING_PREEMPTION: "WaitingForPreemptedWorkloads",
    Code.NO_NODE_MATCHES: "TopologyPlacementFailed",
    Code.NODES_EXHAUSTED: "TopologyPlacementFailed",
    Code.DEVICES_EXHAUSTED: "TopologyPlacementFailed",
    Code.TOPOLOGY_TOO_SMALL: "TopologyPlacementFailed",
    Code.TOPOLOGY_FULL: "TopologyPlacementFailed",
}
"""Reason of QuotaReserved=False per code (kueue 2.2, with Kueue's default gates)."""


@dataclass(frozen=True, slots=True)
class Told:
    """A refusal to be written to its object."""

    resource: Resource
    key: Key
    code: str
    step: Step


def tell(resource: Resource, obj: Object, verdicts: Verdicts, told: str | None, now: int) -> Told | None:
    """The write that puts the binding refusal on its object, or None if it is there. `told` is the code written last, None if
    that is not remembered (after a restart): then the stored reason decides."""
    binding = verdicts.refusals[0]
    if told == binding.code:
        return None
    reason = REASONS[binding.code] if resource == WORKLOADS else "Unschedulable"
    if told is None and _says(obj, resource, reason):
        return None
    message = public_sentence(binding)
    if resource == PODS:
        value = writes.unschedulable(obj, message, now)
        note = Note(obj, "Warning", "FailedScheduling", message)
    else:
        value = writes.still_pending(obj, reason, message, now)
        note = Note(obj, "Warning", reason, message)
    if value is None:
        return None
    return Told(resource, obj.key, binding.code, in_order(Update(resource, value, "status"), notes=(note,)))


def _says(obj: Object, resource: Resource, reason: str) -> bool:
    condition = get_condition(obj.decode(), "QuotaReserved" if resource == WORKLOADS else "PodScheduled")
    return condition is not None and condition["status"] == "False" and condition["reason"] == reason
