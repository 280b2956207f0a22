"""How long the pods of an admitted workload may take to be ready, and how long it rests when they took longer.

Rules of Kueue's WaitForPodsReady (KEP-349; back-off: KEP-1282; recovery: KEP-349's recoveryTimeout; kueue.md 2.7),
without its jitter: the same world and time give the same plan. Asked by the cycle, which evicts, and by the workload
controller, which deactivates: both see the same end.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from roadstead.core.plan import EvictionReason
from roadstead.core.rules import WaitForPodsReady
from roadstead.model.workload import Workload

WAIT_FOR_START: Final = "WaitForStart"
"""Reason of PodsReady=False: the pods were never all ready since it was admitted."""
WAIT_FOR_RECOVERY: Final = "WaitForRecovery"
"""Reason of PodsReady=False: they were, and at least one has failed."""

_MOST_DOUBLINGS: Final = 64


def expires_at(cause: str, since: int, policy: WaitForPodsReady) -> int | None:
    """When the patience with pods that are not ready since `since`, for `cause`, is over; None: never."""
    if cause == WAIT_FOR_RECOVERY:
        return since + policy.recovery_timeout if policy.recovery_timeout else None
    return since + policy.timeout


def gives_up(count: int, policy: WaitForPodsReady) -> bool:
    """After `count` evictions for it, is one more too many, so that the workload is deactivated?"""
    return policy.backoff_limit is not None and count + 1 > policy.backoff_limit


def back_off(count: int, policy: WaitForPodsReady) -> int:
    """How long a workload rests after its `count`-th eviction for it (1: the first), in nanoseconds."""
    return min(policy.backoff_base << min(max(count - 1, 0), _MOST_DOUBLINGS), policy.backoff_max)


def under(policy: WaitForPodsReady, fact: Workload) -> Workload:
    """The facts of a workload as the policy lets them count: one that kept its place in the queue when it was evicted
    for this has its old time, and nobody times one whose next eviction is its deactivation (then it is deactivated
    first)."""
    if policy.by_creation and fact.evicted == EvictionReason.PODS_READY_TIMEOUT:
        fact = replace(fact, queued_at=fact.created_at)
    if fact.pods_wait_since and gives_up(fact.requeue_count, policy):
        fact = replace(fact, pods_wait_since=0)
    return fact
