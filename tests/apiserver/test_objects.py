"""Verbs on objects, and the forms of their answers."""

from __future__ import annotations

import pytest

from roadstead.cluster.embedded import listing
from tests.apiserver.harness import CONFIG_MAPS, PODS, Api, config_map, pod
from tests.apiserver.loop import with_api

TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
PARTIAL = {"accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
PARTIAL_LIST = {"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
MERGE = "application/merge-patch+json"


@with_api
async def test_create_get_update_patch_delete(api: Api) -> None:
    created = await api.ask("POST", CONFIG_MAPS, config_map("a", k="v"))
    assert created.status == 201
    assert created.type == "application/json"
    assert created.header("audit-id")
    assert created.header("cache-control") == "no-cache, private"
    got = await api.ask("GET", f"{CONFIG_MAPS}/a")
    assert got.json == created.json
    changed = {**got.json, "data": {"k": "w"}}
    assert (await api.ask("PUT", f"{CONFIG_MAPS}/a", changed)).json["data"] == {"k": "w"}
    assert (await api.ask("PUT", f"{CONFIG_MAPS}/a", changed)).json["reason"] == "Conflict"
    patched = await api.ask("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": "y"}}, content_type=MERGE)
    assert patched.json["data"] == {"k": "w", "x": "y"}
    deleted = await api.ask("DELETE", f"{CONFIG_MAPS}/a")
    assert deleted.json["status"] == "Success"
    assert deleted.json["details"] == {"name": "a", "kind": "configmaps", "uid": created.json["metadata"]["uid"]}
    missing = await api.ask("GET", f"{CONFIG_MAPS}/a")
    assert (missing.status, missing.json["reason"]) == (404, "NotFound")


@with_api
async def test_kind_and_version_may_be_left_out_of_a_body(api: Api) -> None:
    created = await api.ask("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert (created.json["apiVersion"], created.json["kind"]) == ("v1", "ConfigMap")


@with_api
async def test_yaml_in_and_out(api: Api) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'y'}\ndata: {mode: '0644', 1: one, true: 'yes'}\n"
    created = await api.ask("POST", CONFIG_MAPS, body, content_type="application/yaml")
    assert created.json["data"] == {"mode": "0644", "1": "one", "true": "yes"}
    got = await api.ask("GET", f"{CONFIG_MAPS}/y", headers={"accept": "application/yaml"})
    assert got.type == "application/yaml"
    assert b"kind: ConfigMap\n" in got.body


@with_api
async def test_lists_are_made_of_stored_bytes_without_their_type(api: Api) -> None:
    for name in ("b", "a"):
        await api.ask("POST", CONFIG_MAPS, config_map(name, labels={"l": name}))
    listed = (await api.ask("GET", CONFIG_MAPS)).json
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
    assert "kind" not in listed["items"][0]
    selected = (await api.ask("GET", f"{CONFIG_MAPS}?labelSelector=l%3Db")).json
    assert [item["metadata"]["name"] for item in selected["items"]] == ["b"]
    page = (await api.ask("GET", f"{CONFIG_MAPS}?limit=1")).json["metadata"]
    assert page["remainingItemCount"] == 1
    rest = (await api.ask("GET", f"{CONFIG_MAPS}?limit=1&continue={page['continue']}")).json
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b"]


@with_api
async def test_lists_of_custom_kinds_keep_their_items_types(api: Api) -> None:
    flavor = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "f"}}
    path = "/apis/kueue.x-k8s.io/v1beta2/resourceflavors"
    assert (await api.ask("POST", path, flavor)).status == 201
    assert (await api.ask("GET", path)).json["items"][0]["kind"] == "ResourceFlavor"
    strategic = await api.ask("PATCH", f"{path}/f", {"spec": {}}, content_type="application/strategic-merge-patch+json")
    assert strategic.status == 415


@with_api
async def test_tables(api: Api) -> None:
    await api.ask("POST", CONFIG_MAPS, config_map("a", k="v"))
    table = (await api.ask("GET", CONFIG_MAPS, headers=TABLE)).json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    row = table["rows"][0]
    assert row["cells"][:2] == ["a", 1]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    whole = (await api.ask("GET", f"{CONFIG_MAPS}/a?includeObject=Object", headers=TABLE)).json
    assert whole["rows"][0]["object"]["data"] == {"k": "v"}
    none = (await api.ask("GET", f"{CONFIG_MAPS}?includeObject=None", headers=TABLE)).json
    assert none["rows"][0]["object"] is None
    assert (await api.ask("GET", f"{CONFIG_MAPS}?includeObject=All", headers=TABLE)).status == 400


@with_api
async def test_metadata_only(api: Api) -> None:
    created = await api.ask("POST", CONFIG_MAPS, config_map("a", k="v"), headers=PARTIAL)
    assert created.json["kind"] == "PartialObjectMetadata"
    assert set(created.json) == {"kind", "apiVersion", "metadata"}
    listed = (await api.ask("GET", CONFIG_MAPS, headers=PARTIAL_LIST)).json
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["items"][0]["metadata"]["name"] == "a"
    wrong = await api.ask("GET", CONFIG_MAPS, headers=PARTIAL)
    assert wrong.status == 406
    assert wrong.json["message"].endswith("is a list (*core.ConfigMapList)")


@with_api
async def test_pretty(api: Api) -> None:
    await api.ask("POST", CONFIG_MAPS, config_map("a"))
    assert b"\n  " not in (await api.ask("GET", f"{CONFIG_MAPS}/a")).body
    assert b"\n  " in (await api.ask("GET", f"{CONFIG_MAPS}/a?pretty=true")).body
    assert b"\n  " in (await api.ask("GET", f"{CONFIG_MAPS}/a", headers={"user-agent": "curl/8"})).body


@with_api
async def test_dry_run_leaves_no_trace(api: Api) -> None:
    assert (await api.ask("POST", f"{CONFIG_MAPS}?dryRun=All", config_map("a"))).status == 201
    assert (await api.ask("GET", f"{CONFIG_MAPS}/a")).status == 404
    await api.ask("POST", CONFIG_MAPS, config_map("a"))
    assert (await api.ask("DELETE", f"{CONFIG_MAPS}/a?dryRun=All")).status == 200
    assert (await api.ask("DELETE", f"{CONFIG_MAPS}/a", {"dryRun": ["All"]})).status == 200
    assert (await api.ask("GET", f"{CONFIG_MAPS}/a")).status == 200


@with_api
async def test_deletecollection_answers_with_what_was_there(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.ask("POST", CONFIG_MAPS, config_map(name, labels={"keep": str(name == "c").lower()}))
    gone = await api.ask("DELETE", f"{CONFIG_MAPS}?labelSelector=keep%3Dfalse")
    assert [item["metadata"]["name"] for item in gone.json["items"]] == ["a", "b"]
    left = (await api.ask("GET", CONFIG_MAPS)).json["items"]
    assert [item["metadata"]["name"] for item in left] == ["c"]


@with_api
async def test_field_validation(api: Api) -> None:
    twice = b'{"metadata":{"name":"a"},"bogus":1,"data":{"a":"1","a":"2"},"kind":"ConfigMap","kind":"ConfigMap"}'
    strict = await api.ask("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", twice)
    assert strict.json["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "bogus", '
        'duplicate field "data.a", duplicate field "kind"'
    )
    assert (await api.ask("GET", f"{CONFIG_MAPS}/a")).status == 404
    warned = await api.ask("POST", CONFIG_MAPS, twice)
    assert warned.json["data"] == {"a": "2"}
    assert warned.warnings == [
        '299 - "unknown field \\"bogus\\""',
        '299 - "duplicate field \\"data.a\\""',
        '299 - "duplicate field \\"kind\\""',
    ]
    ignored = await api.ask("PUT", f"{CONFIG_MAPS}/a?fieldValidation=Ignore", twice)
    assert (ignored.status, ignored.warnings) == (200, [])


@with_api
async def test_strict_patches_say_what_is_wrong_with_patch_and_result(api: Api) -> None:
    await api.ask("POST", CONFIG_MAPS, config_map("a", a="1"))
    patch = b'{"data":{"a":"1","a":"2"},"metadata":{"lables":{"a":"b"}}}'
    strategic = "application/strategic-merge-patch+json"
    refused = await api.ask("PATCH", f"{CONFIG_MAPS}/a?fieldValidation=Strict", patch, content_type=strategic)
    assert refused.json["message"] == (
        ' "" is invalid: patch: Invalid value: "map[data:map[a:2] metadata:map[lables:map[a:b]]]": strict decoding error: '
        'duplicate field "data.a", unknown field "metadata.lables"'
    )
    operations = [
        {"op": "add", "path": "/data/q", "value": "1", "vaule": 2},
        {"op": "add", "path": "/bogus", "value": 1},
    ]
    warned = await api.ask("PATCH", f"{CONFIG_MAPS}/a", operations, content_type="application/json-patch+json")
    assert warned.json["data"] == {"a": "1", "q": "1"}
    assert warned.warnings == [
        '299 - "json patch unknown field \\"[0].vaule\\""',
        '299 - "unknown field \\"bogus\\""',
    ]


@with_api
async def test_binding_a_pod(api: Api) -> None:
    assert (await api.ask("POST", PODS, pod("p"))).status == 201
    binding = {"metadata": {"annotations": {"roadstead.dev/member": "0"}}, "target": {"kind": "Node", "name": "n1"}}
    bound = await api.ask("POST", f"{PODS}/p/binding", binding)
    assert (bound.status, bound.json["status"]) == (201, "Success")
    stored = (await api.ask("GET", f"{PODS}/p")).json
    assert stored["spec"]["nodeName"] == "n1"
    assert stored["metadata"]["annotations"] == {"roadstead.dev/member": "0"}
    again = await api.ask("POST", f"{PODS}/p/binding", binding)
    assert again.json["message"].endswith('pod p is already assigned to node "n1"')


@with_api
async def test_status_is_an_endpoint_of_its_own(api: Api) -> None:
    await api.ask("POST", PODS, pod("p"))
    patch = {"status": {"phase": "Running"}, "spec": {"activeDeadlineSeconds": 5}}
    patched = await api.ask("PATCH", f"{PODS}/p/status", patch, content_type=MERGE)
    assert patched.json["status"]["phase"] == "Running"
    assert "activeDeadlineSeconds" not in patched.json["spec"]
    await api.ask("PATCH", f"{PODS}/p", {"status": {"phase": "Failed"}}, content_type=MERGE)
    assert (await api.ask("GET", f"{PODS}/p/status")).json["status"]["phase"] == "Running"


@with_api
async def test_a_version_from_the_future_is_waited_for_and_then_refused(api: Api) -> None:
    await api.ask("POST", CONFIG_MAPS, config_map("a"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "WAIT_FOR_FUTURE_SECONDS", 0.05)
        answer = await api.ask("GET", f"{CONFIG_MAPS}/a?resourceVersion=999999")
    assert answer.status == 504
    assert answer.header("retry-after") == "1"


@with_api
async def test_whoever_deletes_jobs_is_warned_that_pods_stay_even_if_nothing_is_deleted(api: Api) -> None:
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    missing = await api.ask("DELETE", f"{jobs}/none")
    everything = await api.ask("DELETE", jobs)
    assert (missing.status, everything.status) == (404, 200)
    for answer in (missing, everything):
        (warning,) = answer.warnings
        assert warning.startswith('299 - "child pods are preserved by default when jobs are deleted')
    assert (await api.ask("DELETE", f"{jobs}/none?propagationPolicy=Background")).warnings == []
    assert (await api.ask("DELETE", f"{CONFIG_MAPS}/none")).warnings == []
