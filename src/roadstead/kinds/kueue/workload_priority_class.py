"""WorkloadPriorityClass (kueue.x-k8s.io/v1beta2): a priority for the queue that says nothing about pods (kueue
reference 1.7)."""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind
from roadstead.kinds.names import WORKLOAD_PRIORITY_CLASSES
from roadstead.kinds.registry import Kind


class WorkloadPriorityClassStrategy(CustomStrategy):
    """The schema says it all; the value may change, and is then resolved anew for workloads that wait."""

    has_rules = False


def kind() -> Kind:
    return custom_kind(WORKLOAD_PRIORITY_CLASSES, "WorkloadPriorityClass", WorkloadPriorityClassStrategy)
