"""A job and the Workload that it names: waited for, taken over, compared (kueue 5.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from roadstead.controllers.workload.build import OWNER_GVK_ANNOTATION, OWNER_NAME_ANNOTATION
from roadstead.controllers.workload.waking import job_of
from roadstead.integrations.base import JobKind
from roadstead.integrations.prebuilt import prebuilt_of
from roadstead.kinds.names import IN_USE_FINALIZER, JOB_UID_LABEL
from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.runtime.step import Key, KeysOf, Read

PREBUILT_INDEX: Final = "prebuilt"
"""Jobs by "namespace/name" of the Workload that they name."""

OUT_OF_SYNC: Final = "OutOfSync"


def jobs_by_prebuilt(job: Object) -> Iterable[str]:
    name = prebuilt_of(job.meta.labels, job.meta.annotations)
    return (f"{job.meta.namespace}/{name}",) if name else ()


def job_of_workload(kind: JobKind) -> KeysOf:
    """KeysOf for Workloads: the job of this kind that controls it; of one that nobody controls, those that name it."""
    owner_keys = job_of(kind)

    def keys(changed: Object, read: Read) -> Iterable[Key]:
        if changed.meta.controller is not None:
            return owner_keys(changed, read)
        path = f"{changed.meta.namespace}/{changed.meta.name}"
        return [job.key for job in read.by_index(kind.resource, PREBUILT_INDEX, path)]

    return keys


def taken_over(workload: Object, job: Object) -> Json:
    """The whole Workload, now the job's: it goes with it, and not before the job's pods have gone."""
    value = workload.decode()
    metadata = value["metadata"]
    metadata["ownerReferences"] = [*(metadata.get("ownerReferences") or ()), owner_reference(job)]
    metadata["labels"] = {**(metadata.get("labels") or {}), JOB_UID_LABEL: job.meta.uid}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        OWNER_GVK_ANNOTATION: f"{job.resource.api_version}, Kind={job.kind}",
        OWNER_NAME_ANNOTATION: job.meta.name,
    }
    finalizers = metadata.get("finalizers") or []
    if IN_USE_FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, IN_USE_FINALIZER]
    return value
