"""What is counted in a `Forest`: one kind of pod, on one kind of node, in one topology."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from roadstead.core.fleet.ledger import Requests
from roadstead.core.fleet.matching import Selection
from roadstead.model.dra import Claim

HOSTNAME: Final = "kubernetes.io/hostname"
NODE_LEVEL: Final = ""
"""The level below all labels: the node itself, by name. Stands under topologies that end above the node."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What is counted. Requests are per pod and hold `pods: 1`.

    `slice_level`, `slice_size`: each `slice_size` pods stay within one domain of that level; `inner[level]` is the size
    in whose multiples domains of `level` are filled, 0 for none. `leader`: one pod more, of another class, somewhere.
    `by_node`: a leaf holds what its nodes hold one by one; else what `recorded` says of their sum, as Kueue counts.
    """

    selection: Selection
    levels: tuple[str, ...]
    requests: Requests
    slice_level: int
    slice_size: int = 1
    inner: tuple[int, ...] = ()
    leader: Requests | None = None
    leader_selection: Selection | None = None
    without_workloads: bool = False
    by_node: bool = True
    claims: tuple[Claim, ...] = ()
    """What each pod claims for itself."""
    leader_claims: tuple[Claim, ...] = ()
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = (self.selection, self.levels, self.requests, self.slice_level, self.slice_size, self.inner, self.leader)
        rest = (self.leader_selection, self.without_workloads, self.by_node, self.claims, self.leader_claims)
        object.__setattr__(self, "_hash", hash((*parts, *rest)))

    def __hash__(self) -> int:
        return self._hash  # worked out once: every question looks its demand up
