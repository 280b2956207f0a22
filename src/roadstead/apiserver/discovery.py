"""Discovery (kubernetes-api section 2), both ways: one legacy document per group version, or everything in one document.

All documents are made from the registry when its kinds have changed, and sent as bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from roadstead.apiserver.access_reviews import IN_A_NAMESPACE, OF_A_SUBJECT, OF_ONESELF, RULES
from roadstead.apiserver.negotiate import JSON, clauses
from roadstead.apiserver.reviews import SELF_REVIEWS, TOKEN_REVIEWS
from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind, Registry, Subresource

AGGREGATED_GROUP: Final = "apidiscovery.k8s.io"

BINDINGS: Final = Resource("", "v1", "bindings")


@dataclass(frozen=True, slots=True)
class Virtual:
    """Served, but none of the registry's kinds: nothing of it is kept. Most are posted; others are only looked at, through
    `subresources` (name, kind)."""

    resource: Resource
    kind: str
    namespaced: bool = False
    verbs: tuple[str, ...] = ("create",)
    subresources: tuple[tuple[str, str], ...] = ()

    @property
    def singular(self) -> str:
        return self.kind.lower()


VIRTUAL: Final = (
    Virtual(BINDINGS, "Binding", namespaced=True),
    Virtual(SELF_REVIEWS, "SelfSubjectReview"),
    Virtual(TOKEN_REVIEWS, "TokenReview"),
    Virtual(IN_A_NAMESPACE, "LocalSubjectAccessReview", namespaced=True),
    Virtual(OF_ONESELF, "SelfSubjectAccessReview"),
    Virtual(RULES, "SelfSubjectRulesReview"),
    Virtual(OF_A_SUBJECT, "SubjectAccessReview"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """One document, ready to be sent."""

    body: bytes
    content_type: str = JSON
    etag: str = ""


class Discovery:
    """Answers GET /api, /apis, /apis/GROUP, /api/v1 and /apis/GROUP/VERSION."""

    def __init__(self, registry: Registry, server_address: str, also: Sequence[Virtual] = ()) -> None:
        """`also`: what is served besides the registry's kinds and VIRTUAL. Its groups come last: clients that know a kind by its name
        only (`kubectl get clusterqueue`) take the first group that has it."""
        self._virtual = (*VIRTUAL, *also)
        self._also = also
        self._registry = registry
        self._address = server_address
        self._made_of = -1
        self._renew()

    def _renew(self) -> None:
        """Make the documents anew if the kinds that are served have changed."""
        registry, also, server_address = self._registry, self._also, self._address
        if self._made_of == registry.version:
            return
        self._made_of = registry.version
        self._groups: dict[str, dict[str, list[Kind]]] = {}
        for kind in registry:
            if kind.resource.group:
                continue
            self._groups.setdefault("", {}).setdefault(kind.resource.version, []).append(kind)
        self._place(VIRTUAL)
        for kind in registry:
            if kind.resource.group:
                self._groups.setdefault(kind.resource.group, {}).setdefault(kind.resource.version, []).append(kind)
        self._place(also)
        for group, versions in self._groups.items():
            self._groups[group] = dict(sorted(versions.items(), key=lambda item: version_order(item[0])))
        self._legacy = self._legacy_documents(server_address)
        self._aggregated = {
            (path, version): self._aggregated_document(path, version)
            for path in ("/api", "/apis")
            for version in ("v2", "v2beta1")
        }

    def _place(self, virtual: Sequence[Virtual]) -> None:
        for one in virtual:
            if one.resource.group:
                self._groups.setdefault(one.resource.group, {}).setdefault(one.resource.version, [])

    def find(self, path: str, accept: str) -> Document | None:
        """The document at `path` (no trailing slash), in the form the client prefers; None if there is none."""
        self._renew()
        if path in ("/api", "/apis"):
            for clause in clauses(accept):
                if clause.media != JSON:
                    continue
                parameters = clause.parameters
                if parameters.get("as") == "APIGroupDiscoveryList" and parameters.get("g") == AGGREGATED_GROUP:
                    document = self._aggregated.get((path, parameters.get("v", "")))
                    if document is not None:
                        return document
                elif not parameters.get("as"):
                    break
        return self._legacy.get(path)

    def has_group(self, group: str) -> bool:
        self._renew()
        return group in self._groups

    def paths(self) -> list[str]:
        """Every document's path."""
        self._renew()
        return list(self._legacy)

    def _legacy_documents(self, server_address: str) -> dict[str, Document]:
        documents: dict[str, Json] = {
            "/api": {
                "kind": "APIVersions",
                "versions": list(self._groups.get("", {})),
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
            }
        }
        groups = []
        for group, versions in self._groups.items():
            if group:
                served = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
                entry: Json = {"name": group, "versions": served, "preferredVersion": served[0]}
                groups.append(entry)
                documents[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **entry}
            for version, kinds in versions.items():
                documents[f"/apis/{group}/{version}" if group else f"/api/{version}"] = _resource_list(
                    group, version, kinds, _virtual(self._virtual, group, version, kinds)
                )
        documents["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        return {path: Document(orjson.dumps(value)) for path, value in documents.items()}

    def _aggregated_document(self, path: str, version: str) -> Document:
        items = []
        for group, versions in self._groups.items():
            if (group == "") != (path == "/api"):
                continue
            served = [
                {
                    "version": name,
                    "resources": _aggregated_resources(kinds, _virtual(self._virtual, group, name, kinds)),
                    "freshness": "Current",
                }
                for name, kinds in versions.items()
            ]
            items.append({"metadata": {"name": group} if group else {}, "versions": served})
        value = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"{AGGREGATED_GROUP}/{version}",
            "metadata": {},
            "items": items,
        }
        body = orjson.dumps(value)
        content_type = f"{JSON};g={AGGREGATED_GROUP};v={version};as=APIGroupDiscoveryList"
        return Document(body, content_type, f'"{hashlib.sha256(body).hexdigest().upper()}"')


def _resource_list(group: str, version: str, kinds: list[Kind], virtual: list[Virtual]) -> Json:
    resources = []
    for kind in kinds:
        entry: Json = {
            "name": kind.resource.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(kind.listed_verbs),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        entry["storageVersionHash"] = _storage_hash(kind)
        resources.append(entry)
        resources.extend(_legacy_subresource(kind, sub) for sub in _sorted(kind))
    for one in virtual:
        entry = {"name": one.resource.plural, "singularName": one.singular, "namespaced": one.namespaced}
        resources.append({**entry, "kind": one.kind, "verbs": list(one.verbs)})
        for name, kind_name in one.subresources:
            sub = {"name": f"{one.resource.plural}/{name}", "singularName": "", "namespaced": one.namespaced}
            resources.append({**sub, "kind": kind_name, "verbs": ["get"]})
    custom = {kind.resource.plural for kind in kinds if kind.is_custom}
    resources.sort(key=lambda entry: _rank(str(entry["name"]), custom))
    list_ = {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}",
        "resources": resources,
    }
    if not group:
        list_ = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
    return list_


def _legacy_subresource(kind: Kind, sub: Subresource) -> Json:
    entry: Json = {
        "name": f"{kind.resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": sub.kind or kind.kind,
        "verbs": list(sub.verbs),
    }
    if sub.group:
        entry |= {"group": sub.group, "version": sub.version}
    return entry


def _virtual(served: Sequence[Virtual], group: str, version: str, kinds: list[Kind]) -> list[Virtual]:
    """What is served besides kinds in a group version. No bindings without pods."""
    return [
        virtual
        for virtual in served
        if (virtual.resource.group, virtual.resource.version) == (group, version)
        and (virtual.resource != BINDINGS or any(kind.resource == PODS for kind in kinds))
    ]


def _aggregated_resources(kinds: list[Kind], virtual: list[Virtual]) -> list[Json]:
    return [_aggregated_virtual(one) for one in virtual] + [_aggregated_resource(kind) for kind in kinds]


def _aggregated_virtual(virtual: Virtual) -> Json:
    entry: Json = {
        "resource": virtual.resource.plural,
        "responseKind": {"group": "", "version": "", "kind": virtual.kind},
        "scope": "Namespaced" if virtual.namespaced else "Cluster",
        "singularResource": virtual.singular,
        "verbs": list(virtual.verbs),
    }
    if virtual.subresources:
        entry["subresources"] = [
            {"subresource": name, "responseKind": {"group": "", "version": "", "kind": kind}, "verbs": ["get"]}
            for name, kind in virtual.subresources
        ]
    return entry


def _aggregated_resource(kind: Kind) -> Json:
    entry: Json = {
        "resource": kind.resource.plural,
        "responseKind": _response_kind(kind, "", "", kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.listed_verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _response_kind(kind, sub.group, sub.version, sub.kind or kind.kind),
                "verbs": list(sub.verbs),
            }
            for sub in _sorted(kind)
        ]
    return entry


def _response_kind(kind: Kind, group: str, version: str, name: str) -> Json:
    """Built-in kinds leave group and version empty (clients fill them in from where the resource stands); custom ones do not."""
    if not group and kind.is_custom:
        return {"group": kind.resource.group, "version": kind.resource.version, "kind": name}
    return {"group": group, "version": version if group else "", "kind": name}


def _rank(name: str, custom: set[str]) -> tuple[str, bool, str]:
    """Sorts resources and subresources by name; those of custom kinds have status before scale."""
    plural, _, subresource = name.partition("/")
    return plural, subresource == "scale" and plural in custom, subresource


def _sorted(kind: Kind) -> list[Subresource]:
    """By name; custom kinds have status before scale."""
    return sorted(kind.subresources, key=lambda sub: (kind.is_custom and sub.name == "scale", sub.name))


def _storage_hash(kind: Kind) -> str:
    """Changes when the stored version of the kind does."""
    text = f"{kind.resource.group}/{kind.resource.version}/{kind.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sort key: stable before beta before alpha, newer first, other names last (section 2.3)."""
    digits = version[1:]
    for stage, rank in (("beta", 1), ("alpha", 2)):
        major, found, minor = digits.partition(stage)
        if version.startswith("v") and found and major.isdigit() and minor.isdigit():
            return (rank, -int(major), -int(minor), "")
    if version.startswith("v") and digits.isdigit():
        return (0, -int(digits), 0, "")
    return (3, 0, 0, version)
