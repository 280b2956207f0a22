"""What is served, said in every form; OpenAPI; version and health."""

from __future__ import annotations

from typing import Any

from roadstead.apiserver.discovery import version_order
from tests.apiserver.harness import Api
from tests.apiserver.loop import with_api

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


def names(groups: list[dict[str, Any]]) -> list[str]:
    return [group["name"] for group in groups]


@with_api
async def test_legacy_documents(api: Api) -> None:
    assert (await api.ask("GET", "/api/")).json["versions"] == ["v1"]
    groups = (await api.ask("GET", "/apis/")).json["groups"]
    assert {"batch", "kueue.x-k8s.io", "roadstead.dev"} <= set(names(groups))
    assert (await api.ask("GET", "/apis/batch")).json["preferredVersion"] == {
        "groupVersion": "batch/v1",
        "version": "v1",
    }
    resources = {entry["name"]: entry for entry in (await api.ask("GET", "/api/v1")).json["resources"]}
    assert resources["pods"]["shortNames"] == ["po"]
    assert resources["pods/binding"] == {
        "name": "pods/binding",
        "singularName": "",
        "namespaced": True,
        "kind": "Binding",
        "verbs": ["create"],
    }
    eviction = resources["pods/eviction"]
    assert (eviction["group"], eviction["version"], eviction["kind"]) == ("policy", "v1", "Eviction")
    assert (resources["bindings"]["kind"], resources["bindings"]["verbs"]) == ("Binding", ["create"])
    assert "pods/exec" not in resources  # not served, so not announced
    assert resources["nodes"]["namespaced"] is False


@with_api
async def test_aggregated_documents_come_in_the_version_asked_for(api: Api) -> None:
    for accept, version in ((f"{V2},{V2BETA1},application/json", "v2"), (f"{V2BETA1},application/json", "v2beta1")):
        answer = await api.ask("GET", "/apis", headers={"accept": accept})
        assert answer.type == f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        assert answer.json["apiVersion"] == f"apidiscovery.k8s.io/{version}"
        assert answer.header("vary") == "Accept"
    jobs = next(item for item in answer.json["items"] if item["metadata"]["name"] == "batch")["versions"][0][
        "resources"
    ][0]
    assert jobs["scope"] == "Namespaced"
    assert jobs["subresources"][0]["subresource"] == "status"
    core = (await api.ask("GET", "/api", headers={"accept": V2})).json["items"]
    assert [item["metadata"] for item in core] == [{}]
    assert "bindings" in [entry["resource"] for entry in core[0]["versions"][0]["resources"]]
    legacy = await api.ask(
        "GET",
        "/apis",
        headers={"accept": "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,application/json"},
    )
    assert legacy.json["kind"] == "APIGroupList"


@with_api
async def test_both_forms_say_the_same(api: Api) -> None:
    legacy = {
        (entry["name"], entry["kind"], entry["namespaced"], tuple(entry["verbs"]))
        for entry in (await api.ask("GET", "/api/v1")).json["resources"]
        if "/" not in entry["name"]
    }
    core = (await api.ask("GET", "/api", headers={"accept": V2})).json["items"][0]["versions"][0]["resources"]
    aggregated = {
        (entry["resource"], entry["responseKind"]["kind"], entry["scope"] == "Namespaced", tuple(entry["verbs"]))
        for entry in core
    }
    assert legacy == aggregated


@with_api
async def test_an_etag_saves_the_document(api: Api) -> None:
    first = await api.ask("GET", "/apis", headers={"accept": V2})
    again = await api.ask("GET", "/apis", headers={"accept": V2, "if-none-match": first.header("etag")})
    assert (again.status, again.body) == (304, b"")
    other = await api.ask("GET", "/apis", headers={"accept": V2, "if-none-match": '"bogus"'})
    assert other.status == 200


@with_api
async def test_openapi_leads_from_the_index_to_every_schema(api: Api) -> None:
    index = (await api.ask("GET", "/openapi/v3")).json["paths"]
    assert {"api/v1", "apis/batch/v1", "apis/roadstead.dev/v1alpha1"} <= set(index)
    for entry in index.values():
        answer = await api.ask("GET", entry["serverRelativeURL"])
        assert answer.header("cache-control") == "public, immutable"
        schemas = answer.json["components"]["schemas"]
        assert not {name for name in references(answer.json) if name not in schemas}
    stale = await api.ask("GET", "/openapi/v3/api/v1?hash=OLD")
    assert (stale.status, stale.header("location")) == (301, index["api/v1"]["serverRelativeURL"])


@with_api
async def test_openapi_says_what_an_eviction_is(api: Api) -> None:
    paths = (await api.ask("GET", "/openapi/v3/api/v1")).json["paths"]
    post = paths["/api/v1/namespaces/{namespace}/pods/{name}/eviction"]["post"]
    assert "io.k8s.api.policy.v1.Eviction" in str(post["requestBody"])


@with_api
async def test_openapi_says_which_patches_a_kind_takes(api: Api) -> None:
    paths = (await api.ask("GET", "/openapi/v3/apis/batch/v1")).json["paths"]
    patch = paths["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "batch", "version": "v1", "kind": "Job"}
    custom = (await api.ask("GET", "/openapi/v3/apis/kueue.x-k8s.io/v1beta2")).json["paths"]
    flavor = custom["/apis/kueue.x-k8s.io/v1beta2/resourceflavors/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in flavor["requestBody"]["content"]


@with_api
async def test_openapi_v2_is_the_shortest_document_that_kubectl_takes(api: Api) -> None:
    answer = await api.ask("GET", "/openapi/v2")
    assert answer.body == bytes.fromhex("0a03322e30")
    assert answer.type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


@with_api
async def test_version_and_health(api: Api) -> None:
    assert (await api.ask("GET", "/version/")).json["gitVersion"] == "v1.36.3"
    for path in ("/healthz", "/livez", "/readyz", "/readyz/storage"):
        answer = await api.ask("GET", path)
        assert (answer.status, answer.body) == (200, b"ok")
    verbose = await api.ask("GET", "/readyz?verbose")
    assert verbose.body == b"[+]ping ok\n[+]storage ok\nreadyz check passed\n"
    excluding = await api.ask("GET", "/livez?verbose&exclude=storage&exclude=nothing")
    assert excluding.body == (
        b"[+]ping ok\n[+]storage excluded: ok\n"
        b'warn: some health checks cannot be excluded: no matches for "nothing"\nlivez check passed\n'
    )
    assert "/version" in (await api.ask("GET", "/")).json["paths"]
    api.app._documents.health.checks = {"storage": lambda: "the disk is full", "shutdown": lambda: "stopping"}
    failing = await api.ask("GET", "/readyz")
    assert (failing.status, failing.body) == (
        500,
        b"[+]ping ok\n[-]storage failed: the disk is full\n[-]shutdown failed: stopping\nreadyz check failed\n",
    )
    assert (await api.ask("GET", "/readyz?exclude=storage&exclude=shutdown")).status == 200
    one = await api.ask("GET", "/livez/storage")
    assert (one.status, one.body) == (500, b"internal server error: the disk is full\n")
    assert (await api.ask("GET", "/livez/shutdown")).status == 404  # alive, and must not be restarted for it
    assert b"shutdown" not in (await api.ask("GET", "/livez?verbose&exclude=storage")).body


def test_versions_stand_in_the_order_of_trust() -> None:
    mixed = ["v1alpha1", "v2", "other", "v1beta1", "v1", "v10", "v2beta2", "v2alpha1"]
    assert sorted(mixed, key=version_order) == [
        "v10",
        "v2",
        "v1",
        "v2beta2",
        "v1beta1",
        "v2alpha1",
        "v1alpha1",
        "other",
    ]


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    if not isinstance(value, dict):
        return set()
    found = {name for item in value.values() for name in references(item)}
    pointer = value.get("$ref")
    return found | {pointer.rpartition("/")[2]} if isinstance(pointer, str) else found
