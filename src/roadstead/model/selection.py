"""How pods choose nodes: taints, tolerations, node selectors and affinity terms, as plain values."""

from __future__ import annotations

import msgspec


class Taint(msgspec.Struct, frozen=True, order=True):
    key: str
    value: str = ""
    effect: str = "NoSchedule"  # NoSchedule | PreferNoSchedule | NoExecute


class Toleration(msgspec.Struct, frozen=True, order=True):
    key: str = ""  # empty with operator Exists: every taint
    operator: str = "Equal"  # Equal | Exists
    value: str = ""
    effect: str = ""  # empty: every effect
    seconds: int | None = None  # only meaningful for NoExecute

    def tolerates(self, taint: Taint) -> bool:
        """True if this toleration covers the taint (corev1.Toleration.ToleratesTaint)."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.value == taint.value


class Requirement(msgspec.Struct, frozen=True, order=True):
    """One match expression over labels: `key operator values`."""

    key: str
    operator: str  # In | NotIn | Exists | DoesNotExist | Gt | Lt
    values: tuple[str, ...] = ()


class NodeTerm(msgspec.Struct, frozen=True, order=True):
    """One nodeSelectorTerm: all its requirements hold. `fields` match `metadata.name` only. A term with neither matches
    nothing."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


class LabelSelector(msgspec.Struct, frozen=True):
    """matchLabels AND matchExpressions; empty matches everything, and `None` in its place matches nothing."""

    requirements: tuple[Requirement, ...] = ()
