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
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import Key, Note, Step, in_order

REASONS: Final[dict[Code, str]] = {
    Code.QUEUE_NOT_FOUND: "Misconfigured",
    Code.CLUSTER_QUEUE_NOT_FOUND: "Misconfigured",
    Code.NAMESPACE_MISMATCH: "Misconfigured",
    Code.REQUESTS_ABOVE_LIMITS: "Misconfigured",
    Code.OUT_OF_LIMIT_RANGE: "Misconfigured",
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
    Code.PREEMPTION_LOOP: "WaitingForQuota",
    Code.OVERTAKEN_IN_CYCLE: "WaitingForQuota",
    Code.WAITING_FOR_PODS_READY: "WaitingForPodsReady",
    Code.PENDING_PREEMPTION: "WaitingForPreemptedWorkloads",
    Code.NO_NODE_MATCHES: "TopologyPlacementFailed",
    Code.NODES_EXHAUSTED: "TopologyPlacementFailed",
    Code.DEVICES_EXHAUSTED: "TopologyPlacementFailed",
    Code.TOPOLOGY_TOO_SMALL: "TopologyPlacementFailed",
    Code.TOPOLOGY_FULL: "TopologyPlacementFailed",
    Code.CLAIM_NOT_FOUND: "Misconfigured",  # kueue 7.4
    Code.CLAIM_UNUSABLE: "Misconfigured",
    Code.CLAIM_INVALID: "Misconfigured",
}
"""Reason of QuotaReserved=False per code (kueue 2.2, with Kueue's default gates)."""


OUT_OF_LINE: Final = frozenset({"Misconfigured", "Suspended", "Deactivated", "AdmissionGated"})
"""Reasons that end when their cause does, and not with the next evaluation."""
OF_AN_EVALUATION: Final = (
    Code.NAMESPACE_MISMATCH,
    Code.REQUESTS_ABOVE_LIMITS,
    Code.OUT_OF_LIMIT_RANGE,
    Code.CLAIM_NOT_FOUND,
    Code.CLAIM_UNUSABLE,
    Code.CLAIM_INVALID,
)
"""Codes with such a reason that an evaluation found, and the next one may not."""
ON_ITS_WAY: Final = (Code.NOT_EVALUATED, Code.BEHIND_HEAD)
IN_LINE: Final = Refusal(Code.NOT_EVALUATED, Verdict.WAIT, Level.QUEUE)


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
    code, loop = code_of(verdicts), _loop(verdicts)
    if told == code or binding.code is Code.ON_HOLD:
        return None  # whoever put it on hold has said so
    reason = REASONS[binding.code] if resource == WORKLOADS else "Unschedulable"
    message = public_sentence(binding) if loop is None else f"{public_sentence(binding)} {public_sentence(loop)}"
    if told is None and loop is None and _says(obj, resource, reason, message if _stays(binding) else ""):
        return None
    if resource == PODS:
        value = writes.unschedulable(obj, message, now)
        note = Note(obj, "Warning", "FailedScheduling", message)
    else:
        value = writes.still_pending(obj, reason, message, now)
        note = _note(obj, binding, reason, message)
    if value is None:
        return None
    return Told(resource, obj.key, code, in_order(Update(resource, value, "status"), notes=(note,)))


def code_of(verdicts: Verdicts) -> str:
    """What is told once and not again: the code of the binding refusal, and that a circle of preemptions was broken. What can
    never fit is told again when the most that could ever be there has changed."""
    binding = verdicts.refusals[0]
    code = f"{binding.code.value} of {binding.limit}" if _stays(binding) else binding.code.value
    return code if _loop(verdicts) is None else f"{code}, {Code.PREEMPTION_LOOP.value}"


def _stays(binding: Refusal) -> bool:
    """Its numbers are those of the request and of the quota or the machines: they move only when somebody changes these."""
    return binding.code in (Code.EXCEEDS_MAX_QUOTA, Code.TOPOLOGY_TOO_SMALL)


def _loop(verdicts: Verdicts) -> Refusal | None:
    return next((refusal for refusal in verdicts.refusals[1:] if refusal.code is Code.PREEMPTION_LOOP), None)


def _note(workload: Object, binding: Refusal, reason: str, message: str) -> Note:
    """The event beside the condition, as Kueue's scheduler and workload controller write it."""
    if binding.code is Code.ADMISSION_GATED:
        return Note(workload, "Normal", "AdmissionGated", f"Workload admission is gated by: {binding.subject}")
    if binding.code in ON_ITS_WAY and says_reason(workload) == REASONS[Code.ADMISSION_GATED]:
        return Note(workload, "Normal", "AdmissionGateCleared", writes.GATE_CLEARED)
    return Note(workload, "Warning", reason, message)


def says_reason(workload: Object) -> str:
    """The stored reason why it holds no quota; "" if none is stored."""
    found = find_condition(workload.view(WorkloadView).status.conditions, "QuotaReserved")
    return found.reason if found is not None and found.status == "False" else ""


def is_obsolete(workload: Object, verdicts: Verdicts | None) -> bool:
    """A workload in line whose condition still says why it could not be: only what the last evaluation said, or PendingEvaluation,
    stays (kueue 2.2). `verdicts`: of that evaluation."""
    code = verdicts.refusals[0].code if verdicts is not None and verdicts.refusals else None
    return code not in OF_AN_EVALUATION and says_reason(workload) in OUT_OF_LINE


def _says(obj: Object, resource: Resource, reason: str, message: str) -> bool:
    """`message`: "" for any."""
    condition = get_condition(obj.decode(), "QuotaReserved" if resource == WORKLOADS else "PodScheduled")
    if condition is None or condition["status"] != "False" or condition["reason"] != reason:
        return False
    return not message or condition.get("message") == message
