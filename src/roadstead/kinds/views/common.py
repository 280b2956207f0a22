"""Shapes shared by many kinds: conditions, label selectors, quantities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from roadstead.kinds.object import ObjectMeta

QuantityLike: TypeAlias = str | int | float
"""A quantity as JSON may write it; `expr.quantity` gives it meaning."""


class Condition(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """metav1.Condition; also the older conditions of pods, nodes and jobs, which have the same fields and a few
    more."""

    type: str = ""
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    last_probe_time: str | None = None
    last_heartbeat_time: str | None = None
    observed_generation: int = 0

    @property
    def is_true(self) -> bool:
        return self.status == "True"


def find_condition(conditions: Sequence[Condition], type: str) -> Condition | None:
    """The condition of this type, if it is there."""
    return next((condition for condition in conditions if condition.type == type), None)


def has_condition(conditions: Sequence[Condition], type: str) -> bool:
    """True if the condition is there and True."""
    found = find_condition(conditions, type)
    return found is not None and found.is_true


class LabelSelectorRequirement(msgspec.Struct, frozen=True, rename="camel", gc=False):
    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = None


class LabelSelectorView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    match_labels: Mapping[str, str] | None = None
    match_expressions: tuple[LabelSelectorRequirement, ...] | None = None


class ConditionsStatus(msgspec.Struct, frozen=True, rename="camel", gc=False):
    conditions: tuple[Condition, ...] = ()


class Conditioned(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Any kind that reports by conditions."""

    metadata: ObjectMeta = ObjectMeta()
    status: ConditionsStatus = ConditionsStatus()
