"""Which of several refusals binds: the one that has to change for the workload to go on (after kueue.md 3.5.6).

Flavors are alternatives, so of one pod set's refusals the mildest binds; pod sets must all fit, so the worst of those
is the answer for the workload.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roadstead.model.refusals import Code, Refusal

_SEVERITY: Final = {
    Code.PENDING_PREEMPTION: 0,
    Code.OVERTAKEN_IN_CYCLE: 0,
    Code.WAITING_FOR_PODS_READY: 0,
    Code.NODES_EXHAUSTED: 1,
    Code.DEVICES_EXHAUSTED: 1,
    Code.TOPOLOGY_FULL: 1,
    Code.WAITING_FOR_QUOTA: 2,
    Code.TOPOLOGY_TOO_SMALL: 3,
    Code.NO_NODE_MATCHES: 3,
    Code.EXCEEDS_MAX_QUOTA: 4,
    Code.OUT_OF_LIMIT_RANGE: 4,  # before a request above the limit that a LimitRange gave
    Code.NO_PREEMPTION_CANDIDATES: 9,  # these two go with another refusal and never bind
    Code.PREEMPTION_LOOP: 9,
}
_OTHERS: Final = 5


def severity(refusal: Refusal) -> int:
    """More is worse: 0 passes by itself, 5 needs another request or another administrator's word."""
    return _SEVERITY.get(refusal.code, _OTHERS)


def ranked(refusals: Sequence[Refusal]) -> tuple[Refusal, ...]:
    """All of them, each once, the binding one first; the others keep their order. O(n log n)."""
    if len(refusals) < 2:
        return tuple(refusals)
    unique = list(dict.fromkeys(refusals))
    best: dict[str, tuple[int, int, int]] = {}
    for at, refusal in enumerate(unique):
        if refusal.code in (Code.NO_PREEMPTION_CANDIDATES, Code.PREEMPTION_LOOP):
            continue
        rank = (severity(refusal), max(0, refusal.needed - refusal.available), at)
        if refusal.pod_set not in best or rank < best[refusal.pod_set]:
            best[refusal.pod_set] = rank
    at_once = [rank for rank in best.values() if rank[0] == 0]
    chosen = min(at_once) if at_once else max(best.values(), key=lambda rank: (rank[0], -rank[2]))
    binding = unique[chosen[2]]
    return (binding, *(refusal for refusal in unique if refusal is not binding))
