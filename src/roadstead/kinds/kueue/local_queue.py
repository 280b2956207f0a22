"""LocalQueue (kueue.x-k8s.io/v1beta2): a namespace's door to a ClusterQueue (kueue reference 1.4)."""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind, rule_error
from roadstead.kinds.errors import FieldError
from roadstead.kinds.kueue.quotas import validate_fair_sharing
from roadstead.kinds.names import LOCAL_QUEUES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind


class LocalQueueStrategy(CustomStrategy):
    """Rules of LocalQueues."""

    def rules(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        validate_fair_sharing((obj.get("spec") or {}).get("fairSharing"), "spec.fairSharing", found)
        return found

    def update_rules(self, new: Json, old: Json) -> list[FieldError]:
        before, after = (old.get("spec") or {}).get("clusterQueue"), (new.get("spec") or {}).get("clusterQueue")
        if before is None or after == before:
            return []
        return [rule_error("spec.clusterQueue", "field is immutable")]


def kind() -> Kind:
    return custom_kind(LOCAL_QUEUES, "LocalQueue", LocalQueueStrategy)
