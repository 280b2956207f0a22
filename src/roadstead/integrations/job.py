"""batch/v1 Job (kueue 5.3, 5.4): one pod set `main`, suspended by `spec.suspend`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from roadstead.integrations.base import JobKind, PodSetInfo, inject, withdraw
from roadstead.integrations.topology import topology_request
from roadstead.kinds.names import JOB_CONTROLLER_UID_LABEL, JOB_INDEX_ANNOTATION, JOB_NAME_LABEL, JOBS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.job import JobView

MIN_PARALLELISM_ANNOTATION: Final = "kueue.x-k8s.io/job-min-parallelism"
COMPLETIONS_EQUAL_PARALLELISM_ANNOTATION: Final = "kueue.x-k8s.io/job-completions-equal-parallelism"
MAIN: Final = "main"
JOB_OWN_LABELS: Final = (JOB_NAME_LABEL, JOB_CONTROLLER_UID_LABEL, "job-name", "controller-uid")
"""Labels that the Job API puts into the template: no part of what the user asked for."""


def _pod_count(parallelism: int | None, completions: int | None) -> int:
    """Pods that run at the same time: parallelism, but no more than completions."""
    parallel = 1 if parallelism is None else parallelism
    return parallel if completions is None else min(parallel, completions)


class BatchJob(JobKind):
    resource = JOBS
    kind = "Job"

    def pod_sets(self, job: Object) -> list[Json]:
        spec = job.view(JobView).spec
        count = _pod_count(spec.parallelism, spec.completions)
        pod_set: Json = {"name": MAIN, "count": count, "template": self._user_template(spec.template)}
        minimum = _min_parallelism(job.meta.annotations)
        if minimum is not None and 0 < minimum < count:
            pod_set["minCount"] = minimum
        request = topology_request(pod_set["template"], JOB_INDEX_ANNOTATION)
        if request is not None:
            pod_set["topologyRequest"] = request
        return [pod_set]

    def is_active(self, job: Object, out_of_reach: int = 0) -> bool:
        status = job.view(JobView).status
        if status.active or (status.terminating or 0) > out_of_reach:
            return True
        # Started and not yet seen by the Job controller as suspended: pods may still be about to appear.
        return status.start_time is not None and not has_condition(status.conditions, "Suspended")

    def may_restore(self, job: Object) -> bool:
        """A suspended Job's template may change when it never started, or reports Suspended with no active pod
        (KEP-5440's rule; the older one asked for a startTime of nil)."""
        return not self.is_active(job)

    def forget_start(self, job: Json) -> bool:
        """Before KEP-5440 only a Job that never started may change its template, and the Job controller left startTime
        in place (kueue 5.4, stop protocol)."""
        return (job.get("status") or {}).pop("startTime", None) is not None

    def start(self, job: Json, infos: Sequence[PodSetInfo]) -> None:
        (info,) = infos
        spec = job["spec"]
        inject(spec["template"], info)
        annotations = job["metadata"].get("annotations") or {}
        if _min_parallelism(annotations) is not None and info.count < _pod_count(
            spec.get("parallelism"), spec.get("completions")
        ):
            spec["parallelism"] = info.count
            if annotations.get(COMPLETIONS_EQUAL_PARALLELISM_ANNOTATION) == "true":
                spec["completions"] = info.count
        self.set_suspended(job, False)

    def restore(self, job: Json, pod_sets: Sequence[Json]) -> bool:
        if not pod_sets:
            return False
        before = deepcopy(job["spec"])
        original = pod_sets[0]
        spec = job["spec"]
        withdraw(spec["template"], original["template"], keep=JOB_OWN_LABELS)
        annotations = job["metadata"].get("annotations") or {}
        if _min_parallelism(annotations) is not None and spec.get("parallelism") != original["count"]:
            spec["parallelism"] = original["count"]
            if annotations.get(COMPLETIONS_EQUAL_PARALLELISM_ANNOTATION) == "true":
                spec["completions"] = original["count"]
        return bool(before != spec)

    def reclaimable(self, job: Object) -> dict[str, int]:
        """Parallelism minus what is left to do, once less is left than may run at a time. Nothing when all is done: the
        end of the job, an instant later, gives everything back at once."""
        view = job.view(JobView)
        parallelism = 1 if view.spec.parallelism is None else view.spec.parallelism
        completions = view.spec.completions
        if completions is None or parallelism <= 1:
            return {}
        if view.spec.completion_mode == "Indexed":
            ended = len(
                _indexes(view.status.completed_indexes, completions)
                | _indexes(view.status.failed_indexes or "", completions)
            )
        else:
            ended = view.status.succeeded
        remaining = completions - ended
        return {MAIN: parallelism - remaining} if 0 < remaining < parallelism and parallelism <= completions else {}

    def pods_ready(self, job: Object) -> bool:
        """Ready and succeeded pods are as many as run at a time; those whose success is on its way to being counted are
        among them."""
        spec, status = job.view(JobView).spec, job.view(JobView).status
        pending = status.uncounted_terminated_pods
        succeeded = status.succeeded + (len(pending.succeeded) if pending is not None else 0)
        return succeeded + (status.ready or 0) >= _pod_count(spec.parallelism, spec.completions)

    def annotation_errors(self, job: Json) -> list[tuple[str, str, str]]:
        annotations = (job.get("metadata") or {}).get("annotations") or {}
        text = annotations.get(MIN_PARALLELISM_ANNOTATION)
        if text is None:
            return []
        spec = job.get("spec") or {}
        parallelism = spec.get("parallelism")
        limit = (1 if parallelism is None else parallelism) - 1
        minimum = _min_parallelism(annotations)
        if minimum is None:
            return [(MIN_PARALLELISM_ANNOTATION, text, 'must be an integer, such as "2"')]
        if not 1 <= minimum <= limit:
            return [(MIN_PARALLELISM_ANNOTATION, text, f"should be between 0 and {limit}")]
        return []

    @staticmethod
    def _user_template(template: Mapping[str, Any]) -> Json:
        copy = dict(template)  # shallow: whoever edits a pod set's template copies it first
        metadata = copy.get("metadata")
        if metadata is not None:
            labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in JOB_OWN_LABELS}
            kept: Json = {}
            if labels:
                kept["labels"] = labels
            if metadata.get("annotations"):
                kept["annotations"] = metadata["annotations"]
            if kept:
                copy["metadata"] = kept
            else:
                del copy["metadata"]
        return copy


def _min_parallelism(annotations: Mapping[str, str]) -> int | None:
    text = annotations.get(MIN_PARALLELISM_ANNOTATION)
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return int(text)


def _indexes(text: str, limit: int) -> set[int]:
    """The numbers of "0,2-4,7" below `limit` (the bound on the size of the answer)."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), min(int(last or first), limit - 1) + 1))
    return found
