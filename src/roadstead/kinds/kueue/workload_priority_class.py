"""WorkloadPriorityClass (kueue.x-k8s.io/v1beta2)."""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind
from roadstead.kinds.names import WORKLOAD_PRIORITY_CLASSES
from roadstead.kinds.registry import Kind


class WorkloadPriorityClassStrategy(CustomStrategy):
    """Rules of WorkloadPriorityClasss."""


def kind() -> Kind:
    return custom_kind(WORKLOAD_PRIORITY_CLASSES, "WorkloadPriorityClass", WorkloadPriorityClassStrategy)
