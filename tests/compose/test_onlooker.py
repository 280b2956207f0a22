"""Looking at a cluster that is not ours: what is listed, in which version, and what is done without."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from roadstead.cluster.remote import Answered, RemoteCluster
from roadstead.compose.onlooker import CannotLook, Onlooker, ask
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    LOCAL_QUEUES,
    NAMESPACES,
    NODES,
    PODS,
    RESOURCE_FLAVORS,
    TOPOLOGIES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.runtime.cluster import Listing

NOW = 1_700_000_000_000_000_000


class Server:
    """What a server answers to lists: objects by resource; anything else is 404, `forbidden` 403."""

    def __init__(self, objects: Mapping[Resource, list[Json]], forbidden: tuple[Resource, ...] = ()) -> None:
        self.objects = objects
        self.forbidden = forbidden
        self.asked: list[Resource] = []

    async def list(self, resource: Resource) -> Listing:
        self.asked.append(resource)
        if resource in self.forbidden:
            raise Answered(403, f'User "me" cannot list resource "{resource.plural}"')
        if resource not in self.objects:
            raise Answered(404, "the server could not find the requested resource")
        return Listing(tuple(Object.of(resource, value) for value in self.objects[resource]), "1")


def kueue(kind: str, name: str, spec: Json, *, namespace: str = "", version: str = "v1beta2", **more: Any) -> Json:
    metadata: Json = {
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "creationTimestamp": "2023-11-14T00:00:00Z",
    }
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": f"kueue.x-k8s.io/{version}", "kind": kind, "metadata": metadata, "spec": spec, **more}


def workload(name: str, cpu: int, *, version: str = "v1beta2", **pod_set: Any) -> Json:
    container = {"name": "c", "image": "none", "resources": {"requests": {"cpu": str(cpu)}}}
    sets = [{"name": "main", "count": 1, "template": {"spec": {"containers": [container]}}, **pod_set}]
    return kueue("Workload", name, {"queueName": "q", "podSets": sets}, namespace="team", version=version)


def cluster(version: str = "v1beta2", *, cpu: int = 4, flavor: Json | None = None) -> dict[Resource, list[Json]]:
    def of(resource: Resource) -> Resource:
        return Resource(resource.group, version, resource.plural)

    group = {
        "coveredResources": ["cpu"],
        "flavors": [{"name": "f", "resources": [{"name": "cpu", "nominalQuota": str(cpu)}]}],
    }
    cohort = {"cohort": "lab"} if version == "v1beta1" else {"cohortName": "lab"}
    return {
        NAMESPACES: [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "uid": "t"}}],
        of(RESOURCE_FLAVORS): [kueue("ResourceFlavor", "f", flavor or {}, version=version)],
        of(CLUSTER_QUEUES): [
            kueue("ClusterQueue", name, {"namespaceSelector": {}, "resourceGroups": [group], **cohort}, version=version)
            for name in ("cq", "other")
        ],
        of(LOCAL_QUEUES): [kueue("LocalQueue", "q", {"clusterQueue": "cq"}, namespace="team", version=version)],
        of(WORKLOADS): [workload("first", 5, version=version), workload("second", 5, version=version)],
    }


def looking(server: Server) -> Onlooker:
    return Onlooker(cast(RemoteCluster, server), lambda: NOW)


def why(server: Server, name: str) -> tuple[Json, list[str]]:
    async def answer() -> tuple[Json, list[str]]:
        found = looking(server)
        await found.look()
        return await found.answer(f"why/team/{name}"), found.notes

    return asyncio.run(answer())


@pytest.mark.parametrize("version", ["v1beta2", "v1beta1"])
def test_both_versions_of_kueue_say_the_same(version: str) -> None:
    """One of the two takes the whole cohort's quota; the other hears so. A queue without its cohort would admit
    neither."""
    server = Server(cluster(version))
    first, _ = why(server, "first")
    assert first["headline"].startswith("Nothing stands in its way")
    second, notes = why(server, "second")
    assert second["headline"].startswith("It needs 5 cpu; ClusterQueue cq has 3 free of at most 8 (flavor f).")
    assert second["changes"][0]["sentence"] == "Ask for 3 cpu instead of 5 in each pod."
    assert notes == []


def test_nodes_and_pods_are_not_even_asked_for_where_quota_alone_decides() -> None:
    server = Server(cluster())
    why(server, "second")
    assert not {NODES, PODS} & set(server.asked)


def node(name: str, cpu: int) -> Json:
    room = {"cpu": str(cpu), "pods": "10"}
    status = {"allocatable": room, "capacity": room, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"rack": name}}, "status": status}


def with_topology() -> dict[Resource, list[Json]]:
    objects = cluster(cpu=20, flavor={"topologyName": "racks"})
    objects[TOPOLOGIES] = [kueue("Topology", "racks", {"levels": [{"nodeLabel": "rack"}]})]
    objects[NODES] = [node("r1", 4), node("r2", 4)]
    objects[PODS] = []
    objects[WORKLOADS] = [workload("wide", 3, count=2, topologyRequest={"required": "rack"})]
    return objects


def test_where_a_flavor_has_a_topology_its_nodes_are_looked_at() -> None:
    answer, notes = why(Server(with_topology()), "wide")
    assert answer["reasons"][0]["code"] == "TopologyTooSmall"
    assert any(change["changes"][0]["what"] == "topology" for change in answer["changes"])
    assert notes == []


def test_without_the_right_to_list_nodes_quota_alone_is_told_of_and_said_to_be() -> None:
    answer, notes = why(Server(with_topology(), forbidden=(NODES,)), "wide")
    assert answer["headline"].startswith("Nothing stands in its way")
    assert notes == ["Nodes cannot be listed: topologies are not looked at, quota alone is."]


def test_what_is_needed_and_forbidden_is_named_with_what_to_ask_for() -> None:
    with pytest.raises(CannotLook, match='cannot list resource "workloads"') as raised:
        why(Server(cluster(), forbidden=(WORKLOADS,)), "first")
    assert "workloads.kueue.x-k8s.io" in raised.value.hint


def test_a_cluster_without_queues_is_said_to_have_none() -> None:
    with pytest.raises(CannotLook, match="neither Kueue nor Roadstead admits there"):
        why(Server({NAMESPACES: []}), "first")


class Ours(Server):
    """A server that answers questions itself."""

    def __init__(self, answer: tuple[int, Json]) -> None:
        super().__init__({})
        self.answer = answer
        self.questions: list[tuple[str, Any]] = []

    async def ask(self, path: str, question: Json | None = None) -> tuple[int, Json]:
        self.questions.append((path, question))
        return (200, {"questions": ["queue"]}) if path == "/ours/" else self.answer


def test_a_server_of_ours_answers_by_itself() -> None:
    server = Ours((200, {"work": []}))
    assert asyncio.run(ask(cast(RemoteCluster, server), "/ours/", "plan", {"objects": []})) == ({"work": []}, [])
    assert server.questions[-1] == ("/ours/plan", {"objects": []})
    assert server.asked == []
    refused = Ours((404, {"kind": "Status", "reason": "NotFound", "message": "There is no job x."}))
    with pytest.raises(StatusError, match="There is no job x"):
        asyncio.run(ask(cast(RemoteCluster, refused), "/ours/", "why/team/x"))
