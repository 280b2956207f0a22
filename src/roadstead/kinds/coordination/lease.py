"""Lease (coordination.k8s.io/v1): leader election and node heartbeats."""

from __future__ import annotations

from typing import Any

from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import LEASES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy


class LeaseStrategy(Strategy):
    """Leases: an update needs a resourceVersion, that is their whole point."""

    create_on_update = True
    unconditional_update = False
    columns = (Column("Name", format="name"), Column("Holder"), Column("Age"))

    def validate(self, obj: Json) -> list[FieldError]:
        spec = obj.get("spec") or {}
        found: list[FieldError] = []
        duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if duration is not None and duration <= 0:
            found.append(errors.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
        if transitions is not None and transitions < 0:
            found.append(errors.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
        if spec.get("preferredHolder") and not spec.get("strategy"):
            why = "strategy is required when preferredHolder is specified"
            found.append(errors.forbidden("spec.preferredHolder", why))
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        holder = (obj.get("spec") or {}).get("holderIdentity", "")
        return [obj["metadata"]["name"], holder, ages.created(obj, now)]


def kind() -> Kind:
    return builtin_kind(LEASES, "Lease", LeaseStrategy())
