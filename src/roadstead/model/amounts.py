"""Amounts are integers in one canonical unit per resource: milli-units for `cpu`, plain units for everything else.

Plain units are bytes for `memory` and `ephemeral-storage`, whole devices for extended resources such as
`nvidia.com/gpu`, pods for `pods`. Quantities are rounded up on the way in (Kueue: `pkg/resources`), so a request is
never understated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

ResourceName: TypeAlias = str
FlavorName: TypeAlias = str
Amounts: TypeAlias = Mapping[ResourceName, int]
"""Resource name -> canonical amount. Treat as immutable; a resource that is missing counts as 0."""

Cell: TypeAlias = tuple[FlavorName, ResourceName]
"""One cell of a quota table: quota and usage are counted per (flavor, resource)."""

CPU: Final = "cpu"
MEMORY: Final = "memory"
PODS: Final = "pods"

UNLIMITED: Final = 2**63 - 1
"""Kueue's sentinel for a quota that overflows int64: `x + UNLIMITED = UNLIMITED`, `UNLIMITED - bounded = UNLIMITED`."""
