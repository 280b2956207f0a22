"""Whose an object is: a controller adopts what its selector matches and nobody controls, and lets go of what it matches
no more (controller_ref_manager.go)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from roadstead.expr.selectors import from_object, matches_selector
from roadstead.kinds.object import Json, Object, Resource, owner_reference
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import Key, Read

UNCONTROLLED: Final = "uncontrolled-by-namespace"
"""Index of objects without a controller, by namespace."""


def uncontrolled(obj: Object) -> Iterable[str]:
    """Index function for UNCONTROLLED."""
    return (obj.meta.namespace,) if obj.meta.controller is None else ()


def controlled(read: Read, resource: Resource, owner: Object) -> list[Object]:
    """What this very owner controls, sorted by name. O(result)."""
    uid = owner.meta.uid
    return [
        obj
        for obj in read.owned_by(resource, uid)
        if (controller := obj.meta.controller) is not None and controller.uid == uid
    ]


def owner_key(obj: Object, resource: Resource, kind: str) -> Iterable[Key]:
    """The key of the controller, if it is of this kind."""
    owner = obj.meta.controller
    if owner is not None and owner.kind == kind and owner.api_version == resource.api_version:
        yield obj.meta.namespace, owner.name


def suitors(obj: Object, owners: Iterable[Object], selector_of: Any) -> Iterable[Key]:
    """Those of `owners` whose selector matches an object that nobody controls. O(owners)."""
    for owner in owners:
        if selects(selector_of(owner), obj):
            yield owner.key


def selects(selector: Json | None, obj: Object) -> bool:
    """The LabelSelector matches; none and an empty one match nothing."""
    made = from_object(selector)
    return made is not None and bool(made.requirements) and matches_selector(made, obj.meta.labels)


def claims(
    owner: Object, selector: Json | None, owned: Sequence[Object], candidates: Sequence[Object]
) -> tuple[Update, ...]:
    """The writes that adopt and release. Only for an owner that is there and not being deleted: confirm that it is."""
    releases = [Update(obj.resource, _released(obj, owner.meta.uid)) for obj in owned if not selects(selector, obj)]
    adoptions = [
        Update(obj.resource, _adopted(obj, owner))
        for obj in candidates
        if obj.meta.controller is None and not obj.meta.deletion_timestamp and selects(selector, obj)
    ]
    return (*releases, *adoptions)


def _adopted(obj: Object, owner: Object) -> Json:
    value = obj.decode()
    metadata = value["metadata"]
    others = [other for other in metadata.get("ownerReferences") or () if other["uid"] != owner.meta.uid]
    metadata["ownerReferences"] = [*others, owner_reference(owner)]
    return value


def _released(obj: Object, uid: str) -> Json:
    value = obj.decode()
    metadata = value["metadata"]
    left = [owner for owner in metadata["ownerReferences"] if owner["uid"] != uid]
    if left:
        metadata["ownerReferences"] = left
    else:
        del metadata["ownerReferences"]
    return value
