"""Roles and bindings. Every sentence is the real server's, asked."""

from __future__ import annotations

import copy

import pytest

from roadstead.kinds.names import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, RBAC, ROLE_BINDINGS, ROLES
from roadstead.kinds.object import Json, Resource
from tests.kinds.way import check_change, check_new, kind_of, texts

GET_PODS: Json = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}

PROBLEMS: list[tuple[str, Resource, Json, list[str]]] = [
    ("a rule without verbs", ROLES, {"rules": [{**GET_PODS, "verbs": []}]}, ["rules[0].verbs: Required value: verbs must contain at least one value"]),
    ("a rule about nothing", ROLES, {"rules": [{"verbs": ["get"]}]}, [
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        "rules[0].resources: Required value: resource rules must supply at least one resource",
    ]),
    ("paths in a namespace", ROLES, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, [
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    ]),
    ("paths and resources", CLUSTER_ROLES, {"rules": [{**GET_PODS, "nonResourceURLs": ["/x"]}]}, [
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs',
    ]),
    ("paths alone", CLUSTER_ROLES, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, []),
    ("no selectors", CLUSTER_ROLES, {"aggregationRule": {}}, [
        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
    ]),
    ("another group", ROLE_BINDINGS, {"roleRef": {"apiGroup": "x", "kind": "Role", "name": "r"}}, [
        'roleRef.apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
    ]),
    ("no name", ROLE_BINDINGS, {"roleRef": {"kind": "Foo"}}, [
        'roleRef.kind: Unsupported value: "Foo": supported values: "Role", "ClusterRole"',
        "roleRef.name: Required value",
    ]),
    ("a role of a namespace", CLUSTER_ROLE_BINDINGS, {"roleRef": {"kind": "Role", "name": "a/b"}}, [
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        "roleRef.name: Invalid value: \"a/b\": may not contain '/'",
    ]),
    ("an account of no namespace", CLUSTER_ROLE_BINDINGS, {"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "a"}]}, [
        "subjects[0].namespace: Required value",
    ]),
    ("strange subjects", ROLE_BINDINGS, {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "Robot", "name": "bob"}, {"kind": "User", "apiGroup": "x"}, {"kind": "ServiceAccount", "apiGroup": "x", "name": "a"}]}, [
        'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
        "subjects[1].name: Required value",
        'subjects[1].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
        'subjects[2].apiGroup: Unsupported value: "x": supported values: ""',
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "value", "wrong"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS]
)
def test_rules(resource: Resource, value: Json, wrong: list[str]) -> None:
    assert texts(check_new(kind_of(resource), {"metadata": {"name": "system:x"}, **copy.deepcopy(value)})[1]) == wrong


def test_an_unreadable_selector_is_said_twice() -> None:
    value = {"metadata": {"name": "x"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"-a": "b"}}]}}
    found = texts(check_new(kind_of(CLUSTER_ROLES), value)[1])
    assert found[0].startswith(
        'aggregationRule.clusterRoleSelectors[0].matchLabels: Invalid value: "-a": name part must'
    )
    assert found[1:] == ["aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector."]


@pytest.mark.parametrize(
    ("name", "why"), [("a/b", "may not contain '/'"), ("a%b", "may not contain '%'"), ("..", "may not be '..'")]
)
def test_names_are_segments_of_a_path(name: str, why: str) -> None:
    assert kind_of(ROLES).strategy.name_rule(name) == (why,)
    assert not kind_of(ROLES).strategy.name_rule("system::leader-locking")


def test_defaults() -> None:
    role, _ = check_new(kind_of(ROLES), {"metadata": {"name": "r"}, "rules": []})
    assert role["rules"] is None
    people = [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]
    binding, _ = check_new(
        kind_of(ROLE_BINDINGS),
        {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": people},
    )
    assert binding["roleRef"] == {"apiGroup": RBAC, "kind": "Role", "name": "r"}
    assert [one.get("apiGroup") for one in binding["subjects"]] == [RBAC, None]
    assert kind_of(ROLE_BINDINGS).strategy.cells(binding, 0.0)[3:] == ["u", "", "n/s"]


def test_what_is_granted_never_changes() -> None:
    old, _ = check_new(
        kind_of(ROLE_BINDINGS), {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": []}
    )
    assert "subjects" not in old
    new = copy.deepcopy(old)
    new["roleRef"]["name"] = "q"
    value = '{"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"q"}'
    assert texts(check_change(kind_of(ROLE_BINDINGS), old, new)[1]) == [
        f"roleRef: Invalid value: {value}: cannot change roleRef"
    ]
