"""May pods of a class use a flavor at all: taints, node selector, required node affinity (kueue.md 3.5.3).

Selector and affinity are looked at only as far as the flavor's own label keys go: the flavor says nothing about others.
"""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.expr.selectors import matches_requirements
from roadstead.model.queues import ResourceFlavor
from roadstead.model.selection import Taint
from roadstead.model.workload import PodClass

REPELLING = ("NoSchedule", "NoExecute")


def untolerated_taint(flavor: ResourceFlavor, pod: PodClass) -> Taint | None:
    """The first taint of the flavor that neither the pods nor the flavor's own tolerations cover."""
    for taint in flavor.node_taints:
        if taint.effect in REPELLING and not any(
            toleration.tolerates(taint) for toleration in (*pod.tolerations, *flavor.tolerations)
        ):
            return taint
    return None


def matches_affinity(flavor: ResourceFlavor, pod: PodClass, keys: Iterable[str]) -> bool:
    """Do node selector and required affinity, restricted to `keys`, hold for the flavor's labels?

    A term that has nothing left after the restriction matches; terms are ORed.
    """
    labels = dict(flavor.node_labels)
    known = set(keys)
    if any(key in known and labels.get(key) != value for key, value in pod.node_selector):
        return False
    if not pod.node_affinity:
        return True
    return any(
        matches_requirements([requirement for requirement in term.labels if requirement.key in known], labels)
        for term in pod.node_affinity
    )
