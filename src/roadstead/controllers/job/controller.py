"""The Job controller: which Job and pods are meant, and what there is to do for a Job that is gone, new or over.

The life in between, from the first pod to the terminal condition, is `sync.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from roadstead.controllers.job import adoption
from roadstead.controllers.job.census import Census, JobPod
from roadstead.controllers.job.conditions import terminal_condition
from roadstead.controllers.job.sync import COALESCE, Sync, removals
from roadstead.kinds.names import (
    JOB_CONTROLLER_NAME,
    JOB_NAME_LABEL,
    JOB_TRACKING_FINALIZER,
    JOBS,
    PODS,
)
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.times import SECOND, parse_time
from roadstead.kinds.views.job import JobView
from roadstead.runtime.cluster import Delete
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Present, Read, Step, same_key

TRACKED: Final = "tracked-by-job"
"""Index of pods: tracked ones by `namespace/name` of their Job, also if it is gone."""


def job_of_pod(pod: Object) -> str:
    """Name of the Job a pod belongs to: its controller's, or for a tracked pod without one, the Job it was made for."""
    owner = pod.meta.controller
    if owner is not None:
        return owner.name if owner.kind == "Job" and owner.api_version == JOBS.api_version else ""
    return pod.meta.labels.get(JOB_NAME_LABEL, "") if JOB_TRACKING_FINALIZER in pod.meta.finalizers else ""


def _keys_of_pod(changed: Object, read: Read) -> Iterable[Key]:
    if changed.meta.controller is None:
        return tuple(adoption.suitors(changed, read))
    name = job_of_pod(changed)
    return ((changed.meta.namespace, name),) if name else ()


def _tracked(pod: Object) -> Iterable[str]:
    name = job_of_pod(pod) if JOB_TRACKING_FINALIZER in pod.meta.finalizers else ""
    return (f"{pod.meta.namespace}/{name}",) if name else ()


class JobController:
    """Creates, deletes and counts the pods of Jobs, and finishes the Jobs."""

    name: ClassVar[str] = "job"
    watches: Mapping[Resource, KeysOf] = {JOBS: same_key, PODS: _keys_of_pod}
    indexes: Mapping[tuple[Resource, str], Index] = {
        (PODS, TRACKED): _tracked,
        (PODS, adoption.ORPHANS): adoption.orphan_of,
        (JOBS, adoption.MANUAL): adoption.selects_itself,
    }

    def __init__(self, coalesce: int = COALESCE) -> None:
        self._coalesce = coalesce

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        job = read.get(JOBS, *key)
        uid = job.meta.uid if job is not None else ""
        strays = [JobPod.of(pod) for pod in read.by_index(PODS, TRACKED, "/".join(key)) if _strays(pod, uid)]
        if strays:
            return Step(removals(strays), now)
        if job is None or not _is_ours(job):
            return NOTHING
        view = job.view(JobView)
        owned = [pod for pod in read.owned_by(PODS, uid) if _belongs(pod, uid)]
        pods = [JobPod.of(pod) for pod in owned]
        if terminal_condition(view) is not None:
            return _after_the_end(job, view, pods, now)
        claims = adoption.changes(job, view, owned, read)
        if claims:
            # Only a living Job may adopt: garbage collection may be cutting its pods loose. A released pod wakes
            # nobody.
            return Step((claims,), now, confirm=(Present(job.ref, uid),))
        return Sync(job, Census(view, pods), read, now, self._coalesce).step()


def _is_ours(job: Object) -> bool:
    """No other controller manages it (KEP-4368)."""
    return job.view(JobView).spec.managed_by in (None, JOB_CONTROLLER_NAME)


def _belongs(pod: Object, uid: str) -> bool:
    owner = pod.meta.controller
    return owner is not None and owner.uid == uid


def _strays(pod: Object, uid: str) -> bool:
    """Tracked for a Job that is not this one (any more), and not about to be adopted by it."""
    return not _belongs(pod, uid) and uid not in adoption.orphan_of(pod)


def _after_the_end(job: Object, view: JobView, pods: Sequence[JobPod], now: int) -> Step:
    """Let go of pods that the final write counted; delete the Job when its time to live is over.

    A pod that is active was asked for earlier, by a request that got no answer and was carried out after all: there is
    no work left for it. (The real controller lets it run.)
    """
    late = tuple(Delete(pod.obj.ref, pod.uid) for pod in pods if pod.is_active)
    stages = (*removals(pods), *((late,) if late else ()))
    ttl = view.spec.ttl_seconds_after_finished
    ended = terminal_condition(view)
    if ttl is None or view.metadata.deletion_timestamp or ended is None or ended.last_transition_time is None:
        return Step(stages)
    expires = parse_time(ended.last_transition_time) + ttl * SECOND
    if now < expires:
        return Step(stages, expires)
    if stages:
        return Step(stages, now)
    # The version makes sure that nobody has given the Job a longer life meanwhile.
    return Step(((Delete(job.ref, job.meta.uid, job.meta.resource_version, "Foreground"),),))
