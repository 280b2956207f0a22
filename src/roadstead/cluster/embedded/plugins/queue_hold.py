"""QueueHold: a job that belongs to a queue does not start by itself, and does not change queues while it runs (kueue
5.2).

On create, a job without a queue gets the LocalQueue `default` if its namespace has one; a job with a queue is suspended
until the workload controller starts it. Which kinds are jobs, and how each is suspended, `integrations` says.
"""

from __future__ import annotations

from typing import Final

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.expr.selectors import matches_selector
from roadstead.expr.syntax import dns_subdomain
from roadstead.integrations import for_owner, for_resource
from roadstead.integrations.base import JobKind, max_execution_error, priority_class_of, queue_of
from roadstead.integrations.elastic import elastic_errors
from roadstead.integrations.gates import gate_errors
from roadstead.integrations.prebuilt import prebuilt_errors
from roadstead.kinds.errors import FieldError, forbidden, invalid, invalid_object
from roadstead.kinds.names import (
    DEFAULT_LOCAL_QUEUE,
    LOCAL_QUEUES,
    MAX_EXECUTION_LABEL,
    NAMESPACES,
    PRIORITY_CLASS_LABEL,
    QUEUE_LABEL,
    WORKLOAD_PRIORITY_CLASSES,
)
from roadstead.kinds.object import Json, OwnerReference
from roadstead.model.selection import LabelSelector

LABELS: Final = "metadata.labels"
ANNOTATIONS: Final = "metadata.annotations"
_TIME_LIMIT: Final = f"{LABELS}[{MAX_EXECUTION_LABEL}]"
DEFAULT_PRIORITY_CLASS: Final = "default"
IMMUTABLE: Final = "field is immutable"


class QueueHold:
    """See the module. `manage_all`: jobs without a queue are held too, in `namespaces` that match; all others start
    (kueue 5.7)."""

    def __init__(self, *, manage_all: bool = False, namespaces: LabelSelector | None = None) -> None:
        self._manage_all = manage_all
        self._namespaces = namespaces if namespaces is not None else LabelSelector()

    def admit(self, request: AdmissionRequest) -> None:
        job_kind = for_resource(request.kind.resource)
        if job_kind is None or request.subresource or request.object is None:
            return
        job = request.object
        if (job.get("metadata") or {}).get("deletionTimestamp") or _has_job_above(job):
            return
        if request.operation == "CREATE":
            self._hold(request, job_kind, job)
            problems = _new_errors(job_kind, job)
        else:
            assert request.old is not None
            problems = _change_errors(request, job_kind, job, request.old)
        if problems:
            raise invalid_object(request.kind.resource.group, job_kind.kind, request.name, problems)

    def _hold(self, request: AdmissionRequest, job_kind: JobKind, job: Json) -> None:
        labels = job["metadata"].get("labels") or {}
        if (
            QUEUE_LABEL not in labels
            and request.lookup(LOCAL_QUEUES, request.namespace, DEFAULT_LOCAL_QUEUE) is not None
        ):
            labels = {**labels, QUEUE_LABEL: DEFAULT_LOCAL_QUEUE}
        if labels.get(QUEUE_LABEL):
            if (
                PRIORITY_CLASS_LABEL not in labels
                and request.lookup(WORKLOAD_PRIORITY_CLASSES, "", DEFAULT_PRIORITY_CLASS) is not None
            ):
                labels = {**labels, PRIORITY_CLASS_LABEL: DEFAULT_PRIORITY_CLASS}
            job["metadata"]["labels"] = labels
            job_kind.set_suspended(job, True)
        elif self._manage_all:
            namespace = request.lookup(NAMESPACES, "", request.namespace)
            if namespace is not None and matches_selector(self._namespaces, namespace.meta.labels):
                job_kind.set_suspended(job, True)


def _has_job_above(job: Json) -> bool:
    """Controlled by another job: that one is queued, with this one inside it."""
    for owner in job["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return (
                for_owner(OwnerReference(owner["apiVersion"], owner["kind"], owner["name"], owner["uid"], True))
                is not None
            )
    return False


def _new_errors(job_kind: JobKind, job: Json) -> list[FieldError]:
    problems = _queue_name_errors(job) + _annotation_errors(job_kind, job) + _time_limit_errors(job)
    return problems + gate_errors(job, None) + elastic_errors(job, None) + prebuilt_errors(job, None)


def _time_limit_errors(job: Json) -> list[FieldError]:
    labels = job["metadata"].get("labels") or {}
    wrong = max_execution_error(labels)
    return [invalid(_TIME_LIMIT, labels[MAX_EXECUTION_LABEL], wrong)] if wrong else []


def _annotation_errors(job_kind: JobKind, job: Json) -> list[FieldError]:
    errors = job_kind.annotation_errors(job)
    return [invalid(f"{ANNOTATIONS}[{name}]", value, detail) for name, value, detail in errors]


def _queue_name_errors(job: Json) -> list[FieldError]:
    name = queue_of(job)
    if not name:
        return []
    return [invalid(f"{LABELS}[{QUEUE_LABEL}]", name, detail) for detail in dns_subdomain(name)]


def _change_errors(request: AdmissionRequest, job_kind: JobKind, job: Json, old: Json) -> list[FieldError]:
    # A started job may have fewer pods than it asked for: what was written for the whole of it is judged while it is
    # held.
    is_held = job_kind.is_suspended(job) and job_kind.is_suspended(old)
    problems = _annotation_errors(job_kind, job) if is_held else []
    problems += gate_errors(job, old) + elastic_errors(job, old)
    problems += prebuilt_errors(job, old, was_suspended=job_kind.is_suspended(old))
    most, most_before = ((value["metadata"].get("labels") or {}).get(MAX_EXECUTION_LABEL) for value in (job, old))
    if most != most_before:
        problems += _time_limit_errors(job)
        if not is_held:
            problems.append(invalid(_TIME_LIMIT, most or "", IMMUTABLE))
    queue, before = queue_of(job), queue_of(old)
    if queue != before:
        path = f"{LABELS}[{QUEUE_LABEL}]"
        problems += _queue_name_errors(job)
        if not job_kind.is_suspended(old):
            problems.append(invalid(path, queue, IMMUTABLE))
        elif not queue and request.lookup(LOCAL_QUEUES, request.namespace, DEFAULT_LOCAL_QUEUE) is not None:
            problems.append(forbidden(path, "queue-name must not be empty in a namespace with a default queue"))
    priority, priority_before = priority_class_of(job), priority_class_of(old)
    if priority != priority_before and before:
        path = f"{LABELS}[{PRIORITY_CLASS_LABEL}]"
        if not priority:
            problems.append(invalid(path, priority, "priority class may be changed, but not removed"))
        elif not priority_before and not job_kind.is_suspended(old):
            problems.append(invalid(path, priority, "priority class may not be added to a running job"))
    return problems
