"""All that leaves the core: commands to carry out, a refusal for whatever was evaluated and not done, and memory.

A Plan is a value. The world is left as found; `World.assume(plan)` makes the next cycle see it, `World.forget(command)`
takes back one command that could not be carried out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from roadstead.model.refusals import Refusal
from roadstead.model.workload import Admission, Member, Placement, WorkloadKey


class Admit(msgspec.Struct, frozen=True):
    """Reserve quota for a workload, and nodes and devices where the rules place it. `waits_for_pods`: its pods are
    waited for."""

    workload: WorkloadKey
    uid: str
    admission: Admission
    placement: Placement | None
    waits_for_pods: bool = False


class EvictionReason(StrEnum):
    """Reason of the Evicted condition (Kueue 2.4)."""

    PREEMPTED = "Preempted"
    CLUSTER_QUEUE_STOPPED = "ClusterQueueStopped"
    LOCAL_QUEUE_STOPPED = "LocalQueueStopped"
    DEACTIVATED = "Deactivated"
    NODE_FAILURES = "NodeFailures"
    PODS_READY_TIMEOUT = "PodsReadyTimeout"
    ADMISSION_CHECK = "AdmissionCheck"  # a check asks for another try (KEP-993)
    LOCAL_QUEUE_MISSING = (
        "LocalQueueMissing"  # not told as such: a reservation nobody relied on yet is taken back (Kueue 2.9)
    )
    CLUSTER_QUEUE_MISSING = "ClusterQueueMissing"  # the same
    PLACEMENT_LOST = "PlacementLost"  # ours: somebody deleted the Placement that says where its members run


class Evict(msgspec.Struct, frozen=True):
    """Ask a workload that holds quota to give it up. `cause`: what is behind the reason, where Kueue counts that apart;
    `requeue_count` and `requeue_at`: the back-off that begins with it, if one does."""

    workload: WorkloadKey
    uid: str
    reason: EvictionReason
    preemptor: WorkloadKey | None = None
    preemptor_uid: str = ""
    preemption_reason: str = ""  # InClusterQueue | InCohortReclamation | ...
    cause: str = ""  # WaitForStart | WaitForRecovery
    requeue_count: int = 0
    requeue_at: int = 0


class BindPod(msgspec.Struct, frozen=True):
    """A place for one pod that no queue admits."""

    pod: tuple[str, str]
    uid: str
    member: Member


Command: TypeAlias = Admit | Evict | BindPod


class Forgotten(msgspec.Struct, frozen=True):
    """A command that was assumed could not be carried out: what a World is given besides facts."""

    command: Command


class Requeue(StrEnum):
    """Where a head that was not admitted goes (Kueue 3.2)."""

    HEAP = "heap"
    PARKED = "parked"


class Verdicts(msgspec.Struct, frozen=True):
    """Everything learnt about one workload (or bare pod) in one evaluation; the binding refusal is first."""

    workload: WorkloadKey
    uid: str
    refusals: tuple[Refusal, ...]
    requeue: Requeue = Requeue.HEAP


class Plan(msgspec.Struct, frozen=True):
    """The outcome of one cycle. `memory` is opaque to everyone but the World: queue positions, sticky heads, tried
    flavors."""

    commands: tuple[Command, ...] = ()
    verdicts: tuple[Verdicts, ...] = ()
    memory: tuple[object, ...] = ()
    again_at: int | None = None  # earliest time at which something timed (back-off) can change the outcome

    @property
    def is_idle(self) -> bool:
        """No command: repeating the cycle decides nothing new unless memory moved a queue on."""
        return not self.commands
