"""How Kueue 0.19.0 was recorded to work out what a topology leaf has left; for worlds where kube-scheduler has the last
word.

A leaf holds what the sum of its nodes' amounts holds. And a quirk: taking from a leaf exactly what it has left, of
everything, takes nothing. So a leaf that workloads (or earlier pod sets of the same workload) use up to the last unit
counts as if they did not, and is overcommitted. Decisions are compatible with it on purpose; where our own placement is
binding, `by_node` counts are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from roadstead.core.fleet.ledger import PENCIL_PREFIX, NodeLine
from roadstead.model.amounts import ResourceName


def subtract(room: dict[ResourceName, int], taken: Mapping[ResourceName, int]) -> dict[ResourceName, int]:
    """What is left of a room; all of it where everything was taken exactly."""
    left = dict(room)
    for name, amount in taken.items():
        left[name] = left.get(name, 0) - amount
    return left if any(left.values()) else room


def leaf_room(lines: Iterable[NodeLine], *, without_workloads: bool) -> dict[ResourceName, int]:
    """What the nodes of a leaf have left together: capacity less pods outside workloads, less workloads, less the open
    ask."""
    capacity: dict[ResourceName, int] = {}
    usage: dict[ResourceName, int] = {}
    assumed: dict[ResourceName, int] = {}
    for line in lines:
        pencilled: dict[ResourceName, int] = {}
        for holder, share in line.holders.items():
            if holder.startswith(PENCIL_PREFIX):
                _add(pencilled, share.amounts)
        fixed = {name: amount - pencilled.get(name, 0) for name, amount in line.fixed.items()}
        _add(capacity, line.allocatable)
        _add(capacity, fixed, -1)
        _add(usage, line.used)
        _add(usage, line.fixed, -1)
        _add(assumed, pencilled)
    room = capacity
    if not without_workloads and usage:
        room = subtract(room, usage)
    return subtract(room, assumed) if assumed else room


def _add(into: dict[ResourceName, int], amounts: Mapping[ResourceName, int], sign: int = 1) -> None:
    for name, amount in amounts.items():
        into[name] = into.get(name, 0) + sign * amount
