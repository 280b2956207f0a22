"""The policy of the first second, and roles that are made of others."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.auth.attributes import Attributes
from roadstead.auth.identity import Identity
from roadstead.auth.rbac import Policy
from roadstead.controllers.roles import ClusterRoleAggregation, bootstrap_writes, policy
from roadstead.kinds.names import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, RBAC
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.rbac.policy import AUTOUPDATE, NODE_AGENT, QUEUE_VIEWER
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create, Delete, Update
from roadstead.testing.controllers import Lab
from tests.kinds.way import check_new, texts

GET_SECRETS: Json = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}


def whole() -> dict[tuple[Resource, str, str], Json]:
    return {
        (resource, value["metadata"].get("namespace", ""), value["metadata"]["name"]): copy.deepcopy(value)
        for resource, value in policy()
    }


def writes(stored: dict[tuple[Resource, str, str], Json]) -> list[Any]:
    def lookup(resource: Resource, namespace: str, name: str) -> Object | None:
        found = stored.get((resource, namespace, name))
        if found is None:
            return None
        value = copy.deepcopy(found)
        value["metadata"]["uid"] = "u-1"
        return Object.of(resource, value)

    return list(bootstrap_writes(lookup))


def test_every_object_is_one_that_the_server_takes() -> None:
    for resource, value in policy():
        kind = default_registry().get(resource)
        assert kind is not None
        assert texts(check_new(kind, value, namespace=value["metadata"].get("namespace", ""))[1]) == []


def test_an_empty_cluster_gets_all_of_it_and_a_whole_one_nothing() -> None:
    assert [write.value["metadata"]["name"] for write in writes({})] == [
        value["metadata"]["name"] for _, value in policy()
    ]
    assert all(isinstance(write, Create) for write in writes({}))
    assert writes(whole()) == []


def test_what_was_taken_out_is_put_back_and_what_was_added_stays() -> None:
    stored = whole()
    viewer = stored[CLUSTER_ROLES, "", QUEUE_VIEWER]
    first = viewer["rules"].pop(0)
    viewer["rules"].append(GET_SECRETS)
    viewer["metadata"]["labels"]["mine"] = "yes"
    discovery = stored[CLUSTER_ROLE_BINDINGS, "", "system:discovery"]
    discovery["subjects"] = [{"kind": "User", "name": "eve", "apiGroup": RBAC}]
    repaired = {write.value["metadata"]["name"]: write.value for write in writes(stored) if isinstance(write, Update)}
    assert list(repaired) == ["system:discovery", QUEUE_VIEWER]
    rules = repaired[QUEUE_VIEWER]["rules"]
    assert GET_SECRETS in rules
    assert {
        resource for rule in rules if rule.get("apiGroups") == first["apiGroups"] for resource in rule["resources"]
    } >= set(first["resources"])
    assert repaired[QUEUE_VIEWER]["metadata"]["labels"]["mine"] == "yes"
    assert [one["name"] for one in repaired["system:discovery"]["subjects"]] == ["eve", "system:authenticated"]


def test_an_object_may_opt_out() -> None:
    stored = whole()
    stored[CLUSTER_ROLES, "", QUEUE_VIEWER] |= {"rules": []}
    stored[CLUSTER_ROLES, "", QUEUE_VIEWER]["metadata"]["annotations"][AUTOUPDATE] = "false"
    assert writes(stored) == []


def test_a_binding_of_another_role_is_made_anew() -> None:
    stored = whole()
    stored[CLUSTER_ROLE_BINDINGS, "", "system:discovery"]["roleRef"]["name"] = "cluster-admin"
    gone, made = writes(stored)
    assert isinstance(gone, Delete)
    assert isinstance(made, Create)
    assert made.value["roleRef"]["name"] == "system:discovery"


@pytest.mark.parametrize(
    ("asked", "is_allowed"),
    [
        (Attributes("list", "", "pods"), True),
        (Attributes("update", "", "pods", "status", "a", "p"), True),
        (Attributes("create", "", "pods", "", "a"), False),
        (Attributes("get", "", "secrets", "", "a", "s"), True),
        (Attributes("list", "", "secrets", "", "a"), False),
        (Attributes("create", "", "serviceaccounts", "token", "a", "s"), True),
        (Attributes("create", RBAC, "clusterrolebindings"), False),
        (Attributes("update", "kueue.x-k8s.io", "workloads", "", "a", "w"), False),
    ],
)
def test_what_node_agents_may(asked: Attributes, is_allowed: bool) -> None:
    made = Policy()
    for resource, value in policy():
        made.put(Object.of(resource, copy.deepcopy(value)))
    assert made.decide(Identity(NODE_AGENT, ("system:authenticated",)), asked).is_allowed is is_allowed


# --- aggregation


def _role(name: str, rules: list[Json], **labels: str) -> Json:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": rules,
    }


def _sum(name: str, wanted: str, **labels: str) -> Json:
    return {
        **_role(name, [], **labels),
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {wanted: "yes"}}]},
    }


@pytest.mark.parametrize("lag", [0, 2])
def test_rules_are_those_of_all_that_is_selected(lag: int) -> None:
    with Lab(lambda: [ClusterRoleAggregation()], lag=lag) as lab:
        other = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
        lab.create(CLUSTER_ROLES, _sum("all", "of-all"))
        lab.create(CLUSTER_ROLES, _sum("some", "of-some", **{"of-all": "yes"}))
        lab.create(CLUSTER_ROLES, _role("b", [GET_SECRETS, other], **{"of-some": "yes"}))
        lab.create(CLUSTER_ROLES, _role("a", [other], **{"of-some": "yes"}))
        lab.settle()
        for name in ("some", "all"):  # sums of sums as well; in order of names, each rule once
            assert lab.the(CLUSTER_ROLES, name)["rules"] == [other, GET_SECRETS]
        lab.delete(CLUSTER_ROLES, "b")
        lab.settle()
        assert lab.the(CLUSTER_ROLES, "all")["rules"] == [other]
