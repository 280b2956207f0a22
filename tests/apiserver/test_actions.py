"""Bindings and evictions: what is posted to act on a pod."""

from __future__ import annotations

import pytest

from roadstead.apiserver.negotiate import PROTOBUF
from roadstead.kinds.object import Json
from tests.apiserver.harness import PODS, Api, pod
from tests.apiserver.loop import with_api
from tests.kinds.protobuf.wire import body

BINDINGS = "/api/v1/namespaces/default/bindings"
DONE = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def eviction(name: str, **more: object) -> Json:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **more}


async def running(api: Api, name: str) -> None:
    value = pod(name)
    value["spec"]["nodeName"] = "n1"
    assert (await api.ask("POST", PODS, value)).status == 201


@with_api
async def test_an_evicted_pod_has_its_grace_and_says_why_it_goes(api: Api) -> None:
    await running(api, "p")
    answer = await api.ask("POST", f"{PODS}/p/eviction", eviction("p"))
    assert (answer.status, answer.json) == (201, DONE)
    left = (await api.ask("GET", f"{PODS}/p")).json
    assert left["metadata"]["deletionGracePeriodSeconds"] == 30
    (condition,) = left["status"]["conditions"]
    assert condition == {
        "lastTransitionTime": condition["lastTransitionTime"],
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    again = await api.ask("POST", f"{PODS}/p/eviction", eviction("p"))
    assert again.status == 201
    assert (await api.ask("GET", f"{PODS}/p")).json == left


@with_api
async def test_options_of_the_delete_inside_an_eviction(api: Api) -> None:
    for name in ("a", "b", "c"):
        await running(api, name)
    stale = eviction("a", deleteOptions={"preconditions": {"uid": "another"}})
    assert (await api.ask("POST", f"{PODS}/a/eviction", stale)).status == 409
    at_once = eviction("b", deleteOptions={"gracePeriodSeconds": 0})
    assert (await api.ask("POST", f"{PODS}/b/eviction", at_once)).status == 201
    assert (await api.ask("GET", f"{PODS}/b")).status == 404
    only_asked = eviction("c", deleteOptions={"dryRun": ["All"]})
    assert (await api.ask("POST", f"{PODS}/c/eviction", only_asked)).status == 201
    assert (await api.ask("POST", f"{PODS}/c/eviction?dryRun=All", eviction("c"))).status == 201
    assert "deletionTimestamp" not in (await api.ask("GET", f"{PODS}/c")).json["metadata"]


@with_api
async def test_evictions_in_protobuf(api: Api) -> None:
    await running(api, "p")
    sent = body(
        "policy/v1",
        "Eviction",
        {"metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 5}},
        "io.k8s.api.policy.v1",
    )
    assert (await api.ask("POST", f"{PODS}/p/eviction", sent, content_type=PROTOBUF)).json == DONE
    assert (await api.ask("GET", f"{PODS}/p")).json["metadata"]["deletionGracePeriodSeconds"] == 5


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        (eviction("zz"), 404, 'pods "zz" not found'),
        (eviction("other"), 400, "name in URL does not match name in Eviction object"),
        ({**eviction("zz"), "kind": "Pod"}, 400, 'no kind "Pod" is registered for version "policy/v1"'),
        ({**eviction("zz"), "apiVersion": "policy/v7"}, 400, 'Eviction in version "v7" cannot be handled'),
        ({**eviction("zz"), "metadata": 1}, 400, "metadata must be an object"),
        ({**eviction("zz"), "deleteOptions": 1}, 400, "Go value of type v1.DeleteOptions"),
        ([], 400, "the object provided is unrecognized (must be of type Eviction)"),
    ],
)
def test_evictions_that_are_refused(sent: object, status: int, message: str) -> None:
    @with_api
    async def check(api: Api) -> None:
        answer = await api.ask("POST", f"{PODS}/zz/eviction", sent)
        assert answer.status == status
        assert message in answer.json["message"]

    check()


@with_api
async def test_a_binding_may_name_its_pod_itself(api: Api) -> None:
    await api.ask("POST", PODS, pod("p"))
    target = {"kind": "Node", "name": "n1"}
    answer = await api.ask("POST", BINDINGS, {"metadata": {"name": "p"}, "target": target})
    assert (answer.status, answer.json) == (201, DONE)
    assert (await api.ask("GET", f"{PODS}/p")).json["spec"]["nodeName"] == "n1"
    nameless = await api.ask("POST", BINDINGS, {"target": target})
    assert (nameless.status, nameless.json["message"]) == (400, "Name parameter required.")
    assert (await api.ask("GET", BINDINGS)).status == 405
    assert (await api.ask("POST", "/api/v1/bindings", {"target": target})).status == 404
