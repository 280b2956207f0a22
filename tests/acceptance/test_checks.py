"""Admission checks and the pending list with an unmodified kubectl: it plays the administrator, the user and the
check's controller."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.cluster import Cluster

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(180)]

NOW = "2026-01-01T00:00:00Z"
CHECK = {
    "apiVersion": "kueue.x-k8s.io/v1beta2",
    "kind": "AdmissionCheck",
    "metadata": {"name": "budget"},
    "spec": {"controllerName": "example.com/budget"},
}
SCRIPT = ["sh", "-c", "echo $PAID_BY"]


def job(name: str, cpu: str) -> dict[str, Any]:
    paid_by = {"name": "PAID_BY", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['paid-by']"}}}
    container = {
        "name": "main", "image": "none", "command": SCRIPT, "env": [paid_by], "resources": {"requests": {"cpu": cpu}},
    }  # fmt: skip
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}


def apply(cluster: Cluster, *objects: Any) -> None:
    path = cluster.home / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    cluster.kubectl("apply", "-f", str(path))


def get(cluster: Cluster, *words: str) -> str:
    return cluster.kubectl("get", *words).stdout


def patch_status(cluster: Cluster, kind: str, name: str, status: Any) -> None:
    patch = json.dumps({"status": status})
    cluster.kubectl("patch", kind, name, "--type=merge", "--subresource=status", "-p", patch)


def condition(cluster: Cluster, kind: str, name: str, type: str) -> str:
    return get(cluster, kind, name, "-o", f'jsonpath={{.status.conditions[?(@.type=="{type}")].reason}}')


def pending(cluster: Cluster, path: str) -> list[Any]:
    items: list[Any] = json.loads(get(cluster, "--raw", path))["items"]
    return items


def test_a_check_stands_between_quota_and_start_and_kubectl_lifts_it(cluster: Cluster) -> None:
    apply(cluster, CHECK)
    assert get(cluster, "ac").splitlines()[0].split() == ["NAME", "AGE"]
    strategy = {"spec": {"admissionChecksStrategy": {"admissionChecks": [{"name": "budget"}]}}}
    cluster.kubectl("patch", "clusterqueue", "default", "--type=merge", "-p", json.dumps(strategy))
    inactive = "AdmissionCheckInactive"
    cluster.until(lambda: condition(cluster, "clusterqueue", "default", "Active") == inactive, "the queue is closed")
    active = {"type": "Active", "status": "True", "reason": "Active", "message": "", "lastTransitionTime": NOW}
    patch_status(cluster, "admissioncheck", "budget", {"conditions": [active]})
    cluster.until(lambda: condition(cluster, "clusterqueue", "default", "Active") == "Ready", "the queue is open")

    apply(cluster, job("paid", "6"))
    cluster.until(lambda: "job-paid" in get(cluster, "workloads", "-o", "name"), "its workload exists")
    workload = get(cluster, "workloads", "-o", "name").strip().partition("/")[2]
    cluster.until(
        lambda: condition(cluster, "workload", workload, "QuotaReserved") == "QuotaReserved", "quota is reserved"
    )
    assert condition(cluster, "workload", workload, "Admitted") == "UnsatisfiedAdmissionChecks"
    state = ("workload", workload, "-o", "jsonpath={.status.admissionChecks[*].state}")
    assert get(cluster, *state) == "Pending"
    assert get(cluster, "pods", "-o", "name") == ""

    patient = job("waits-too", "4")
    patient["metadata"]["labels"] = {"kueue.x-k8s.io/priority-class": "low"}
    apply(cluster, patient, job("waits", "5"))
    paths = (
        "/apis/visibility.kueue.x-k8s.io/v1beta2/clusterqueues/default/pendingworkloads",
        "/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/default/localqueues/default/pendingworkloads?limit=10",
    )
    cluster.until(lambda: len(pending(cluster, paths[0])) == 2, "two wait")
    for path in paths:
        items = pending(cluster, path)
        assert [item["metadata"]["ownerReferences"][0]["name"] for item in items] == ["waits", "waits-too"]
        assert [(item["positionInClusterQueue"], item["positionInLocalQueue"]) for item in items] == [(0, 0), (1, 1)]
    unknown = cluster.kubectl("get", "--raw", paths[0].replace("default", "other"), check=False)
    assert unknown.returncode == 1
    assert "not found" in unknown.stderr

    entry = {"name": "budget", "state": "Ready", "message": "", "lastTransitionTime": NOW}
    updates = [{"name": "main", "labels": {"paid-by": "team-a"}}]
    patch_status(cluster, "workload", workload, {"admissionChecks": [{**entry, "podSetUpdates": updates}]})
    cluster.kubectl("wait", "--for=condition=Complete", "job/paid", "--timeout=40s")
    assert cluster.kubectl("logs", "job/paid").stdout == "team-a\n"
    events = get(cluster, "events", "-o", "jsonpath={.items[*].reason}").split()
    assert {"QuotaReserved", "Admitted", "Started"} <= set(events)
