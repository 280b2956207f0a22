"""ClusterQueue (kueue.x-k8s.io/v1beta2)."""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind
from roadstead.kinds.names import CLUSTER_QUEUES
from roadstead.kinds.registry import Kind


class ClusterQueueStrategy(CustomStrategy):
    """Rules of ClusterQueues."""


def kind() -> Kind:
    return custom_kind(CLUSTER_QUEUES, "ClusterQueue", ClusterQueueStrategy)
