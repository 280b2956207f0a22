"""Our CustomResourceDefinitions on a real server: what our strategies refuse, it refuses as well; what they default, it
does."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from roadstead.cli.crds import command as crds_command
from roadstead.kinds.crds import definitions
from roadstead.kinds.names import (
    ADMISSION_CHECKS,
    CLUSTER_QUEUES,
    COHORTS,
    LOCAL_QUEUES,
    NAMESPACES,
    PLACEMENTS,
    RESOURCE_FLAVORS,
    TOPOLOGIES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create, Outcome, Result, Update
from tests.realcluster.operators import Place
from tests.realcluster.server import RealServer

pytestmark = [pytest.mark.realcluster, pytest.mark.timeout(120)]


class Server:
    """A real server with our definitions."""

    def __init__(self, here: Place) -> None:
        self.here = here
        self.namespace = f"crds-{uuid.uuid4().hex[:8]}"
        self.write(Create(NAMESPACES, {"metadata": {"name": self.namespace}}))

    def write(self, write: Create | Update) -> Outcome:
        found: Outcome = self.here.background.call(self.here.cluster.write(write))
        return found

    def create(self, resource: Resource, spec: Json) -> tuple[Json, Outcome]:
        kind = default_registry().get(resource)
        assert kind is not None
        metadata: Json = {"name": f"x-{uuid.uuid4().hex[:8]}"}
        if kind.namespaced:
            metadata["namespace"] = self.namespace
        value = {"apiVersion": resource.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
        return value, self.write(Create(resource, value))


@pytest.fixture(scope="module")
def server(whole_cluster: RealServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    here = Place(whole_cluster, tmp_path_factory.mktemp("crds"))
    here.apply_manifests()
    found = Server(here)
    yield found
    here.kubectl("delete", "namespace", found.namespace, "--wait=false")
    here.background.call(here.cluster.close())
    here.background.stop()


def group(resources: list[str] | None = None, **quota: Any) -> Json:
    names = ["cpu"] if resources is None else resources
    quotas = [{"name": name, "nominalQuota": "1", **quota} for name in names]
    return {"coveredResources": ["cpu"], "flavors": [{"name": "main", "resources": quotas}]}


def pod_set(**more: Any) -> Json:
    return {"name": "main", "count": 1, "template": {"spec": {"containers": [{"name": "c", "image": "x"}]}}, **more}


REFUSED = [
    (CLUSTER_QUEUES, {"preemption": {"borrowWithinCohort": {"policy": "LowerPriority"}}}, "borrowWithinCohort.Policy"),
    (CLUSTER_QUEUES, {"resourceGroups": [group(borrowingLimit="1")]}, "must be nil when cohort"),
    (CLUSTER_QUEUES, {"resourceGroups": [group(["cpu", "memory"])]}, "coveredResources"),
    (CLUSTER_QUEUES, {"resourceGroups": [group(["memory"])]}, "coveredResources"),
    (CLUSTER_QUEUES, {"flavorFungibility": {"preference": "BorrowingOverPreemption"}}, "preference can be set only"),
    (CLUSTER_QUEUES, {"queueingStrategy": "Random"}, "supported values"),
    (COHORTS, {"resourceGroups": [group(lendingLimit="1")]}, "must be nil when parent"),
    (RESOURCE_FLAVORS, {"topologyName": "t"}, "at least one nodeLabel"),
    (RESOURCE_FLAVORS, {"nodeTaints": [{"key": "a", "effect": "Never"}]}, "supported taint effect"),
    (RESOURCE_FLAVORS, {"tolerations": [{"operator": "Equal"}]}, "operator must be Exists when 'key' is empty"),
    (RESOURCE_FLAVORS, {"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, "must be 'NoExecute'"),
    (RESOURCE_FLAVORS, {"tolerations": [{"key": "a", "operator": "Like"}]}, "supported toleration values"),
    (RESOURCE_FLAVORS, {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "must be empty"),
    (RESOURCE_FLAVORS, {"tolerations": [{"key": "a", "effect": "Never"}]}, "supported taint effect"),
    (TOPOLOGIES, {"levels": [{"nodeLabel": "a"}, {"nodeLabel": "a"}]}, "nique"),
    (TOPOLOGIES, {"levels": [{"nodeLabel": "kubernetes.io/hostname"}, {"nodeLabel": "a"}]}, "lowest level"),
    (WORKLOADS, {"podSets": [pod_set(minCount=2)]}, "minCount should be positive"),
    (
        WORKLOADS,
        {"podSets": [pod_set(name="a", count=2, minCount=1), pod_set(name="b", count=2, minCount=1)]},
        "at most one podSet",
    ),
    (
        WORKLOADS,
        {"podSets": [pod_set()], "priority": 1, "priorityClassRef": {"group": "a", "kind": "b", "name": "c"}},
        "upported values",
    ),
    (
        WORKLOADS,
        {
            "podSets": [pod_set()],
            "priorityClassRef": {"group": "scheduling.k8s.io", "kind": "PriorityClass", "name": "c"},
        },
        "priority should not be nil",
    ),
    (PLACEMENTS, {"workload": {"name": "w", "uid": ""}, "podSets": []}, "at least 1 chars"),
]


@pytest.mark.parametrize(("resource", "spec", "why"), REFUSED, ids=lambda value: getattr(value, "plural", None))
def test_both_refuse(resource: Resource, spec: Json, why: str, server: Server) -> None:
    value, outcome = server.create(resource, spec)
    assert outcome.result is Result.INVALID
    assert why in outcome.message
    kind = default_registry().get(resource)
    assert kind is not None
    kind.schema.check(value)
    assert kind.strategy.validate({**value, "metadata": {**value["metadata"], "uid": "u"}}), (
        "our own server refuses it, too"
    )


def _stored(server: Server, resource: Resource, spec: Json) -> Object:
    _, outcome = server.create(resource, spec)
    assert outcome.object is not None, outcome.message
    return outcome.object


def _with_quota(value: Json) -> None:
    time = "2026-01-01T00:00:00Z"
    reserved = {
        "type": "QuotaReserved",
        "status": "True",
        "reason": "QuotaReserved",
        "message": "",
        "lastTransitionTime": time,
    }
    assignment = {"name": "main", "flavors": {"cpu": "main"}, "resourceUsage": {"cpu": "1"}, "count": 1}
    value["status"] = {
        "conditions": [reserved],
        "admission": {"clusterQueue": "lab", "podSetAssignments": [assignment]},
    }


FIXED: list[tuple[Resource, Json, Callable[[Json], Any], str]] = [
    (LOCAL_QUEUES, {"clusterQueue": "a"}, lambda spec: spec.update(clusterQueue="b"), "immutable"),
    (
        RESOURCE_FLAVORS,
        {"nodeLabels": {"a": "b"}, "topologyName": "t"},
        lambda spec: spec.update(nodeLabels={"a": "c"}),
        "immutable",
    ),
    (ADMISSION_CHECKS, {"controllerName": "a"}, lambda spec: spec.update(controllerName="b"), "immutable"),
    (TOPOLOGIES, {"levels": [{"nodeLabel": "a"}]}, lambda spec: spec["levels"].append({"nodeLabel": "b"}), "immutable"),
    (
        PLACEMENTS,
        {"workload": {"name": "w", "uid": "u"}, "podSets": []},
        lambda spec: spec["podSets"].append({"name": "main", "members": [{"node": "n"}]}),
        "does not change",
    ),
    (WORKLOADS, {"podSets": [pod_set()], "queueName": "a"}, lambda spec: spec.update(queueName="b"), "immutable"),
    (WORKLOADS, {"podSets": [pod_set()]}, lambda spec: spec["podSets"][0].update(count=2), "immutable"),
    (
        WORKLOADS,
        {"podSets": [pod_set()], "priority": 1},
        lambda spec: spec.update(priorityClassRef={"group": "scheduling.k8s.io", "kind": "PriorityClass", "name": "c"}),
        "cannot be added or removed",
    ),
]


@pytest.mark.parametrize(("resource", "spec", "edit", "why"), FIXED, ids=lambda value: getattr(value, "plural", None))
def test_what_is_fixed_stays(
    resource: Resource, spec: Json, edit: Callable[[Json], Any], why: str, server: Server
) -> None:
    stored = _stored(server, resource, spec)
    if resource == WORKLOADS:
        value = stored.decode()
        _with_quota(value)
        outcome = server.write(Update(WORKLOADS, value, "status"))
        assert outcome.object is not None, outcome.message
        stored = outcome.object
    value = stored.decode()
    edit(value["spec"])
    outcome = server.write(Update(resource, value))
    assert outcome.result is Result.INVALID
    assert why in outcome.message


def test_defaults_are_ours(server: Server) -> None:
    for resource, spec in (
        (CLUSTER_QUEUES, {"resourceGroups": [group()], "preemption": {}}),
        (
            WORKLOADS,
            {"podSets": [{"template": {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1}]}]}}}]},
        ),
        (LOCAL_QUEUES, {"clusterQueue": "a"}),
    ):
        value, outcome = server.create(resource, spec)
        assert outcome.object is not None, outcome.message
        kind = default_registry().get(resource)
        assert kind is not None
        kind.schema.check(value)
        assert outcome.object.decode()["spec"] == value["spec"]


def test_a_status_is_an_endpoint_of_its_own_where_it_is_for_us(server: Server) -> None:
    for kind in default_registry():
        if kind.is_custom:
            path = f"/apis/{kind.resource.api_version}"
            status, body = server.here.background.call(server.here.cluster.ask(path))
            assert status == 200
            served = {entry["name"]: entry for entry in body["resources"]}
            assert (f"{kind.resource.plural}/status" in served) == (kind.subresource("status") is not None)
            entry = served[kind.resource.plural]
            assert entry["namespaced"] == kind.namespaced
            assert entry["kind"] == kind.kind
            assert tuple(entry.get("shortNames", ())) == tuple(kind.short_names)


def test_what_roadstead_crds_prints_is_taken_as_it_is(server: Server) -> None:
    printed = CliRunner().invoke(crds_command, [])
    answer = server.here.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", stdin=printed.output
    )
    taken = [line for line in answer.stdout.splitlines() if line.endswith("serverside-applied (server dry run)")]
    assert len(taken) == len(definitions(default_registry()))
