"""Conditions of a Job, and what they say about where it stands (batch/v1 JobConditionType)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time
from roadstead.kinds.views.common import Condition, find_condition, has_condition
from roadstead.kinds.views.job import JobView

COMPLETE: Final = "Complete"
FAILED: Final = "Failed"
SUSPENDED: Final = "Suspended"
FAILURE_TARGET: Final = "FailureTarget"
SUCCESS_CRITERIA_MET: Final = "SuccessCriteriaMet"

BACKOFF_LIMIT_EXCEEDED: Final = "BackoffLimitExceeded"
DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
POD_FAILURE_POLICY: Final = "PodFailurePolicy"
MAX_FAILED_INDEXES_EXCEEDED: Final = "MaxFailedIndexesExceeded"
FAILED_INDEXES: Final = "FailedIndexes"
SUCCESS_POLICY: Final = "SuccessPolicy"
COMPLETIONS_REACHED: Final = "CompletionsReached"


@dataclass(frozen=True, slots=True)
class Ending:
    """The Job is to finish. The interim condition says so before the pods are gone, the terminal one when they are
    (KEP-3998, KEP-3939: FailureTarget then Failed, SuccessCriteriaMet then Complete, with the same reason and
    message)."""

    interim: str
    reason: str
    message: str

    @property
    def is_failure(self) -> bool:
        return self.interim == FAILURE_TARGET

    @property
    def terminal(self) -> str:
        return FAILED if self.is_failure else COMPLETE


def failing(reason: str, message: str) -> Ending:
    return Ending(FAILURE_TARGET, reason, message)


def succeeding(reason: str, message: str) -> Ending:
    return Ending(SUCCESS_CRITERIA_MET, reason, message)


def recorded_ending(job: JobView) -> Ending | None:
    """The ending that an earlier sync decided and wrote down; success wins, as it was decided first if both are
    there."""
    for interim in (SUCCESS_CRITERIA_MET, FAILURE_TARGET):
        found = find_condition(job.status.conditions, interim)
        if found is not None and found.is_true:
            return Ending(interim, found.reason, found.message)
    return None


def terminal_condition(job: JobView) -> Condition | None:
    """Complete or Failed, if the Job has finished."""
    for type in (COMPLETE, FAILED):
        found = find_condition(job.status.conditions, type)
        if found is not None and found.is_true:
            return found
    return None


def is_suspended(job: JobView) -> bool:
    return bool(job.spec.suspend)


def says_suspended(job: JobView) -> bool:
    """The status says so; it may not be true any more."""
    return has_condition(job.status.conditions, SUSPENDED)


def set_condition(status: Json, type: str, value: str, reason: str, message: str, now: int) -> bool:
    """Make the condition say `value`; True if that changed the status. A condition that was never there is not added to
    say False (job_controller.go ensureJobConditionStatus)."""
    conditions: list[Any] = status.setdefault("conditions", [])
    moment = format_time(now)
    for condition in conditions:
        if condition["type"] == type:
            if condition["status"] == value and condition.get("reason", "") == reason:
                return False
            if condition["status"] != value:
                condition["lastTransitionTime"] = moment
            condition.update({"status": value, "reason": reason, "message": message, "lastProbeTime": moment})
            return True
    if value == "False":
        if not conditions:
            del status["conditions"]
        return False
    conditions.append(
        {
            "type": type,
            "status": value,
            "lastProbeTime": moment,
            "lastTransitionTime": moment,
            "reason": reason,
            "message": message,
        }
    )
    return True
