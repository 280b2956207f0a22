"""The kinds that are served, each whole: the one list behind discovery, OpenAPI, storage and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from roadstead.kinds.object import Json, Resource
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
    upgrades: Sequence[Upgrade] = ()
    """Versions that were stored once, oldest first. `resource.version` is the one that is stored now."""

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)


class Registry:
    """Kinds by resource and by (apiVersion, kind). Order of registration is order in discovery."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._by_resource = {kind.resource: kind for kind in kinds}
        self._by_name = {(kind.resource.group, kind.resource.plural): kind for kind in kinds}
        self._by_kind = {(kind.resource.api_version, kind.kind): kind for kind in kinds}

    def get(self, resource: Resource) -> Kind | None:
        return self._by_resource.get(resource)

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        return self._by_kind.get((api_version, kind))

    def upgraded(self, key: str, api_version: str, raw: bytes) -> tuple[str, bytes]:
        """A stored object as it is stored now: (apiVersion, JSON). `key` begins with `group/plural:`. O(1) unless the object is
        older; of a kind that is not served, as it is. Raises UnknownVersion."""
        group, _, plural = key.partition(":")[0].rpartition("/")
        kind = self._by_name.get((group, plural))
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

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_resource.values())
