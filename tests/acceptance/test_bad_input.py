"""Whatever a user sends to a whole cluster: the field path or the numbers, what to do, and nothing half-applied.

Over the Unix socket, as kubectl would send it (tests/acceptance/test_kubectl.py shows what kubectl prints).
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.acceptance.cluster import Cluster

pytestmark = pytest.mark.timeout(180)

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
QUEUES = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues"
STRICT = "?fieldValidation=Strict"
"""What kubectl asks for by default."""


def job(name: str = "bad", requests: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "local", "command": ["true"]}
    if requests:
        container["resources"] = {"requests": requests}  # type: ignore[assignment]  # the literal's type is narrower than a manifest's
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}, **spec},
    }


def changed(path: str, value: object) -> dict[str, Any]:
    """A good job with one thing changed: a path of keys and indices, dots between."""
    body = job()
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at: Any = body
    for step in way:
        at = at[step]
    at[last] = value
    return body


POD = "spec.template.spec"
REFUSED: list[tuple[str, object, int, list[str]]] = [
    ("malformed JSON", b'{"apiVersion": "batch/v1", "kind": "Job", "metadata": {', 400, ["json parse error", "unexpected end"]),
    ("not an object", b"[1, 2]", 400, ["cannot unmarshal array"]),
    ("empty", b"", 400, ["unexpected end of JSON input"]),
    ("an unknown field", changed("spec.paralelism", 2), 400, ['unknown field "spec.paralelism"']),
    ("an unknown field, deep", changed(f"{POD}.containers.0.comand", ["x"]), 400,
     ['unknown field "spec.template.spec.containers[0].comand"']),
    ("a wrong type", changed("spec.parallelism", "two"), 400, ["spec.parallelism", "string"]),
    ("a list for an object", changed(POD, []), 400, ["PodTemplateSpec.spec", "array"]),
    ("another kind", changed("kind", "CronJob"), 400, ["CronJob"]),
    ("a number below 0", changed("spec.parallelism", -1), 422, ["spec.parallelism", "-1", "greater than or equal to 0"]),
    ("a name", changed("metadata.name", "Not A Name"), 422, ["metadata.name", "RFC 1123"]),
    ("no containers", changed(f"{POD}.containers", []), 422, ["spec.template.spec.containers", "Required value"]),
    ("a restart policy", changed(f"{POD}.restartPolicy", "Always"), 422, ["restartPolicy", "OnFailure", "Never"]),
    ("a quantity", job(requests={"cpu": "lots"}), 400, ["quantities must match"]),
    ("a negative quantity", job(requests={"cpu": "-1"}), 422,
     ["spec.template.spec.containers[0].resources.requests[cpu]", "-1", "greater than or equal to 0"]),
    ("half a GPU", job(requests={"nvidia.com/gpu": "500m"}), 422, ["nvidia.com/gpu", "must be an integer"]),
    ("request without its limit", job(requests={"nvidia.com/gpu": "1"}), 422,
     ["spec.template.spec.containers[0].resources.limits", "Limit must be set for non overcommitable resources"]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_refused_object_changes_nothing(cluster: Cluster, body: object, status: int, says: list[str]) -> None:
    before = cluster.everything()
    found, answer = cluster.ask("POST", JOBS + STRICT, body)
    assert found == status, answer
    assert (answer["kind"], answer["status"], answer["code"]) == ("Status", "Failure", status)
    for text in says:
        assert text in answer["message"]
    assert cluster.everything() == before


def test_malformed_yaml(cluster: Cluster) -> None:
    before = cluster.everything()
    body = b"apiVersion: batch/v1\nkind: Job\n\tmetadata: {"
    status, answer = cluster.ask("POST", JOBS + STRICT, body, "application/yaml")
    assert status == 400
    assert "yaml" in answer["message"]
    assert "line 3" in answer["message"]
    assert cluster.everything() == before


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.completions", 7, ["spec.completions", "field is immutable"]),
        ("spec.template.spec.containers.0.image", "other", ["spec.template", "field is immutable"]),
        ("metadata.name", "other", ["the name of the object (other) does not match the name on the URL"]),
    ],
)
def test_immutable_fields(cluster: Cluster, path: str, value: object, says: list[str]) -> None:
    name = "fixed"
    status, stored = cluster.ask("POST", JOBS, job(name, completions=1))
    assert status in (201, 409)
    cluster.until(lambda: cluster.ask("GET", f"{JOBS}/{name}")[1]["status"].get("succeeded") == 1, "it has run")
    cluster.until(lambda: settled(cluster), "nothing moves any more")
    _, stored = cluster.ask("GET", f"{JOBS}/{name}")
    body = copy.deepcopy(stored)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at = body
    for step in way:
        at = at[step]
    at[last] = value
    before = cluster.everything()
    status, answer = cluster.ask("PUT", f"{JOBS}/{name}", body)
    assert status in (400, 422), answer
    for text in says:
        assert text in answer["message"]
    assert cluster.everything() == before


def settled(cluster: Cluster) -> bool:
    first = cluster.everything()
    return all(cluster.everything() == first for _ in range(5))


def test_an_object_of_an_unknown_kind_or_namespace(cluster: Cluster) -> None:
    assert cluster.ask("POST", "/apis/example.com/v1/namespaces/default/boats", {"kind": "Boat"})[0] == 404
    status, answer = cluster.ask("POST", JOBS.replace("default", "nowhere"), job())
    assert (status, answer["message"]) == (404, 'namespaces "nowhere" not found')


def waits(cluster: Cluster, name: str, body: dict[str, Any]) -> str:
    """Submit a job that can be stored and not be run; what is stored as the reason. It has no pods and no Placement."""
    status, answer = cluster.ask("POST", JOBS, body)
    assert status == 201, answer
    found: list[str] = []

    def told() -> bool:
        for workload in cluster.ask("GET", "/apis/kueue.x-k8s.io/v1beta2/namespaces/default/workloads")[1]["items"]:
            if workload["metadata"]["name"].startswith(f"job-{name}-"):
                found[:] = [
                    c["message"]
                    for c in workload.get("status", {}).get("conditions", ())
                    if c["type"] == "QuotaReserved"
                ]
        return bool(found)

    cluster.until(told, "a reason is stored")
    assert name not in json.dumps(cluster.ask("GET", PODS)[1])
    assert name not in json.dumps(cluster.ask("GET", "/apis/roadstead.dev/v1alpha1/placements")[1])
    why = cluster.roadstead("why", name).stdout
    assert found[0].split(". ")[0] in why, "the stored reason and the one made anew are the same"
    assert cluster.ask("DELETE", f"{JOBS}/{name}?propagationPolicy=Background")[0] == 200
    return found[0]


def test_quota_that_can_never_suffice(cluster: Cluster) -> None:
    said = waits(cluster, "huge", job("huge", {"cpu": "9"}))
    assert "needs 9 cpu" in said
    assert "can never have more than 8" in said
    assert "Ask for at most 8" in said


def test_a_request_that_no_node_can_hold(cluster: Cluster) -> None:
    """Quota enough for both members together, and no node for one of this size."""
    body = job("wide", {"cpu": "1"})
    body["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "atlantis"}
    said = waits(cluster, "wide", body)
    assert "node" in said
    assert "1" in said


def test_an_unknown_queue(cluster: Cluster) -> None:
    body = job("lost")
    body["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "nope"}
    said = waits(cluster, "lost", body)
    assert "LocalQueue nope does not exist in this namespace" in said
    assert "Create the LocalQueue, or name one that exists" in said


def test_an_unknown_priority_class(cluster: Cluster) -> None:
    body = job("unranked")
    body["metadata"]["labels"] = {"kueue.x-k8s.io/priority-class": "nope"}
    assert cluster.ask("POST", JOBS, body)[0] == 201
    why = cluster.roadstead("why", "unranked").stdout
    assert 'WorkloadPriorityClass "nope" does not exist' in why
    assert "Create the class, or name one that exists" in why
    assert cluster.ask("DELETE", f"{JOBS}/unranked?propagationPolicy=Background")[0] == 200


def test_a_resource_without_quota(cluster: Cluster) -> None:
    body = job("exotic", {"cpu": "1"})
    resources = body["spec"]["template"]["spec"]["containers"][0]["resources"]
    resources["requests"]["example.com/tpu"] = "4"
    resources["limits"] = {"example.com/tpu": "4"}
    said = waits(cluster, "exotic", body)
    assert "asks for 4 example.com/tpu" in said
    assert "has no quota for that resource" in said


def test_a_queue_that_makes_no_sense(cluster: Cluster) -> None:
    resources = [{"name": "cpu", "nominalQuota": "-1"}]
    body = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "ClusterQueue",
        "metadata": {"name": "senseless"},
        "spec": {"resourceGroups": [{"coveredResources": ["cpu"], "flavors": [{"name": "f", "resources": resources}]}]},
    }
    before = cluster.everything()
    status, answer = cluster.ask("POST", QUEUES, body)
    assert status == 422, answer
    assert "spec.resourceGroups[0].flavors[0].resources[0].nominalQuota" in answer["message"]
    assert "-1" in answer["message"]
    assert cluster.everything() == before


def test_a_command_that_does_not_exist(cluster: Cluster) -> None:
    body = job("typo", backoffLimit=0)
    body["spec"]["template"]["spec"]["containers"][0]["command"] = ["/no/such/program"]
    assert cluster.ask("POST", JOBS, body)[0] == 201
    cluster.until(lambda: cluster.ask("GET", f"{JOBS}/typo")[1]["status"].get("failed") == 1, "it has failed")
    pods = cluster.ask("GET", f"{PODS}?labelSelector=job-name=typo")[1]["items"]
    ended = pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert ended["message"] == 'exec: "/no/such/program": executable file not found'
