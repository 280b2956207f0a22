"""Which feature gates are on. Names and defaults are those of Kubernetes 1.37's DRA allocator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Features:
    admin_access: bool = True
    prioritized_list: bool = True
    partitionable: bool = True
    taints: bool = True
    binding_conditions: bool = True
    consumable_capacity: bool = True
    fractional_ranges: bool = True
    list_attributes: bool = False
    derived_attributes: bool = False
    compatibility_groups: bool = False
