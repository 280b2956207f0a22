"""Dominant resource share: how much of what can be lent a node has borrowed, of the resource of which it borrowed
most."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

from roadstead.core.quota.tree import QuotaNode, QuotaTree
from roadstead.model.amounts import ResourceName


class Share(NamedTuple):
    """Compares as fair sharing does: a borrower of weight 0 is above everyone else, and two such by what they
    borrowed."""

    infinite: bool
    value: Fraction  # thousandths of the lendable amount, divided by the weight (undivided if infinite)

    @property
    def is_borrowing(self) -> bool:
        return self.infinite or self.value > 0


NOTHING: Final = Share(False, Fraction(0))


def share_of(tree: QuotaTree, node: QuotaNode) -> Share:
    """The share of a ClusterQueue or Cohort as it stands; nothing for a root. O(cells of the tree's root)."""
    if node.parent is None:
        return NOTHING
    borrowed: dict[ResourceName, int] = {}
    for slot, used in node.usage.items():
        above = used - node.subtree.get(slot, 0)
        if above > 0:
            resource = tree.cells[slot][1]
            borrowed[resource] = borrowed.get(resource, 0) + above
    if not borrowed:
        return NOTHING
    lendable = dict.fromkeys(borrowed, 0)
    for slot in node.root.subtree:
        resource = tree.cells[slot][1]
        if resource in lendable:
            lendable[resource] += node.parent.potential_available(slot)
    highest = max(
        (
            Fraction(1000 * amount, lendable[resource])
            for resource, amount in borrowed.items()
            if lendable[resource] > 0
        ),
        default=Fraction(0),
    )
    if not highest:
        return NOTHING
    if node.weight_milli == 0:
        return Share(True, highest)
    return Share(False, highest * 1000 / node.weight_milli)
