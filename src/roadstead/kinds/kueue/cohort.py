"""Cohort (kueue.x-k8s.io/v1beta2): ClusterQueues and Cohorts that share what they do not use (kueue reference 1.3).

A cohort exists as soon as somebody names it; the object gives it quota of its own, a parent, and limits towards that
parent. A circle of parents is no error of any one object: queues in it are inactive until it is broken.
"""

from __future__ import annotations

from typing import Final

from roadstead.kinds.custom import CustomStrategy, custom_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.kueue.quotas import QuotaRules, validate_fair_sharing, validate_groups
from roadstead.kinds.names import COHORTS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

_QUOTAS: Final = QuotaRules(without_parent="must be nil when parent is empty", lends_at_most_its_own=False)


class CohortStrategy(CustomStrategy):
    """Rules of Cohorts."""

    def rules(self, obj: Json) -> list[FieldError]:
        spec = obj.get("spec") or {}
        found: list[FieldError] = []
        has_parent = bool(spec.get("parentName"))
        validate_groups(
            spec.get("resourceGroups") or [], "spec.resourceGroups", _QUOTAS, has_parent=has_parent, found=found
        )
        validate_fair_sharing(spec.get("fairSharing"), "spec.fairSharing", found)
        return found


def kind() -> Kind:
    return custom_kind(COHORTS, "Cohort", CohortStrategy)
