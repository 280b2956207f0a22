"""Server-side apply over HTTP: codes, options, words."""

from __future__ import annotations

import json

import pytest

from tests.apiserver.harness import CONFIG_MAPS, Api
from tests.apiserver.loop import with_api

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}


@with_api
async def test_apply_creates_then_changes(api: Api) -> None:
    created = await api.ask("PATCH", f"{CONFIG_MAPS}/a?fieldManager=me", BODY, content_type=APPLY)
    assert created.status == 201
    entry = created.json["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"], entry["fieldsV1"]) == ("me", "Apply", {"f:data": {"f:x": {}}})
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {z: '2'}\n"
    changed = await api.ask("PATCH", f"{CONFIG_MAPS}/a?fieldManager=me", text, content_type=APPLY)
    assert (changed.status, changed.json["data"]) == (200, {"z": "2"})


@with_api
async def test_conflicts_and_force(api: Api) -> None:
    await api.ask("PATCH", f"{CONFIG_MAPS}/a?fieldManager=me", BODY, content_type=APPLY)
    edited = await api.ask(
        "PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": "2"}}, {"user-agent": "ed/1"}, content_type=MERGE
    )
    assert edited.json["metadata"]["managedFields"][0]["manager"] == "ed"
    refused = await api.ask("PATCH", f"{CONFIG_MAPS}/a?fieldManager=me", BODY, content_type=APPLY)
    assert (refused.status, refused.json["reason"]) == (409, "Conflict")
    assert refused.json["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "ed" using v1', "field": ".data.x"}
    ]
    forced = await api.ask("PATCH", f"{CONFIG_MAPS}/a?fieldManager=me&force=true", BODY, content_type=APPLY)
    assert (forced.status, forced.json["data"]) == (200, {"x": "1"})


TWICE = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n  x: '2'\n"


@with_api
async def test_keys_written_twice(api: Api) -> None:
    path = f"{CONFIG_MAPS}/a?fieldManager=me"
    warned = await api.ask("PATCH", path, TWICE, content_type=APPLY)
    assert (warned.status, warned.header("warning")) == (201, '299 - "line 7: key \\"x\\" already set in map"')
    refused = await api.ask("PATCH", f"{path}&fieldValidation=Strict", TWICE, content_type=APPLY)
    assert refused.status == 400
    assert refused.json["message"].startswith("error strict decoding YAML: error converting YAML to JSON: yaml: ")
    assert refused.json["message"].endswith('\n  line 7: key "x" already set in map')
    ignored = await api.ask("PATCH", f"{path}&fieldValidation=Ignore", TWICE, content_type=APPLY)
    assert (ignored.status, ignored.header("warning")) == (200, "")


@pytest.mark.parametrize(
    ("query", "body", "status", "message"),
    [
        ("", BODY, 422, "fieldManager: Required value: is required for apply patch"),
        ("?fieldManager=&dryRun=x", BODY, 422, "[fieldManager: Required value: is required for apply patch, dryRun: "),
        ("?fieldManager=me", b"[]", 400, "cannot unmarshal array into Go value of type map[string]interface {}"),
        (
            "?fieldManager=me",
            b"a: b: c",
            400,
            "error decoding YAML: error converting YAML to JSON: yaml: mapping values",
        ),
        ("?fieldManager=me", b"x: 1\na: b: c", 400, "yaml: line 2: mapping values are not allowed in this context"),
        ("?fieldManager=me", {**BODY, "kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ("?fieldManager=me", {**BODY, "metadata": {"name": "b"}}, 400, "does not match the name on the URL (a)"),
        ("?fieldManager=me", {**BODY, "bogus": 1}, 500, ".bogus: field not declared in schema"),
        (
            "?fieldManager=me",
            {**BODY, "metadata": {"name": "a", "creationTimestamp": "x"}},
            500,
            "failed to convert new object",
        ),
    ],
)
def test_refusals(query: str, body: object, status: int, message: str) -> None:
    @with_api
    async def ask(api: Api) -> None:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await api.ask("PATCH", f"{CONFIG_MAPS}/a{query}", sent, content_type=APPLY)
        assert answer.status == status
        assert message in answer.json["message"]

    ask()
