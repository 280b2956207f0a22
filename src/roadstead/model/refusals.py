"""Refusals are data: what was evaluated and not done, with the numbers that prove it, made at the moment of refusing.

Sentences, conditions, events, metrics and Slurm reasons are rendered from these values alone, so they can never
disagree.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from roadstead.model.workload import WorkloadKey


class Verdict(StrEnum):
    WAIT = "wait"  # time alone will solve it
    CHANGE = "change"  # the request can never fit as written
    ASK = "ask"  # someone with more rights must act


class Level(StrEnum):
    WORKLOAD = "workload"
    QUEUE = "queue"
    COHORT = "cohort"
    FLAVOR = "flavor"
    FLEET = "fleet"
    NODE = "node"


class Code(StrEnum):
    """Stable, documented, never reworded. PascalCase; names a cause, never the state."""

    # queue and workload
    QUEUE_NOT_FOUND = "LocalQueueNotFound"
    CLUSTER_QUEUE_NOT_FOUND = "ClusterQueueNotFound"
    CLUSTER_QUEUE_INACTIVE = "ClusterQueueInactive"
    QUEUE_STOPPED = "QueueStopped"
    NAMESPACE_MISMATCH = "NamespaceMismatch"
    WORKLOAD_INACTIVE = "WorkloadInactive"
    ADMISSION_GATED = "AdmissionGated"  # an annotation says that others want to be done with it first
    ON_HOLD = "OnHold"  # its own controller wants no quota for it now
    CHECKS_FAILED = "AdmissionChecksFailed"  # a check says Retry or Rejected, and has not been reset
    REQUESTS_ABOVE_LIMITS = "RequestsAboveLimits"
    OUT_OF_LIMIT_RANGE = "OutOfLimitRange"  # a LimitRange of its namespace allows no such pods
    BACKOFF = "Backoff"
    BEHIND_HEAD = "BehindHead"  # waits its turn: another workload is the head of its queue
    NOT_EVALUATED = "NotEvaluated"  # nothing is known yet: no cycle looked at it
    # flavors and quota
    RESOURCE_NOT_COVERED = "ResourceNotCovered"
    FLAVOR_NOT_FOUND = "FlavorNotFound"
    UNTOLERATED_TAINT = "UntoleratedTaint"
    NODE_AFFINITY_MISMATCH = "NodeAffinityMismatch"
    FLAVOR_TOPOLOGY_MISMATCH = "FlavorTopologyMismatch"  # topology asked for and not there, or there and not asked for
    EXCEEDS_MAX_QUOTA = "ExceedsMaxQuota"  # more than the queue could ever have
    WAITING_FOR_QUOTA = "WaitingForQuota"  # quota exists and is in use
    NO_PREEMPTION_CANDIDATES = "NoPreemptionCandidates"
    PENDING_PREEMPTION = "PendingPreemption"  # victims were asked to go
    WAITING_FOR_PODS_READY = "WaitingForPodsReady"  # nobody is admitted while pods of somebody admitted are not ready
    OVERTAKEN_IN_CYCLE = "OvertakenInCycle"  # fitted when nominated, taken by an entry before it
    PREEMPTION_LOOP = "PreemptionLoop"  # it and others displaced one another in a circle, which was broken
    CYCLES_EXHAUSTED = "CyclesExhausted"  # a bound was hit while deciding: workloads displace one another for ever
    # fleet
    NO_NODE_MATCHES = "NoNodeMatches"  # nodes filtered out by label, taint, readiness
    NODES_EXHAUSTED = "NodesExhausted"  # matching nodes lack free amounts
    DEVICES_EXHAUSTED = "DevicesExhausted"  # matching nodes lack free devices
    TOPOLOGY_TOO_SMALL = "TopologyTooSmall"  # no domain could hold it even when empty
    TOPOLOGY_FULL = "TopologyFull"  # a domain could hold it when others leave
    # claims
    CLAIM_NOT_FOUND = "ResourceClaimNotFound"  # a claim, or the template of one, that does not exist (yet)
    CLAIM_UNUSABLE = "ResourceClaimUnusable"  # it exists, and is being deleted or used by as many as may use it
    CLAIM_INVALID = "ResourceClaimInvalid"  # no node will ever do: a class is missing, a selector fails


class Refusal(msgspec.Struct, frozen=True):
    """One reason why one workload was not admitted in one evaluation.

    `needed`, `available` and `limit` are canonical amounts of `resource`; `limit` is the most that could ever be
    available. `blockers` hold what is missing, in the order in which they would be asked to give it back.
    `counts` says how many nodes (or devices) were left out and why, e.g. (("taint", 3), ("cpu", 2)).
    """

    code: Code
    verdict: Verdict
    level: Level
    pod_set: str = ""
    flavor: str = ""
    resource: str = ""
    needed: int = 0
    available: int = 0
    limit: int = 0
    subject: str = ""  # the queue, flavor, taint, level ... the refusal is about
    blockers: tuple[WorkloadKey, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    closest: str = ""  # the domain or node that came closest

    def blocked_by(self, blockers: tuple[WorkloadKey, ...]) -> Refusal:
        """The same with these blockers."""
        return Refusal(
            self.code, self.verdict, self.level, self.pod_set, self.flavor, self.resource, self.needed, self.available,
            self.limit, self.subject, blockers, self.counts, self.closest,
        )  # fmt: skip
