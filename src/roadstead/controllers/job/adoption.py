"""Whose a pod is: a Job adopts pods without a controller that its selector matches, and releases those it matches no
more (controller_ref_manager.go)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from roadstead.expr.selectors import from_object, matches_selector
from roadstead.kinds.names import (
    JOB_CONTROLLER_UID_LABEL,
    JOB_NAME_LABEL,
    JOB_TRACKING_FINALIZER,
    JOBS,
    PODS,
)
from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.kinds.views.job import JobView
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import Key, Read

ORPHANS: Final = "orphans-by-job-uid"
"""Index of pods without a controller by the uid of the Job that their label names."""
MANUAL: Final = "manual-selector"
"""Index of Jobs with a selector of their own, by namespace."""


def orphan_of(pod: Object) -> Iterable[str]:
    """Index function for ORPHANS."""
    uid = pod.meta.labels.get(JOB_CONTROLLER_UID_LABEL)
    return (uid,) if uid and pod.meta.controller is None else ()


def selects_itself(job: Object) -> Iterable[str]:
    """Index function for MANUAL."""
    return (job.meta.namespace,) if job.view(JobView).spec.manual_selector else ()


def suitors(pod: Object, read: Read) -> Iterable[Key]:
    """Jobs that may want a pod without a controller."""
    named = pod.meta.labels.get(JOB_NAME_LABEL)
    if named:
        yield pod.meta.namespace, named
    for job in read.by_index(JOBS, MANUAL, pod.meta.namespace):
        if _selects(job.view(JobView), pod):
            yield job.key


def changes(job: Object, view: JobView, owned: Sequence[Object], read: Read) -> tuple[Update, ...]:
    """The writes that adopt and release. O(owned), and O(pods of the namespace) for a Job with a selector of its
    own."""
    if not view.spec.selector or view.metadata.deletion_timestamp:
        return ()
    selector = from_object(view.spec.selector)
    releases = [
        Update(PODS, _released(pod, job.meta.uid)) for pod in owned if not matches_selector(selector, pod.meta.labels)
    ]
    candidates = (
        read.list(PODS, job.meta.namespace) if view.spec.manual_selector else read.by_index(PODS, ORPHANS, job.meta.uid)
    )
    adoptions = [
        Update(PODS, _adopted(pod, job))
        for pod in candidates
        if pod.meta.controller is None
        and pod.meta.namespace == job.meta.namespace
        and not pod.meta.deletion_timestamp
        and matches_selector(selector, pod.meta.labels)
    ]
    return (*releases, *adoptions)


def _selects(job: JobView, pod: Object) -> bool:
    selector = from_object(job.spec.selector) if job.spec.selector else None
    return selector is not None and matches_selector(selector, pod.meta.labels)


def _adopted(pod: Object, job: Object) -> Json:
    value = pod.decode()
    metadata = value["metadata"]
    others = [owner for owner in metadata.get("ownerReferences") or () if owner["uid"] != job.meta.uid]
    metadata["ownerReferences"] = [*others, owner_reference(job)]
    finalizers = metadata.setdefault("finalizers", [])
    if JOB_TRACKING_FINALIZER not in finalizers:
        finalizers.append(JOB_TRACKING_FINALIZER)
    return value


def _released(pod: Object, uid: str) -> Json:
    value = pod.decode()
    metadata = value["metadata"]
    for name, left in (
        ("ownerReferences", [owner for owner in metadata["ownerReferences"] if owner["uid"] != uid]),
        ("finalizers", [held for held in metadata.get("finalizers") or () if held != JOB_TRACKING_FINALIZER]),
    ):
        if left:
            metadata[name] = left
        else:
            metadata.pop(name, None)
    return value
