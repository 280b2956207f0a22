"""ResourceClaim (resource.k8s.io/v1): devices for one pod, or for several that share them."""

from __future__ import annotations

from typing import Any

from roadstead.kinds import ages
from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import CLAIM_FINALIZER, RESOURCE_CLAIMS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.resource import checks
from roadstead.kinds.resource.claim_spec import default_spec, drop_gated, validate_spec
from roadstead.kinds.resource.claim_status import prepare_status, validate_status
from roadstead.kinds.strategy import Column


class ResourceClaimStrategy(StatusStrategy):
    """Claims: what is asked for never changes; an allocation is set once, and may be taken back."""

    columns = (Column("Name", format="name"), Column("State"), Column("Age"))

    def default(self, obj: Json) -> None:
        default_spec(obj["spec"])

    def prepare_create(self, obj: Json) -> None:
        drop_gated(obj["spec"], None)
        obj["status"] = {}

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        super().prepare_update(new, old, subresource)
        if subresource != "status":
            drop_gated(new["spec"], old["spec"])
        else:
            if new.get("status"):
                prepare_status(new["status"], old.get("status") or {})
            _protect(new, old)

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        validate_spec(obj["spec"], "spec", found)
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        if subresource == "status":
            return validate_status(new, old)
        found: list[FieldError] = []
        checks.immutable(new["spec"], old["spec"], "spec", found)
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], state(obj), ages.created(obj, now)]


def _protect(new: Json, old: Json) -> None:
    """A claim cannot go while devices are allocated for it: the finalizer that upstream's scheduler and controller
    write apart, before an allocation and after its end, comes and goes with the allocation itself."""
    has, had = ((claim.get("status") or {}).get("allocation") is not None for claim in (new, old))
    if has == had:
        return
    finalizers = [name for name in new["metadata"].get("finalizers") or () if name != CLAIM_FINALIZER]
    if has:
        finalizers.append(CLAIM_FINALIZER)
    if finalizers:
        new["metadata"]["finalizers"] = finalizers
    else:
        new["metadata"].pop("finalizers", None)


def state(claim: Json) -> str:
    """pending, allocated, allocated and reserved; deleted first if somebody deleted it."""
    status = claim.get("status") or {}
    words = ["deleted"] if claim["metadata"].get("deletionTimestamp") else []
    if status.get("allocation") is not None:
        words.append("allocated")
        if status.get("reservedFor"):
            words.append("reserved")
    elif not words:
        words.append("pending")
    return ",".join(words)


def kind() -> Kind:
    return builtin_kind(RESOURCE_CLAIMS, "ResourceClaim", ResourceClaimStrategy(), subresources=(STATUS,))
