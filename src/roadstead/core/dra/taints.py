"""Device taints (KEP-5055): those of effect NoSchedule and NoExecute keep a device from requests that do not tolerate
them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from roadstead.model.selection import Taint, Toleration

_KEPT_AWAY: Final = frozenset({"NoSchedule", "NoExecute"})


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Unlike with nodes, an empty key fits every taint also with operator Equal."""
    return (
        toleration.effect in ("", taint.effect)
        and toleration.key in ("", taint.key)
        and (
            toleration.operator == "Exists"
            or (toleration.operator in ("", "Equal") and toleration.value == taint.value)
        )
    )


def tolerated(taints: Iterable[Taint], tolerations: Sequence[Toleration]) -> bool:
    """Is every taint that matters tolerated? O(taints x tolerations)."""
    return all(
        taint.effect not in _KEPT_AWAY or any(tolerates(toleration, taint) for toleration in tolerations)
        for taint in taints
    )
