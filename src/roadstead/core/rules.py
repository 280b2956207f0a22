"""What may be configured about deciding. One frozen value, given to every cycle."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """`place_all`: every admitted gang gets nodes and devices, flavors without a topology included (embedded world, where
    admission decides jointly). Off: only flavors with a topology are placed, the rest is quota only (as Kueue does).
    """

    place_all: bool = True
