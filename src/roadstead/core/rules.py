"""What may be configured about deciding. One frozen value, given to every cycle."""

from __future__ import annotations

from typing import Final

import msgspec

from roadstead.model.resources import PLAIN, ResourceRules

SECOND: Final = 1_000_000_000


class WaitForPodsReady(msgspec.Struct, frozen=True):
    """How long an admitted workload may take until all its pods are ready, and what follows when it takes longer (Kueue
    KEP-349, KEP-1282; kueue.md 1.12, 2.7). Times are nanoseconds.

    `timeout` counts from admission. `recovery_timeout` counts from the moment at which pods that were all ready no
    longer are; 0: for ever. `block_admission`: nobody is admitted while an admitted workload waits for its pods.
    `backoff_limit`: so many evictions for this, then the workload is deactivated; None: no limit. The wait before
    attempt n+1 is `backoff_base` doubled n-1 times, at most `backoff_max`. `by_creation`: an evicted workload keeps its
    place in the queue; else it goes behind those created before the eviction.
    """

    timeout: int = 1800 * SECOND
    recovery_timeout: int = 1800 * SECOND
    block_admission: bool = False
    backoff_limit: int | None = None
    backoff_base: int = 60 * SECOND
    backoff_max: int = 3600 * SECOND
    by_creation: bool = False


class AdmissionFairSharing(msgspec.Struct, frozen=True):
    """How LocalQueues of one usage-based ClusterQueue take turns (Kueue KEP-4136): what was used counts half as much
    after `half_life` nanoseconds (0: at once nothing), is sampled every `interval`, and counts by resource as `weights`
    say, in thousandths; resources that are not named count once."""

    half_life: int = 168 * 3600 * SECOND
    interval: int = 300 * SECOND
    weights: tuple[tuple[str, int], ...] = ()


class Rules(msgspec.Struct, frozen=True):
    """`place_all`: every admitted gang gets nodes and devices, flavors without a topology included (embedded world,
    where admission decides jointly). Off: only flavors with a topology are placed, the rest is quota only (as Kueue
    does).

    `node_tolerance`: so many nanoseconds a placed gang waits for a node that is not ready, before it is evicted and
    placed anew; one whose node is gone is evicted at once (kueue.md 4.8). Less than the 300 s after which Kubernetes
    ends the pods of such a node one by one, which would count as failures of their job.

    `beside_victims`: who is admitted in a cycle must fit beside the victims of that cycle, which still hold their
    quota, so that no more is ever in use than there is. Off: only instead of them, as in Kueue, which overcommits until
    they have left.

    `fair_sharing`: turns and preemption go by dominant resource share, with these preemption strategies in order
    (Kueue's LessThanOrEqualToFinalShare and LessThanInitialShare; kueue.md 3.10). Empty: classic, by borrowing level
    and priority.

    `feud_turns`: workloads that displace one another in a circle may do so this many times each; then the circle is
    broken, and said so (`preemption/feuds.py`). Kueue goes on for ever. 1: nobody takes a place back from who displaced
    it; 0: no end.

    `priority_boost`: the annotation of that name on a Workload adds to its priority (KEP-7990).

    `admission_sharing`: LocalQueues of one usage-based ClusterQueue take turns by what they used lately. None: by
    priority and time.

    `resources`: what quota is charged for (`core/quota/charges.py`).

    `pods_ready`: admitted workloads must get their pods ready in time. None: they may take as long as they like.
    """

    place_all: bool = True
    node_tolerance: int = 240 * SECOND
    beside_victims: bool = True
    fair_sharing: tuple[str, ...] = ()
    feud_turns: int = 3
    priority_boost: bool = False
    admission_sharing: AdmissionFairSharing | None = None
    resources: ResourceRules = PLAIN
    pods_ready: WaitForPodsReady | None = None
