"""Metadata that belongs to the server: what it stamps on new objects and keeps on changed ones (kubernetes-api sections
5, 8, 9)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import (
    FieldError,
    StatusError,
    access_denied,
    bad_request,
    conflict,
    invalid,
    invalid_object,
    not_found,
)
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.object import Json, Object
from roadstead.kinds.registry import Kind
from roadstead.kinds.times import format_time

_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_BASE_LENGTH: Final = 58
GENERATE_ATTEMPTS: Final = 8

_SET_BY_SERVER: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "managedFields",
)
_KEPT: Final = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def random_suffix() -> str:
    """Five characters that spell nothing, as generateName appends."""
    return "".join(random.choices(_SUFFIX_ALPHABET, k=5))


def metadata_of(kind: Kind, obj: Json) -> Json:
    """obj["metadata"], made if missing. Raises StatusError 400 if it is no object."""
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): metadata must be an object, "
            f"not {type(metadata).__name__}"
        )
    return metadata


def binding_metadata(binding: Json, name: str) -> None:
    """Give a Binding the metadata that the path says. Raises StatusError 400 if it is for another pod."""
    metadata = binding.get("metadata")
    if metadata is None:
        metadata = binding["metadata"] = {}
    if not isinstance(metadata, dict):
        raise bad_request("the object provided is unrecognized (must be of type Binding): metadata must be an object")
    if (metadata.get("name") or name) != name:
        raise bad_request(f"the name in the URL ({name}) does not match the name of the binding ({metadata['name']})")
    metadata["name"] = name


def check_type(kind: Kind, obj: Any) -> None:
    """apiVersion and kind are those of the resource, or filled in. Raises StatusError 400."""
    if not isinstance(obj, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): got {type(obj).__name__}, need an object"
        )
    expected = kind.resource.api_version
    if obj.setdefault("apiVersion", expected) != expected:
        raise bad_request(
            f"the API version in the data ({obj['apiVersion']}) does not match the expected API version ({expected})"
        )
    if obj.setdefault("kind", kind.kind) != kind.kind:
        raise bad_request(
            f'{obj["kind"]} in version "{kind.resource.version}" cannot be handled as a {kind.kind}: '
            f"the resource {kind.resource.plural} takes objects of kind {kind.kind}"
        )


def check_name(metadata: Json, name: str) -> None:
    """An update names the object of its path. Raises StatusError 400."""
    given = metadata.get("name")
    if not given:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def settle_namespace(kind: Kind, metadata: Json, namespace: str) -> None:
    """metadata.namespace is the request's. Raises StatusError 400 if the object says otherwise."""
    if not kind.namespaced:
        metadata.pop("namespace", None)
        return
    given = metadata.get("namespace")
    if given and given != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    metadata["namespace"] = namespace


def check_namespace(store: Store, kind: Kind, namespace: str, name: str) -> None:
    """New objects need a namespace that exists (404) and is not terminating (403, with the cause that controllers
    test)."""
    found = store.head(NAMESPACES, "", namespace)
    if found is None:
        raise not_found(NAMESPACES, namespace)
    if found.meta.deletion_timestamp:
        error = access_denied(
            kind.resource,
            name,
            f"unable to create new content in namespace {namespace} because it is being terminated",
        )
        error.details["causes"] = [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
        ]
        raise error


def stamp_new(kind: Kind, metadata: Json, now: int, uid: str) -> None:
    """Replace whatever a client said about server-owned fields. Raises StatusError if it set a resourceVersion."""
    if metadata.get("resourceVersion"):
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    metadata.pop("resourceVersion", None)
    generation = metadata.get("generation")
    for field in _SET_BY_SERVER:
        metadata.pop(field, None)
    if generation and not kind.is_custom and not kind.strategy.has_generation:
        metadata["generation"] = generation  # nobody wipes what nobody keeps
    metadata["uid"] = uid
    metadata["creationTimestamp"] = format_time(now)


def choose_name(store: Store, kind: Kind, metadata: Json, namespace: str, suffix: Callable[[], str]) -> None:
    """Fill in metadata.name from generateName. Raises StatusError 409 if no free name is found in 8 attempts."""
    base = metadata.get("generateName")
    if metadata.get("name") or not isinstance(base, str) or not base:
        return
    for _ in range(GENERATE_ATTEMPTS):
        name = base[:_BASE_LENGTH] + suffix()
        if store.head(kind.stored, namespace, name) is None:
            metadata["name"] = name
            return
    raise StatusError(
        409,
        "AlreadyExists",
        f'{kind.resource} "{name}" already exists, the server was not able to generate a unique name for the object',
        {"name": name, "kind": kind.resource.plural} | ({"group": kind.resource.group} if kind.resource.group else {}),
        retry_after=1,
    )


def settle_made_by_apply(kind: Kind, metadata: Json, name: str) -> None:
    """A uid in a configuration names an object that is there; a version says nothing of one that is not. Raises
    StatusError 409."""
    metadata.pop("resourceVersion", None)
    uid = metadata.get("uid")
    if uid:
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise conflict(kind.resource, name, why)


def check_preconditions(kind: Kind, name: str, metadata: Json, old: Object, *, is_patch: bool = False) -> None:
    """uid and resourceVersion in an update are preconditions; in a patch only the latter is. Raises StatusError 409, or
    422 where a version is a must."""
    uid = "" if is_patch else metadata.get("uid")
    if uid and uid != old.meta.uid:
        raise conflict(
            kind.resource,
            name,
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old.meta.uid}",
        )
    version = metadata.get("resourceVersion")
    if version:
        if not (version.isascii() and version.isdigit()):
            raise StatusError(500, "", f'strconv.ParseUint: parsing "{version}": invalid syntax')
        if version != old.meta.resource_version:
            raise conflict(kind.resource, name)
    elif kind.is_custom or not kind.strategy.unconditional_update:
        problem = invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise invalid_object(kind.resource.group, kind.resource.plural, name, [problem])


def keep_owned(metadata: Json, old: Json) -> list[FieldError]:
    """Restore server-owned metadata of the stored object in an update, and say which of it that may not be changed it
    tried to."""
    problems = []
    uid = metadata.get("uid")
    if uid and uid != old.get("uid"):
        problems.append(invalid("metadata.uid", uid, "field is immutable"))
    if metadata.get("deletionTimestamp") and not old.get("deletionTimestamp"):
        problems.append(invalid("metadata.deletionTimestamp", metadata["deletionTimestamp"], "field is immutable"))
    seconds = metadata.get("deletionGracePeriodSeconds")
    if seconds is not None and seconds != old.get("deletionGracePeriodSeconds"):
        problems.append(invalid("metadata.deletionGracePeriodSeconds", seconds, "field is immutable"))
    for field in _SET_BY_SERVER:
        metadata.pop(field, None)
    for field in _KEPT:
        if field in old:
            metadata[field] = old[field]
    metadata["resourceVersion"] = old["resourceVersion"]
    return problems


def differs_outside_metadata_and_status(new: Json, old: Json) -> bool:
    """What counts for metadata.generation."""
    keys = new.keys() | old.keys()
    return any(new.get(key) != old.get(key) for key in keys if key not in ("metadata", "status"))
