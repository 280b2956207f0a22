"""What may be configured about deciding. One frozen value, given to every cycle."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """`place_all`: every admitted gang gets nodes and devices, flavors without a topology included (embedded world, where
    admission decides jointly). Off: only flavors with a topology are placed, the rest is quota only (as Kueue does).

    `beside_victims`: who is admitted in a cycle must fit beside the victims of that cycle, which still hold their quota, so that no
    more is ever in use than there is. Off: only instead of them, as in Kueue, which overcommits until they have left.

    `fair_sharing`: turns and preemption go by dominant resource share, with these preemption strategies in order (Kueue's
    LessThanOrEqualToFinalShare and LessThanInitialShare; kueue.md 3.10). Empty: classic, by borrowing level and priority.
    """

    place_all: bool = True
    beside_victims: bool = True
    fair_sharing: tuple[str, ...] = ()
