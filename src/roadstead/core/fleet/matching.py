"""Which nodes a pod may use at all: readiness, taints, labels, affinity. Amounts are not looked at here.

A `Selection` is what one pod set and its flavor demand of a node. Its `Matcher` remembers the verdict per node class
(the labels that the selection mentions, the taints, readiness), so a fleet of equal nodes is matched once, not per node
or per pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from roadstead.expr.selectors import matches_node_terms
from roadstead.model.nodes import Node
from roadstead.model.selection import NodeTerm, Taint, Toleration

NOT_READY: Final = "notReady"
UNSCHEDULABLE: Final = "unschedulable"
FLAVOR: Final = "flavor"  # lacks a label of the flavor, or of a topology level
TAINT: Final = "taint"
SELECTOR: Final = "nodeSelector"
AFFINITY: Final = "affinity"
CLAIM: Final = "resourceClaim"  # a claim that is allocated already can't be used from there
TEMPORARY: Final = frozenset({NOT_READY, UNSCHEDULABLE})
"""Causes that someone's action on the node removes; the others are the request's own."""

_BLOCKING_EFFECTS: Final = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True, slots=True)
class Selection:
    """What a pod set and its flavor demand of a node. `pod_rules` off: only readiness and the flavor's labels count, as
    for topologies whose lowest level is not a node (Kueue 4.1)."""

    node_labels: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    node_selector: tuple[tuple[str, str], ...] = ()
    node_affinity: tuple[NodeTerm, ...] = ()
    pod_rules: bool = True
    pinned: tuple[NodeTerm, ...] = ()
    """All of them: from where the claims can be used that are allocated already."""


def untolerated(taints: Iterable[Taint], tolerations: tuple[Toleration, ...]) -> Taint | None:
    """The first NoSchedule or NoExecute taint that nothing tolerates."""
    for taint in taints:
        if taint.effect in _BLOCKING_EFFECTS and not any(toleration.tolerates(taint) for toleration in tolerations):
            return taint
    return None


class Matcher:
    """Answers for one Selection, remembered per node class."""

    __slots__ = ("_keys", "_memo", "_needs_name", "_selection")

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        keys = {key for key, _ in (*selection.node_labels, *selection.node_selector)}
        terms = (*selection.node_affinity, *selection.pinned)
        keys.update(requirement.key for term in terms for requirement in term.labels)
        self._keys = tuple(sorted(keys))
        self._needs_name = any(term.fields for term in terms)
        self._memo: dict[object, str | None] = {}

    def cause(self, node: Node, labels: Mapping[str, str]) -> str | None:
        """Why the node is left out, or None if it may be used. O(labels mentioned) once its class is known."""
        values = tuple(labels.get(key) for key in self._keys)
        name = node.name if self._needs_name else ""
        kind = (node.ready, node.unschedulable, node.taints, values, name)
        if kind not in self._memo:
            if len(self._memo) > 4096:
                self._memo.clear()
            self._memo[kind] = self._find_cause(node, labels)
        return self._memo[kind]

    def _find_cause(self, node: Node, labels: Mapping[str, str]) -> str | None:
        wanted = self._selection
        if any(labels.get(key) != value for key, value in wanted.node_labels):
            return FLAVOR
        if not node.ready:
            return NOT_READY
        if node.unschedulable:
            return UNSCHEDULABLE
        if not wanted.pod_rules:
            return None
        if untolerated(node.taints, wanted.tolerations) is not None:
            return TAINT
        if any(labels.get(key) != value for key, value in wanted.node_selector):
            return SELECTOR
        if wanted.node_affinity and not matches_node_terms(wanted.node_affinity, labels, node.name):
            return AFFINITY
        if not all(matches_node_terms((term,), labels, node.name) for term in wanted.pinned):
            return CLAIM
        return None
