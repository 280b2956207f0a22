"""pods/eviction: a DELETE that says on the pod why it goes (KEP-3329). Nothing is in its way: disruption budgets are not served."""

from __future__ import annotations

from typing import Final

from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time

_TYPE: Final = "DisruptionTarget"


def mark_evicted(pod: Json, now: int) -> bool:
    """Give `pod` the condition of an eviction through the API; one that already holds keeps its time. True if that is new."""
    status = pod.get("status") or {}
    pod["status"] = status
    before = status.get("conditions") or []
    conditions = list(before)
    types = [entry.get("type") for entry in conditions]
    at = types.index(_TYPE) if _TYPE in types else len(conditions)
    since = format_time(now)
    if at < len(conditions) and conditions[at].get("status") == "True":
        since = conditions[at].get("lastTransitionTime") or since
    conditions[at : at + 1] = [
        {
            "type": _TYPE,
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": since,
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
    ]
    status["conditions"] = conditions
    return conditions != before
