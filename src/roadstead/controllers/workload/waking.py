"""Whose job has to be looked at again when something changes: the `watches` of the workload controller, and its
index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from roadstead.controllers.workload.pods import is_departing, leaving_pods_of
from roadstead.integrations.base import JobKind
from roadstead.kinds.names import WORKLOAD_ANNOTATION, WORKLOADS
from roadstead.kinds.object import Object
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.runtime.step import Key, KeysOf, Read

PRIORITY_CLASS_INDEX: Final = "priority-class"
"""Workloads by the name of their WorkloadPriorityClass."""


def workloads_by_priority_class(workload: Object) -> Iterable[str]:
    ref = workload.view(WorkloadView).spec.priority_class_ref
    return (ref.name,) if ref and ref.kind == "WorkloadPriorityClass" else ()


def job_of(kind: JobKind) -> KeysOf:
    """KeysOf for Workloads: the job of this kind that controls it."""

    def keys(changed: Object, read: Read) -> Iterable[Key]:
        del read
        owner = changed.meta.controller
        if owner and owner.kind == kind.kind and owner.api_version == kind.resource.api_version:
            return ((changed.meta.namespace, owner.name),)
        return ()

    return keys


def jobs_of_departing_pod(kind: JobKind) -> KeysOf:
    owner_keys = job_of(kind)

    def keys(changed: Object, read: Read) -> Iterable[Key]:
        if WORKLOAD_ANNOTATION not in changed.meta.annotations:
            return ()
        return owner_keys(changed, read) if is_departing(changed, read) else ()

    return keys


def jobs_that_wait_for_node(kind: JobKind) -> KeysOf:
    """A node is gone or not ready: nobody waits any longer for what it should have stopped."""
    owner_keys = job_of(kind)

    def keys(changed: Object, read: Read) -> Iterable[Key]:
        for pod in leaving_pods_of(changed, read):
            yield from owner_keys(pod, read)

    return keys


def jobs_waiting_for_flavor(kind: JobKind) -> KeysOf:
    """Jobs that are admitted with this flavor and not started: rare, so a scan when a flavor changes is cheap
    enough."""
    owner_keys = job_of(kind)

    def keys(changed: Object, read: Read) -> Iterable[Key]:
        for workload in read.list(WORKLOADS):
            admission = workload.view(WorkloadView).status.admission
            if admission and any(changed.meta.name in item.flavors.values() for item in admission.pod_set_assignments):
                yield from owner_keys(workload, read)

    return keys


def jobs_without_workload(kind: JobKind) -> KeysOf:
    """Jobs that may have waited for a class to appear. O(jobs), when a class changes."""

    def keys(changed: Object, read: Read) -> Iterable[Key]:
        del changed
        for job in read.list(kind.resource):
            if not read.owned_by(WORKLOADS, job.meta.uid):
                yield job.key

    return keys


def jobs_in_namespace(kind: JobKind) -> KeysOf:
    """Jobs of a namespace, whose labels may have changed. O(jobs there), when it changes."""

    def keys(changed: Object, read: Read) -> Iterable[Key]:
        return [job.key for job in read.list(kind.resource, changed.meta.name)]

    return keys


def jobs_of_class(kind: JobKind) -> KeysOf:
    """Jobs whose Workload refers to this WorkloadPriorityClass, and those that may have waited for it."""
    owner_keys, waiting = job_of(kind), jobs_without_workload(kind)

    def keys(changed: Object, read: Read) -> Iterable[Key]:
        for workload in read.by_index(WORKLOADS, PRIORITY_CLASS_INDEX, changed.meta.name):
            yield from owner_keys(workload, read)
        yield from waiting(changed, read)

    return keys
