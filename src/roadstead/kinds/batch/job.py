"""Job (batch/v1): run pods until enough of them have succeeded."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import selectors
from roadstead.kinds import ages, times
from roadstead.kinds.batch.job_status import condition_is_true, validate_job_status
from roadstead.kinds.batch.job_update import validate_job_update
from roadstead.kinds.batch.job_validation import validate_job
from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.core import pod_spec
from roadstead.kinds.core.pod_defaults import default_template
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import JOB_CONTROLLER_UID_LABEL, JOB_NAME_LABEL, JOBS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column

_NAME_LABELS: Final = ("job-name", JOB_NAME_LABEL)
_UID_LABELS: Final = ("controller-uid", JOB_CONTROLLER_UID_LABEL)
_UNLIMITED: Final = 2**31 - 1


class JobStrategy(StatusStrategy):
    """Jobs: the selector is generated, the template is fixed once it runs."""

    has_generation = True
    default_propagation = "Orphan"
    field_names = ("status.successful",)
    columns = (
        Column("Name", format="name"),
        Column("Status"),
        Column("Completions"),
        Column("Duration"),
        Column("Age"),
        Column("Containers", priority=1),
        Column("Images", priority=1),
        Column("Selector", priority=1),
    )

    def default(self, obj: Json) -> None:
        spec = obj["spec"]
        if "completions" not in spec and "parallelism" not in spec:
            spec["completions"] = 1
        spec.setdefault("parallelism", 1)
        spec.setdefault("backoffLimit", _UNLIMITED if "backoffLimitPerIndex" in spec else 6)
        spec.setdefault("completionMode", "NonIndexed")
        spec.setdefault("suspend", False)
        spec.setdefault("manualSelector", False)
        policy = spec.get("podFailurePolicy")
        for rule in (policy or {}).get("rules") or ():
            for pattern in rule.get("onPodConditions") or ():
                if not pattern.get("status"):
                    pattern["status"] = "True"
        spec.setdefault("podReplacementPolicy", "Failed" if policy else "TerminatingOrFailed")
        default_template(spec["template"])
        if spec.get("selector"):  # a stored job: an empty set of labels falls back to the template's
            self._own_labels(obj)

    def prepare_create(self, obj: Json) -> None:
        if not obj["spec"].get("manualSelector"):
            _generate_selector(obj)
        self._own_labels(obj)
        obj["status"] = {}

    def _own_labels(self, obj: Json) -> None:
        labels = (obj["spec"]["template"].get("metadata") or {}).get("labels")
        if labels and not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)

    def validate(self, obj: Json) -> list[FieldError]:
        return validate_job(obj)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        if subresource == "status":
            return validate_job_status(new, old)
        return validate_job_update(new, old)

    def warnings(self, obj: Json) -> list[str]:
        return pod_spec.warnings(obj["spec"]["template"]["spec"], "spec.template.spec")

    def fields(self, obj: Json) -> dict[str, str]:
        return {"status.successful": str((obj.get("status") or {}).get("succeeded", 0))}

    def cells(self, obj: Json, now: float) -> list[Any]:
        spec, status = obj["spec"], obj.get("status") or {}
        containers = spec["template"]["spec"].get("containers") or ()
        selector = selectors.from_object(spec.get("selector"))
        printed = str(selectors.Selector(selector.requirements)) if selector else ""
        return [
            obj["metadata"]["name"],
            _state(obj),
            _completions(spec, status),
            _duration(status, now),
            ages.created(obj, now),
            ",".join(container.get("name", "") for container in containers),
            ",".join(container.get("image", "") for container in containers),
            printed or "<none>",
        ]


def _generate_selector(obj: Json) -> None:
    """Labels on the template, and a selector on the one that is unique: the job's UID."""
    metadata, spec = obj["metadata"], obj["spec"]
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for key in _NAME_LABELS:
        labels.setdefault(key, metadata.get("name", ""))
    for key in _UID_LABELS:
        labels.setdefault(key, metadata.get("uid", ""))
    selector = spec.setdefault("selector", {})
    selector.setdefault("matchLabels", {}).setdefault(JOB_CONTROLLER_UID_LABEL, metadata.get("uid", ""))


def _state(obj: Json) -> str:
    status = obj.get("status") or {}
    if condition_is_true(status, "Complete"):
        return "Complete"
    if condition_is_true(status, "Failed"):
        return "Failed"
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if condition_is_true(status, kind):
            return kind
    return "Running"


def _completions(spec: Json, status: Json) -> str:
    succeeded = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism", 0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(status: Json, now: float) -> str:
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    until = times.parse_time(end) / times.SECOND if end else now
    return ages.human(until - times.parse_time(start) / times.SECOND)


def kind() -> Kind:
    return builtin_kind(JOBS, "Job", JobStrategy(), categories=("all",), subresources=(STATUS,))
