"""What users may do over HTTP. Every sentence is the real server's, asked."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.auth.identity import Connection
from roadstead.cluster.embedded.plugins import Escalation
from roadstead.kinds.object import Json
from tests.apiserver.harness import CONFIG_MAPS, OWNER, PODS, RBAC, Api, config_map, pod
from tests.apiserver.loop import with_api

REVIEWS = "/apis/authorization.k8s.io/v1"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
READ: dict[str, Any] = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}


@pytest.mark.parametrize(
    ("method", "url", "sentence"),
    [
        ("GET", PODS, 'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"'),
        ("GET", f"{PODS}?watch=1", 'pods is forbidden: User "bob" cannot watch resource "pods" in API group "" in the namespace "default"'),
        ("GET", f"{PODS}?watch=0", 'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"'),
        ("GET", f"{PODS}?fieldSelector=metadata.name%3Dx", 'pods "x" is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"'),
        ("GET", "/api/v1/watch/namespaces/a/pods/x", 'pods "x" is forbidden: User "bob" cannot watch resource "pods" in API group "" in the namespace "a"'),
        ("GET", "/api/v1/pods", 'pods is forbidden: User "bob" cannot list resource "pods" in API group "" at the cluster scope'),
        ("GET", f"{PODS}/x/log", 'pods "x" is forbidden: User "bob" cannot get resource "pods/log" in API group "" in the namespace "default"'),
        ("HEAD", f"{PODS}/x", 'pods "x" is forbidden: User "bob" cannot get resource "pods" in API group "" in the namespace "default"'),
        ("DELETE", PODS, 'pods is forbidden: User "bob" cannot deletecollection resource "pods" in API group "" in the namespace "default"'),
        ("DELETE", f"{PODS}/x", 'pods "x" is forbidden: User "bob" cannot delete resource "pods" in API group "" in the namespace "default"'),
        ("POST", PODS, 'pods is forbidden: User "bob" cannot create resource "pods" in API group "" in the namespace "default"'),
        ("PUT", PODS, 'pods is forbidden: User "bob" cannot update resource "pods" in API group "" in the namespace "default"'),
        ("FOO", PODS, 'pods is forbidden: User "bob" cannot  resource "pods" in API group "" in the namespace "default"'),
        ("PATCH", "/apis/batch/v1/namespaces/a/jobs/j/status", 'jobs.batch "j" is forbidden: User "bob" cannot patch resource "jobs/status" in API group "batch" in the namespace "a"'),
        ("GET", "/api/v1/namespaces/a", 'namespaces "a" is forbidden: User "bob" cannot get resource "namespaces" in API group "" in the namespace "a"'),
        ("PUT", "/api/v1/namespaces/a/finalize", 'namespaces "a" is forbidden: User "bob" cannot update resource "namespaces/finalize" in API group "" in the namespace "a"'),
        ("GET", "/api/v1/namespaces", 'namespaces is forbidden: User "bob" cannot list resource "namespaces" in API group "" at the cluster scope'),
        ("GET", "/apis/foo.com/v1/bars", 'bars.foo.com is forbidden: User "bob" cannot list resource "bars" in API group "foo.com" at the cluster scope'),
        ("GET", "/apis/foo.com/v1", 'forbidden: User "bob" cannot get path "/apis/foo.com/v1"'),
        ("GET", "/api/v1/namespaces/a<b/pods", 'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "a&lt;b"'),
        ("POST", "/healthz", 'forbidden: User "bob" cannot post path "/healthz"'),
        ("GET", "/metrics", 'forbidden: User "bob" cannot get path "/metrics"'),
    ],
)  # fmt: skip
def test_what_is_refused(method: str, url: str, sentence: str) -> None:
    @with_api
    async def check(api: Api) -> None:
        answer = await api.ask_as("bob", method, url, b"{")  # the body is no JSON, and nobody looks
        assert (answer.status, answer.json["message"]) == (403, sentence)

    check()


@with_api
async def test_a_grant_counts_at_once_and_ends_at_once(api: Api) -> None:
    assert (await api.ask_as("bob", "GET", CONFIG_MAPS)).status == 403
    await api.grant("bob", "default", **READ)
    assert (await api.ask_as("bob", "GET", CONFIG_MAPS)).status == 200
    assert (await api.ask_as("bob", "GET", "/api/v1/configmaps")).status == 403
    assert (await api.ask_as("bob", "POST", CONFIG_MAPS, config_map("a"))).status == 403
    assert (await api.ask("DELETE", f"{RBAC}/namespaces/default/rolebindings/granted-1")).status == 200
    assert (await api.ask_as("bob", "GET", CONFIG_MAPS)).status == 403


@with_api
async def test_a_binding_without_its_role_says_so(api: Api) -> None:
    await api.grant("bob", "default", **READ)
    assert (await api.ask("DELETE", f"{RBAC}/namespaces/default/roles/granted-1")).status == 200
    message = (await api.ask_as("bob", "GET", CONFIG_MAPS)).json["message"]
    assert message.endswith('in the namespace "default": RBAC: role.rbac.authorization.k8s.io "granted-1" not found')


@with_api
async def test_a_name_narrows_a_rule(api: Api) -> None:
    await api.ask("POST", CONFIG_MAPS, config_map("a"))
    await api.grant("bob", "default", **{**READ, "resourceNames": ["a"]})
    for url, status in (
        (f"{CONFIG_MAPS}/a", 200),
        (f"{CONFIG_MAPS}/b", 403),
        (CONFIG_MAPS, 403),
        (f"{CONFIG_MAPS}?fieldSelector=metadata.name%3Da", 200),
        (f"{CONFIG_MAPS}?fieldSelector=metadata.name!%3Da", 403),
    ):
        assert (await api.ask_as("bob", "GET", url)).status == status


@with_api
async def test_anonymous_sees_health_and_version(api: Api) -> None:
    await api.make_policy()
    api.connection = Connection()
    for path, status in (("/version", 200), ("/version/", 200), ("/healthz", 200), ("/livez", 200), ("/readyz", 200),
                         ("/healthz/ping", 403), ("/api", 403), ("/openapi/v3", 403), ("/", 403), ("/openid/v1/jwks", 403)):  # fmt: skip
        assert (await api.ask("GET", path)).status == status
    api.connection = OWNER
    for path in ("/api", "/apis", "/api/v1", "/openapi/v3", "/version"):  # whoever is known finds out what there is
        assert (await api.ask_as("bob", "GET", path)).status == 200


@with_api
async def test_who_may_change_may_not_always_create(api: Api) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update", "patch"]}
    await api.grant("dave", "default", **rule)
    lease = {"metadata": {"name": "x"}, "spec": {}}
    answer = await api.ask_as("dave", "PUT", f"{leases}/x", lease)
    assert (answer.status, answer.json["message"]) == (
        403,
        'leases.coordination.k8s.io "x" is forbidden: User "dave" cannot create resource "leases" in API group '
        '"coordination.k8s.io" in the namespace "default"',
    )
    await api.grant("dave", "default", **{**rule, "verbs": ["create"]})
    assert (await api.ask_as("dave", "PUT", f"{leases}/x", lease)).status == 201


# --- granting


ASKED: Json = {
    "metadata": {"name": "x"},
    "rules": [
        {"apiGroups": ["", "apps"], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"], "verbs": ["get"]},
        {"nonResourceURLs": ["/x", "/y"], "verbs": ["get"]},
    ],
}


async def administrator(api: Api, *verbs: str) -> None:
    """bob may write roles and bindings."""
    api.resources._admission = (Escalation(),)
    await api.grant("bob", apiGroups=["rbac.authorization.k8s.io"], resources=["*"], verbs=["create", "update", *verbs])


@with_api
async def test_nobody_grants_what_they_do_not_have(api: Api) -> None:
    await administrator(api)
    answer = await api.ask_as("bob", "POST", f"{RBAC}/clusterroles", ASKED)
    assert answer.status == 403
    assert answer.json["message"].splitlines() == [
        'clusterroles.rbac.authorization.k8s.io "x" is forbidden: user "bob" (groups=["system:authenticated"]) is attempting to '
        "grant RBAC permissions not currently held:",
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["pods/log"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}',
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}',
        '{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:["apps"], Resources:["pods/log"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
        '{NonResourceURLs:["/y"], Verbs:["get"]}',
    ]
    await api.grant("bob", apiGroups=["*"], resources=["*"], verbs=["get", "list"])
    await api.grant("bob", nonResourceURLs=["/*"], verbs=["*"])
    assert (await api.ask_as("bob", "POST", f"{RBAC}/clusterroles", ASKED)).status == 201
    aggregated = {"metadata": {"name": "y"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
    answer = await api.ask_as("bob", "POST", f"{RBAC}/clusterroles", aggregated)
    assert answer.json["message"] == (
        'clusterroles.rbac.authorization.k8s.io "y" is forbidden: must have cluster-admin privileges to use the aggregationRule'
    )


@with_api
async def test_nobody_binds_what_they_do_not_have(api: Api) -> None:
    await administrator(api)
    await api.ask("POST", f"{RBAC}/clusterroles", ASKED)
    bindings = f"{RBAC}/namespaces/default/rolebindings"

    def binding(role: str, kind: str = "ClusterRole") -> Json:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
        return {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [{"kind": "User", "name": "bob"}]}

    for role, kind, status, begins in (
        ("x", "ClusterRole", 403, 'rolebindings.rbac.authorization.k8s.io "b" is forbidden: user "bob"'),
        ("nope", "Role", 404, 'rolebindings.rbac.authorization.k8s.io "nope" not found'),
        ("nope", "Foo", 500, 'unsupported role reference kind: "Foo"'),
    ):
        answer = await api.ask_as("bob", "POST", bindings, binding(role, kind))
        assert answer.status == status
        assert answer.json["message"].startswith(begins)
    await api.grant(
        "bob", apiGroups=["rbac.authorization.k8s.io"], resources=["clusterroles"], resourceNames=["x"], verbs=["bind"]
    )
    assert (await api.ask_as("bob", "POST", bindings, binding("x"))).status == 201


@with_api
async def test_leave_to_escalate(api: Api) -> None:
    await administrator(api, "escalate")
    assert (await api.ask_as("bob", "POST", f"{RBAC}/clusterroles", ASKED)).status == 201


@with_api
async def test_what_the_collector_changes_grants_nothing(api: Api) -> None:
    await administrator(api)
    made = (await api.ask("POST", f"{RBAC}/clusterroles", ASKED)).json
    made["metadata"]["finalizers"] = ["example.com/wait"]
    assert (await api.ask_as("bob", "PUT", f"{RBAC}/clusterroles/x", made)).status == 200
    made["metadata"]["labels"] = {"a": "b"}
    del made["metadata"]["resourceVersion"]
    assert (await api.ask_as("bob", "PUT", f"{RBAC}/clusterroles/x", made)).status == 403


# --- reviews


async def review(api: Api, plural: str, value: Json, user: str = "") -> Any:
    answer = await (
        api.ask_as(user, "POST", f"{REVIEWS}/{plural}", value)
        if user
        else api.ask("POST", f"{REVIEWS}/{plural}", value)
    )
    return answer.json["status"] if answer.status == 201 else answer.json["message"]


@with_api
async def test_may_i(api: Api) -> None:
    await api.make_policy()
    await api.grant("bob", "default", **READ)
    asked = {"verb": "get", "resource": "configmaps", "namespace": "default"}
    reason = 'RBAC: allowed by RoleBinding "granted-1/default" of Role "granted-1" to User "bob"'
    allowed = {"allowed": True, "reason": reason}
    assert await review(api, "selfsubjectaccessreviews", {"spec": {"resourceAttributes": asked}}, "bob") == allowed
    about_bob = {"spec": {"user": "bob", "resourceAttributes": asked}}
    assert await review(api, "subjectaccessreviews", about_bob) == allowed
    local = {"metadata": {"namespace": "default"}, **about_bob}
    assert await review(api, "namespaces/default/localsubjectaccessreviews", local) == allowed
    assert await review(api, "subjectaccessreviews", {"spec": {"user": "eve", "resourceAttributes": asked}}) == {
        "allowed": False
    }
    path = {"path": "/version", "verb": "get"}
    assert (await review(api, "selfsubjectaccessreviews", {"spec": {"nonResourceAttributes": path}}, "bob"))[
        "allowed"
    ] is True
    assert (await api.ask_as("bob", "POST", f"{REVIEWS}/subjectaccessreviews", about_bob)).status == 403


POD: Json = {"verb": "get", "resource": "pods"}
BOTH: Json = {"resourceAttributes": POD, "nonResourceAttributes": {"path": "/x", "verb": "get"}}
MISTAKES: list[tuple[str, Json, str]] = [
    ("subjectaccessreviews", {"spec": {"user": "x"}}, "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"),
    ("subjectaccessreviews", {"spec": {"resourceAttributes": POD}}, 'spec.user: Invalid value: "": at least one of user or group must be specified'),
    ("selfsubjectaccessreviews", {"spec": BOTH}, 'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: cannot be specified in combination with resourceAttributes'),
    ("selfsubjectaccessreviews", {"metadata": {"name": "x"}, "spec": {"resourceAttributes": POD}}, 'metadata: Invalid value: {"name":"x"}: must be empty'),
    ("selfsubjectaccessreviews", {"spec": {"resourceAttributes": {**POD, "fieldSelector": {}}}}, "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required"),
    ("selfsubjectaccessreviews", {"spec": {"resourceAttributes": {**POD, "labelSelector": {"rawSelector": "a", "requirements": [{"key": "a", "operator": "Exists"}]}}}}, 'spec.resourceAttributes.labelSelector.rawSelector: Invalid value: "a": may not specified at the same time as requirements'),
    ("selfsubjectaccessreviews", {"spec": {"resourceAttributes": {**POD, "fieldSelector": {"requirements": [{"key": "", "operator": "Foo"}]}}}}, "spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified"),
    ("selfsubjectaccessreviews", {"spec": {"resourceAttributes": {**POD, "fieldSelector": {"requirements": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}}}, "spec.resourceAttributes.fieldSelector.requirements[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
    ("namespaces/a/localsubjectaccessreviews", {"spec": {"user": "x", "resourceAttributes": POD}}, 'spec.resourceAttributes.namespace: Invalid value: "": must match metadata.namespace'),
    ("namespaces/a/localsubjectaccessreviews", {"spec": {"user": "x", "nonResourceAttributes": {"path": "/x", "verb": "get"}}}, 'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: disallowed on this kind of request'),
]  # fmt: skip


@pytest.mark.parametrize(("plural", "value", "why"), MISTAKES)
def test_questions_that_make_no_sense(plural: str, value: Json, why: str) -> None:
    @with_api
    async def check(api: Api) -> None:
        assert await review(api, plural, value) == f'.authorization.k8s.io "" is invalid: {why}'

    check()


@with_api
async def test_selectors_that_cannot_be_read_are_left_out(api: Api) -> None:
    asked = {**POD, "fieldSelector": {"rawSelector": "a b"}, "labelSelector": {"rawSelector": "a in"}}
    assert await review(api, "subjectaccessreviews", {"spec": {"user": "x", "resourceAttributes": asked}}) == {
        "allowed": False,
        "evaluationError": "spec.resourceAttributes.fieldSelector ignored due to parse error; "
        "spec.resourceAttributes.labelSelector ignored due to parse error",
    }


@with_api
async def test_all_that_i_may(api: Api) -> None:
    await api.make_policy()
    await api.grant("bob", "default", **READ)
    status = await review(api, "selfsubjectrulesreviews", {"spec": {"namespace": "default"}}, "bob")
    assert status["resourceRules"][-1] == READ
    assert len(status["resourceRules"]) == 3
    assert [rule["nonResourceURLs"][0] for rule in status["nonResourceRules"]] == ["/api", "/healthz"]
    assert status["incomplete"] is False
    assert await review(api, "selfsubjectrulesreviews", {"spec": {}}, "bob") == "no namespace on request"


# --- as somebody else


@with_api
async def test_whom_one_becomes(api: Api) -> None:
    await api.make_policy()

    async def who(**headers: str) -> Any:
        named = {f"impersonate-{name.replace('_', '-')}": value for name, value in headers.items()}
        answer = await api.ask("POST", WHO, {}, named)
        return answer.json["status"]["userInfo"] if answer.status == 201 else answer.json["message"]

    assert await who(user="carol", uid="u", extra_scopes="a") == {
        "username": "carol", "uid": "u", "groups": ["system:authenticated"], "extra": {"scopes": ["a"]},
    }  # fmt: skip
    account = await who(user="system:serviceaccount:default:bot")
    assert account["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert (await who(user="system:node:n1", group="system:nodes"))["groups"] == [
        "system:nodes",
        "system:authenticated",
    ]
    assert "cannot create resource" in await who(user="system:anonymous")
    assert "cannot create resource" in await who(user="c", group="system:unauthenticated")
    assert await who(group="g") == (
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)} without impersonating a '
        "user name"
    )


BEHALF: list[tuple[str, list[Json], Json, str]] = [
    ("no leave at all", [], {"user": "a"}, 'pods is forbidden: User "alice" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "default"'),
    ("nor for accounts", [], {"user": "system:serviceaccount:default:x"}, 'pods is forbidden: User "alice" cannot impersonate-on:serviceaccount:list resource "pods" in API group "" in the namespace "default"'),
    ("nor for nodes", [], {"user": "system:node:n1"}, 'pods is forbidden: User "alice" cannot impersonate-on:arbitrary-node:list resource "pods" in API group "" in the namespace "default"'),
    ("a node with groups", [], {"user": "system:node:n1", "group": "g"}, 'users "system:node:n1" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope'),
    ("leave for what, not for whom", [{"verbs": ["impersonate-on:user-info:list"]}], {"user": "a"}, 'users.authentication.k8s.io "a" is forbidden: User "alice" cannot impersonate:user-info resource "users" in API group "authentication.k8s.io" at the cluster scope'),
    ("administrators never", [{"verbs": ["impersonate-on:user-info:list", "impersonate:user-info"]}], {"user": "a", "group": "system:masters"}, 'groups.authentication.k8s.io "system:masters" is forbidden: User "alice" cannot impersonate:user-info resource "groups" in API group "authentication.k8s.io" at the cluster scope: impersonating the system:masters group is not allowed'),
    ("strange extras", [{"verbs": ["impersonate-on:user-info:list", "impersonate:user-info"]}], {"user": "a", "extra-foo": "x"}, 'userextras.authentication.k8s.io is forbidden: User "alice" cannot impersonate:user-info resource "userextras" in API group "authentication.k8s.io" at the cluster scope: impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")'),
    ("the new way", [{"verbs": ["impersonate-on:user-info:list", "impersonate:user-info"]}], {"user": "a"}, 'pods is forbidden: User "a" cannot list resource "pods" in API group "" in the namespace "default"'),
    ("the old way", [{"verbs": ["impersonate"]}], {"user": "a", "uid": "u"}, 'pods is forbidden: User "a" cannot list resource "pods" in API group "" in the namespace "default"'),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "headers", "sentence"), [row[1:] for row in BEHALF], ids=[row[0] for row in BEHALF])
def test_on_behalf_of_others(rules: list[Json], headers: dict[str, str], sentence: str) -> None:
    @with_api
    async def check(api: Api) -> None:
        given = await api.ask("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "alice"}})
        assert given.status == 201
        path = "/api/v1/namespaces/default/serviceaccounts/alice/token"
        token = (await api.ask("POST", path, {})).json["status"]["token"]
        user = "system:serviceaccount:default:alice"
        for rule in rules:
            await api.grant(user, **{"apiGroups": ["*"], "resources": ["*"], **rule})
        named = {f"impersonate-{name}": value for name, value in headers.items()}
        answer = await api.ask("GET", PODS, None, {"authorization": f"Bearer {token}", **named})
        assert answer.json["message"].replace(user, "alice") == sentence

    check()


@with_api
async def test_questions_about_a_queue_are_for_those_who_may_read_it(api: Api) -> None:
    answer = await api.ask_as("bob", "GET", "/roadstead/v1/why/default/a")
    assert answer.json["message"] == (
        'workloads.kueue.x-k8s.io "a" is forbidden: User "bob" cannot get resource "workloads" in API group "kueue.x-k8s.io" in the '
        'namespace "default"'
    )
    assert (await api.ask_as("bob", "GET", "/roadstead/v1/queue")).status == 403
    assert (await api.ask_as("bob", "POST", "/roadstead/v1/plan", {})).status == 403


@with_api
async def test_evicting_and_binding_are_rights_of_their_own(api: Api) -> None:
    await api.ask("POST", PODS, pod("a"))
    await api.grant("bob", "default", apiGroups=[""], resources=["pods"], verbs=["*"])
    for sub in ("eviction", "binding"):
        answer = await api.ask_as("bob", "POST", f"{PODS}/a/{sub}", {"metadata": {"name": "a"}})
        assert f'cannot create resource "pods/{sub}"' in answer.json["message"]
