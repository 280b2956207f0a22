"""What a DELETE does to an object: nothing yet, a mark, or removal (kubernetes-api section 12; apiserver
`BeforeDelete`)."""

from __future__ import annotations

from enum import Enum
from typing import Final

from roadstead.cluster.embedded.requests import DeleteOptions
from roadstead.kinds.apiextensions import definition
from roadstead.kinds.errors import access_denied, conflict
from roadstead.kinds.names import DEFINITIONS, FOREGROUND_FINALIZER, JOBS, NAMESPACES, ORPHAN_FINALIZER
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.registry import Kind
from roadstead.kinds.times import SECOND, format_time

_DEFAULT_GRACE_SECONDS: Final = 30
_IMMORTAL: Final = frozenset({"default", "kube-system", "kube-public"})


class Effect(Enum):
    """What becomes of the object."""

    UNCHANGED = "unchanged"
    MARKED = "marked"
    REMOVED = "removed"


def check_delete(kind: Kind, old: Object, options: DeleteOptions) -> None:
    """Preconditions (409), and the namespaces that may not go (403)."""
    name = old.meta.name
    about = Resource(kind.resource.group, kind.resource.version, kind.kind)  # these two name the kind, not the resource
    if options.uid and options.uid != old.meta.uid:
        raise conflict(
            about,
            name,
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({old.meta.uid}). "
            "The object might have been deleted and then recreated",
        )
    if options.resource_version and options.resource_version != old.meta.resource_version:
        raise conflict(
            about,
            name,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion in "
            f"record ({old.meta.resource_version}). The object might have been modified",
        )
    if kind.resource == NAMESPACES and name in _IMMORTAL:
        raise access_denied(kind.resource, name, "this namespace may not be deleted")


def apply_delete(kind: Kind, obj: Json, options: DeleteOptions, now: int) -> Effect:
    """Edit `obj` (the stored object, decoded) as a DELETE does, and say what that means."""
    metadata = obj["metadata"]
    changed = _set_policy(metadata, options.propagation, kind.strategy.default_propagation)
    if not metadata.get("deletionTimestamp"):
        if kind.resource == DEFINITIONS:
            definition.mark_deleted(obj, now)
        grace = _first_grace(kind, obj, options.grace_seconds)
        removed = grace == 0 and not has_finalizers(kind, obj)
        if not removed or kind.strategy.graceful:  # pods are marked even when they go at once
            _mark(kind, obj, now, grace)
        return Effect.REMOVED if removed else Effect.MARKED
    pending = metadata.get("deletionGracePeriodSeconds") or 0
    asked = options.grace_seconds
    if pending and asked is not None and max(asked, 0) < pending:  # a grace period may only become shorter
        shorter = 1 if asked < 0 else asked
        metadata["deletionGracePeriodSeconds"] = shorter
        metadata["deletionTimestamp"] = format_time(now + shorter * SECOND)
        pending, changed = shorter, True
    if pending == 0 and not has_finalizers(kind, obj):
        return Effect.REMOVED
    return Effect.MARKED if changed else Effect.UNCHANGED


def delete_warnings(kind: Kind, options: DeleteOptions) -> list[str]:
    """Jobs keep their pods unless told otherwise, which surprises people: the real server warns."""
    if options.propagation or kind.resource != JOBS:
        return []
    return [
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
        "propagationPolicy=Orphan to suppress this warning"
    ]


def is_finished(kind: Kind, obj: Json) -> bool:
    """A terminating object that nothing holds any longer: the write that brings this about removes it."""
    metadata = obj["metadata"]
    return bool(
        metadata.get("deletionTimestamp")
        and not metadata.get("deletionGracePeriodSeconds")
        and not has_finalizers(kind, obj)
    )


def has_finalizers(kind: Kind, obj: Json) -> bool:
    """metadata.finalizers, and for namespaces spec.finalizers."""
    if obj["metadata"].get("finalizers"):
        return True
    return kind.resource == NAMESPACES and bool((obj.get("spec") or {}).get("finalizers"))


def _set_policy(metadata: Json, asked: str, default: str) -> bool:
    """Finalizers that stand for the propagation policy; True if they changed."""
    before: list[str] = metadata.get("finalizers") or []
    if not asked:  # what an earlier request put there stays
        asked = next(
            (policy for finalizer, policy in _POLICIES.items() if finalizer in before),
            default,
        )
    after = [finalizer for finalizer in before if finalizer not in _POLICIES]
    wanted = next((finalizer for finalizer, policy in _POLICIES.items() if policy == asked), None)
    if wanted is not None:
        after.append(wanted)
    if sorted(after) == sorted(before):
        return False
    if after:
        metadata["finalizers"] = after
    else:
        metadata.pop("finalizers", None)
    return True


_POLICIES: Final = {ORPHAN_FINALIZER: "Orphan", FOREGROUND_FINALIZER: "Foreground"}


def _first_grace(kind: Kind, obj: Json, asked: int | None) -> int:
    """Seconds of grace for a first DELETE: pods that run somewhere have some, nothing else has."""
    if not kind.strategy.graceful:
        return 0
    spec = obj.get("spec") or {}
    if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    if asked is None:
        given = spec.get("terminationGracePeriodSeconds")
        asked = _DEFAULT_GRACE_SECONDS if given is None else int(given)
    return 1 if asked < 0 else asked


def _mark(kind: Kind, obj: Json, now: int, grace: int) -> None:
    metadata = obj["metadata"]
    metadata["deletionTimestamp"] = format_time(now + grace * SECOND)
    if metadata.get("generation"):
        metadata["generation"] += 1
    if kind.resource == DEFINITIONS:
        return
    if kind.resource != NAMESPACES:
        metadata["deletionGracePeriodSeconds"] = grace
    else:
        status = obj.get("status") or {}
        obj["status"] = {**status, "phase": "Terminating"}
