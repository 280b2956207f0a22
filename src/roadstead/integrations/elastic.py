"""Elastic jobs (KEP-77; kueue.md 2.12): a job that carries the annotation may have fewer pods while it runs.

What it gives back, others get at once: quota with the change, nodes and devices as its pods end. (Growing by a slice of
its own beside the job's first Workload is not supported: a job that wants more pods is stopped and queued anew, as any
job.) Its pods that have ended are not reported as reclaimable: how many it wants is its own word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from roadstead.integrations.job import MIN_PARALLELISM_ANNOTATION
from roadstead.kinds.errors import FieldError, forbidden, invalid
from roadstead.kinds.names import ELASTIC_ANNOTATION
from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.kueue import WorkloadView

PATH: Final = f"metadata.annotations[{ELASTIC_ANNOTATION}]"


def is_elastic(annotations: Mapping[str, str]) -> bool:
    return annotations.get(ELASTIC_ANNOTATION) == "true"


def elastic_errors(job: Json, old: Json | None) -> list[FieldError]:
    """What is wrong with the annotation of a job, new (`old` None) or changed."""
    now, before = (((each or {}).get("metadata") or {}).get("annotations") or {} for each in (job, old))
    text = now.get(ELASTIC_ANNOTATION, "")
    if old is not None and text != before.get(ELASTIC_ANNOTATION, ""):
        return [invalid(PATH, text, "field is immutable")]
    if is_elastic(now) and MIN_PARALLELISM_ANNOTATION in now:
        why = f"cannot be set together with {MIN_PARALLELISM_ANNOTATION}: an elastic job is not admitted in part"
        return [forbidden(PATH, why)]
    return []


def smaller(pod_sets: Sequence[Json], workload: Object) -> Json | None:
    """The elastic Workload with the counts of these pod sets, if they are nowhere more and somewhere fewer than its
    own; else None."""
    own = workload.view(WorkloadView).spec.pod_sets
    counts = [(pod_set["count"], known.count) for pod_set, known in zip(pod_sets, own, strict=False)]
    if not is_elastic(workload.meta.annotations) or [item["name"] for item in pod_sets] != [item.name for item in own]:
        return None
    if any(now > was for now, was in counts) or all(now == was for now, was in counts):
        return None
    value = workload.decode()
    for pod_set, (now, _) in zip(value["spec"]["podSets"], counts, strict=True):
        pod_set["count"] = now
    return value
