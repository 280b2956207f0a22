"""The pending-workloads API over HTTP: its place in discovery, its paths and parameters."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.apiserver.discovery import Discovery
from roadstead.apiserver.visibility import SERVED
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from tests.apiserver.harness import Api
from tests.apiserver.loop import with_api

GROUP = "/apis/visibility.kueue.x-k8s.io"
OF_CLUSTER = "clusterqueues/q/pendingworkloads"
OF_LOCAL = "namespaces/team/localqueues/l/pendingworkloads"


class Lists:
    """Says what it was asked for."""

    def in_cluster_queue(self, name: str, limit: int, offset: int) -> list[Json] | None:
        return [{"asked": [name, limit, offset]}] if name == "q" else None

    def in_local_queue(self, namespace: str, name: str, limit: int, offset: int) -> list[Json] | None:
        return [{"asked": [namespace, name, limit, offset]}] if name == "l" else None


def serve(api: Api) -> None:
    api.app._pending = Lists
    api.app._discovery = Discovery(default_registry(), "127.0.0.1:6443", SERVED)


@pytest.mark.parametrize("version", ["v1beta2", "v1beta1"])
@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (OF_CLUSTER, ["q", 0, 0]),
        (f"{OF_CLUSTER}?limit=5&offset=10", ["q", 5, 10]),
        (f"{OF_CLUSTER}?offset=-3", ["q", 0, 0]),
        (OF_LOCAL, ["team", "l", 0, 0]),
        (f"{OF_LOCAL}?limit=7", ["team", "l", 7, 0]),
    ],
)
def test_a_summary(version: str, path: str, asked: list[Any]) -> None:
    @with_api
    async def asks(api: Api) -> None:
        serve(api)
        answer = await api.ask("GET", f"{GROUP}/{version}/{path}")
        assert answer.status == 200
        assert answer.json == {
            "kind": "PendingWorkloadsSummary",
            "apiVersion": f"visibility.kueue.x-k8s.io/{version}",
            "metadata": {},
            "items": [{"asked": asked}],
        }

    asks()


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "clusterqueues/x/pendingworkloads", 404, 'clusterqueue.visibility.kueue.x-k8s.io "x" not found'),
        (
            "GET",
            "namespaces/t/localqueues/x/pendingworkloads",
            404,
            'localqueue.visibility.kueue.x-k8s.io "x" not found',
        ),
        ("GET", "clusterqueues", 404, "could not find the requested resource"),
        ("GET", "clusterqueues/q", 404, "could not find the requested resource"),
        ("GET", "localqueues/l/pendingworkloads", 404, "could not find the requested resource"),
        ("GET", "workloads/w/pendingworkloads", 404, "could not find the requested resource"),
        ("POST", OF_CLUSTER, 405, "does not allow this method"),
        ("GET", f"{OF_CLUSTER}?limit=many", 400, 'parsing "many": invalid syntax'),
    ],
)
def test_what_is_not_there(method: str, path: str, status: int, message: str) -> None:
    @with_api
    async def asks(api: Api) -> None:
        serve(api)
        answer = await api.ask(method, f"{GROUP}/v1beta2/{path}")
        assert answer.status == status
        assert message in answer.json["message"]

    asks()


@with_api
async def test_discovery_lists_it_both_ways(api: Api) -> None:
    serve(api)
    listed = (await api.ask("GET", f"{GROUP}/v1beta2")).json
    assert [(entry["name"], entry["kind"], entry["namespaced"], entry["verbs"]) for entry in listed["resources"]] == [
        ("clusterqueues", "ClusterQueue", False, []),
        ("clusterqueues/pendingworkloads", "PendingWorkloadsSummary", False, ["get"]),
        ("localqueues", "LocalQueue", True, []),
        ("localqueues/pendingworkloads", "PendingWorkloadsSummary", True, ["get"]),
    ]
    group = (await api.ask("GET", GROUP)).json
    assert [entry["version"] for entry in group["versions"]] == ["v1beta2", "v1beta1"]
    accept = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    everything = (await api.ask("GET", "/apis", None, accept)).json
    groups = [item["metadata"]["name"] for item in everything["items"]]
    assert groups.index("kueue.x-k8s.io") < groups.index("visibility.kueue.x-k8s.io") == len(groups) - 1
    (found,) = [item for item in everything["items"] if item["metadata"]["name"] == "visibility.kueue.x-k8s.io"]
    first = found["versions"][0]["resources"][0]
    assert (first["resource"], first["verbs"]) == ("clusterqueues", [])
    assert first["subresources"][0]["subresource"] == "pendingworkloads"


@with_api
async def test_a_server_without_queues_does_not_know_the_group(api: Api) -> None:
    assert (await api.ask("GET", f"{GROUP}/v1beta2/{OF_CLUSTER}")).status == 404
