"""Jobs that are in a queue and have no Workload: what keeps them out, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator

from roadstead.integrations import ALL
from roadstead.integrations.base import JobKind, priority_class_of
from roadstead.kinds.names import LOCAL_QUEUES, QUEUE_LABEL, WORKLOAD_PRIORITY_CLASSES, WORKLOADS
from roadstead.kinds.object import Object
from roadstead.kinds.views.kueue import LocalQueueView
from roadstead.runtime.step import Read
from roadstead.views.workload import State, WorkloadLine, age_of

PRIORITY_CLASS_NOT_FOUND = "WorkloadPriorityClassNotFound"
JUST_SUBMITTED = "JustSubmitted"


def what_keeps_it_out(job: Object, read: Read) -> tuple[str, str]:
    """(code, sentence) for a job that asks for a queue and has no Workload yet."""
    wanted = priority_class_of(job.decode())
    if wanted and read.get(WORKLOAD_PRIORITY_CLASSES, "", wanted) is None:
        return PRIORITY_CLASS_NOT_FOUND, (
            f'WorkloadPriorityClass "{wanted}" does not exist, so it is not queued. '
            "Create the class, or name one that exists (kubectl get workloadpriorityclasses)."
        )
    return JUST_SUBMITTED, "It was only just submitted: its Workload is being made. Ask again in a moment."


def unqueued_lines(read: Read, now: int) -> Iterator[tuple[Object, WorkloadLine]]:
    """A line for every job that asks for a queue, has not ended and has no Workload. O(jobs)."""
    for kind in ALL:
        for job in read.list(kind.resource):
            if _is_kept_out(kind, job, read):
                yield job, _line(kind, job, read, now)


def _is_kept_out(kind: JobKind, job: Object, read: Read) -> bool:
    if not job.meta.labels.get(QUEUE_LABEL) or job.meta.deletion_timestamp is not None:
        return False
    return not read.owned_by(WORKLOADS, job.meta.uid) and kind.finished(job) is None


def _line(kind: JobKind, job: Object, read: Read, now: int) -> WorkloadLine:
    queue = job.meta.labels[QUEUE_LABEL]
    local = read.get(LOCAL_QUEUES, job.meta.namespace, queue)
    reason, message = what_keeps_it_out(job, read)
    return WorkloadLine(
        namespace=job.meta.namespace,
        name="",
        job=job.meta.name,
        kind=kind.kind,
        queue=queue,
        cluster_queue=local.view(LocalQueueView).spec.cluster_queue if local is not None else "",
        priority=0,
        state=State.WAITING,
        age_seconds=age_of(job, now),
        pods=sum(int(pod_set.get("count", 1)) for pod_set in kind.pod_sets(job)),
        reason=reason,
        message=message,
    )
