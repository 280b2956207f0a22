"""LocalQueue (kueue.x-k8s.io/v1beta2)."""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind
from roadstead.kinds.names import LOCAL_QUEUES
from roadstead.kinds.registry import Kind


class LocalQueueStrategy(CustomStrategy):
    """Rules of LocalQueues."""


def kind() -> Kind:
    return custom_kind(LOCAL_QUEUES, "LocalQueue", LocalQueueStrategy)
