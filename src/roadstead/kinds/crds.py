"""CustomResourceDefinitions of the custom kinds, for a cluster that is not ours (apiextensions.k8s.io/v1).

The same facts that our own server serves a kind by: types, list types and map keys, defaults, enums, limits, patterns,
printer columns, subresources, names. Rules that a schema cannot say are Python in the kind's strategy; `cel_rules.py`
says those that a real server can be told, as CEL.
"""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds.cel_rules import RULES
from roadstead.kinds.custom import CustomStrategy
from roadstead.kinds.facts import facts
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind, Registry

_NOT_IN_A_CRD: Final = frozenset({"x-kubernetes-group-version-kind", "x-kubernetes-selectable-fields", "ref"})
_METADATA: Final[Json] = {"type": "object"}


def definitions(registry: Registry) -> list[Json]:
    """The CRD of every custom kind that is served, by name."""
    return sorted(
        (definition(kind) for kind in registry if kind.is_custom), key=lambda crd: str(crd["metadata"]["name"])
    )


def definition(kind: Kind) -> Json:
    """The CRD of one custom kind, with one version: the one that is served and stored."""
    strategy = kind.strategy
    assert isinstance(strategy, CustomStrategy)
    resource = kind.resource
    names: Json = {"kind": kind.kind, "listKind": kind.list_kind, "plural": resource.plural, "singular": kind.singular}
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    if kind.categories:
        names["categories"] = list(kind.categories)
    version: Json = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _with_rules(kind.kind, _root(kind.schema.raw))},
        "additionalPrinterColumns": strategy.printed_columns,
    }
    if kind.subresource("status") is not None:
        version["subresources"] = {"status": {}}
    if strategy.field_names:
        version["selectableFields"] = [{"jsonPath": f".{name}"} for name in strategy.field_names]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
    }


def _root(raw: Json) -> Json:
    properties = {name: _METADATA if name == "metadata" else inner for name, inner in raw["properties"].items()}
    schema: Json = _plain({**raw, "properties": properties})
    return schema


def _plain(schema: Any) -> Any:
    """The schema with references resolved and without what only OpenAPI documents say."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = facts().resolve(schema)
    kept = {name: inner for name, inner in found.items() if name not in _NOT_IN_A_CRD}
    if "properties" in kept:
        kept["properties"] = {name: _plain(inner) for name, inner in kept["properties"].items()}
    for name in ("items", "additionalProperties"):
        if name in kept:
            kept[name] = _plain(kept[name])
    return kept


def _with_rules(kind: str, schema: Json) -> Json:
    """The schema with the CEL rules of its kind at their places. KeyError if a place does not exist."""
    for path, rules in RULES.get(kind, {}).items():
        node = schema
        for step in path.split("."):
            if step:
                node = node["items"] if step == "[]" else node["properties"][step]
        node["x-kubernetes-validations"] = [{"rule": rule, "message": message} for rule, message in rules]
    return schema
