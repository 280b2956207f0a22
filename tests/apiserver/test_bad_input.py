"""Whatever is sent: a clear answer, nothing half-applied, and the server goes on."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadstead.apiserver import bodies
from roadstead.apiserver.errors import BODY_LIMIT
from roadstead.auth.identity import Connection
from roadstead.kinds.errors import StatusError
from roadstead.model.refusals import Verdict
from tests.apiserver.harness import CONFIG_MAPS, PODS, TOKEN, Answer, Api, config_map, pod
from tests.apiserver.loop import with_api

JSON = "application/json"


def ask(
    method: str, url: str, body: object = None, content_type: str = JSON, headers: dict[str, str] | None = None
) -> Answer:
    """One request to a fresh server that already holds ConfigMap `a` and pod `p`; afterwards it still serves."""
    answers: list[Answer] = []

    @with_api
    async def once(api: Api) -> None:
        await api.ask("POST", CONFIG_MAPS, config_map("a", k="v"))
        await api.ask("POST", PODS, pod("p"))
        answers.append(await api.ask(method, url, body, headers, content_type))
        assert (await api.ask("GET", f"{CONFIG_MAPS}/a")).status == 200

    once()
    return answers[0]


UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", UNRECOGNIZED + "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        (b"{", UNRECOGNIZED + "couldn't get version/kind; json parse error: unexpected end of JSON input ({)"),
        (b"[]", UNRECOGNIZED + "couldn't get version/kind; json parse error: json: cannot unmarshal array"),
        (b"\xff\xfe", UNRECOGNIZED + "couldn't get version/kind; json parse error: invalid character"),
        (b'{"kind":5}', UNRECOGNIZED + "couldn't get version/kind; json parse error: json: cannot unmarshal number"),
        (
            b'{"apiVersion":"v1","kind":"Bogus"}',
            'Bogus in version "v1" cannot be handled as a ConfigMap: no kind "Bogus"',
        ),
        (
            b'{"apiVersion":"v9","kind":"ConfigMap"}',
            'ConfigMap in version "v9" cannot be handled as a ConfigMap: no kind',
        ),
        (
            b'{"apiVersion":"v1","kind":"Pod"}',
            'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod)',
        ),
        (b'{"metadata":5}', "ConfigMap in version"),
        (
            b'{"metadata":{"name":5}}',
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string",
        ),
        (b'{"metadata":{"name":"x"},"data":[]}', "json: cannot unmarshal array into Go struct field ConfigMap.data"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "exceeded max depth"),
        (b"[" * 100_000, "exceeded max depth"),
    ],
)
def test_bodies_that_are_no_object_of_the_kind(body: bytes, message: str) -> None:
    answer = ask("POST", CONFIG_MAPS, body)
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert message in answer.json["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a: [", "yaml: line"),
        (b"a: &a [*a]", "yaml"),
        (b"a: !!python/object:os.system {}", "yaml: could not determine a constructor"),
        (b"x: " + b"[" * 1_000_000, "exceeded max depth of 200"),
        (b"{a: " * 500_000, "exceeded max depth of 200"),
        (b"- " * 500_000, "exceeded max depth of 200"),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(12)),
            "yaml",
        ),
    ],
)
def test_yaml_bodies_that_are_wrong_or_dangerous(body: bytes, message: str) -> None:
    answer = ask("POST", CONFIG_MAPS, body, "application/yaml")
    assert answer.status == 400
    assert message in answer.json["message"]


@pytest.mark.parametrize("depth", [260, 900])
@pytest.mark.parametrize("content_type", ["application/merge-patch+json", "application/json-patch+json"])
def test_an_object_nested_too_deeply_is_refused(depth: int, content_type: str) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    if content_type == "application/json-patch+json":
        deep = b'[{"op":"add","path":"/metadata/managedFields","value":[{"fieldsV1":' + deep + b"}]}]"
    else:
        deep = b'{"metadata":{"managedFields":[{"fieldsV1":' + deep + b"}]}}"
    answer = ask("PATCH", f"{CONFIG_MAPS}/a", deep, content_type)
    assert answer.status in (200, 400, 422)
    assert answer.status == 200 or any(word in answer.json["message"] for word in ("nest", "depth", "Recursion"))


def test_a_fault_of_ours_is_not_called_too_deep_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def stumble(*_: object) -> None:
        orjson.dumps({Verdict.WAIT: 1})

    monkeypatch.setattr("roadstead.apiserver.app.App._serve_discovery", stumble)
    answer = ask("GET", "/apis")
    assert answer.status == 500
    assert "its log says more" in answer.json["message"]
    assert "GET /apis failed" in caplog.text


def test_too_large_a_body_is_refused_before_it_is_read() -> None:
    announced = ask("POST", CONFIG_MAPS, b"{}", headers={"content-length": str(BODY_LIMIT + 1)})
    sent = ask("POST", CONFIG_MAPS, b" " * (BODY_LIMIT + 1))
    for answer in (announced, sent):
        assert answer.status == 413
        assert answer.json["message"] == "Request entity too large: limit is 3145728"


@pytest.mark.parametrize("content_type", ["application/xml", "text/plain", "multipart/form-data; boundary=x"])
def test_unknown_content_types(content_type: str) -> None:
    answer = ask("POST", CONFIG_MAPS, b"{}", content_type)
    assert answer.status == 415
    assert answer.json["message"].startswith("the body of the request was in an unknown format")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        (
            b"[]",
            "application/merge-patch+json",
            400,
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (b"null", "application/merge-patch+json", 400, "Invalid JSON Patch"),
        (b"{", "application/merge-patch+json", 400, "error decoding patch: unexpected end of JSON input"),
        (b"{}", "application/json-patch+json", 400, "json: cannot unmarshal object"),
        (b"[5]", "application/json-patch+json", 400, "json: cannot unmarshal number"),
        (
            b'[{"op":"test","path":"/data/k","value":"no"}]',
            "application/json-patch+json",
            422,
            "the server rejected our request",
        ),
        (
            b'[{"op":"replace","path":"/metadata/name","value":"b"}]',
            "application/json-patch+json",
            400,
            "does not match the name on the URL",
        ),
        (
            b'[{"op":"replace","path":"/apiVersion","value":"v2"}]',
            "application/json-patch+json",
            422,
            'no kind "ConfigMap" is registered for version "v2"',
        ),
        (
            b'[{"op":"replace","path":"","value":5}]',
            "application/json-patch+json",
            422,
            "the server rejected our request",
        ),
        (
            b'{"data":5}',
            "application/merge-patch+json",
            422,
            "json: cannot unmarshal number into Go struct field ConfigMap.data",
        ),
        (b"{}", "application/apply-patch+cbor", 415, "415: Unsupported Media Type"),
        (b"{}", "application/json", 415, "415: Unsupported Media Type"),
        (b"[" + b'{"op":"test","path":""},' * 10_000 + b"{}]", "application/json-patch+json", 413, "got 10001"),
    ],
)
def test_patches(body: bytes, content_type: str, status: int, message: str) -> None:
    answer = ask("PATCH", f"{CONFIG_MAPS}/a", body, content_type)
    assert answer.status == status
    assert message in answer.json["message"]


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("HEAD", CONFIG_MAPS, 405),
        ("HEAD", f"{CONFIG_MAPS}/a", 405),
        ("FOO", CONFIG_MAPS, 405),
        ("PUT", CONFIG_MAPS, 405),
        ("PATCH", CONFIG_MAPS, 405),
        ("POST", f"{CONFIG_MAPS}/a", 405),
        ("DELETE", "/api/v1/pods", 405),
        ("POST", "/api/v1/configmaps", 405),
        ("POST", f"{PODS}/p/log", 405),
        ("GET", f"{PODS}/p/binding", 405),
        ("POST", "/api/v1", 405),
        ("DELETE", "/version", 405),
        ("POST", "/readyz", 405),
        ("GET", "/api/v2", 404),
        ("GET", "/api/v1/bogus", 404),
        ("GET", "/apis/batch/v9/jobs", 404),
        ("GET", f"{PODS}/p/exec", 404),
        ("GET", "/api/v1/namespaces/a/b/c/d/e/f", 404),
        ("GET", "/api/v1/namespaces/default/nodes/n", 404),
        ("GET", "/api/v1/pods/p", 404),
    ],
)
def test_paths_and_methods(method: str, url: str, status: int) -> None:
    answer = ask(method, url, {})
    assert answer.status == status
    assert answer.json["kind"] == "Status"
    assert answer.json["details"] == {}


@pytest.mark.parametrize(
    "url",
    [
        "/bogus",
        "/apis/nope",
        "/apis/nope/v1",
        "/apis/nope/v1/things",
        "/readyz/nope",
        "/openapi/v3/apis/x/v1",
        "/livez/ping/x",
    ],
)
def test_paths_of_no_api(url: str) -> None:
    answer = ask("GET", url)
    assert (answer.status, answer.body, answer.type) == (404, b"404 page not found\n", "text/plain; charset=utf-8")


def test_immutable_fields_and_impossible_objects_change_nothing() -> None:
    answer = ask("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"uid": "other"}}, "application/merge-patch+json")
    assert answer.status == 422
    named = ask("POST", CONFIG_MAPS, config_map("Bad_Name"))
    assert (named.status, named.json["reason"]) == (422, "Invalid")
    assert named.json["details"]["causes"][0]["field"] == "metadata.name"


@with_api
async def test_a_mistake_of_ours_is_a_500_without_our_insides(api: Api) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    api.store.get = broken  # type: ignore[method-assign, assignment]
    answer = await api.ask("GET", f"{CONFIG_MAPS}/a")
    assert (answer.status, answer.json["reason"]) == (500, "InternalError")
    assert b"hunter2" not in answer.body


@with_api
async def test_who_may_ask(api: Api) -> None:
    api.connection = Connection()
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert (await api.ask("GET", CONFIG_MAPS)).status == 403
    assert (await api.ask("GET", "/version", headers={"authorization": "Bearer wrong"})).status == 401
    assert (await api.ask("GET", CONFIG_MAPS, headers={"authorization": "Bearer wrong"})).status == 401
    anonymous = await api.ask("GET", "/api/v1/namespaces", headers={"authorization": "Basic YTpi"})
    assert anonymous.json["message"] == (
        'namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope'
    )
    assert (await api.ask("GET", "/version", headers={"authorization": "Basic YTpi"})).status == 403
    assert (await api.ask("GET", CONFIG_MAPS, headers=bearer)).status == 200
    impersonated = await api.ask("GET", CONFIG_MAPS, headers={**bearer, "Impersonate-User": "bob"})
    assert impersonated.json["message"].startswith('configmaps is forbidden: User "bob" cannot list')


@with_api
async def test_nobody_reads_a_body_of_somebody_unknown(api: Api) -> None:
    api.connection = Connection()
    answer = await api.ask("POST", CONFIG_MAPS, b"{", headers={"content-length": str(10**9)})
    assert answer.status == 403


@with_api
async def test_a_body_that_never_comes(api: Api) -> None:
    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        raise AssertionError("waited too long")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "BODY_SECONDS", 0.05)
        with pytest.raises(StatusError, match="the request body did not arrive") as refused:
            await bodies.read_body(receive, b"10")
    assert refused.value.code == 504


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:6443"}, 200),
        ({"host": "[::1]:6443"}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "evil.example.com"}, 403),
        ({"host": "localhost", "origin": "https://evil.example.com"}, 403),
        ({"host": "localhost:6443", "origin": "https://localhost:6443"}, 200),
    ],
)
def test_pages_in_a_browser_cannot_reach_us(headers: dict[str, str], status: int) -> None:
    @with_api
    async def check(api: Api) -> None:
        api.connection = Connection()
        answer = await api.ask("GET", CONFIG_MAPS, headers={"authorization": f"Bearer {TOKEN}", **headers})
        assert answer.status == status

    check()


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "spec", "containers", "name", "data", "labels", "apiVersion", "kind", "$patch", "status"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=anything,
    which=st.sampled_from(["POST", "PUT", "merge", "strategic", "json"]),
    path=st.sampled_from([CONFIG_MAPS, PODS]),
)
def test_no_body_breaks_the_server(body: object, which: str, path: str) -> None:
    name = "a" if path == CONFIG_MAPS else "p"
    media = {
        "merge": "application/merge-patch+json",
        "strategic": "application/strategic-merge-patch+json",
        "json": "application/json-patch+json",
    }
    if which == "POST":
        answer = ask("POST", path, body)
    elif which == "PUT":
        answer = ask("PUT", f"{path}/{name}", body)
    else:
        answer = ask("PATCH", f"{path}/{name}", body, media[which])
    assert answer.status < 500 or answer.json.get("reason") != "InternalError", answer.body
