"""Admitted, and nothing of it has started: what its pods wait for, in the words of the node that has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from roadstead.kinds.names import JOBS, NODES, PODS
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.node import NodeView
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.step import Read
from roadstead.views.workload import State, WorkloadLine

UNREMARKABLE = "ContainerCreating"
"""What every container says for a moment."""


@dataclass(frozen=True, slots=True)
class Starting:
    """`reason` in one word, and the sentence."""

    reason: str
    message: str


def pods_of(workload: Object, read: Read) -> Sequence[Object]:
    """The pods of a workload's job, and those of the jobs that the job has made. O(result)."""
    owner = workload.meta.controller
    if owner is None:
        return ()
    pods = list(read.owned_by(PODS, owner.uid))
    if not pods:
        pods = [pod for job in read.owned_by(JOBS, owner.uid) for pod in read.owned_by(PODS, job.meta.uid)]
    return pods


def starting(pods: Sequence[Object], read: Read) -> Starting | None:
    """What keeps these pods from starting, of the one that says most; None as soon as one has started, and if there are
    none."""
    found: list[Starting] = []
    for pod in pods:
        view = pod.view(PodView)
        if view.status.phase != "Pending":
            return None
        found.append(_wait_of(pod.meta.name, view, read))
    return max(found, key=lambda each: (each.reason != UNREMARKABLE, bool(each.message)), default=None)


def as_it_stands(line: WorkloadLine, workload: Object, read: Read) -> WorkloadLine:
    """The line of a workload; one that is admitted and has not started says so. O(its pods)."""
    found = starting(pods_of(workload, read), read) if line.state is State.RUNNING else None
    return line if found is None else replace(line, state=State.STARTING, reason=found.reason, message=found.message)


def _wait_of(name: str, pod: PodView, read: Read) -> Starting:
    node = pod.spec.node_name
    if not node:
        return Starting("NotBound", f"pod {name} has no node yet")
    stored = read.get(NODES, "", node)
    ready = find_condition(stored.view(NodeView).status.conditions, "Ready") if stored is not None else None
    if ready is not None and not ready.is_true:
        said = f" ({ready.message.rstrip('.')})" if ready.message else ""
        return Starting("NodeNotReady", f"node {node} is not ready{said}: nobody starts pod {name} there meanwhile")
    for status in (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())):
        waiting = status.state.waiting if status.state is not None else None
        if waiting is not None and waiting.reason and waiting.reason not in (UNREMARKABLE, "PodInitializing"):
            said = f": {waiting.message}" if waiting.message else ""
            return Starting(waiting.reason, f"container {status.name} of pod {name} waits: {waiting.reason}{said}")
    return Starting(UNREMARKABLE, f"node {node} is preparing pod {name}")
