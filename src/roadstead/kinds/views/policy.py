"""PodDisruptionBudgets as `policy/v1` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadstead.kinds.object import ObjectMeta
from roadstead.kinds.views.common import Condition


class BudgetSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: dict[str, Any] | None = None
    unhealthy_pod_eviction_policy: str | None = None


class BudgetStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    observed_generation: int = 0
    disrupted_pods: Mapping[str, str] = {}
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    conditions: tuple[Condition, ...] = ()


class BudgetView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: BudgetSpecView = BudgetSpecView()
    status: BudgetStatusView = BudgetStatusView()
