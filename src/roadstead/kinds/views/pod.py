"""Pods as `v1` writes them."""

from __future__ import annotations

import msgspec

from roadstead.kinds.object import ObjectMeta
from roadstead.kinds.views.common import Condition

ENDED_PHASES = ("Succeeded", "Failed")


class PodSpecView(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""
    priority: int | None = None
    priority_class_name: str = ""


class PodStatusView(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()


class PodView(msgspec.Struct, frozen=True, rename="camel"):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpecView = PodSpecView()
    status: PodStatusView = PodStatusView()

    @property
    def has_ended(self) -> bool:
        """True once no process of this pod runs or will run."""
        return self.status.phase in ENDED_PHASES
