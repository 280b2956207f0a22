"""Tokens and questions about who somebody is, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.apiserver.negotiate import PROTOBUF
from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND
from tests.apiserver.harness import TOKEN, Answer, Api
from tests.apiserver.loop import with_api
from tests.kinds.protobuf.wire import body

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
GROUP = "/apis/authentication.k8s.io/v1"
AUDIENCE = "https://kubernetes.default.svc"


async def account(api: Api, name: str = "robot") -> Json:
    answer = await api.ask("POST", ACCOUNTS, {"metadata": {"name": name}})
    assert answer.status == 201
    found: Json = answer.json
    return found


async def token(api: Api, name: str = "robot", **spec: Any) -> Answer:
    return await api.ask("POST", f"{ACCOUNTS}/{name}/token", {"spec": spec})


async def review(api: Api, given: str, **spec: Any) -> Json:
    answer = await api.ask("POST", f"{GROUP}/tokenreviews", {"spec": {"token": given, **spec}})
    assert answer.status == 201
    found: Json = answer.json
    return found


@with_api
async def test_a_token_is_given_out_and_believed(api: Api) -> None:
    robot = await account(api)
    answer = await token(api)
    assert answer.status == 201
    given = answer.json
    assert (given["kind"], given["apiVersion"]) == ("TokenRequest", "authentication.k8s.io/v1")
    assert given["metadata"] == {
        "name": "robot",
        "namespace": "default",
        "uid": robot["metadata"]["uid"],
        "creationTimestamp": given["metadata"]["creationTimestamp"],
    }
    assert given["spec"] == {"audiences": [AUDIENCE], "expirationSeconds": 3600, "boundObjectRef": None}
    bearer = {"authorization": f"Bearer {given['status']['token']}"}
    await api.make_policy()
    asked = await api.ask("POST", f"{GROUP}/selfsubjectreviews", {}, bearer)
    assert asked.status == 201
    who = asked.json["status"]["userInfo"]
    assert (who["username"], who["uid"]) == ("system:serviceaccount:default:robot", robot["metadata"]["uid"])
    assert (await api.ask("DELETE", f"{ACCOUNTS}/robot")).status == 200
    assert (await api.ask("GET", ACCOUNTS, None, bearer)).status == 401


@with_api
async def test_a_token_expires(api: Api) -> None:
    await account(api)
    given = (await token(api, expirationSeconds=600)).json["status"]["token"]
    bearer = {"authorization": f"Bearer {given}"}
    await api.grant(
        "system:serviceaccount:default:robot", apiGroups=[""], resources=["serviceaccounts"], verbs=["list"]
    )
    assert (await api.ask("GET", ACCOUNTS, None, bearer)).status == 200
    api.now += 662 * SECOND
    assert (await api.ask("GET", ACCOUNTS, None, bearer)).status == 401


REFUSALS: list[tuple[str, Json, int, str]] = [
    ("too short", {"spec": {"expirationSeconds": 5}}, 422, "may not specify a duration less than 10 minutes"),
    ("too long", {"spec": {"expirationSeconds": 2**33}}, 422, "may not specify a duration larger than 2^32 seconds"),
    ("another name", {"metadata": {"name": "x"}}, 422, "must match the service account name if specified"),
    ("another namespace", {"metadata": {"namespace": "x"}}, 422, "must match the service account namespace if specified"),
    ("another uid", {"metadata": {"uid": "x"}}, 409, "the UID in the token request (x) does not match the UID of the service account"),
    ("bound to a Job", {"spec": {"boundObjectRef": {"kind": "Job", "apiVersion": "batch/v1"}}}, 400, "cannot bind token to object of type batch/v1, Kind=Job"),
    ("bound to no pod", {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "x"}}}, 404, 'pods "x" not found'),
    ("another kind", {"kind": "Pod", "apiVersion": "v1"}, 400, "cannot be handled as a TokenRequest"),
    ("of the wrong type", {"spec": {"expirationSeconds": "soon"}}, 400, "cannot unmarshal string"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "code", "why"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_requests_that_are_refused(request_: Json, code: int, why: str) -> None:
    @with_api
    async def story(api: Api) -> None:
        await account(api)
        answer = await api.ask("POST", f"{ACCOUNTS}/robot/token", request_)
        assert answer.status == code
        assert why in answer.json["message"]

    story()


@with_api
async def test_a_secret_and_a_node_can_hold_a_token(api: Api) -> None:
    await account(api)
    await api.ask("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
    await api.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
    for kind, name, path in (
        ("Secret", "s", "/api/v1/namespaces/default/secrets/s"),
        ("Node", "n1", "/api/v1/nodes/n1"),
    ):
        answer = await token(api, boundObjectRef={"apiVersion": "v1", "kind": kind, "name": name})
        assert answer.status == 201
        given = answer.json["status"]["token"]
        assert (await review(api, given))["status"]["authenticated"] is True
        assert (await api.ask("DELETE", path)).status == 200
        assert "authenticated" not in (await review(api, given))["status"]


@with_api
async def test_tokens_are_not_had_for_accounts_that_are_not_there(api: Api) -> None:
    answer = await token(api, "nobody")
    assert (answer.status, answer.json["message"]) == (404, 'serviceaccounts "nobody" not found')
    assert (await api.ask("GET", f"{ACCOUNTS}/nobody/token")).status == 405


@with_api
async def test_unknown_fields_are_warned_about(api: Api) -> None:
    await account(api)
    answer = await token(api, colour="red")
    assert (answer.status, answer.warnings) == (201, ['299 - "unknown field \\"spec.colour\\""'])


@with_api
async def test_a_review_says_whose_a_token_is(api: Api) -> None:
    found = await review(api, TOKEN)
    assert found["status"] == {
        "authenticated": True,
        "user": {"username": "alice", "uid": "1", "groups": ["system:masters", "system:authenticated"]},
        "audiences": [AUDIENCE],
    }
    await account(api)
    given = (await token(api, audiences=["vault"])).json["status"]["token"]
    refused = await review(api, given)
    assert refused["status"]["user"] == {}
    assert refused["status"]["error"].startswith('[invalid bearer token, token audiences ["vault"] is invalid')
    accepted = await review(api, given, audiences=["vault", "db"])
    assert accepted["status"]["audiences"] == ["vault"]
    assert (await review(api, "nonsense"))["status"] == {"user": {}, "error": "invalid bearer token"}
    empty = await api.ask("POST", f"{GROUP}/tokenreviews", {})
    assert (empty.status, empty.json["message"]) == (400, "token is required for TokenReview in authentication")


@with_api
async def test_kubectl_asks_who_it_is_in_protobuf(api: Api) -> None:
    raw = body("authentication.k8s.io/v1", "SelfSubjectReview", {}, "io.k8s.api.authentication.v1")
    answer = await api.ask("POST", f"{GROUP}/selfsubjectreviews", raw, content_type=PROTOBUF)
    assert answer.status == 201
    assert answer.json["status"]["userInfo"]["username"] == "root"


@with_api
async def test_reviews_are_found_and_only_posted(api: Api) -> None:
    names = [one["name"] for one in (await api.ask("GET", GROUP)).json["resources"]]
    assert names == ["selfsubjectreviews", "tokenreviews"]
    for method, path in (("GET", "tokenreviews"), ("DELETE", "selfsubjectreviews")):
        assert (await api.ask(method, f"{GROUP}/{path}")).status == 405
    assert (await api.ask("POST", f"{GROUP}/namespaces/default/tokenreviews", {})).status == 404


@with_api
async def test_keys_are_published(api: Api) -> None:
    keys = await api.ask("GET", "/openid/v1/jwks")
    assert keys.type == "application/jwk-set+json"
    assert keys.json["keys"][0]["alg"] == "RS256"
    found = (await api.ask("GET", "/.well-known/openid-configuration")).json
    assert (found["issuer"], found["jwks_uri"]) == (AUDIENCE, "https://127.0.0.1:6443/openid/v1/jwks")
