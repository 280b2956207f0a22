"""Condition Active of ClusterQueues and LocalQueues: whether work may enter, and if not, everything that is in the way.

Reasons and messages are Kueue's, in the order in which it tests them (kueue 1.2, 1.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead.controllers.queues.names import checks_of, flavors_of, is_in_circle
from roadstead.kinds.names import ADMISSION_CHECKS, CLUSTER_QUEUES, RESOURCE_FLAVORS, TOPOLOGIES
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import Condition, find_condition, has_condition
from roadstead.kinds.views.kueue import AdmissionCheckView, ClusterQueueView, LocalQueueView, ResourceFlavorView
from roadstead.runtime.step import Read

ACTIVE: Final = "Active"
NOT_STOPPED: Final = (None, "", "None")


@dataclass(frozen=True, slots=True)
class Activity:
    """What the condition should say."""

    is_active: bool
    reason: str
    message: str

    def is_said_by(self, conditions: tuple[Condition, ...], generation: int) -> bool:
        """True if the stored condition says this of this generation already."""
        found = find_condition(conditions, ACTIVE)
        return (
            found is not None
            and found.status in ("True", "False")
            and (found.is_true, found.reason, found.message) == (self.is_active, self.reason, self.message)
            and found.observed_generation == generation
        )


def cluster_queue_activity(queue: Object, read: Read) -> Activity:
    """The first problem gives the reason, the message lists all of them. O(flavors + checks + depth of the cohort)."""
    if queue.meta.deletion_timestamp:
        return Activity(False, "Terminating", "Can't admit new workloads; clusterQueue is terminating")
    spec = queue.view(ClusterQueueView).spec
    problems: list[tuple[str, str]] = []
    if spec.stop_policy not in NOT_STOPPED:
        problems.append(("Stopped", "is stopped"))
    flavors = {name: read.get(RESOURCE_FLAVORS, "", name) for name in flavors_of(queue)}
    missing = [name for name, flavor in flavors.items() if flavor is None]
    if missing:
        problems.append(("FlavorNotFound", f"references missing ResourceFlavor(s): {','.join(missing)}"))
    checks = {name: read.get(ADMISSION_CHECKS, "", name) for name in checks_of(queue)}
    missing = [name for name, check in checks.items() if check is None]
    if missing:
        problems.append(("AdmissionCheckNotFound", f"references missing AdmissionCheck(s): {','.join(missing)}"))
    inactive = [name for name, check in checks.items() if check is not None and not _is_active(check)]
    if inactive:
        problems.append(("AdmissionCheckInactive", f"references inactive AdmissionCheck(s): {','.join(inactive)}"))
    for name, flavor in flavors.items():
        topology = flavor.view(ResourceFlavorView).spec.topology_name if flavor is not None else ""
        if topology and read.get(TOPOLOGIES, "", topology) is None:
            problems.append(("TopologyNotFound", f'there is no Topology "{topology}" for TAS flavor "{name}"'))
    if is_in_circle(spec.cohort_name, read):
        problems.append(("CohortCycleDetected", f'Cohort "{spec.cohort_name}" has a cycle in hierarchy'))
    if problems:
        listed = ", ".join(text for _, text in problems)
        return Activity(False, problems[0][0], f"Can't admit new workloads: {listed}.")
    return Activity(True, "Ready", "Can admit new workloads")


def _is_active(check: Object) -> bool:
    return has_condition(check.view(AdmissionCheckView).status.conditions, ACTIVE)


def local_queue_activity(queue: Object, read: Read) -> Activity:
    """A LocalQueue is as open as what it leads to. O(1)."""
    spec = queue.view(LocalQueueView).spec
    if spec.stop_policy not in NOT_STOPPED:
        return Activity(False, "Stopped", "LocalQueue is stopped")
    cluster_queue = read.get(CLUSTER_QUEUES, "", spec.cluster_queue)
    if cluster_queue is None:
        return Activity(False, "ClusterQueueDoesNotExist", "Can't submit new workloads to clusterQueue")
    known = find_condition(cluster_queue.view(ClusterQueueView).status.conditions, ACTIVE)
    if cluster_queue.meta.deletion_timestamp or not (known is None or known.is_true):
        return Activity(False, "ClusterQueueIsInactive", "Can't submit new workloads to clusterQueue")
    return Activity(True, "Ready", "Can submit new workloads to localQueue")
