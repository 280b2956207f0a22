"""One version of one API object, as every part of the shell passes it around: encoded bytes plus what is asked most
often.

`raw` is the truth. `decode()` gives a fresh dict that the caller may edit and write back, so fields that nobody here
knows survive; `view(T)` gives a frozen msgspec Struct for reading, decoded once per version and type and shared by all
readers. What is read from JSON never holds itself, so the collector of garbage has nothing to look for in views and
metadata (`gc=False`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from sys import intern
from typing import Any, Final, NamedTuple, TypeVar

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


class OwnerReference(msgspec.Struct, frozen=True, rename="camel", gc=False):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel", gc=False):
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
        for owner in self.owner_references:
            if owner.controller:
                return owner
        return None


class Brief(NamedTuple):
    """What is asked of every pod at each of its changes: the node it is bound to, its phase, and whether it may use
    claims."""

    node: str = ""
    phase: str = ""
    has_claims: bool = False


class _Envelope(msgspec.Struct, frozen=True, rename="camel", gc=False):
    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()


class _BriefSpec(msgspec.Struct, frozen=True, rename="camel", gc=False):
    node_name: str = ""
    resource_claims: msgspec.Raw = msgspec.Raw(b"")


class _BriefStatus(msgspec.Struct, frozen=True, rename="camel", gc=False):
    phase: str = ""


class _PodEnvelope(_Envelope, frozen=True):
    spec: _BriefSpec = _BriefSpec()
    status: _BriefStatus = _BriefStatus()


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_pod_envelope = msgspec.json.Decoder(_PodEnvelope).decode


@lru_cache(maxsize=256)
def _view_decoder(of: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(of)


VIEWED: Final = 20_000
"""Objects that keep their views. A hundred thousand would hold more memory in views than in objects."""

_viewed: deque[Object] = deque()

_SHARED_LIMIT: Final = 20_000
_SHARED_LABELS: Final = 12
_labels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
_owners: dict[tuple[OwnerReference, ...], tuple[OwnerReference, ...]] = {}
_finalizers: dict[tuple[str, ...], tuple[str, ...]] = {}
_briefs: dict[tuple[str, str, bool], Brief] = {}
_NONE: Final = (b"", b"null", b"[]")


_force = msgspec.structs.force_setattr  # nobody else has seen what it is used on


def _shared(meta: ObjectMeta) -> ObjectMeta:
    """The same, holding what other objects hold already: the pods of one Job have the same labels, owner and
    finalizers, which is half of what their metadata weighs in memory."""
    if meta.namespace:
        _force(meta, "namespace", intern(meta.namespace))
    if 0 < len(meta.labels) <= _SHARED_LABELS:
        _force(meta, "labels", _share(_labels, tuple(meta.labels.items()), meta.labels))
    if meta.owner_references:
        _force(meta, "owner_references", _share(_owners, meta.owner_references, meta.owner_references))
    if meta.finalizers:
        _force(meta, "finalizers", _share(_finalizers, meta.finalizers, meta.finalizers))
    return meta


def _share(known: dict[Any, Any], key: Any, value: Any) -> Any:
    found = known.get(key)
    if found is None:
        if len(known) >= _SHARED_LIMIT:
            known.clear()
        known[key] = found = value
    return found


class Object:
    """One version of one API object. Immutable; equal objects have equal (resource, uid, resourceVersion)."""

    __slots__ = ("_views", "brief", "kind", "meta", "raw", "resource")

    def __init__(self, resource: Resource, raw: bytes, *, meta: ObjectMeta | None = None, kind: str = "") -> None:
        """`raw` is the whole object as JSON, apiVersion and kind included; `meta` and `kind` save decoding if known.
        O(bytes); raises msgspec.MsgspecError."""
        self.resource = resource
        self.raw = raw
        self.brief: Brief | None = None
        """Of pods whose spec and status can be read: decoded in the same pass as the metadata."""
        if meta is None or not kind:
            envelope = self._open(raw)
            meta, kind = _shared(envelope.metadata), intern(envelope.kind)
        self.meta = meta
        self.kind = kind
        self._views: dict[type, Any] | None = None

    def _open(self, raw: bytes) -> _Envelope:
        if self.resource.plural != "pods" or self.resource.group:
            return _decode_envelope(raw)
        try:
            pod = _decode_pod_envelope(raw)
        except msgspec.ValidationError:
            return _decode_envelope(raw)
        brief = (pod.spec.node_name, pod.status.phase, bytes(pod.spec.resource_claims) not in _NONE)
        self.brief = _briefs.get(brief) or _share(_briefs, brief, Brief(*brief))
        return pod

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
        """The object as a frozen Struct `of`, decoded once per version and kept while it is among the VIEWED that were
        last decoded."""
        views = self._views
        if views is None:
            views = self._views = {}
            _viewed.append(self)
            if len(_viewed) > VIEWED:
                _viewed.popleft()._views = None
        found = views.get(of)
        if found is None:
            kind: Any = of  # mypy does not take a type for hashable
            found = views[of] = _view_decoder(kind).decode(self.raw)
        result: T = found
        return result

    def __repr__(self) -> str:
        where = f"{self.meta.namespace}/" if self.meta.namespace else ""
        return f"<{self.kind} {where}{self.meta.name} rv={self.meta.resource_version}>"


def forget_views() -> None:
    """Let go of all views. For whoever is done with one cluster and goes on to the next in the same process."""
    while _viewed:
        _viewed.popleft()._views = None


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
