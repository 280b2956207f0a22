"""The registry: every kind whole, and consistent with the facts."""

from __future__ import annotations

import copy

import pytest

from roadstead.kinds import names
from roadstead.kinds.facts import facts
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry
from tests.kinds.way import CREATED, check_change, check_new, texts

KINDS = list(default_registry())
POD_SPEC: Json = {"containers": [{"name": "c", "image": "i:1"}]}
TEMPLATE: Json = {"metadata": {"labels": {"a": "b"}}, "spec": POD_SPEC}
REPLICATED: Json = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}}
SAMPLES: dict[str, Json] = {
    "Deployment": REPLICATED,
    "ReplicaSet": REPLICATED,
    "StatefulSet": REPLICATED,
    "Service": {"spec": {"ports": [{"port": 80}], "clusterIP": "127.128.0.1", "clusterIPs": ["127.128.0.1"]}},
    "EndpointSlice": {"addressType": "IPv4"},
    "ControllerRevision": {"data": {"spec": {}}, "revision": 1},
    "Event": {"involvedObject": {"namespace": "default", "kind": "Pod", "name": "p"}},
    "Pod": {"spec": POD_SPEC},
    "Job": {"spec": {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}}},
    "RuntimeClass": {"handler": "runc"},
    "PriorityClass": {"value": 5},
    "WorkloadPriorityClass": {"value": 5},
    "Topology": {"spec": {"levels": [{"nodeLabel": "rack"}]}},
    "AdmissionCheck": {"spec": {"controllerName": "example.com/check"}},
    "Workload": {"spec": {"podSets": [{"template": {"spec": POD_SPEC}}]}},
    "DeviceTaintRule": {
        "spec": {"taint": {"key": "example.com/broken", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}}
    },
    "ResourceSlice": {
        "spec": {
            "driver": "gpu.example.com",
            "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
            "nodeName": "n1",
            "devices": [
                {"name": "gpu-0", "attributes": {"model": {"string": "a"}}, "capacity": {"memory": {"value": "1Gi"}}}
            ],
        }
    },
    "RoleBinding": {"roleRef": {"kind": "Role", "name": "r"}},
    "ClusterRoleBinding": {"roleRef": {"kind": "ClusterRole", "name": "r"}},
    "CustomResourceDefinition": {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    },
    "Placement": {
        "spec": {"workload": {"name": "w", "uid": "u"}, "podSets": [{"name": "main", "members": [{"node": "n1"}]}]}
    },
}


def sample(kind: Kind) -> Json:
    return copy.deepcopy({"metadata": {"name": "a"}, **SAMPLES.get(kind.kind, {})})


def test_exactly_the_promised_kinds_are_served() -> None:
    assert {kind.kind for kind in KINDS} == {
        "Namespace", "Node", "Pod", "ConfigMap", "Secret", "ServiceAccount", "Event", "Lease", "PriorityClass", "Job", "LimitRange", "RuntimeClass",
        "ControllerRevision", "Deployment", "ReplicaSet", "PodDisruptionBudget", "Service", "Endpoints", "EndpointSlice",
        "CustomResourceDefinition", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding",
        "DeviceClass", "DeviceTaintRule", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice",
        "ResourceFlavor", "AdmissionCheck", "ClusterQueue", "Cohort", "LocalQueue", "Topology", "Workload", "WorkloadPriorityClass", "Placement",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_plain_object_is_accepted_and_stays_as_it_is(kind: Kind) -> None:
    obj, found = check_new(kind, sample(kind), mode="Strict")
    assert texts(found) == []
    again, found = check_change(kind, obj, obj)
    assert texts(found) == []
    assert again == obj, "an update without a change is no change"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_there_is_a_cell_for_every_column_and_a_value_for_every_field(kind: Kind) -> None:
    obj, _ = check_new(kind, sample(kind))
    cells = kind.strategy.cells(obj, 1767225600 + 90.0)
    assert len(cells) == len(kind.strategy.columns)
    assert set(kind.strategy.fields(obj)) == set(kind.strategy.field_names)
    if any(column.name == "Age" for column in kind.strategy.columns):
        assert "90s" in cells, f"{CREATED} is 90 seconds ago"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_schemas_refer_only_to_schemas_that_are_there(kind: Kind) -> None:
    todo, seen = [kind.schema.raw], set()
    while todo:
        schema = todo.pop()
        for key, value in schema.items():
            if key == "ref":
                assert value in facts().schemas
                if value not in seen:
                    seen.add(value)
                    todo.append(facts().schemas[value])
            elif isinstance(value, dict):
                todo.append(value)


def test_what_runs_is_in_all() -> None:
    assert {kind.kind for kind in KINDS if "all" in kind.categories} == {
        "Pod", "Job", "Deployment", "ReplicaSet", "Service",
    }  # fmt: skip


def test_short_names_are_nobody_elses() -> None:
    words = [word for kind in KINDS for word in {*kind.short_names, kind.singular, kind.resource.plural}]
    assert len(words) == len(set(words))


def test_a_kind_is_found_by_resource_and_by_name() -> None:
    registry = default_registry()
    pods = registry.get(names.PODS)
    assert pods is not None
    assert registry.by_kind("v1", "Pod") is pods
    assert registry.by_kind("v2", "Pod") is None
    assert pods.list_kind == "PodList"
    assert pods.subresource("binding") is not None
    assert pods.subresource("exec") is None
