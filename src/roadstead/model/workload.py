"""A workload: a gang of pod sets that is admitted whole or not at all (Kueue's Workload, without its prose)."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from roadstead.model.amounts import Amounts, FlavorName, ResourceName
from roadstead.model.dra import Allocation, PodClaim
from roadstead.model.selection import NodeTerm, Toleration

WorkloadKey: TypeAlias = tuple[str, str]
"""(namespace, name)"""


class TopologyRequest(msgspec.Struct, frozen=True):
    """How close together the pods of a set must be; at most one of required, preferred, unconstrained (Kueue
    KEP-2724)."""

    required: str = ""  # a topology level, i.e. a node label key
    preferred: str = ""
    unconstrained: bool = False
    group: str = ""  # podSetGroupName: two pod sets placed together
    slice_level: str = ""
    slice_size: int = 0
    slice_layers: tuple[tuple[str, int], ...] = ()  # podsetSliceRequiredTopologyConstraints, coarse to fine


class OutOfRange(msgspec.Struct, frozen=True):
    """A container (`where` names it; "": the whole pod) asks for an amount that LimitRanges of its namespace do not
    allow: more than the most, or less than the least, that `bound` is."""

    where: str
    resource: ResourceName
    asked: int
    bound: int


class PodClass(msgspec.Struct, frozen=True, cache_hash=True):
    """What matters for deciding about a pod. Equal pods share one instance after interning in the World.

    `requests` are the effective requests of one pod (max of init containers and the sum of containers, plus overhead),
    canonical, sorted by resource name; devices are requested by count through extended resource names, or by `claims`.
    """

    requests: tuple[tuple[ResourceName, int], ...] = ()
    node_selector: tuple[tuple[str, str], ...] = ()
    node_affinity: tuple[NodeTerm, ...] = ()  # required terms, ORed; empty = no constraint
    tolerations: tuple[Toleration, ...] = ()
    limits_exceeded: tuple[ResourceName, ...] = ()  # resources whose request is above their own limit
    claims: tuple[PodClaim, ...] = ()
    out_of_range: tuple[OutOfRange, ...] = ()


class PodSet(msgspec.Struct, frozen=True):
    name: str
    count: int
    pod: PodClass
    min_count: int | None = None  # partial admission: the smallest count that makes sense
    topology: TopologyRequest | None = None


class PodSetAssignment(msgspec.Struct, frozen=True):
    """What one pod set got: `usage` is the total of all its pods, per resource that a quota covers."""

    name: str
    count: int
    flavors: tuple[tuple[ResourceName, FlavorName], ...] = ()
    usage: tuple[tuple[ResourceName, int], ...] = ()
    topology: TopologyAssignment | None = None


class TopologyAssignment(msgspec.Struct, frozen=True):
    """Kueue's topologyAssignment: `domains` are (label values, pod count), in Kueue's order (lexicographic by
    values)."""

    levels: tuple[str, ...]
    domains: tuple[tuple[tuple[str, ...], int], ...]


class Admission(msgspec.Struct, frozen=True):
    cluster_queue: str
    pod_sets: tuple[PodSetAssignment, ...]


class WorkloadState(StrEnum):
    """Where a workload stands, as its conditions say."""

    PENDING = "Pending"
    RESERVED = "Reserved"  # QuotaReserved=True; holds quota, evicted or not
    FINISHED = "Finished"


class Workload(msgspec.Struct, frozen=True):
    """The facts of one Workload object. Times are integer nanoseconds since the epoch.

    `queued_at` is the queue-order timestamp (Kueue KEP 2.3: creation, or the eviction time after a PodsReady timeout).
    """

    namespace: str
    name: str
    uid: str
    queue: str  # LocalQueue name in the same namespace; "" = not queued
    pod_sets: tuple[PodSet, ...]
    created_at: int
    queued_at: int
    priority: int = 0
    boost: int = 0  # what its annotation adds to the priority, where such annotations count (KEP-7990)
    active: bool = True
    generation: int = 1
    state: WorkloadState = WorkloadState.PENDING
    admission: Admission | None = None  # while RESERVED
    reserved_at: int = 0  # when quota was reserved; 0 if it is not
    admitted: bool = False
    evicted: str = ""  # reason of condition Evicted=True, else ""
    requeue_blocked: bool = False  # Requeued=False
    requeue_at: int = 0  # back-off; 0 = none
    requeue_count: int = 0  # evictions for pods that were not ready in time, since it was queued or reactivated
    pods_wait: str = ""  # WaitForStart | WaitForRecovery: reason of condition PodsReady=False, else ""
    pods_wait_since: int = 0  # when it was admitted, or its pods ceased to be ready
    kept_out: str = (
        ""  # AdmissionGated | OnHold | WaitingForReplacementPods: in no queue while it is pending (Kueue 2.1)
    )
    gated_by: str = ""  # the controllers that gate its admission, as its annotation lists them (KEP-6915)
    failed_checks: str = ""  # Retry | Rejected: what an admission check says that is against it (KEP-993)
    reclaimable: tuple[tuple[str, int], ...] = ()  # pod set -> pods whose quota is no longer needed
    placement: Placement | None = None  # what its Placement object says, while there is one

    @property
    def key(self) -> WorkloadKey:
        return (self.namespace, self.name)


class Member(msgspec.Struct, frozen=True):
    """Where one pod of a gang goes: a node, the names of the devices there that are its alone, and what each of its
    claims is given, by the pod's name for it."""

    node: str
    devices: tuple[str, ...] = ()
    claims: tuple[tuple[str, Allocation], ...] = ()


class PodSetPlacement(msgspec.Struct, frozen=True):
    """Members in index order: member i of the pod set runs at `members[i]`; all of them use `requests` each. `shared`
    says which of the members' claims are one ResourceClaim for all, (namespace, name)."""

    name: str
    members: tuple[Member, ...]
    requests: tuple[tuple[ResourceName, int], ...] = ()
    shared: tuple[tuple[str, tuple[str, str]], ...] = ()


class Placement(msgspec.Struct, frozen=True):
    """Node and devices of every member of a gang, decided together and written once (design: the Placement object)."""

    pod_sets: tuple[PodSetPlacement, ...]


class Pod(msgspec.Struct, frozen=True):
    """A pod that no queue admits: it occupies a node (once bound) or asks for one. Pods of workloads are not listed
    here: their Placement speaks for them."""

    namespace: str
    name: str
    uid: str
    pod: PodClass
    created_at: int
    priority: int = 0
    node: str = ""  # "" = wants a place
    devices: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return (self.namespace, self.name)


def total(pod: PodClass, count: int) -> Amounts:
    """Requests of `count` pods of this class."""
    return {name: amount * count for name, amount in pod.requests}
