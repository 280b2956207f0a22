"""What a Job's status may say (kubernetes `validateJobStatus`, workloads reference 3.9): counters, finished states,
transitions.

A rule is applied when what it is about changes, so that an object that was stored before a rule existed can still be
written.
"""

from __future__ import annotations

from typing import Any

from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.errors import INVALID, FieldError, invalid
from roadstead.kinds.object import Json

_COUNTERS = ("active", "succeeded", "failed", "ready", "terminating")


def condition_is_true(status: Json, kind: str) -> bool:
    """True if the condition is there with status True."""
    return any(
        condition.get("type") == kind and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )


def validate_job_status(new: Json, old: Json) -> list[FieldError]:
    """Problems of a change to /status."""
    status, before = new.get("status") or {}, old.get("status") or {}
    found: list[FieldError] = []
    for name in _COUNTERS:
        checks.not_negative(status.get(name), f"status.{name}", found)
    _finished(status, before, found)
    _counters(status, before, _is_elastic(new["spec"]), found)
    _times(new, old, status, before, found)
    return found


def _conditions_error(why: str) -> FieldError:
    return FieldError(INVALID, "status.conditions", f"Invalid value: {why}")


def _finished(status: Json, before: Json, found: list[FieldError]) -> None:
    complete, failed = condition_is_true(status, "Complete"), condition_is_true(status, "Failed")
    was_finished = condition_is_true(before, "Complete") or condition_is_true(before, "Failed")
    newly = (complete or failed) and not was_finished
    if complete and failed and newly:
        found.append(_conditions_error("cannot set Complete=True and Failed=true conditions"))
    if complete and newly and not status.get("completionTime"):
        found.append(errors.required("status.completionTime", "completionTime is required for Complete jobs"))
    changed = status.get("completionTime") != before.get("completionTime")
    if status.get("completionTime") and changed and not complete:
        why = "completionTime cannot be set for non-complete jobs"
        found.append(invalid("status.completionTime", status["completionTime"], why))
    if newly and complete and condition_is_true(status, "FailureTarget"):
        found.append(_conditions_error("cannot set Complete=True and FailureTarget=true conditions"))
    if newly and failed and not condition_is_true(status, "FailureTarget"):
        found.append(_conditions_error("cannot set Failed=True condition without the FailureTarget=true condition"))
    if newly and complete and not condition_is_true(status, "SuccessCriteriaMet"):
        why = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        found.append(_conditions_error(why))
    if not (complete or failed):
        return
    if status.get("active", 0) > 0 and (newly or _differs(status, before, "active")):
        found.append(invalid("status.active", status["active"], "active>0 is invalid for finished job"))
    if not status.get("startTime") and newly:
        found.append(errors.required("status.startTime", "startTime is required for finished job"))
    if (status.get("terminating") or 0) > 0 and (newly or _differs(status, before, "terminating")):
        found.append(invalid("status.terminating", status["terminating"], "terminating>0 is invalid for finished job"))
    uncounted = status.get("uncountedTerminatedPods") or {}
    if any(uncounted.values()) and (newly or _differs(status, before, "uncountedTerminatedPods")):
        shown = {"Succeeded": uncounted.get("succeeded"), "Failed": uncounted.get("failed")}
        found.append(invalid("status.uncountedTerminatedPods", shown, "must be empty for finished job"))


def _differs(status: Json, before: Json, name: str) -> bool:
    return bool(status.get(name) != before.get(name))


def _is_elastic(spec: Json) -> bool:
    """An Indexed Job with equal parallelism and completions may be made smaller, and loses the completions of indexes
    that are no more (KEP-3715)."""
    return spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")


def _counters(status: Json, before: Json, is_elastic: bool, found: list[FieldError]) -> None:
    ready = status.get("ready")
    if (
        ready is not None
        and ready > status.get("active", 0)
        and (_differs(status, before, "ready") or _differs(status, before, "active"))
    ):
        found.append(invalid("status.ready", ready, "cannot set more ready pods than active"))
    for name in ("failed", "succeeded"):
        if name == "succeeded" and is_elastic:
            continue
        if status.get(name, 0) < before.get(name, 0):
            found.append(invalid(f"status.{name}", status.get(name, 0), f"cannot decrease the {name} counter"))


def _times(new: Json, old: Json, status: Json, before: Json, found: list[FieldError]) -> None:
    for kind in ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"):
        if condition_is_true(before, kind) and not condition_is_true(status, kind):
            word = "terminal " if kind in ("Complete", "Failed") else ""
            found.append(_conditions_error(f"cannot disable the {word}{kind}=True condition"))
    started, was = status.get("startTime"), before.get("startTime")
    if was and started != was and not _is_suspended(old) and not _is_suspended(new):
        if not started:
            found.append(errors.required("status.startTime", "startTime cannot be removed for unsuspended job"))
        else:
            found.append(invalid("status.startTime", started, "field is immutable"))
    ended: Any = before.get("completionTime")
    if ended and status.get("completionTime") != ended:
        found.append(invalid("status.completionTime", status.get("completionTime"), "field is immutable"))
    if started and status.get("completionTime") and status["completionTime"] < started:
        why = "completionTime cannot be set before startTime"
        if status["completionTime"] != ended:
            found.append(invalid("status.completionTime", status["completionTime"], why))


def _is_suspended(obj: Json) -> bool:
    """Suspended now, or just resumed: then the start time begins anew."""
    return bool(obj["spec"].get("suspend")) or condition_is_true(obj.get("status") or {}, "Suspended")
