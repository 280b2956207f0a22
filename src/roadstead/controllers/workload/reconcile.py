"""The workload controller: one job and its Workload, from held to finished (kueue 5.1).

Keyed by the job. It derives the Workload, starts the job once the Workload is admitted, stops it when admission is
taken away, and gives quota, nodes and devices back only when no process of the job can be alive any more. Which
workload is admitted or evicted is not decided here.

The order below matters and is Kueue's; each rule looks at what is true now and asks for the next write, so a crash
after any of them is finished by the next reconcile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from roadstead.controllers import pods_ready
from roadstead.controllers.checks import pending_news
from roadstead.controllers.node_lifecycle import BY_NODE, pods_by_node
from roadstead.controllers.workload.build import (
    Priority,
    UnknownClass,
    build_workload,
    name_queue,
    resolve_priority,
    says_the_same,
    workload_name,
)
from roadstead.controllers.workload.pods import (
    WORKLOAD_INDEX,
    all_seen,
    end_of_grace,
    live_pods,
    lost_pods,
    pods_by_workload,
)
from roadstead.controllers.workload.policy import NO_POLICY, Policy
from roadstead.controllers.workload.prebuilt import (
    OUT_OF_SYNC,
    PREBUILT_INDEX,
    job_of_workload,
    jobs_by_prebuilt,
    taken_over,
)
from roadstead.controllers.workload.status import (
    drop_placement,
    finished,
    holds_quota,
    is_admitted,
    is_evicted,
    is_finished,
    released,
    with_reclaimable,
    without_finalizer,
)
from roadstead.controllers.workload.updates import check_place, with_updates
from roadstead.controllers.workload.waking import (
    PRIORITY_CLASS_INDEX,
    jobs_in_namespace,
    jobs_of_class,
    jobs_of_departing_pod,
    jobs_that_wait_for_node,
    jobs_waiting_for_flavor,
    jobs_without_workload,
    workloads_by_priority_class,
)
from roadstead.integrations import for_owner
from roadstead.integrations.base import CannotInject, JobKind, PodSetInfo, max_execution_of, priority_class_of, queue_of
from roadstead.integrations.elastic import is_elastic, smaller
from roadstead.integrations.gates import gates_of, set_gates
from roadstead.integrations.job import BatchJob
from roadstead.integrations.prebuilt import prebuilt_of
from roadstead.kinds.names import (
    IN_USE_FINALIZER,
    NAMESPACES,
    NODES,
    PLACEMENTS,
    PODS,
    PODSET_LABEL,
    PREBUILT_NAME,
    PRIORITY_CLASSES,
    RESOURCE_FLAVORS,
    WORKLOAD_ANNOTATION,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import ResourceFlavorView, WorkloadView
from roadstead.runtime.cluster import Create, Delete, Update, Write
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Read, Step, in_order, nobody, same_key

LOCAL_QUEUE_NAME_LABEL: Final = "kueue.x-k8s.io/local-queue-name"


class WorkloadController:
    """Reconciles jobs of one kind with their Workloads. Stateless."""

    name: ClassVar[str] = "workload"
    watches: Mapping[Resource, KeysOf]
    indexes: Mapping[tuple[Resource, str], Index]

    def __init__(self, kind: JobKind | None = None, policy: Policy = NO_POLICY) -> None:
        self.kind = kind or BatchJob()
        self._policy = policy
        self.watches = {
            self.kind.resource: same_key,
            WORKLOADS: job_of_workload(self.kind),
            PODS: jobs_of_departing_pod(self.kind),
            NODES: jobs_that_wait_for_node(self.kind),
            PLACEMENTS: nobody,
            RESOURCE_FLAVORS: jobs_waiting_for_flavor(self.kind),
            WORKLOAD_PRIORITY_CLASSES: jobs_of_class(self.kind),
            PRIORITY_CLASSES: jobs_without_workload(self.kind),
        }
        if policy.manage_all:
            self.watches = {**self.watches, NAMESPACES: jobs_in_namespace(self.kind)}
        self.indexes = {
            (PODS, WORKLOAD_INDEX): pods_by_workload,
            (PODS, BY_NODE): pods_by_node,
            (WORKLOADS, PRIORITY_CLASS_INDEX): workloads_by_priority_class,
            (self.kind.resource, PREBUILT_INDEX): jobs_by_prebuilt,
        }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        job = read.get(self.kind.resource, *key)
        if job is None:
            return NOTHING  # what is left of it is the business of garbage collection and of `afterlife`
        owned = [
            item
            for item in read.owned_by(WORKLOADS, job.meta.uid)
            if item.meta.controller and item.meta.controller.uid == job.meta.uid
        ]
        leaving = [item for item in owned if item.meta.deletion_timestamp]
        if leaving:
            return self._let_go(job, leaving[0], read, now)
        if job.meta.deletion_timestamp or for_owner(job.meta.controller) is not None:
            return NOTHING
        return self._reconcile(job, owned, read, now)

    # ------------------------------------------------------------------ the rules, in order

    def _reconcile(self, job: Object, owned: Sequence[Object], read: Read, now: int) -> Step:
        value = job.decode()
        if not queue_of(value) and not owned and not self._policy.holds(job, read):
            return NOTHING
        suspended = self.kind.is_suspended(value)
        end = self.kind.finished(job)
        prebuilt = prebuilt_of(job.meta.labels, job.meta.annotations)
        if prebuilt and end is None and (step := self._take_over(job, value, suspended, prebuilt, read, now)):
            return step
        workload, others = self._choose(job, suspended, owned, prebuilt)
        if end is None and others:
            return in_order(
                *(Delete(item.ref, item.meta.uid) for item in others),
                notes=[
                    Note(
                        job,
                        "Normal",
                        "DeletedWorkload",
                        f"Deleted not matching Workload: {item.meta.namespace}/{item.meta.name}",
                    )
                    for item in others
                ],
            )
        if workload is None:
            return NOTHING if end else self._without_workload(job, value, suspended, read)
        if is_finished(workload):
            return NOTHING  # its Placement holds nothing any more; it says where the work ran until the Workload goes
        if end is not None:
            reason = "Succeeded" if end.succeeded else "Failed"
            # No event beside it: the job's own, Completed or Failed, has just said so.
            return in_order(Update(WORKLOADS, finished(workload, reason, end.message, now), "status"))
        if is_evicted(workload) and holds_quota(workload):
            condition = find_condition(workload.view(WorkloadView).status.conditions, "Evicted")
            assert condition is not None
            return self._release(job, value, suspended, workload, condition.reason, condition.message, read, now)
        if not says_the_same(self.kind, job, suspended, workload):
            if not suspended and holds_quota(workload) and (shrunk := smaller(self.kind.pod_sets(job), workload)):
                return in_order(Update(WORKLOADS, shrunk))
            return self._resolve_difference(job, value, suspended, workload, read)
        update = self._follow_spec(job, value, suspended, workload, read)
        if update is not None:
            return update
        if is_admitted(workload):
            return self._start(job, value, workload, read, now) if suspended else self._progress(job, workload, now)
        if not suspended:
            return self._stop(job, value, "Not admitted by cluster queue")
        news = pending_news(workload.view(WorkloadView).status.admission_checks) if holds_quota(workload) else ""
        return Step(notes=(Note(job, "Normal", "UpdatedAdmissionCheck", news),)) if news else NOTHING

    def _take_over(self, job: Object, value: Json, suspended: bool, name: str, read: Read, now: int) -> Step | None:
        """What a job that names its Workload has to wait for or to write; None once it is the job's own and says what
        the job says."""
        workload = read.get(WORKLOADS, job.meta.namespace, name)
        owner = workload.meta.controller if workload is not None else None
        if workload is None or (owner is not None and owner.uid != job.meta.uid):
            if not suspended:
                return self._stop(job, value, "missing workload")
            why = "does not exist (yet)" if owner is None else f"belongs to {owner.kind} {owner.name}"
            text = f"It waits for Workload {name}, as its {PREBUILT_NAME} says; that {why}. Create it, or name another"
            return Step(notes=(Note(job, "Warning", "WorkloadNotFound", text),))
        if owner is None:
            return in_order(Update(WORKLOADS, taken_over(workload, job)))
        if is_finished(workload):
            condition = find_condition(workload.view(WorkloadView).status.conditions, "Finished")
            is_out = condition is not None and condition.reason == OUT_OF_SYNC
            return self._stop(job, value, "missing workload") if is_out and not suspended else None
        if not says_the_same(self.kind, job, suspended, workload):
            message = "The prebuilt workload is out of sync with its user job"
            return in_order(Update(WORKLOADS, finished(workload, OUT_OF_SYNC, message, now), "status"))
        return None

    def _choose(
        self, job: Object, suspended: bool, owned: Sequence[Object], prebuilt: str
    ) -> tuple[Object | None, Sequence[Object]]:
        """The Workload to keep (the one it names; the first that says the same, else the first) and those that are too
        many."""
        if prebuilt:
            kept = next((item for item in owned if item.meta.name == prebuilt), None)
            return kept, [item for item in owned if item is not kept]
        if len(owned) <= 1:
            return (owned[0] if owned else None), ()
        kept = next((item for item in owned if says_the_same(self.kind, job, suspended, item)), owned[0])
        return kept, [item for item in owned if item is not kept]

    def _without_workload(self, job: Object, value: Json, suspended: bool, read: Read) -> Step:
        if not suspended:
            return self._stop(job, value, "Missing Workload; unable to restore pod templates")
        if self.kind.is_active(job):
            return NOTHING
        pod_sets = self.kind.pod_sets(job)
        if all(item["count"] == 0 for item in pod_sets):
            return NOTHING  # nothing to queue for: no pod wanted
        priority = resolve_priority(job, pod_sets, read)
        if isinstance(priority, UnknownClass):
            return Step(notes=(_unknown_class(job, priority),))
        created = build_workload(job, pod_sets, priority, self._policy.labels_to_copy)
        return in_order(
            Create(WORKLOADS, created),
            notes=[
                Note(job, "Normal", "CreatedWorkload", f"Created Workload: {job.meta.namespace}/{workload_name(job)}")
            ],
        )

    def _resolve_difference(self, job: Object, value: Json, suspended: bool, workload: Object, read: Read) -> Step:
        """The job changed. A pending Workload follows it in place; one that holds quota makes room for a new one."""
        if not suspended:
            return self._stop(
                job, value, "No matching Workload; restoring pod templates according to existent Workload"
            )
        if holds_quota(workload):
            return in_order(
                Delete(workload.ref, workload.meta.uid),
                notes=[Note(job, "Normal", "DeletedWorkload", f"Deleted not matching Workload: {_path(workload)}")],
            )
        pod_sets = self.kind.pod_sets(job)
        priority = resolve_priority(job, pod_sets, read)
        if isinstance(priority, UnknownClass):
            return Step(notes=(_unknown_class(job, priority),))
        changed = workload.decode()
        changed["spec"]["podSets"] = pod_sets
        name_queue(changed["spec"], queue_of(value))
        priority.write(changed["spec"])
        return in_order(
            Update(WORKLOADS, changed),
            notes=[
                Note(
                    job,
                    "Normal",
                    "UpdatedWorkload",
                    f"Updated not matching Workload for suspended job: {_path(workload)}",
                )
            ],
        )

    def _follow_spec(self, job: Object, value: Json, suspended: bool, workload: Object, read: Read) -> Step | None:
        """Queue name (while suspended) and priority class labels are followed; None if the Workload already says so."""
        spec = workload.view(WorkloadView).spec
        queue = queue_of(value) if suspended and not holds_quota(workload) else spec.queue_name
        priority = resolve_priority(job, self.kind.pod_sets(job), read) if priority_class_of(value) else Priority()
        is_new = isinstance(priority, Priority) and _may_follow(priority, workload) and not priority.is_of(spec)
        seconds = max_execution_of(job.meta.labels) if suspended and not holds_quota(workload) else None
        is_limit_new = seconds is not None and seconds != spec.maximum_execution_time_seconds
        gates = gates_of(job.meta.annotations)
        is_gated_anew = gates != gates_of(workload.meta.annotations) and not prebuilt_of(
            job.meta.labels, job.meta.annotations
        )
        if queue == spec.queue_name and not is_new and not is_limit_new and not is_gated_anew:
            return None
        changed = workload.decode()
        if is_gated_anew:
            set_gates(changed, gates)
        name_queue(changed["spec"], queue)
        if is_limit_new:
            changed["spec"]["maximumExecutionTimeSeconds"] = seconds
        if is_new and isinstance(priority, Priority):
            priority.write(changed["spec"])
        return in_order(Update(WORKLOADS, changed))

    def _progress(self, job: Object, workload: Object, now: int) -> Step:
        counts = {} if is_elastic(job.meta.annotations) else self.kind.reclaimable(job)
        changed = with_reclaimable(workload, counts) if counts else None
        if self._policy.pods_ready is not None:
            value = workload.decode() if changed is None else changed
            if pods_ready.follow(value, self.kind.pods_ready(job), now):
                changed = value
        return in_order(Update(WORKLOADS, changed, "status")) if changed else NOTHING

    # ------------------------------------------------------------------ start and stop

    def _start(self, job: Object, value: Json, workload: Object, read: Read, now: int) -> Step:
        infos = self._infos(workload, read)
        if infos is None:
            return NOTHING  # a flavor is not there (yet); its appearance wakes this key
        status = workload.view(WorkloadView).status
        admission = status.admission
        assert admission is not None
        try:
            self.kind.start(value, with_updates(infos, status.admission_checks))
            if status.admission_checks:
                check_place(status.admission_checks, read.get(PLACEMENTS, *workload.key), read)
        except CannotInject as error:
            return in_order(
                Update(WORKLOADS, finished(workload, "FailedToStart", str(error), now), "status"),
                notes=[Note(job, "Warning", "FailedToStart", str(error))],
            )
        return in_order(
            Update(self.kind.resource, value),
            notes=[Note(job, "Normal", "Started", f"Admitted by clusterQueue {admission.cluster_queue}")],
        )

    def _infos(self, workload: Object, read: Read) -> list[PodSetInfo] | None:
        view = workload.view(WorkloadView)
        admission = view.status.admission
        assignments = {item.name: item for item in admission.pod_set_assignments} if admission else {}
        infos = []
        for pod_set in view.spec.pod_sets:
            assignment = assignments.get(pod_set.name)
            selector: dict[str, str] = {}
            tolerations: list[Json] = []
            for name in dict.fromkeys(assignment.flavors.values() if assignment else ()):
                flavor = read.get(RESOURCE_FLAVORS, "", name)
                if flavor is None:
                    return None
                selector.update(flavor.view(ResourceFlavorView).spec.node_labels)
                tolerations += flavor.decode().get("spec", {}).get("tolerations") or ()
            infos.append(
                PodSetInfo(
                    name=pod_set.name,
                    count=pod_set.count if assignment is None or assignment.count is None else assignment.count,
                    node_selector=selector,
                    tolerations=tolerations,
                    labels={PODSET_LABEL: pod_set.name, LOCAL_QUEUE_NAME_LABEL: view.spec.queue_name},
                    annotations={WORKLOAD_ANNOTATION: workload.meta.name},
                )
            )
        return infos

    def _stop(self, job: Object, value: Json, message: str) -> Step:
        self.kind.set_suspended(value, True)
        return in_order(Update(self.kind.resource, value), notes=[Note(job, "Normal", "Stopped", message)])

    def _release(
        self,
        job: Object,
        value: Json,
        suspended: bool,
        workload: Object,
        reason: str,
        message: str,
        read: Read,
        now: int,
    ) -> Step:
        """Stop, wait until nothing of it is alive, restore the job, and only then give everything back."""
        if not suspended:
            return self._stop(job, value, message)
        alive = live_pods(read, workload, now)
        if alive or self.kind.is_active(job, out_of_reach=len(lost_pods(read, workload, now))):
            return Step(again_at=end_of_grace(alive, now))
        return self._forget_start(job, workload) or in_order(
            *self._restore(value, workload),
            *drop_placement(workload, read),
            Update(WORKLOADS, released(workload, reason, message, now), "status"),
            confirm=(all_seen(read, workload),),
        )

    def _let_go(self, job: Object, workload: Object, read: Read, now: int) -> Step:
        """The Workload is being deleted: the same stop, then its finalizer goes instead of its reservation."""
        value = job.decode()
        gone = job.meta.deletion_timestamp is not None
        if not gone and not is_finished(workload) and self.kind.finished(job) is None:
            if not self.kind.is_suspended(value):
                return self._stop(job, value, "Workload is deleted")
            if self.kind.is_active(job, out_of_reach=len(lost_pods(read, workload, now))):
                return Step(again_at=end_of_grace(live_pods(read, workload, now), now))
        alive = live_pods(read, workload, now)
        if alive:
            return Step(again_at=end_of_grace(alive, now))
        restored: tuple[Write, ...] = ()
        if not gone and not is_finished(workload) and not self.kind.finished(job):
            first = self._forget_start(job, workload)
            if first is not None:
                return first
            restored = self._restore(value, workload)
        finalizer = (
            (Update(WORKLOADS, without_finalizer(workload)),) if IN_USE_FINALIZER in workload.meta.finalizers else ()
        )
        # Who is finished made his last pod long ago; who never held anything has nothing to take away from under a pod.
        may_have_more = holds_quota(workload) and not is_finished(workload)
        confirm = (all_seen(read, workload),) if may_have_more else ()
        return in_order(*restored, *drop_placement(workload, read), *finalizer, confirm=confirm)

    def _forget_start(self, job: Object, workload: Object) -> Step | None:
        """What has to be written before the job may be restored, and seen: both change the same object."""
        value, told = job.decode(), job.decode()
        if not self.kind.forget_start(told) or not self._restore(value, workload):
            return None
        return in_order(Update(self.kind.resource, told, "status"))

    def _restore(self, value: Json, workload: Object) -> tuple[Write, ...]:
        pod_sets = workload.decode()["spec"]["podSets"]
        return (Update(self.kind.resource, value),) if self.kind.restore(value, pod_sets) else ()


def _may_follow(priority: Priority, workload: Object) -> bool:
    """A label may change the class at any time, but not add one to, or remove it from, a workload that holds quota; the
    priority of a pod's PriorityClass stays what it was when the Workload was made (kueue 1.6, 2.13)."""
    ref = workload.view(WorkloadView).spec.priority_class_ref
    if ref is not None and ref.kind == "PriorityClass":
        return priority.kind == "WorkloadPriorityClass" and not holds_quota(workload)
    if priority.kind != "WorkloadPriorityClass":
        return False
    return ref is not None or not holds_quota(workload)


def _path(workload: Object) -> str:
    return f"{workload.meta.namespace}/{workload.meta.name}"


def _unknown_class(job: Object, unknown: UnknownClass) -> Note:
    reason = "WorkloadPriorityClassNotFound" if unknown.resource == "WorkloadPriorityClass" else "PriorityClassNotFound"
    return Note(
        job,
        "Warning",
        reason,
        f'{unknown.resource} "{unknown.name}" does not exist, so the job is not queued; '
        f"create it, or name one of `kubectl get {unknown.resource.lower()}es`",
    )
