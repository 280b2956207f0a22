"""A Workload for a job: its name, its object, its priority, and whether the one that exists still says the same (kueue
1.6, 2.13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import Any, Final

from roadstead.integrations.base import JobKind, max_execution_of, priority_class_of, queue_of
from roadstead.integrations.elastic import is_elastic
from roadstead.integrations.gates import gates_of
from roadstead.kinds import structural
from roadstead.kinds.names import (
    ADMISSION_GATE_ANNOTATION,
    ELASTIC_ANNOTATION,
    IN_USE_FINALIZER,
    JOB_UID_LABEL,
    KUEUE,
    PRIORITY_CLASSES,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.kinds.schema import recorded
from roadstead.kinds.views.kueue import WorkloadPriorityClassView, WorkloadSpecView, WorkloadView
from roadstead.runtime.step import Read

OWNER_GVK_ANNOTATION: Final = "kueue.x-k8s.io/job-owner-gvk"
OWNER_NAME_ANNOTATION: Final = "kueue.x-k8s.io/job-owner-name"
PROVISIONING_PREFIX: Final = "provreq.kueue.x-k8s.io/"
"""Annotations of a job that begin so are for whoever provisions machines for its Workload (kueue 5.2)."""
NAME_LIMIT: Final = 253
HASH_LENGTH: Final = 5


def workload_name(job: Object) -> str:
    """`job-<name>-<5 hex>`: fixed by kind, group, name and uid, so that creating it twice is impossible."""
    group = job.resource.group
    digest = sha1("\n".join((job.kind, group, job.meta.name, job.meta.uid)).encode(), usedforsecurity=False).hexdigest()
    prefix = f"{job.kind.lower()}-{job.meta.name}"
    return f"{prefix[: NAME_LIMIT - HASH_LENGTH - 1]}-{digest[:HASH_LENGTH]}"


@dataclass(frozen=True, slots=True)
class Priority:
    """The resolved priority and where it comes from; `group` and `name` are empty when no class gave it."""

    value: int = 0
    group: str = ""
    kind: str = ""
    name: str = ""

    def write(self, spec: Json) -> None:
        """Put it into a decoded Workload's spec, in place."""
        spec["priority"] = self.value
        if self.name:
            spec["priorityClassRef"] = {"group": self.group, "kind": self.kind, "name": self.name}
        else:
            spec.pop("priorityClassRef", None)

    def is_of(self, spec: WorkloadSpecView) -> bool:
        """True if the spec says exactly this."""
        ref = spec.priority_class_ref
        mine = (self.group, self.kind, self.name) if self.name else None
        return spec.priority == self.value and mine == ((ref.group, ref.kind, ref.name) if ref else None)


@dataclass(frozen=True, slots=True)
class UnknownClass:
    """The job names a class that does not exist."""

    resource: str
    name: str


def resolve_priority(job: Object, pod_sets: list[Json], read: Read) -> Priority | UnknownClass:
    """Label, then the first pod set's class, then the global default, then 0 (kueue 2.13)."""
    wanted = priority_class_of({"metadata": {"labels": job.meta.labels}})
    if wanted:
        found = read.get(WORKLOAD_PRIORITY_CLASSES, "", wanted)
        if found is None:
            return UnknownClass("WorkloadPriorityClass", wanted)
        return Priority(found.view(WorkloadPriorityClassView).value, KUEUE, "WorkloadPriorityClass", wanted)
    for pod_set in pod_sets:
        name = pod_set["template"].get("spec", {}).get("priorityClassName")
        if name:
            found = read.get(PRIORITY_CLASSES, "", name)
            if found is None:
                return UnknownClass("PriorityClass", name)
            return _from_priority_class(found)
    defaults = [item for item in read.list(PRIORITY_CLASSES) if item.decode().get("globalDefault")]
    if defaults:
        return _from_priority_class(min(defaults, key=lambda item: (_value(item), item.meta.name)))
    return Priority()


def _value(priority_class: Object) -> int:
    return priority_class.view(WorkloadPriorityClassView).value


def _from_priority_class(found: Object) -> Priority:
    return Priority(_value(found), PRIORITY_CLASSES.group, "PriorityClass", found.meta.name)


def name_queue(spec: Json, queue: str) -> None:
    """Put the queue into a decoded Workload's spec, in place; a job that names none leaves the field out."""
    if queue:
        spec["queueName"] = queue
    else:
        spec.pop("queueName", None)


def build_workload(job: Object, pod_sets: list[Json], priority: Priority, labels_to_copy: Iterable[str] = ()) -> Json:
    """The Workload object to create for a job, with those of its labels that are to be copied."""
    spec: Json = {"podSets": pod_sets, "active": True}
    name_queue(spec, queue_of({"metadata": {"labels": job.meta.labels}}))
    priority.write(spec)
    if (seconds := max_execution_of(job.meta.labels)) is not None:
        spec["maximumExecutionTimeSeconds"] = seconds
    gates = gates_of(job.meta.annotations)
    copied = {key: job.meta.labels[key] for key in labels_to_copy if key in job.meta.labels}
    return {
        "apiVersion": WORKLOADS.api_version,
        "kind": "Workload",
        "metadata": {
            "name": workload_name(job),
            "namespace": job.meta.namespace,
            "labels": {**copied, JOB_UID_LABEL: job.meta.uid},
            "annotations": {
                OWNER_GVK_ANNOTATION: f"{job.resource.api_version}, Kind={job.kind}",
                OWNER_NAME_ANNOTATION: job.meta.name,
                **{key: value for key, value in job.meta.annotations.items() if key.startswith(PROVISIONING_PREFIX)},
                **({ADMISSION_GATE_ANNOTATION: gates} if gates else {}),
                **({ELASTIC_ANNOTATION: "true"} if is_elastic(job.meta.annotations) else {}),
            },
            "finalizers": [IN_USE_FINALIZER],
            "ownerReferences": [owner_reference(job)],
        },
        "spec": spec,
    }


def says_the_same(kind: JobKind, job: Object, is_suspended: bool, workload: Object) -> bool:
    """True if the Workload still describes the job (kueue 5.1.5).

    A suspended job is compared whole: names, counts and templates. A running one, whose template the API keeps as it
    was started, by the number of pods that was admitted: all of them, or those that were left to do.
    """
    stored = workload.view(WorkloadView)
    current = kind.pod_sets(job)
    if not is_suspended:
        admission = stored.status.admission
        if admission is None:
            return True
        admitted = {item.name: item.count for item in admission.pod_set_assignments}
        if is_elastic(workload.meta.annotations) and all(
            mine["count"] == theirs.count for mine, theirs in zip(current, stored.spec.pod_sets, strict=False)
        ):
            return True  # it has shrunk since it was admitted
        done = {item.name: item.count for item in stored.status.reclaimable_pods}
        return all(
            admitted.get(item["name"]) in (item["count"], None, item["count"] - done.get(item["name"], 0))
            for item in current
        )
    if len(current) != len(stored.spec.pod_sets):
        return False
    return all(
        mine["name"] == theirs.name
        and mine["count"] == theirs.count
        and mine.get("minCount") == theirs.min_count
        and _is_same_template(mine["template"], theirs.template)
        for mine, theirs in zip(current, stored.spec.pod_sets, strict=True)
    )


def _is_same_template(mine: Json, theirs: Mapping[str, Any]) -> bool:
    """A server may know fields of pods that its Workloads do not, and drop them there; or the other way round. Where
    the two differ at first sight, they are compared as far as this program knows pods."""
    if _comparable(mine) == _comparable(theirs):
        return True
    return _comparable(_known_part(mine)) == _comparable(_known_part(theirs))


def _known_part(template: Mapping[str, Any]) -> Json:
    copy: Json = deepcopy(dict(template))
    shape = _template_shape()
    if shape is not None:
        shape(copy, "", [])
    return copy


@lru_cache(maxsize=1)
def _template_shape() -> structural.Shape | None:
    spec = recorded(WORKLOADS, "Workload", is_custom=True).raw["properties"]["spec"]
    return structural.shaper(spec["properties"]["podSets"]["items"]["properties"]["template"])


def _comparable(template: Any) -> tuple[Any, Any, Any]:
    metadata = template.get("metadata") or {}
    return template.get("spec"), metadata.get("labels") or {}, metadata.get("annotations") or {}
