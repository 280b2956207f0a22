"""One version of one API object, as every part of the shell passes it around: encoded bytes plus what is asked most often.

`raw` is the truth. `decode()` gives a fresh dict that the caller may edit and write back, so fields that nobody here knows
survive; `view(T)` gives a frozen msgspec Struct for reading, decoded once per version and type and shared by all readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
import orjson

T = TypeVar("T")
Json = dict[str, Any]


class Resource(NamedTuple):
    """A resource as URLs name it: group ("" = core), version, plural."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Ref(NamedTuple):
    """Which object: resource, namespace ("" = cluster-scoped), name."""

    resource: Resource
    namespace: str
    name: str


class OwnerReference(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel"):
    """metadata, for reading. Times are the API's own strings (RFC 3339)."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if one does."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()


class Object:
    """One version of one API object. Immutable; equal objects have equal (resource, uid, resourceVersion)."""

    __slots__ = ("_views", "kind", "meta", "raw", "resource")

    def __init__(self, resource: Resource, raw: bytes, *, meta: ObjectMeta | None = None, kind: str = "") -> None:
        """`raw` is the whole object as JSON, apiVersion and kind included; `meta` and `kind` save decoding if known."""
        self.resource = resource
        self.raw = raw
        if meta is None or not kind:
            envelope = msgspec.json.decode(raw, type=_Envelope)
            meta, kind = envelope.metadata, envelope.kind
        self.meta = meta
        self.kind = kind
        self._views: dict[type, Any] = {}

    @classmethod
    def of(cls, resource: Resource, value: Json) -> Object:
        """Encode a dict. The dict is not kept."""
        return cls(resource, orjson.dumps(value))

    @property
    def ref(self) -> Ref:
        return Ref(self.resource, self.meta.namespace, self.meta.name)

    @property
    def key(self) -> tuple[str, str]:
        return (self.meta.namespace, self.meta.name)

    @property
    def version(self) -> tuple[str, str]:
        """(uid, resourceVersion): names exactly this version."""
        return (self.meta.uid, self.meta.resource_version)

    def decode(self) -> Json:
        """A fresh dict of the whole object, the caller's to edit."""
        value: Json = orjson.loads(self.raw)
        return value

    def view(self, of: type[T]) -> T:
        """The object as a frozen Struct `of`, decoded once per version."""
        found = self._views.get(of)
        if found is None:
            found = self._views[of] = msgspec.json.decode(self.raw, type=of)
        result: T = found
        return result

    def __repr__(self) -> str:
        where = f"{self.meta.namespace}/" if self.meta.namespace else ""
        return f"<{self.kind} {where}{self.meta.name} rv={self.meta.resource_version}>"


def owner_reference(owner: Object, *, block_deletion: bool = True) -> Json:
    """A controller ownerReference to put into a dependent's metadata."""
    return {
        "apiVersion": owner.resource.api_version,
        "kind": owner.kind,
        "name": owner.meta.name,
        "uid": owner.meta.uid,
        "controller": True,
        "blockOwnerDeletion": block_deletion,
    }
