"""The policy: which rule allows what, and that indices and memory change nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.auth.attributes import Attributes, on_path
from roadstead.auth.authorizer import Authorizer
from roadstead.auth.escalation import compact, covers, describe, missing_rules, single
from roadstead.auth.identity import Identity
from roadstead.auth.rbac import Policy, RoleMissing, allows, covers_path
from roadstead.kinds.names import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.rbac import PolicyRule, RoleRef


def rule(verbs: str = "get", resources: str = "pods", groups: str = "", names: str = "", paths: str = "") -> PolicyRule:
    def words(text: str) -> tuple[str, ...]:
        return tuple("" if word == "core" else word for word in text.split())

    if paths:
        return PolicyRule(words(verbs), non_resource_urls=words(paths))
    return PolicyRule(words(verbs), words(groups) or ("",), words(resources), words(names))


def on(text: str, verb: str = "get", group: str = "", name: str = "", namespace: str = "a") -> Attributes:
    resource, _, subresource = text.partition("/")
    return Attributes(verb, group, resource, subresource, namespace, name)


@pytest.mark.parametrize(
    ("having", "asked", "is_allowed"),
    [
        (rule(), on("pods"), True),
        (rule(), on("pods", "list"), False),
        (rule("*"), on("pods", "list"), True),
        (rule(), on("pods", group="apps"), False),
        (rule(groups="*"), on("pods", group="apps"), True),
        (rule(resources="*"), on("pods/log"), True),
        (rule(resources="pods"), on("pods/log"), False),
        (rule(resources="pods/log"), on("pods/log"), True),
        (rule(resources="pods/log"), on("pods"), False),
        (rule(resources="pods/*"), on("pods/log"), False),
        (rule(resources="*/scale"), on("jobs/scale"), True),
        (rule(resources="*/scale"), on("jobs/status"), False),
        (rule(names="x y"), on("pods", name="y"), True),
        (rule(names="x"), on("pods", name="z"), False),
        (rule(names="x"), on("pods"), False),
        (rule(paths="/x"), on("pods"), False),
        (rule(resources="*"), on_path("/x", "get"), False),
        (rule(paths="/x"), on_path("/x", "get"), True),
        (rule(paths="/x"), on_path("/x/y", "get"), False),
        (rule(paths="/x/*"), on_path("/x/y/z", "get"), True),
        (rule(paths="*"), on_path("/x", "get"), True),
        (PolicyRule(), on("pods"), False),
        (PolicyRule(None, None, None, None, None), on("pods"), False),
    ],
)
def test_what_a_rule_allows(having: PolicyRule, asked: Attributes, is_allowed: bool) -> None:
    assert allows(having, asked) is is_allowed


# --- policies


def stored(resource: Resource, name: str, namespace: str = "", **fields: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return Object(resource, orjson.dumps({"metadata": metadata, **fields}))


def role(name: str, namespace: str = "", **fields: Sequence[str]) -> Object:
    written = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], **fields}
    return stored(ROLES if namespace else CLUSTER_ROLES, name, namespace, rules=[written])


def binding(name: str, role: str, *subjects: Json, namespace: str = "", kind: str = "ClusterRole") -> Object:
    resource = ROLE_BINDINGS if namespace else CLUSTER_ROLE_BINDINGS
    return stored(resource, name, namespace, roleRef={"kind": kind, "name": role}, subjects=list(subjects))


def user(name: str) -> Json:
    return {"kind": "User", "name": name}


def policy(*objects: Object) -> Policy:
    made = Policy()
    for found in objects:
        made.put(found)
    return made


BOB = Identity("bob", ("team", "system:authenticated"))
ROBOT = Identity("system:serviceaccount:a:robot", ("system:serviceaccounts",))


@pytest.mark.parametrize(
    ("who", "subject", "namespace", "source"),
    [
        (BOB, user("bob"), "", 'ClusterRoleBinding "b" of ClusterRole "r" to User "bob"'),
        (BOB, {"kind": "Group", "name": "team"}, "", 'ClusterRoleBinding "b" of ClusterRole "r" to Group "team"'),
        (BOB, user("team"), "", None),
        (BOB, user("bob"), "a", 'RoleBinding "b/a" of ClusterRole "r" to User "bob"'),
        (BOB, user("bob"), "elsewhere", None),
        (ROBOT, {"kind": "ServiceAccount", "name": "robot", "namespace": "a"}, "", 'ClusterRoleBinding "b" of ClusterRole "r" to ServiceAccount "robot/a"'),
        (ROBOT, {"kind": "ServiceAccount", "name": "robot"}, "a", 'RoleBinding "b/a" of ClusterRole "r" to ServiceAccount "robot/a"'),
        (ROBOT, {"kind": "ServiceAccount", "name": "robot"}, "", None),
        (ROBOT, {"kind": "ServiceAccount", "name": "robot", "namespace": "b"}, "", None),
        (ROBOT, user(ROBOT.name), "", f'ClusterRoleBinding "b" of ClusterRole "r" to User "{ROBOT.name}"'),
        (BOB, {"kind": "Robot", "name": "bob"}, "", None),
    ],
)  # fmt: skip
def test_whom_a_binding_means(who: Identity, subject: Json, namespace: str, source: str | None) -> None:
    decision = policy(role("r"), binding("b", "r", user("eve"), subject, namespace=namespace)).decide(who, on("pods"))
    assert decision.is_allowed is (source is not None)
    assert decision.reason == (f"RBAC: allowed by {source}" if source else "")


def test_a_role_of_a_namespace_is_found_there_alone() -> None:
    made = policy(role("r", "a"), binding("b", "r", user("bob"), namespace="a", kind="Role"))
    assert made.decide(BOB, on("pods")).is_allowed
    elsewhere = policy(role("r", "b"), binding("b", "r", user("bob"), namespace="a", kind="Role"))
    assert elsewhere.decide(BOB, on("pods")).reason == 'RBAC: role.rbac.authorization.k8s.io "r" not found'
    with pytest.raises(RoleMissing):
        elsewhere.rules_behind(RoleRef("Role", "r"), "a")


def test_what_changes_counts_at_once() -> None:
    made = policy(role("r"), binding("b", "r", user("bob")))
    assert made.decide(BOB, on("pods")).is_allowed
    made.put(role("r", verbs=["list"]))
    assert not made.decide(BOB, on("pods")).is_allowed
    made.put(role("r"))
    made.put(binding("b", "r", user("eve")))
    assert not made.decide(BOB, on("pods")).is_allowed
    made.put(binding("b", "r", user("bob")))
    made.remove(CLUSTER_ROLE_BINDINGS, "", "b")
    made.remove(CLUSTER_ROLE_BINDINGS, "", "b")
    assert not made.decide(BOB, on("pods")).is_allowed


def test_administrators_need_no_policy() -> None:
    def no_policy() -> Policy:
        raise AssertionError("nobody looks")

    assert Authorizer(no_policy).decide(Identity("x", ("system:masters",)), on("secrets", "*")).is_allowed


NAMES = st.sampled_from(["x", "y"])
SUBJECTS = st.one_of(
    st.builds(lambda name: {"kind": "User", "name": name}, st.sampled_from(["bob", "eve"])),
    st.builds(lambda name: {"kind": "Group", "name": name}, st.sampled_from(["team", "others"])),
    st.builds(
        lambda where: {"kind": "ServiceAccount", "name": "robot", **where}, st.sampled_from([{}, {"namespace": "a"}])
    ),
)
ROLES_MADE = st.builds(
    role,
    NAMES,
    st.sampled_from(["", "a"]),
    verbs=st.lists(st.sampled_from(["get", "list", "*"]), min_size=1, max_size=2),
    resources=st.lists(st.sampled_from(["pods", "pods/log", "*/log", "*"]), min_size=1, max_size=2),
)
BINDINGS_MADE = st.builds(
    lambda name, role, subjects, namespace, kind: binding(
        name, role, *subjects, namespace=namespace, kind=kind if namespace else "ClusterRole"
    ),
    NAMES,
    NAMES,
    st.lists(SUBJECTS, max_size=3),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["Role", "ClusterRole"]),
)


def plainly(objects: Sequence[Object], who: Identity, asked: Attributes) -> bool:
    """The rule of RBAC in as few words as there are, without any index."""
    roles = {
        (o.meta.namespace, o.meta.name): o.decode()["rules"] for o in objects if o.resource in (ROLES, CLUSTER_ROLES)
    }
    for found in objects:
        if found.resource not in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
            continue
        where, value = found.meta.namespace, found.decode()
        names = {
            "User": {who.name},
            "Group": set(who.groups),
            "ServiceAccount": {who.name.removeprefix("system:serviceaccount:a:")} if who is ROBOT else set(),
        }
        is_meant = any(
            one["name"] in names[one["kind"]]
            and (one["kind"] != "ServiceAccount" or (one.get("namespace") or where) == "a")
            for one in value["subjects"]
        )
        reference = value["roleRef"]
        rules = roles.get((where if reference["kind"] == "Role" else "", reference["name"]), [])
        if (not where or where == asked.namespace) and is_meant:
            for written in rules:
                verbs, resources = set(written["verbs"]), set(written["resources"])
                if verbs & {asked.verb, "*"} and resources & {asked.full_resource, "*", f"*/{asked.subresource}"}:
                    return True
    return False


@given(st.lists(st.one_of(ROLES_MADE, BINDINGS_MADE), max_size=8), st.integers(0, 8))
def test_indices_and_memory_change_nothing(objects: list[Object], removed: int) -> None:
    made = Policy()
    now: dict[tuple[Resource, str, str], Object] = {}
    for number, found in enumerate(objects):
        made.put(found)
        now[found.resource, found.meta.namespace, found.meta.name] = found
        if number == removed and now:
            key = next(iter(now))
            del now[key]
            made.remove(*key)
        for who, verb, what, namespace in product((BOB, ROBOT), ("get", "list"), ("pods", "pods/log"), ("", "a", "b")):
            asked = on(what, verb, namespace=namespace)
            assert made.decide(who, asked).is_allowed is plainly(list(now.values()), who, asked)


# --- covering

RULES_MADE = st.builds(
    PolicyRule,
    st.lists(st.sampled_from(["get", "list", "*"]), min_size=1, max_size=2).map(tuple),
    st.lists(st.sampled_from(["", "apps", "*"]), min_size=1, max_size=2).map(tuple),
    st.lists(st.sampled_from(["pods", "pods/log", "*/log", "*"]), min_size=1, max_size=2).map(tuple),
    st.lists(st.sampled_from(["x", "y"]), max_size=1).map(tuple),
)


@given(st.lists(RULES_MADE, max_size=3), RULES_MADE)
def test_who_covers_a_rule_may_do_all_that_it_allows(own: list[PolicyRule], wanted: PolicyRule) -> None:
    if missing_rules(own, [wanted]):
        return
    for verb, group, what, name in product(
        ("get", "list", "create"), ("", "apps", "batch"), ("pods", "pods/log", "jobs/log"), ("", "x", "y")
    ):
        asked = on(what, verb, group, name)
        if allows(wanted, asked):
            assert any(allows(one, asked) for one in own)


@given(RULES_MADE)
def test_a_rule_covers_its_parts(wanted: PolicyRule) -> None:
    assert all(covers(wanted, one) for one in single(wanted))
    assert missing_rules([], [wanted]) == list(single(wanted))


@pytest.mark.parametrize(
    ("own", "one", "does"),
    [
        (rule(paths="/x/*"), rule(paths="/x/y"), True),
        (rule(paths="/x/*"), rule(paths="/x/*"), True),
        (rule(paths="/x/y"), rule(paths="/x/*"), False),
        (rule(resources="*"), rule(paths="/x"), False),
        (rule(paths="*"), rule(), False),
        (rule(names="x"), rule(), False),
        (rule(), rule(names="x"), True),
    ],
)
def test_covering(own: PolicyRule, one: PolicyRule, does: bool) -> None:
    assert covers(own, one) is does


def test_sentences() -> None:
    rules = compact(
        [*single(rule("get list", "pods secrets")), *single(rule("get", names="x")), *single(rule(paths="/a /b"))]
    )
    assert [describe(one) for one in rules] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["pods"], ResourceNames:["x"], Verbs:["get"]}',
        '{NonResourceURLs:["/a"], Verbs:["get"]}',
        '{NonResourceURLs:["/b"], Verbs:["get"]}',
    ]
    assert covers_path("/a*", "/ab")
