"""A suggestion as a sentence: what to change, from what to what."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.core.explain.changes import Change, Suggestion, What
from roadstead.expr.quantity import from_canonical


def advice(suggestion: Suggestion) -> str:
    """One sentence in the imperative, e.g. "Ask for 2 nvidia.com/gpu instead of 4 in each pod."."""
    requests = [change for change in suggestion.changes if change.what is What.REQUEST]
    parts = [_part(change) for change in suggestion.changes if change.what is not What.REQUEST]
    if requests:
        parts.append(_requests(requests))
    said = ", and ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def _requests(changes: Sequence[Change]) -> str:
    asked = [
        f"{from_canonical(change.subject, change.after) if change.after else 'no'} {change.subject} instead of "
        f"{from_canonical(change.subject, change.before)}{_where(change)}"
        for change in changes
    ]
    return f"ask for {' and '.join(asked)} in each pod"


def _where(change: Change) -> str:
    return f" (pod set {change.pod_set})" if change.pod_set not in ("", "main") else ""


def _part(change: Change) -> str:
    match change.what:
        case What.ACTIVE:
            return "set spec.active to true"
        case What.QUEUE:
            return f"submit it to LocalQueue {change.subject}"
        case What.TOLERATION:
            return f"tolerate the taint {change.subject}{_where(change)}"
        case What.NODE_SELECTOR:
            return (
                "leave out of its node selector and affinity what contradicts the labels of flavor "
                f"{change.subject}{_where(change)}"
            )
        case What.TOPOLOGY if change.subject:
            return f"prefer one {change.subject} instead of requiring it{_where(change)}"
        case What.TOPOLOGY:
            return f"ask for no topology{_where(change)}"
        case What.COUNT:
            pods = "1 pod" if change.after == 1 else f"{change.after} pods"
            return f"run {pods} at a time instead of {change.before}{_where(change)}"
        case What.REQUEST:
            return _requests((change,))
