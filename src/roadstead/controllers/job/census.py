"""What pods a Job has, sorted by what they mean for it. Everything else in this package asks here.

A pod is *tracked* while it carries the tracking finalizer: only tracked pods are ever counted, and a pod leaves the API
only after its finalizer was removed, so none can vanish uncounted (KEP-2307).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from roadstead.controllers.job.indexes import parse_indexes
from roadstead.kinds.names import (
    JOB_INDEX_ANNOTATION,
    JOB_INDEX_FAILURES_ANNOTATION,
    JOB_INDEX_IGNORED_FAILURES_ANNOTATION,
    JOB_TRACKING_FINALIZER,
)
from roadstead.kinds.object import Object
from roadstead.kinds.times import SECOND, parse_time
from roadstead.kinds.views.common import find_condition, has_condition
from roadstead.kinds.views.job import JobView
from roadstead.kinds.views.pod import PodView


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


@dataclass(frozen=True)
class JobPod:
    """One pod of a Job, as the informer knows it."""

    obj: Object
    view: PodView

    @classmethod
    def of(cls, obj: Object) -> JobPod:
        return cls(obj, obj.view(PodView))

    @property
    def uid(self) -> str:
        return self.view.metadata.uid

    @property
    def name(self) -> str:
        return self.view.metadata.name

    @property
    def phase(self) -> str:
        return self.view.status.phase

    @property
    def has_ended(self) -> bool:
        return self.view.has_ended

    @property
    def is_marked(self) -> bool:
        """Someone asked for its deletion."""
        return self.view.metadata.deletion_timestamp is not None

    @property
    def is_tracked(self) -> bool:
        return JOB_TRACKING_FINALIZER in self.view.metadata.finalizers

    @property
    def is_active(self) -> bool:
        return not self.has_ended and not self.is_marked

    @property
    def is_terminating(self) -> bool:
        return self.is_marked and not self.has_ended

    @property
    def is_ready(self) -> bool:
        return has_condition(self.view.status.conditions, "Ready")

    @cached_property
    def index(self) -> int | None:
        """Completion index; None if the annotation is missing or not a number."""
        return _number(self.view.metadata.annotations.get(JOB_INDEX_ANNOTATION))

    @property
    def index_failures(self) -> int:
        """Counted failures of this index before this pod (KEP-3850)."""
        return _number(self.view.metadata.annotations.get(JOB_INDEX_FAILURES_ANNOTATION)) or 0

    @property
    def index_ignored_failures(self) -> int:
        return _number(self.view.metadata.annotations.get(JOB_INDEX_IGNORED_FAILURES_ANNOTATION)) or 0

    @property
    def restarts(self) -> int:
        status = self.view.status
        every = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
        return sum(container.restart_count for container in every)

    @property
    def created(self) -> int:
        text = self.view.metadata.creation_timestamp
        return parse_time(text) if text else 0

    @cached_property
    def ready_changed(self) -> int | None:
        ready = find_condition(self.view.status.conditions, "Ready")
        return parse_time(ready.last_transition_time) if ready and ready.last_transition_time else None

    @property
    def marked_at(self) -> int | None:
        """When its deletion was asked for."""
        metadata = self.view.metadata
        if metadata.deletion_timestamp is None:
            return None
        return parse_time(metadata.deletion_timestamp) - (metadata.deletion_grace_period_seconds or 0) * SECOND

    @cached_property
    def finished(self) -> int:
        """When it stopped: the newest end of a container, else when it stopped being ready, else when it was deleted,
        else when it was made (backoff_utils.go getFinishedTime)."""
        ends = [
            parse_time(container.state.terminated.finished_at)
            for container in self.view.status.container_statuses or ()
            if container.state and container.state.terminated and container.state.terminated.finished_at
        ]
        if ends:
            return max(ends)
        ready = find_condition(self.view.status.conditions, "Ready")
        if ready is not None and ready.status == "False" and self.ready_changed is not None:
            return self.ready_changed
        return self.marked_at or self.created


def only_replaces_failed(job: JobView) -> bool:
    """A terminating pod keeps its place until it has ended (KEP-3939)."""
    return job.spec.pod_failure_policy is not None or job.spec.pod_replacement_policy == "Failed"


def is_indexed(job: JobView) -> bool:
    return job.spec.completion_mode == "Indexed"


@dataclass(frozen=True)
class Census:
    """The pods of one Job at one moment. O(pods) to take."""

    job: JobView
    pods: Sequence[JobPod]

    @cached_property
    def active(self) -> tuple[JobPod, ...]:
        return tuple(pod for pod in self.pods if pod.is_active)

    @cached_property
    def terminating(self) -> tuple[JobPod, ...]:
        return tuple(pod for pod in self.pods if pod.is_terminating)

    @cached_property
    def ready(self) -> int:
        return sum(pod.is_ready for pod in self.active)

    @cached_property
    def tracked(self) -> tuple[JobPod, ...]:
        return tuple(pod for pod in self.pods if pod.is_tracked)

    @cached_property
    def uncounted_succeeded(self) -> frozenset[str]:
        uncounted = self.job.status.uncounted_terminated_pods
        return frozenset(uncounted.succeeded or ()) if uncounted else frozenset()

    @cached_property
    def uncounted_failed(self) -> frozenset[str]:
        uncounted = self.job.status.uncounted_terminated_pods
        return frozenset(uncounted.failed or ()) if uncounted else frozenset()

    @cached_property
    def new(self) -> tuple[JobPod, ...]:
        """Tracked pods that are in no count yet, with a valid index if the Job is Indexed."""
        known = self.uncounted_succeeded | self.uncounted_failed
        return tuple(pod for pod in self.tracked if pod.uid not in known and self.has_valid_index(pod))

    @cached_property
    def new_succeeded(self) -> tuple[JobPod, ...]:
        return tuple(pod for pod in self.new if pod.phase == "Succeeded")

    @cached_property
    def new_failed(self) -> tuple[JobPod, ...]:
        return tuple(pod for pod in self.new if self.is_failed(pod))

    def is_failed(self, pod: JobPod) -> bool:
        """It failed, or (unless only failed pods are replaced) it is being deleted: such a pod may never get to a
        phase."""
        if pod.phase == "Failed":
            return True
        return pod.is_marked and pod.phase != "Succeeded" and not only_replaces_failed(self.job)

    def has_valid_index(self, pod: JobPod) -> bool:
        if not is_indexed(self.job):
            return True
        return pod.index is not None and pod.index < (self.job.spec.completions or 0)

    @cached_property
    def completed_before(self) -> frozenset[int]:
        """Indexes that the status says are completed and that still exist."""
        return parse_indexes(self.job.status.completed_indexes, self.job.spec.completions or 0)

    @cached_property
    def completed(self) -> frozenset[int]:
        """Indexes with a success: those of the status and those of new pods."""
        new = {
            pod.index
            for pod in self.tracked
            if pod.phase == "Succeeded"
            and pod.index is not None
            and self.has_valid_index(pod)
            and pod.uid not in self.uncounted_failed
        }
        return self.completed_before | new
