"""The kinds that are served, each whole: the one list behind discovery, OpenAPI, storage and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.schema import Schema
from roadstead.kinds.strategy import Strategy

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A served path below an object. `kind` and group/version if it speaks another kind (pods/binding -> v1 Binding)."""

    name: str
    verbs: Sequence[str] = ("get", "patch", "update")
    kind: str = ""
    group: str = ""
    version: str = ""


class UnknownVersion(ValueError):
    """An object is stored in a version that its kind has never had here: newer than this program, or not ours."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One step of a kind's chain: `change` turns an object as `version` wrote it into the next one (apiVersion is set for it)."""

    version: str
    change: Callable[[Json], Json]


_CHANGES: Final = frozenset({"create", "patch", "update"})

EVERY_VERSION: Final = "*"
"""The version of the resource under which objects of a kind with several versions are kept."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How objects are kept of a kind that a definition brought: those of all its versions together, each as the version that was the
    storage version when it was written (apiextensions-apiserver, `conversion.strategy: None`)."""

    resource: Resource
    """Group and plural; its version is EVERY_VERSION."""
    api_version: str
    """What is written now."""
    read: Callable[[Object], Object]
    """An object as it is stored -> as the kind's own version shows it: pruned, with defaults. Kept while the object is new."""

    def is_current(self, found: Object) -> bool:
        """It is stored in the version that is written now. O(bytes)."""
        return bool(found.decode().get("apiVersion") == self.api_version)


@dataclass(frozen=True, slots=True)
class Kind:
    """Everything static about one served kind."""

    resource: Resource
    kind: str
    singular: str
    namespaced: bool
    schema: Schema
    strategy: Strategy
    short_names: Sequence[str] = ()
    categories: Sequence[str] = ()
    subresources: Sequence[Subresource] = ()
    verbs: Sequence[str] = field(default=ALL_VERBS)
    is_custom: bool = False
    """Served as a custom resource would be: no strategic merge patch, PUT needs a resourceVersion."""
    is_leaving: bool = False
    """Its definition is being deleted, and its objects with it: there are no new ones."""
    has_protobuf: bool = True
    """Its protobuf messages are packaged, if it is not custom."""
    upgrades: Sequence[Upgrade] = ()
    """Versions that were stored once, oldest first. `resource.version` is the one that is stored now."""
    storage: Storage | None = None
    """None: kept as it is served, under `resource`."""

    @property
    def stored(self) -> Resource:
        """The resource under which the store keeps its objects."""
        return self.resource if self.storage is None else self.storage.resource

    def read(self, found: Object) -> Object:
        """A stored object as this kind shows it: mostly itself."""
        return found if self.storage is None else self.storage.read(found)

    def to_store(self, obj: Json) -> Json:
        """The object as it is to be stored, edited in place."""
        if self.storage is not None:
            obj["apiVersion"] = self.storage.api_version
        return obj

    def is_stale(self, found: Object) -> bool:
        """Stored in a version that is no longer written: also a change of nothing writes it anew."""
        return self.storage is not None and not self.storage.is_current(found)

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def listed_verbs(self) -> Sequence[str]:
        """What discovery says may be done."""
        return [verb for verb in self.verbs if verb not in _CHANGES] if self.is_leaving else self.verbs

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)


class _Tables(NamedTuple):
    """What is served at one moment. Never changed, only replaced."""

    by_resource: Mapping[Resource, Kind]
    by_name: Mapping[tuple[str, str], Kind]
    by_kind: Mapping[tuple[str, str], Kind]
    aliases: Mapping[Resource, Kind]
    """The resources that only the store knows -> the kind in its storage version."""


def _tables(kinds: Sequence[Kind]) -> _Tables:
    aliases = {
        kind.storage.resource: kind
        for kind in kinds
        if kind.storage is not None and kind.storage.api_version == kind.resource.api_version
    }
    for kind in kinds:  # a storage version that is not served: any other may speak for it
        if kind.storage is not None:
            aliases.setdefault(kind.storage.resource, kind)
    return _Tables(
        {kind.resource: kind for kind in kinds},
        {(kind.resource.group, kind.resource.plural): kind for kind in kinds if kind.storage is None},
        {(kind.resource.api_version, kind.kind): kind for kind in kinds},
        aliases,
    )


class Registry:
    """Kinds by resource and by (apiVersion, kind). Order of registration is order in discovery.

    Some are there for good, others come and go with their definitions. All are read from one value that `define` replaces, so whoever
    looks something up needs no lock and sees all of a definition or nothing.
    """

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._own = tuple(kinds)
        self._tables = _tables(self._own)
        self.version = 0
        """Grows with each `define`: who makes documents of the kinds looks whether they are still true."""

    def fork(self) -> Registry:
        """The kinds that are there for good, for a server of its own."""
        return Registry(self._own)

    def define(self, kinds: Sequence[Kind]) -> None:
        """From now on these are served beside those that are there for good, which nobody can define anew."""
        taken = {(kind.resource.group, kind.resource.plural) for kind in self._own}
        fresh = [kind for kind in kinds if (kind.resource.group, kind.resource.plural) not in taken]
        self._tables = _tables((*self._own, *fresh))
        self.version += 1

    def owns(self, group: str, plural: str) -> bool:
        """It is among the kinds that are there for good."""
        return any((kind.resource.group, kind.resource.plural) == (group, plural) for kind in self._own)

    def get(self, resource: Resource) -> Kind | None:
        """The kind that is served as `resource`, or kept under it."""
        tables = self._tables
        return tables.by_resource.get(resource) or tables.aliases.get(resource)

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        return self._tables.by_kind.get((api_version, kind))

    def upgraded(self, key: str, api_version: str, raw: bytes) -> tuple[str, bytes]:
        """A stored object as it is stored now: (apiVersion, JSON). `key` begins with `group/plural:`. O(1) unless the object is
        older; of a kind that is not served, as it is. Raises UnknownVersion."""
        group, _, plural = key.partition(":")[0].rpartition("/")
        kind = self._tables.by_name.get((group, plural))
        if kind is None or api_version == kind.resource.api_version:
            return api_version, raw
        chain = [step.version for step in kind.upgrades]
        version = api_version.rpartition("/")[2]
        if version not in chain:
            known = ", ".join((*chain, kind.resource.version))
            raise UnknownVersion(f"it is stored as {api_version}; this version of roadstead knows {known} of {plural}")
        value: Json = orjson.loads(raw)
        for step in kind.upgrades[chain.index(version) :]:
            value = step.change(value)
        value["apiVersion"] = kind.resource.api_version
        return kind.resource.api_version, orjson.dumps(value)

    def by_storage(self) -> list[Kind]:
        """One kind for each resource that is kept: of those with several versions the one that is written."""
        tables = self._tables
        return [kind for kind in tables.by_resource.values() if kind.storage is None] + list(tables.aliases.values())

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._tables.by_resource.values())
