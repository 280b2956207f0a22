"""Workload (kueue.x-k8s.io/v1beta2)."""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind
from roadstead.kinds.names import WORKLOADS
from roadstead.kinds.registry import Kind


class WorkloadStrategy(CustomStrategy):
    """Rules of Workloads."""


def kind() -> Kind:
    return custom_kind(WORKLOADS, "Workload", WorkloadStrategy)
