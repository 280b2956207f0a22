"""What a pod set asks for, as counts to look at (`Demand`) and what to look for in them (`Want`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from roadstead.core.fleet.ask import PodSetAsk
from roadstead.core.fleet.claim_needs import NO_CLAIMS, Needs
from roadstead.core.fleet.demand import HOSTNAME, NODE_LEVEL, Demand
from roadstead.core.fleet.ledger import per_pod
from roadstead.core.fleet.matching import Selection
from roadstead.core.fleet.search import Want
from roadstead.model.dra import Claim
from roadstead.model.selection import NodeTerm, Toleration
from roadstead.model.workload import PodClass, TopologyRequest

_ANYWHERE = TopologyRequest(unconstrained=True)


class UnknownLevelError(Exception):
    """The topology has no such level, or not in this order."""

    def __init__(self, level: str) -> None:
        super().__init__(f"the topology has no level {level} where it is asked for")
        self.level = level


class _Kind(NamedTuple):
    """All of a pod set that decides what is counted: everything but its name and count."""

    pod: PodClass
    node_labels: tuple[tuple[str, str], ...]
    tolerations: tuple[Toleration, ...]
    claims: tuple[Claim, ...]
    pinned: tuple[NodeTerm, ...]

    def selection(self, *, pod_rules: bool) -> Selection:
        if not pod_rules:
            return Selection(self.node_labels, pod_rules=False)
        pod = self.pod
        return Selection(
            self.node_labels,
            pod.tolerations + self.tolerations,
            pod.node_selector,
            pod.node_affinity,
            pinned=self.pinned,
        )


def shape_of(
    workers: PodSetAsk,
    leader: PodSetAsk | None,
    *,
    assume_empty: bool,
    exact: bool,
    needs: Needs = NO_CLAIMS,
    leader_needs: Needs = NO_CLAIMS,
) -> tuple[Demand, Want]:
    """The counts to look at, and what to look for. UnknownLevelError if the topology lacks a level. O(1) for a known
    kind."""
    kind = _Kind(workers.pod, workers.node_labels, workers.tolerations, needs.claims, needs.pinned)
    lead = None
    if leader is not None:
        lead = _Kind(leader.pod, leader.node_labels, leader.tolerations, leader_needs.claims, leader_needs.pinned)
    demand, level, required, unconstrained = _demand(
        kind, lead, workers.levels, workers.request or _ANYWHERE, assume_empty, exact
    )
    count = workers.count
    if exact and demand.slice_size > 1:
        count = -(-count // demand.slice_size) * demand.slice_size  # the last slice gets room whole, to stay together
    return demand, Want(count, level, required, unconstrained)


@lru_cache(maxsize=4096)
def _demand(
    kind: _Kind,
    leader: _Kind | None,
    levels: tuple[str, ...],
    request: TopologyRequest,
    assume_empty: bool,
    exact: bool,
) -> tuple[Demand, int, bool, bool]:
    if exact and levels[-1] != HOSTNAME:
        levels = (*levels, NODE_LEVEL)
    lowest = len(levels) - 1
    layers = request.slice_layers or (
        ((request.slice_level, request.slice_size),) if request.slice_level and request.slice_size > 0 else ()
    )
    for named in (request.required, request.preferred, *(name for name, _ in layers)):
        if named and named not in levels:
            raise UnknownLevelError(named)
    slice_level, slice_size = (levels.index(layers[0][0]), layers[0][1]) if layers else (lowest, 1)
    unconstrained = not request.required and not request.preferred
    if not unconstrained:
        level = levels.index(request.required or request.preferred)
    else:
        level = 0 if layers else lowest
    if level > slice_level:
        raise UnknownLevelError(layers[0][0])
    demand = Demand(
        selection=kind.selection(pod_rules=exact or levels[-1] == HOSTNAME),
        levels=levels,
        requests=per_pod(kind.pod.requests),
        slice_level=slice_level,
        slice_size=slice_size,
        inner=_inner_sizes(levels, layers),
        leader=per_pod(leader.pod.requests) if leader else None,
        leader_selection=leader.selection(pod_rules=True) if leader and exact else None,
        without_workloads=assume_empty,
        by_node=exact,
        claims=kind.claims,
        leader_claims=leader.claims if leader else (),
    )
    return demand, level, bool(request.required), unconstrained


def _inner_sizes(levels: tuple[str, ...], layers: Sequence[tuple[str, int]]) -> tuple[int, ...]:
    """Per level, the slice size of the inner layer that reaches down to it; () without inner layers (Kueue:
    buildSliceSizeAtLevel)."""
    if len(layers) < 2:
        return ()
    sizes = [0] * len(levels)
    above = levels.index(layers[0][0])
    for name, size in layers[1:]:
        level = levels.index(name)
        for each in range(above + 1, level + 1):
            sizes[each] = size
        above = max(above, level)
    return tuple(sizes)
