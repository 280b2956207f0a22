"""Protobuf bodies, as kubectl from 1.32 and Go controllers send them: read like JSON, refused like the real server
does."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from roadstead.testing.conformance import REPOSITORY, records
from tests.apiserver.harness import CONFIG_MAPS, PODS, Answer, Api, config_map, pod
from tests.apiserver.loop import with_api
from tests.kinds.protobuf.wire import body, envelope, message

PROTOBUF = "application/vnd.kubernetes.protobuf"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): "


def namespaced(name: str) -> Json:
    return {"name": name, "namespace": "default"}


@with_api
async def test_an_object_is_created_and_replaced(api: Api) -> None:
    sent = body("v1", "ConfigMap", {"metadata": {"name": "a"}, "data": {"k": "1"}})
    created = await api.ask("POST", CONFIG_MAPS, sent, content_type=PROTOBUF)
    assert (created.status, created.type) == (201, "application/json")
    assert created.json["data"] == {"k": "1"}
    assert set(created.json["metadata"]) == {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
    }
    sent = body("v1", "ConfigMap", {"metadata": {"name": "a"}, "data": {"k": "2"}})
    replaced = await api.ask("PUT", f"{CONFIG_MAPS}/a", sent, content_type=f"{PROTOBUF}; charset=utf-8")
    assert (replaced.status, replaced.json["data"]) == (200, {"k": "2"})


@with_api
async def test_a_pod_is_the_same_whichever_way_it_comes(api: Api) -> None:
    by_json = pod("a", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}], terminationGracePeriodSeconds=0)
    by_json["spec"]["containers"][0] |= {
        "resources": {"limits": {"cpu": "500m"}},
        "livenessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 7},
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}],
        "ports": [{"name": "http", "containerPort": 80}],
    }
    in_messages = {
        "metadata": {"name": "b", "generateName": "", "creationTimestamp": {}},
        "spec": {
            "volumes": [{"name": "v", "volumeSource": {"emptyDir": {"medium": "", "sizeLimit": {"string": "1Gi"}}}}],
            "terminationGracePeriodSeconds": 0,
            "nodeName": "",
            "containers": [
                {
                    "name": "main",
                    "image": "none",
                    "workingDir": "",
                    "resources": {"limits": {"cpu": {"string": "0.5"}}},
                    "livenessProbe": {
                        "handler": {"tcpSocket": {"port": {"type": 1, "strVal": "http"}}},
                        "periodSeconds": 7,
                        "timeoutSeconds": 0,
                    },
                    "env": [
                        {
                            "name": "A",
                            "value": "",
                            "valueFrom": {"configMapKeyRef": {"localObjectReference": {"name": "c"}, "key": "k"}},
                        }
                    ],
                    "ports": [{"name": "http", "hostPort": 0, "containerPort": 80, "protocol": "", "hostIP": ""}],
                }
            ],
        },
        "status": {"phase": ""},
    }
    first = await api.ask("POST", PODS, by_json)
    second = await api.ask("POST", PODS, body("v1", "Pod", in_messages), content_type=PROTOBUF)
    assert (first.status, second.status) == (201, 201), second.json
    assert second.json["spec"] == first.json["spec"]
    assert second.json["status"] == first.json["status"]


@with_api
async def test_status_and_binding(api: Api) -> None:
    await api.ask("POST", PODS, pod("a"))
    binding = body("v1", "Binding", {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}})
    assert (await api.ask("POST", f"{PODS}/a/binding", binding, content_type=PROTOBUF)).status == 201
    fields = {"metadata": {"name": "a"}, "status": {"phase": "Running", "startTime": {"seconds": 1767225600}}}
    answer = await api.ask("PUT", f"{PODS}/a/status", body("v1", "Pod", fields), content_type=PROTOBUF)
    assert (answer.status, answer.json["spec"]["nodeName"]) == (200, "n1")
    assert answer.json["status"]["startTime"] == "2026-01-01T00:00:00Z"


@with_api
async def test_options_of_a_delete(api: Api) -> None:
    uid = (await api.ask("POST", CONFIG_MAPS, config_map("a"))).json["metadata"]["uid"]
    wrong = body("v1", "DeleteOptions", {"preconditions": {"uid": "other"}}, META)
    right = body("meta.k8s.io/v1", "DeleteOptions", {"preconditions": {"uid": uid}, "gracePeriodSeconds": 0}, META)
    url = f"{CONFIG_MAPS}/a"
    assert (await api.ask("DELETE", url, wrong, content_type=PROTOBUF)).status == 409
    dry = body("v1", "DeleteOptions", {"dryRun": ["All"]}, META)
    assert (await api.ask("DELETE", CONFIG_MAPS, dry, content_type=PROTOBUF)).status == 200
    pod_instead = await api.ask("DELETE", url, body("v1", "Pod", {}), content_type=PROTOBUF)
    assert (pod_instead.status, pod_instead.json["message"]) == (
        400,
        "decoded object cannot be converted to DeleteOptions",
    )
    broken = await api.ask("DELETE", url, b"k8s", content_type=PROTOBUF)
    assert (broken.status, broken.json["reason"]) == (400, "BadRequest")
    assert (await api.ask("GET", url)).status == 200
    assert (await api.ask("DELETE", url, right, content_type=PROTOBUF)).status == 200
    assert (await api.ask("GET", url)).status == 404


TRUNCATED = message("io.k8s.api.core.v1.ConfigMap", {"metadata": {"name": "a"}})[:-1]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"", UNRECOGNIZED + "empty data (<empty>)"),
        (b"k8s\0", UNRECOGNIZED + "empty body (6b387300)"),
        (b"{}", UNRECOGNIZED + "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({})"),
        (b"k8s\0\x0a\x05", UNRECOGNIZED + "2 bytes are no protobuf message Unknown"),
        (envelope("v1", "ConfigMap", TRUNCATED), 'ConfigMap in version "v1" cannot be handled as a ConfigMap: 4 bytes are no protobuf message ConfigMap'),
        (envelope("v1", "Pod", b""), 'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion'),
        (envelope("v1", "Bogus", b"\xff"), 'Bogus in version "v1" cannot be handled as a ConfigMap: no kind "Bogus" is registered'),
        (envelope("v9", "ConfigMap", b""), 'ConfigMap in version "v9" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered'),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_400_that_says_why(sent: bytes, text: str) -> None:
    answer = _create(sent)
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert answer.json["message"].startswith(text)


def test_rules_of_the_kind_hold_as_for_json() -> None:
    answer = _create(body("v1", "ConfigMap", {"metadata": {"name": "Bad_Name"}}))
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
    fields = {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": {"string": "x"}}}}]}}
    answer = _create(body("v1", "Pod", {"metadata": {"name": "a"}, **fields}), PODS)
    assert answer.status == 400
    assert "quantities must match the regular expression" in answer.json["message"]


def test_a_kind_that_is_not_said_is_that_of_the_path() -> None:
    answer = _create(envelope("", "", message("io.k8s.api.core.v1.ConfigMap", {"metadata": {"name": "b"}})))
    assert (answer.status, answer.json["kind"]) == (201, "ConfigMap")


def test_custom_kinds_have_no_messages() -> None:
    answer = _create(
        envelope("kueue.x-k8s.io/v1beta2", "ClusterQueue", b""), "/apis/kueue.x-k8s.io/v1beta2/clusterqueues"
    )
    assert answer.status == 415
    assert answer.json["message"].endswith("accepted media types include: application/json, application/yaml")


def _recorded() -> Iterator[tuple[str, bytes]]:
    """Bodies that a real kubectl sent, for kinds that are served."""
    registry = default_registry()
    for session in records(REPOSITORY / "tests/data/api/client-kubectl.jsonl.gz"):
        for step in session["steps"]:
            request = step.get("request", {})
            if "b64" in request and step["response"]["status"] == 201:
                path = request["path"].replace("ns-${u}", "default")
                if any(f"/{kind.resource.plural}?" in path for kind in registry if not kind.is_custom):
                    yield path, base64.b64decode(request["b64"])


def test_what_kubectl_sends_is_created() -> None:
    sent = list(_recorded())
    assert [path.partition("?")[0].rpartition("/")[2] for path, _ in sent] == [
        "configmaps",
        "secrets",
        "serviceaccounts",
        "jobs",
        "deployments",
        "services",
        "roles",
        "rolebindings",
    ]
    for path, content in sent:
        answer = _create(content, path)
        assert answer.status == 201, answer.json


@given(st.binary(max_size=60), st.sampled_from(["bare", "envelope", "message"]))
def test_no_body_breaks_the_server(content: bytes, form: str) -> None:
    sent = {"bare": content, "envelope": b"k8s\0" + content, "message": envelope("v1", "ConfigMap", content)}[form]
    for answer in (_create(sent), _create(sent, f"{CONFIG_MAPS}/a", "DELETE")):
        assert answer.status < 500
        assert answer.json["kind"] in ("Status", "ConfigMap")


def _create(sent: bytes, url: str = CONFIG_MAPS, method: str = "POST") -> Answer:
    async def once() -> Answer:
        api = Api()
        await api.prepare()
        try:
            return await api.ask(method, url, sent, content_type=PROTOBUF)
        finally:
            await api.store.close()

    return asyncio.run(once())
