"""Slices: who is in them, with what ports and conditions, and that they are no larger than allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from roadstead.controllers.endpointslice import EndpointSliceController
from roadstead.kinds.names import ENDPOINT_SLICES, PODS, SERVICES
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time
from roadstead.testing.controllers import Fault, Lab

LABELS = {"app": "web"}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(lambda: [EndpointSliceController()]) as lab:
        yield lab


def pod(lab: Lab, name: str, address: str, *, ready: bool = True, **spec: Any) -> None:
    containers = [{"name": "c", "image": "i:1", "ports": [{"name": "http", "containerPort": 8080}]}]
    lab.create(
        PODS,
        {"metadata": {"name": name, "labels": LABELS}, "spec": {"containers": containers, "nodeName": "n1"} | spec},
    )
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": format_time(lab.now)}
    lab.edit_status(PODS, name, phase="Running", podIP=address, podIPs=[{"ip": address}], conditions=[condition])
    lab.settle()


def serve(lab: Lab, **spec: Any) -> None:
    value: Json = {"selector": LABELS, "clusterIP": "None", "ports": [{"port": 80, "targetPort": "http"}]}
    lab.create(SERVICES, {"metadata": {"name": "web", "labels": {"team": "a"}}, "spec": value | spec})
    lab.settle()


def slices(lab: Lab) -> list[Json]:
    return lab.all(ENDPOINT_SLICES)


def test_pods_of_a_service_are_in_its_slice(lab: Lab) -> None:
    pod(lab, "a", "127.64.0.1")
    pod(lab, "b", "127.64.0.2", ready=False)
    pod(lab, "gone", "127.64.0.3")
    lab.edit_status(PODS, "gone", phase="Succeeded")
    lab.create(PODS, {"metadata": {"name": "other"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    serve(lab)
    (found,) = slices(lab)
    assert found["addressType"] == "IPv4"
    assert found["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert found["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "service.kubernetes.io/headless": "",
    }
    assert found["metadata"]["ownerReferences"][0]["name"] == "web"
    shown = [(each["addresses"], each["conditions"]["ready"], each["nodeName"]) for each in found["endpoints"]]
    assert shown == [(["127.64.0.1"], True, "n1"), (["127.64.0.2"], False, "n1")]
    assert found["endpoints"][0]["targetRef"]["name"] == "a"


def test_slices_follow_their_pods(lab: Lab) -> None:
    serve(lab)
    assert slices(lab)[0]["endpoints"] is None
    pod(lab, "a", "127.64.0.1")
    assert len(slices(lab)[0]["endpoints"]) == 1
    lab.edit(PODS, "a", lambda value: value["metadata"].update(labels={"app": "debug"}))
    lab.settle()
    assert slices(lab)[0]["endpoints"] is None


def test_a_pod_that_leaves_serves_on_but_is_not_ready(lab: Lab) -> None:
    pod(lab, "a", "127.64.0.1")
    serve(lab)
    lab.delete(PODS, "a")
    lab.settle()
    assert slices(lab)[0]["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_those_that_are_not_ready_are_published_if_asked(lab: Lab) -> None:
    pod(lab, "a", "127.64.0.1", ready=False)
    serve(lab, publishNotReadyAddresses=True)
    conditions = slices(lab)[0]["endpoints"][0]["conditions"]
    assert (conditions["ready"], conditions["serving"]) == (True, False)


def test_a_host_name_is_told_where_the_pod_says_it_is_of_this_service(lab: Lab) -> None:
    pod(lab, "a", "127.64.0.1", hostname="rank-0", subdomain="web")
    pod(lab, "b", "127.64.0.2", hostname="rank-1", subdomain="else")
    serve(lab)
    assert [each.get("hostname") for each in slices(lab)[0]["endpoints"]] == ["rank-0", None]


def test_a_hundred_pods_fill_a_slice(lab: Lab) -> None:
    for number in range(101):
        pod(lab, f"p{number:03}", f"127.64.1.{number + 1}")
    serve(lab)
    assert sorted(len(each["endpoints"]) for each in slices(lab)) == [1, 100]
    lab.delete(PODS, "p000", grace=0)
    lab.settle()
    assert [len(each["endpoints"]) for each in slices(lab)] == [100]


def test_a_service_without_a_selector_is_somebody_elses(lab: Lab) -> None:
    pod(lab, "a", "127.64.0.1")
    serve(lab, selector=None)
    assert slices(lab) == []


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("write", range(3))
def test_any_write_may_go_wrong(fault: Fault, write: int) -> None:
    with Lab(lambda: [EndpointSliceController()], faults={write: fault}, lag=2, seed=write) as lab:
        serve(lab)
        pod(lab, "a", "127.64.0.1")
        lab.settle()
        (found,) = slices(lab)
        assert [each["addresses"] for each in found["endpoints"]] == [["127.64.0.1"]]
