"""How long Workloads that are over are kept (objectRetentionPolicies, KEP-1618; kueue 2.8)."""

from __future__ import annotations

from roadstead.controllers.workload.policy import Policy
from roadstead.controllers.workload.status import holds_quota
from roadstead.integrations import for_owner
from roadstead.kinds.object import Object, Ref
from roadstead.kinds.times import parse_time
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.runtime.cluster import Delete
from roadstead.runtime.step import Note, Read, Step, in_order


def expire_finished(workload: Object, policy: Policy, now: int) -> Step | None:
    """Delete a finished Workload whose time is over, or say when it will be; None if it is kept. Whoever lets go of it
    takes the finalizer off; its job stays as it is."""
    condition = find_condition(workload.view(WorkloadView).status.conditions, "Finished")
    if policy.delete_finished is None or condition is None or not condition.last_transition_time:
        return None
    at = parse_time(condition.last_transition_time) + policy.delete_finished
    return Step(again_at=at) if at > now else in_order(Delete(workload.ref, workload.meta.uid))


def expire_deactivated(workload: Object, policy: Policy, read: Read, now: int) -> Step | None:
    """Delete the job of a Workload that was deactivated for a cause, or say when; None if it is kept. What a user
    deactivates by hand stays."""
    view = workload.view(WorkloadView)
    if policy.delete_deactivated is None or view.spec.active is not False or holds_quota(workload):
        return None
    evicted = find_condition(view.status.conditions, "Evicted")
    owner = workload.meta.controller
    kind = for_owner(owner)
    if evicted is None or not evicted.is_true or not evicted.reason.startswith("DeactivatedDueTo"):
        return None
    if owner is None or kind is None or not evicted.last_transition_time:
        return None
    at = parse_time(evicted.last_transition_time) + policy.delete_deactivated
    if at > now:
        return Step(again_at=at)
    job = read.get(kind.resource, workload.meta.namespace, owner.name)
    if job is None or job.meta.uid != owner.uid or job.meta.deletion_timestamp:
        return None
    delete = Delete(Ref(kind.resource, job.meta.namespace, job.meta.name), job.meta.uid, propagation="Background")
    return in_order(
        delete, notes=[Note(workload, "Normal", "Deleted", "Deleted the owner because the workload was deactivated")]
    )
