"""Strategic merge patch: rules in small, and the recorded answers of the real server."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.patch import strategic_merge_patch
from roadstead.kinds.schema import Schema
from tests.kinds.way import kind_of

RECORDED = Path(__file__).parents[2] / "data/api/patch-strategic.jsonl.gz"
POD = kind_of(PODS).schema
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
# What a Deployment adds to the schemas that are served: enough to merge the recorded ones.
DEPLOYMENT = Schema(
    Resource("apps", "v1", "deployments"),
    "Deployment",
    {
        "type": "object",
        "properties": {
            "metadata": {"ref": f"{_META}.ObjectMeta"},
            "spec": {
                "type": "object",
                "properties": {
                    "selector": {"ref": f"{_META}.LabelSelector"},
                    "template": {"ref": "io.k8s.api.core.v1.PodTemplateSpec"},
                    "strategy": {
                        "type": "object",
                        "x-kubernetes-patch-strategy": "retainKeys",
                        "properties": {"rollingUpdate": {"type": "object"}, "type": {"type": "string"}},
                    },
                },
            },
        },
    },
    component="io.k8s.api.apps.v1.Deployment",
    is_custom=False,
)


def patched(spec: Json, patch: Json) -> Json:
    before, change = {"spec": spec}, {"spec": patch}
    untouched = copy.deepcopy((before, change))
    result = strategic_merge_patch(before, change, POD)
    assert (before, change) == untouched, "neither argument is changed"
    after: Json = result["spec"]
    return after


def containers(*names: str) -> list[Json]:
    return [{"name": name, "image": f"i:{name}"} for name in names]


@pytest.mark.parametrize(
    ("spec", "patch", "after"),
    [
        ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"b": "2"}}, {"nodeSelector": {"a": "1", "b": "2"}}),
        ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"a": None}}, {"nodeSelector": {}}),
        ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "replace", "b": "2"}}, {"nodeSelector": {"b": "2"}}),
        ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "delete"}}, {"nodeSelector": {}}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        ({"nodeName": "n"}, {"nodeName": None}, {}),
        ({}, {"nodeSelector": {"a": None, "b": "1"}}, {"nodeSelector": {"b": "1"}}),
        (
            {},
            {"affinity": {"$patch": "merge", "nodeAffinity": {"$retainKeys": []}}},
            {"affinity": {"nodeAffinity": {}}},
        ),
    ],
)
def test_maps_and_atomic_lists(spec: Json, patch: Json, after: Json) -> None:
    assert patched(spec, patch) == after


@pytest.mark.parametrize(
    ("have", "change", "order"),
    [
        ("ab", [{"name": "b", "image": "x"}], "ab"),
        ("ab", [{"name": "c"}], "cab"),  # the patch's own come first where nothing says otherwise
        ("ab", [{"name": "a", "$patch": "delete"}], "b"),
        ("ab", [{"name": "z", "$patch": "delete"}], "ab"),
        ("abc", [{"$patch": "replace"}, {"name": "x"}], "x"),
        ("abc", [{"name": "c"}, {"name": "a"}], "bca"),  # the patch's order; b, which stood before c, goes before it
    ],
)
def test_lists_with_a_merge_key(have: str, change: list[Json], order: str) -> None:
    after = patched({"containers": containers(*have)}, {"containers": change})
    assert "".join(container["name"] for container in after["containers"]) == order
    assert "$patch" not in json.dumps(after)


def test_an_element_is_merged_and_not_replaced() -> None:
    after = patched({"containers": containers("a")}, {"containers": [{"name": "a", "tty": True}]})
    assert after["containers"] == [{"name": "a", "image": "i:a", "tty": True}]


def test_set_element_order() -> None:
    spec = {"containers": containers("a", "b", "c")}
    only_order = patched(spec, {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]})
    assert [container["name"] for container in only_order["containers"]] == ["b", "c", "a"]
    both = patched(
        spec,
        {"$setElementOrder/containers": [{"name": "d"}, {"name": "a"}], "containers": [{"name": "d", "image": "x"}]},
    )
    assert [container["name"] for container in both["containers"]] == ["d", "a", "b", "c"]


def test_the_order_list_must_contain_what_is_patched() -> None:
    with pytest.raises(StatusError) as refused:
        patched(
            {"containers": containers("a", "b")},
            {"containers": containers("a", "b"), "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
        )
    assert refused.value.code == 500
    assert refused.value.message == (
        "The order in patch list:\n[map[image:i:a name:a] map[image:i:b name:b]]\n doesn't match $setElementOrder list:\n"
        "[map[name:b] map[name:a]]\n"
    )


def test_retain_keys_drops_what_is_not_named() -> None:
    spec = {"volumes": [{"name": "v", "emptyDir": {}}]}
    change = {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]}
    assert patched(spec, change) == {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}
    with pytest.raises(StatusError, match="invalid patch format of retainKeys"):
        patched(spec, {"volumes": [{"name": "v", "$retainKeys": ["name"], "secret": {}}]})


def test_lists_of_plain_values_merge_and_shrink() -> None:
    before = {"metadata": {"finalizers": ["a/x", "b/y"]}}
    merged = strategic_merge_patch(before, {"metadata": {"finalizers": ["b/y", "c/z"]}}, POD)
    assert sorted(merged["metadata"]["finalizers"]) == ["a/x", "b/y", "c/z"]
    shrunk = strategic_merge_patch(before, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}}, POD)
    assert shrunk["metadata"] == {"finalizers": ["b/y"]}


def test_an_element_without_its_key_is_refused_as_the_server_does() -> None:
    with pytest.raises(StatusError) as refused:
        patched({"containers": containers("a")}, {"containers": [{"image": "x"}]})
    assert (refused.value.code, refused.value.reason) == (500, "")
    assert refused.value.message == "map: map[image:x] does not contain declared merge key: name"


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"$retainKeys": "x"}, "invalid patch format of retainKeys"),
        ({"$setElementOrder/containers": "x"}, "invalid patch format of setElementOrder list"),
        ({"$setElementOrder": []}, "invalid patch format of setElementOrder list"),
        ({"$deleteFromPrimitiveList": ["x"]}, "invalid patch format of primitive list"),
    ],
)
def test_malformed_directives_are_the_clients_fault(patch: Json, message: str) -> None:
    with pytest.raises(StatusError, match=message) as refused:
        patched({"containers": containers("a")}, patch)
    assert refused.value.code == 400


def test_an_unknown_directive_is_named() -> None:
    with pytest.raises(StatusError, match=r"unknown patch type: explode in map: map\[\$patch:explode\]"):
        patched({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "explode"}})


def test_service_account_secrets_merge_by_name_and_pull_secrets_replace() -> None:
    schema = kind_of(SERVICE_ACCOUNTS).schema
    before = {"secrets": [{"name": "s1"}], "imagePullSecrets": [{"name": "i1"}]}
    after = strategic_merge_patch(before, {"secrets": [{"name": "s2"}], "imagePullSecrets": [{"name": "i2"}]}, schema)
    assert sorted(secret["name"] for secret in after["secrets"]) == ["s1", "s2"]
    assert after["imagePullSecrets"] == [{"name": "i2"}]


# --- recorded


def recorded() -> Iterator[tuple[str, str, Json, Json, Json]]:
    """(id, plural, object before, patch, answer) of every strategic patch in the recording whose object is known."""
    with gzip.open(RECORDED, "rt") as lines:
        for line in lines:
            session = json.loads(
                line.replace("<time>", "2026-01-01T00:00:00Z").replace("<microtime>", "2026-01-01T00:00:00.000000Z")
            )
            stored: dict[str, Json] = {}
            for number, step in enumerate(session["steps"]):
                request, answer = step.get("request", {}), step.get("response", {}).get("json")
                if not isinstance(answer, dict) or "path" not in request:
                    continue
                path = request["path"].partition("?")[0].removesuffix("/status")
                if request["method"] == "POST" and "metadata" in answer:
                    stored[f"{path}/{answer['metadata'].get('name')}"] = answer
                elif request["method"] == "PATCH" and "strategic" in request["headers"].get("Content-Type", ""):
                    if path in stored and isinstance(request.get("json"), dict):
                        plural = path.split("/")[-2]
                        yield f"{session['id']}/{number}", plural, stored[path], request["json"], answer
                    if answer["kind"] != "Status":
                        stored[path] = answer


SCHEMAS = {"deployments": DEPLOYMENT, "pods": POD} | {
    plural: kind_of(Resource(group, "v1", plural)).schema
    for group, plural in (
        ("", "configmaps"),
        ("", "nodes"),
        ("", "serviceaccounts"),
        ("batch", "jobs"),
        ("coordination.k8s.io", "leases"),
    )
}
CASES = [case for case in recorded() if case[1] in SCHEMAS]
ADMITTED = ("tolerations",)  # admission adds the usual two again


def extra(mine: Any, real: Any, path: str = "") -> Iterator[str]:
    """Where my result says something that the real answer does not (defaults that it added are no difference)."""
    if isinstance(mine, dict) and isinstance(real, dict):
        for key, value in mine.items():
            if key in ("resourceVersion", "generation", *ADMITTED):
                continue
            if key in real:
                yield from extra(value, real[key], f"{path}.{key}")
            elif value not in ({}, []):
                yield f"{path}.{key} = {value!r} is not in the answer"
    elif isinstance(mine, list) and isinstance(real, list):
        if len(mine) != len(real):
            yield f"{path}: {len(mine)} elements, the answer has {len(real)}"
        for i, (left, right) in enumerate(zip(mine, real, strict=False)):
            yield from extra(left, right, f"{path}[{i}]")
    elif mine != real:
        yield f"{path}: {mine!r}, the answer has {real!r}"


def missing(mine: Any, before: Any, real: Any, patch: Any, path: str = "") -> Iterator[str]:
    """What the object had before, what the real answer still has, and what my result has lost (null means to; metadata
    the server restores)."""
    if isinstance(mine, dict) and isinstance(before, dict) and isinstance(real, dict):
        asked = patch if isinstance(patch, dict) else {}
        for key in before.keys() & real.keys():
            if key in (*ADMITTED, "metadata") or asked.get(key, "") is None:
                continue
            if key not in mine:
                if real[key] not in ({}, []):
                    yield f"{path}.{key} was lost"
            else:
                yield from missing(mine[key], before[key], real[key], asked.get(key), f"{path}.{key}")


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_as_recorded(case: tuple[str, str, Json, Json, Json]) -> None:
    _, plural, before, patch, answer = case
    if answer["kind"] == "Status" and answer["code"] == 500:
        with pytest.raises(StatusError) as refused:
            strategic_merge_patch(before, patch, SCHEMAS[plural])
        assert refused.value.message == answer["message"]
        return
    result = strategic_merge_patch(before, patch, SCHEMAS[plural])
    if answer["kind"] == "Status":
        return  # merged, then refused by a rule of the kind
    if plural != "deployments":
        SCHEMAS[plural].check(result)
    assert list(extra(result, answer)) == []
    assert list(missing(result, before, answer, patch)) == []


def test_the_recording_is_there() -> None:
    assert len(CASES) > 80
