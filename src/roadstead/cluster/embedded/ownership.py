"""Who owns which field of a stored object: where `kinds.fields` meets the kinds that are served (kubernetes-api section
11).

What a request through the API creates is tracked from then on, whoever changes it; what controllers in this process
create belongs to nobody until somebody applies to it (docs/adr/0009).
"""

from __future__ import annotations

import copy
from typing import Any, Final

import orjson

from roadstead.cluster.embedded.requests import WriteOptions
from roadstead.kinds import fields
from roadstead.kinds.errors import invalid_object
from roadstead.kinds.fields import managers
from roadstead.kinds.fields.apply import Place
from roadstead.kinds.fields.paths import Set
from roadstead.kinds.fields.typed import Type, empty_object, object_type
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind, Registry
from roadstead.kinds.schema import DecodeError

_NOTHING: Final = Set()
_STATUS: Final = Set.of(("f:status",))
_SPEC: Final = Set.of(("f:spec",))
_ALL_BUT_STATUS: Final = Set.of(("f:spec",), ("f:metadata",))

_STATUS_RESETS: Final[dict[tuple[str, str], Set]] = {
    ("", "pods"): Set.of(("f:spec",), ("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:ownerReferences")),
    ("apps", "deployments"): Set.of(("f:spec",), ("f:metadata", "f:labels")),
    ("resource.k8s.io", "resourceclaims"): _ALL_BUT_STATUS,
    ("resource.k8s.io", "devicetaintrules"): _ALL_BUT_STATUS,
}
"""What /status of a built-in kind leaves as it is, beside what all do (each kind's GetResetFields)."""


class Ownership:
    """The managedFields of objects that are written, by kind and endpoint."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._places: dict[tuple[Resource, str], tuple[Kind, Place]] = {}
        self._types: dict[Resource, tuple[Kind, Type]] = {}

    def created(self, kind: Kind, obj: Json, sent: Any, options: WriteOptions, now: int) -> list[Json] | None:
        """The entries of a new object, which is decoded, defaulted, and has none; `sent`: what the writer sent."""
        if not options.tracks:
            return None
        return fields.updated(self._place(kind, ""), None, obj, sent, options.field_manager, now)

    def updated(
        self, kind: Kind, before: Json, obj: Json, sent: Any, options: WriteOptions, subresource: str, now: int
    ) -> list[Json] | None:
        """The entries of a changed object. O(1) for one that has none; else O(changes)."""
        known = before["metadata"].get("managedFields")
        if sent is not None and sent == known:
            sent = None
        if not known and not sent:
            return None
        return fields.updated(self._place(kind, subresource), before, obj, sent, options.field_manager, now)

    def applied(
        self, kind: Kind, live: Json | None, config: Json, options: WriteOptions, subresource: str, now: int
    ) -> tuple[Json, list[Json] | None]:
        """The object with `config` applied, the caller's to edit, and its entries. Raises StatusError 400, 409, 500."""
        place = self._place(kind, subresource)
        made, entries = fields.applied(place, live, config, options.field_manager, now, force=options.force)
        copied: Json = orjson.loads(orjson.dumps(made))
        if kind.is_custom:
            _refuse_nulls(kind, copied)
            return copied, entries
        try:
            kind.schema.check(copied)
        except DecodeError as error:
            raise fields.not_convertible(config, error.why) from None
        return copied, entries

    def _place(self, kind: Kind, subresource: str) -> Place:
        known = self._places.get((kind.resource, subresource))
        if known is not None and known[0] is kind:
            return known[1]
        place = Place(
            kind.resource.api_version,
            kind.kind,
            subresource,
            type_of=lambda version: self._type_of(kind, version),
            reset=lambda version, where: _reset(kind, version, where),
            empty={} if kind.is_custom else empty_object(kind.schema.raw, kind.schema.component),
            is_custom=kind.is_custom,
        )
        self._places[(kind.resource, subresource)] = (kind, place)
        return place

    def _type_of(self, kind: Kind, api_version: str) -> Type | None:
        group, _, version = api_version.rpartition("/")
        resource = Resource(group, version, kind.resource.plural)
        served = kind if resource == kind.resource else self._registry.get(resource)
        if served is None or group != kind.resource.group:
            return None
        known = self._types.get(resource)
        if known is None or known[0] is not served:
            known = self._types[resource] = (served, object_type(served.schema.raw, is_custom=served.is_custom))
        return known[1]


def _refuse_nulls(kind: Kind, obj: Json) -> None:
    """What lost all it held is null, and of custom kinds a real server takes no null that has no default, where a body that was sent
    would just lose it. Raises StatusError 422."""
    if b"null" not in orjson.dumps(obj):
        return
    shaped: Json = copy.deepcopy(obj)
    kind.schema.check(shaped)
    _fill_in(obj, shaped)
    refused = [error for error in kind.schema.validate(obj) if error.body.startswith('Invalid value: "null"')]
    if refused:
        raise invalid_object(kind.resource.group, kind.kind, obj["metadata"].get("name") or "", refused)


def _fill_in(obj: Any, shaped: Any) -> None:
    """Put defaults where there are nulls, in place."""
    if isinstance(obj, dict) and isinstance(shaped, dict):
        for name, inner in obj.items():
            if inner is None:
                obj[name] = shaped.get(name)
            elif name in shaped:
                _fill_in(inner, shaped[name])
    elif isinstance(obj, list) and isinstance(shaped, list):
        for inner, filled in zip(obj, shaped, strict=False):
            _fill_in(inner, filled)


def _reset(kind: Kind, api_version: str, subresource: str) -> Set:
    """What an endpoint keeps as it was, so that writing there owns none of it."""
    if kind.is_custom and api_version != kind.resource.api_version:
        return _NOTHING
    if subresource == "status":
        common = _ALL_BUT_STATUS if kind.is_custom else _SPEC
        return _STATUS_RESETS.get((kind.resource.group, kind.resource.plural), common)
    return _STATUS if kind.strategy.has_status else _NOTHING


def set_entries(metadata: Json, entries: list[Json] | None) -> None:
    """Put entries into an object's metadata, in the last place."""
    metadata.pop("managedFields", None)
    if entries:
        metadata["managedFields"] = entries


def is_unchanged(obj: Json, before: Json) -> bool:
    """Nothing differs but when entries were written; then `obj` keeps nothing that is worth storing."""
    metadata, old = obj["metadata"], before["metadata"]
    entries, known = metadata.get("managedFields"), old.get("managedFields")
    if entries == known or not managers.differ_in_time_only(entries, known):
        return bool(obj == before)
    metadata["managedFields"] = known
    same = bool(obj == before)
    metadata["managedFields"] = entries
    return same
