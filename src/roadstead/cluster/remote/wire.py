"""Paths and bodies: how the port's words look on the wire, without any I/O."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import orjson

from roadstead.kinds.object import Json, Object, Resource
from roadstead.runtime.cluster import Delete


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class ListBody(msgspec.Struct, rename="camel"):
    """A list answer; items stay bytes, so fields that nobody here knows survive."""

    api_version: str = ""
    kind: str = ""
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None


class EventLine(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class _TypeOnly(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""


def is_addressable(*names: str) -> bool:
    """False if one of these names or namespaces cannot be one segment of a path, so that the request would be about
    something else: no object is called so (apimachinery, IsValidPathSegmentName)."""
    return not any(name in (".", "..") or "/" in name or "%" in name for name in names)


def path_of(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """`/apis/batch/v1/namespaces/default/jobs/train/status`."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    parts = [root]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def items_of(resource: Resource, body: ListBody) -> list[Object]:
    """The items as whole objects: real servers leave out apiVersion and kind of built-in ones."""
    kind = body.kind.removesuffix("List")
    api_version = body.api_version or resource.api_version
    found = []
    for item in body.items or ():
        raw = bytes(item)
        said = msgspec.json.decode(raw, type=_TypeOnly)
        missing: Json = {}
        if not said.api_version:
            missing["apiVersion"] = api_version
        if not said.kind:
            missing["kind"] = kind
        if missing:
            rest = raw.lstrip()[1:].lstrip()
            comma = b"" if rest.startswith(b"}") else b","
            raw = orjson.dumps(missing)[:-1] + comma + rest
        found.append(Object(resource, raw))
    return found


def delete_body(write: Delete) -> Json:
    """DeleteOptions with the write's preconditions."""
    preconditions = {"uid": write.uid}
    if write.resource_version:
        preconditions["resourceVersion"] = write.resource_version
    body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
    if write.propagation:
        body["propagationPolicy"] = write.propagation
    if write.grace_seconds is not None:
        body["gracePeriodSeconds"] = write.grace_seconds
    return body


def remains(resource: Resource, raw: bytes, *, is_delete: bool) -> Object | None:
    """What an update or a removal left, from its answer: None when the answer is a Status or the last state of an
    object that is gone (the update that removes the last finalizer removes the object)."""
    value = orjson.loads(raw)
    metadata = value.get("metadata") or {}
    if value.get("kind") == "Status" or (is_delete and not metadata.get("deletionTimestamp")):
        return None
    if not metadata.get("deletionTimestamp"):
        return Object(resource, raw)
    holds = (
        metadata.get("finalizers")
        or metadata.get("deletionGracePeriodSeconds")
        or (resource.plural == "namespaces" and (value.get("spec") or {}).get("finalizers"))
    )
    return Object(resource, raw) if holds else None
