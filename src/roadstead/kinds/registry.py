"""The kinds that are served, each whole: the one list behind discovery, OpenAPI, storage and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from roadstead.kinds.object import Resource
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

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)


class Registry:
    """Kinds by resource and by (apiVersion, kind). Order of registration is order in discovery."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._by_resource = {kind.resource: kind for kind in kinds}
        self._by_kind = {(kind.resource.api_version, kind.kind): kind for kind in kinds}

    def get(self, resource: Resource) -> Kind | None:
        return self._by_resource.get(resource)

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        return self._by_kind.get((api_version, kind))

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_resource.values())
