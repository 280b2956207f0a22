"""ConfigMaps, Secrets, Namespaces, Nodes, Events: their own rules."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.core.node import NodeStrategy
from roadstead.kinds.names import CONFIG_MAPS, EVENTS, NAMESPACES, NODES, SECRETS
from roadstead.kinds.object import Json, Resource
from tests.kinds.way import check_change, check_new, kind_of, texts


def created(resource: Resource, **value: Any) -> Json:
    obj, found = check_new(kind_of(resource), {"metadata": {"name": "a"}} | value)
    assert texts(found) == []
    return obj


def problems(resource: Resource, **value: Any) -> list[str]:
    return texts(check_new(kind_of(resource), {"metadata": {"name": "a"}} | value)[1])


def changed(resource: Resource, old: Json, **edit: Any) -> list[str]:
    return texts(check_change(kind_of(resource), old, copy.deepcopy(old) | edit)[1])


def test_config_maps_have_keys_and_a_size() -> None:
    assert problems(CONFIG_MAPS, data={"a/b": "x"})[0].startswith(
        'data[a/b]: Invalid value: "a/b": a valid config key must'
    )
    assert problems(CONFIG_MAPS, data={"a": "x"}, binaryData={"a": "AA=="}) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]
    assert problems(CONFIG_MAPS, data={"a": "é" * (512 * 1024), "b": "x"}) == [
        "[]: Too long: may not be more than 1048576 bytes"
    ]
    assert problems(CONFIG_MAPS, data={"a": "x" * 1048576}) == []


def test_what_is_immutable_stays() -> None:
    old = created(CONFIG_MAPS, data={"a": "1"}, immutable=True)
    why = "field is immutable when `immutable` is set"
    assert changed(CONFIG_MAPS, old, data={"a": "2"}) == [f"data: Forbidden: {why}"]
    assert changed(CONFIG_MAPS, old, immutable=False) == [f"immutable: Forbidden: {why}"]
    assert changed(CONFIG_MAPS, created(CONFIG_MAPS, data={"a": "1"}), data={"a": "2"}, immutable=True) == []


def test_string_data_is_folded_into_data() -> None:
    secret = created(SECRETS, stringData={"a": "x"}, data={"a": "AA==", "b": "AA=="})
    assert secret["data"] == {"a": "eA==", "b": "AA=="}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"type": "kubernetes.io/tls"}, ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
        ({"type": "kubernetes.io/tls", "stringData": {"tls.crt": "", "tls.key": ""}}, []),
        ({"type": "kubernetes.io/basic-auth"}, ["data[username]: Required value", "data[password]: Required value"]),
        ({"type": "kubernetes.io/basic-auth", "stringData": {"password": "x"}}, []),
        ({"type": "kubernetes.io/ssh-auth"}, ["data[ssh-privatekey]: Required value"]),
        ({"type": "kubernetes.io/service-account-token"}, ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]),
        ({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{}"}}, []),
    ],
)  # fmt: skip
def test_well_known_types_promise_contents(value: Json, found: list[str]) -> None:
    assert problems(SECRETS, **value) == found


def test_a_broken_docker_config_does_not_leak() -> None:
    (found,) = problems(SECRETS, type="kubernetes.io/dockercfg", stringData={".dockercfg": "pass word"})
    assert found.startswith('data[.dockercfg]: Invalid value: "<secret contents redacted>"')
    assert "pass word" not in found


def test_a_secrets_type_is_fixed() -> None:
    old = created(SECRETS)
    assert changed(SECRETS, old, type="example.com/x") == ['type: Invalid value: "example.com/x": field is immutable']


def test_namespaces_are_labelled_with_their_name() -> None:
    namespace = created(NAMESPACES, spec={"finalizers": ["example.com/f"]})
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    assert namespace["spec"]["finalizers"] == ["example.com/f", "kubernetes"]
    assert namespace["status"] == {"phase": "Active"}
    obj, _ = check_change(kind_of(NAMESPACES), namespace, namespace | {"spec": {}})
    assert obj["spec"] == namespace["spec"], "finalizers are not an update's business"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"taints": [{"key": "a", "effect": "X"}]}, 'spec.taints[0].effect: Unsupported value: "X": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'),
        ({"taints": [{"key": "a"}]}, "spec.taints[0].effect: Required value"),
        ({"taints": [{"key": "a", "effect": "NoSchedule"}] * 2}, "taints must be unique by key and effect pair"),
        ({"podCIDRs": ["10.0.0.0/33"]}, 'spec.podCIDRs[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'),
    ],
)  # fmt: skip
def test_node_rules(spec: Json, found: str) -> None:
    assert any(found in problem for problem in problems(NODES, spec=spec))


def test_nodes_come_with_a_status_and_keep_their_identity() -> None:
    node = created(NODES, spec={"providerID": "x://1", "podCIDR": "10.0.0.0/24"}, status={"capacity": {"cpu": "4"}})
    assert node["status"]["allocatable"] == {"cpu": "4"}
    node["status"]["capacity"]["example.com/g"] = "1"
    NodeStrategy().default(node)
    assert node["status"]["allocatable"] == {"cpu": "4"}, "once said, it stays as it is"
    assert node["spec"]["podCIDRs"] == ["10.0.0.0/24"]
    assert changed(NODES, node, spec=node["spec"] | {"providerID": "y://2"}) == [
        'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'
    ]


@pytest.mark.parametrize(
    ("conditions", "unschedulable", "word"),
    [
        ([], False, "Unknown"),
        ([{"type": "Ready", "status": "True"}], False, "Ready"),
        ([{"type": "Ready", "status": "Unknown"}], True, "NotReady,SchedulingDisabled"),
    ],
)
def test_a_nodes_row(conditions: list[Json], unschedulable: bool, word: str) -> None:
    node = created(
        NODES,
        metadata={"name": "a", "labels": {"node-role.kubernetes.io/gpu": "", "kubernetes.io/role": "lab"}},
        spec={"unschedulable": unschedulable},
        status={"conditions": conditions, "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
    )
    cells = kind_of(NODES).strategy.cells(node, 1767225600.0)
    assert cells[1:3] == [word, "gpu,lab"]
    assert cells[5:8] == ["10.0.0.1", "<none>", "<unknown>"]
    assert kind_of(NODES).strategy.fields(node) == {"spec.unschedulable": str(unschedulable).lower()}


def test_events_live_where_their_object_lives() -> None:
    assert problems(EVENTS, involvedObject={"namespace": "other"}) == [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
    ]
    assert problems(EVENTS, involvedObject={}) == []
    late = problems(EVENTS, involvedObject={"namespace": "default"}, eventTime="2026-01-01T00:00:00.000000Z")
    assert "reportingInstance: Required value" in late
    assert "action: Required value" in late


def test_an_events_row() -> None:
    event = created(
        EVENTS,
        involvedObject={"kind": "Pod", "name": "p", "namespace": "default"},
        reason="Started",
        message=" started \n",
        type="Normal",
        source={"component": "agent", "host": "n1"},
        firstTimestamp="2026-01-01T00:00:00Z",
        lastTimestamp="2026-01-01T00:01:00Z",
        count=3,
    )
    assert kind_of(EVENTS).strategy.cells(event, 1767225600 + 90.0) == [
        "30s", "Normal", "Started", "pod/p", "", "agent, n1", "started", "90s", 3, "a",
    ]  # fmt: skip
    assert kind_of(EVENTS).strategy.fields(event)["involvedObject.name"] == "p"
    assert kind_of(EVENTS).strategy.fields(event)["source"] == "agent"
