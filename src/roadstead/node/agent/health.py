"""Which things of a machine are out of order. Simulated devices break by an annotation on their node (`kubectl annotate
node ...`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roadstead.kinds.names import UNHEALTHY_ANNOTATION


def lost(annotations: Mapping[str, str]) -> frozenset[str]:
    """Physical names, as the node's annotation lists them.

    >>> sorted(lost({"roadstead.dev/unhealthy-devices": "gpu-3, rdma0"}))
    ['gpu-3', 'rdma0']
    """
    text = annotations.get(UNHEALTHY_ANNOTATION, "")
    return frozenset(name for part in text.split(",") if (name := part.strip()))


class Health:
    """Of one node's devices: set by whoever reads the node, heard by those who must say so elsewhere."""

    def __init__(self) -> None:
        self.lost: frozenset[str] = frozenset()
        self.listeners: list[Callable[[], None]] = []

    def set(self, lost: frozenset[str]) -> None:
        if lost == self.lost:
            return
        self.lost = lost
        for listener in self.listeners:
            listener()
