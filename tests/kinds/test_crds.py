"""CustomResourceDefinitions as they are printed: whole, structural, and the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from roadstead.kinds.crds import definition, definitions
from roadstead.kinds.names import CLUSTER_QUEUES, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry

KUBECTL_LIMIT = 262_144
"""Bytes that kubectl may keep of an object in its last-applied annotation."""


def _schema(crd: Json) -> Json:
    found: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def _nodes(schema: Json) -> Iterator[Json]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from _nodes(inner)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _nodes(schema[name])


ALL = {crd["metadata"]["name"]: crd for crd in definitions(default_registry())}


def test_every_custom_kind_has_one() -> None:
    assert list(ALL) == sorted(
        f"{kind.resource.plural}.{kind.resource.group}" for kind in default_registry() if kind.is_custom
    )
    assert definitions(default_registry()) == list(ALL.values())


@pytest.mark.parametrize("name", list(ALL))
def test_schemas_are_structural(name: str) -> None:
    """Every node has a type (or is an int-or-string, or keeps what it does not know), and refers to nothing outside."""
    for node in _nodes(_schema(ALL[name])):
        assert (
            "type" in node or node.get("x-kubernetes-int-or-string") or node.get("x-kubernetes-preserve-unknown-fields")
        )
        assert not {"ref", "$ref", "x-kubernetes-group-version-kind", "x-kubernetes-selectable-fields"} & set(node)
        for key in node.get("x-kubernetes-list-map-keys", ()):
            item = node["items"]
            assert key in item.get("required", ()) or "default" in item["properties"][key]


@pytest.mark.parametrize("name", list(ALL))
def test_kubectl_can_apply_it(name: str) -> None:
    assert len(orjson.dumps(ALL[name])) < KUBECTL_LIMIT


def test_a_definition_says_what_we_serve() -> None:
    kind = default_registry().get(CLUSTER_QUEUES)
    assert kind is not None
    crd = definition(kind)
    spec: Any = crd["spec"]
    assert spec["names"] == {
        "kind": "ClusterQueue",
        "listKind": "ClusterQueueList",
        "plural": "clusterqueues",
        "singular": "clusterqueue",
        "shortNames": ["cq"],
    }
    assert spec["scope"] == "Cluster"
    (version,) = spec["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1beta2", True, True)
    assert version["subresources"] == {"status": {}}
    assert [column["name"] for column in version["additionalPrinterColumns"]] == [
        "Cohort",
        "Strategy",
        "Pending Workloads",
        "Admitted Workloads",
    ]
    strategy = _schema(crd)["properties"]["spec"]["properties"]["queueingStrategy"]
    assert strategy == {"type": "string", "default": "BestEffortFIFO", "enum": ["StrictFIFO", "BestEffortFIFO"]}


def test_selectable_fields_are_declared() -> None:
    kind = default_registry().get(WORKLOADS)
    assert kind is not None
    assert definition(kind)["spec"]["versions"][0]["selectableFields"] == [
        {"jsonPath": ".status.admission.clusterQueue"}
    ]
