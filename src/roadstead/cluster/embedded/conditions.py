"""Conditions that subresources of a pod set (kubernetes `podutil.UpdatePodCondition`)."""

from __future__ import annotations

from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time


def set_condition(pod: Json, kind: str, now: int, reason: str = "", message: str = "") -> bool:
    """Let the condition of type `kind` be True in a pod, in its place or at the end; one that holds already keeps its
    time. True if that changed the pod."""
    status = pod.get("status") or {}
    pod["status"] = status
    before = status.get("conditions") or []
    types = [entry.get("type") for entry in before]
    at = types.index(kind) if kind in types else len(before)
    since = format_time(now)
    if at < len(before) and before[at].get("status") == "True":
        since = before[at].get("lastTransitionTime") or since
    condition = {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": since}
    if reason:
        condition |= {"reason": reason, "message": message}
    status["conditions"] = [*before[:at], condition, *before[at + 1 :]]
    return bool(status["conditions"] != before)
