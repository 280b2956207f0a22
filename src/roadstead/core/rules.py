"""What may be configured about deciding. One frozen value, given to every cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """`place_all`: every admitted gang gets nodes and devices, flavors without a topology included (embedded world, where
    admission decides jointly). Off: only flavors with a topology are placed, the rest is quota only (as Kueue does).

    `node_tolerance`: so many nanoseconds a placed gang waits for a node that is not ready, before it is evicted and placed anew;
    one whose node is gone is evicted at once (kueue.md 4.8). Less than the 300 s after which Kubernetes ends the pods of such a
    node one by one, which would count as failures of their job.

    `beside_victims`: who is admitted in a cycle must fit beside the victims of that cycle, which still hold their quota, so that no
    more is ever in use than there is. Off: only instead of them, as in Kueue, which overcommits until they have left.

    `fair_sharing`: turns and preemption go by dominant resource share, with these preemption strategies in order (Kueue's
    LessThanOrEqualToFinalShare and LessThanInitialShare; kueue.md 3.10). Empty: classic, by borrowing level and priority.
    """

    place_all: bool = True
    node_tolerance: int = 240 * SECOND
    beside_victims: bool = True
    fair_sharing: tuple[str, ...] = ()
