"""The question put to the Fleet: a whole gang at once, answered whole or refused with numbers."""

from __future__ import annotations

import msgspec

from roadstead.model.refusals import Refusal
from roadstead.model.selection import Toleration
from roadstead.model.workload import Placement, PodClass, TopologyAssignment, TopologyRequest


class PodSetAsk(msgspec.Struct, frozen=True):
    """`count` pods of one class, on nodes that carry `node_labels` (of the chosen flavor), with the flavor's
    tolerations added to the pods' own; `levels` are the node label keys of the flavor's topology, coarsest first."""

    name: str
    count: int
    pod: PodClass
    node_labels: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    levels: tuple[str, ...] = ("kubernetes.io/hostname",)
    request: TopologyRequest | None = None


class Ask(msgspec.Struct, frozen=True):
    """All pod sets of a workload. `assume_empty`: could it be placed if no workload used anything (Kueue 3.5.4)?

    `exact`: every pod must have a node that holds it, matches it and has its devices. Off, leaves are counted as Kueue
    was recorded to (see `recorded`), for worlds in which kube-scheduler has the last word; of topologies that end above
    the node, taints, selectors and affinity of pods are then not looked at, and the Placement's nodes are only a guess:
    its domains count.
    """

    pod_sets: tuple[PodSetAsk, ...]
    assume_empty: bool = False
    exact: bool = True


class Found(msgspec.Struct, frozen=True):
    """A place for every member. `topologies[i]` is pod set i's assignment in Kueue's encoding, for flavors with a
    topology."""

    placement: Placement
    topologies: tuple[TopologyAssignment, ...]


Answer = Found | Refusal
