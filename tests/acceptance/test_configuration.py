"""`roadstead up --config FILE`: what the file says happens to real jobs, and a file that cannot be used keeps the
cluster down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cluster import Cluster

pytestmark = [pytest.mark.timeout(180)]
NODE = "gpu=h100x8,cpu=8,memory=16Gi"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
WORKLOADS = "/apis/kueue.x-k8s.io/v1beta2/namespaces/default/workloads"

CONFIGURATION = """
apiVersion: config.kueue.x-k8s.io/v1beta2
kind: Configuration
webhook: {port: 9443}
fairSharing: {preemptionStrategies: [LessThanOrEqualToFinalShare]}
waitForPodsReady:
  timeout: 3s
  requeuingStrategy: {backoffLimitCount: 1, backoffBaseSeconds: 1}
integrations: {labelKeysToCopy: [team]}
objectRetentionPolicies: {workloads: {afterFinished: 0s}}
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A home where nothing is up yet; afterwards nothing of it may be left."""
    found = Cluster(tmp_path / "home")
    yield found
    found.roadstead("down", check=False)
    found.until(lambda: not found.processes(), "no process of it is left")


def job(name: str, command: list[str], labels: dict[str, str] | None = None, **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "local", "command": command, **container}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [main]}}},
    }


def workloads(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Job -> its Workload."""
    status, listing = cluster.ask("GET", WORKLOADS)
    assert status == 200, listing
    return {item["metadata"]["annotations"]["kueue.x-k8s.io/job-owner-name"]: item for item in listing["items"]}


def reason(workload: dict[str, Any], condition: str) -> str:
    """Of a condition that is True; "" of others."""
    conditions = (workload.get("status") or {}).get("conditions") or []
    return next((c["reason"] for c in conditions if c["type"] == condition and c["status"] == "True"), "")


def create(cluster: Cluster, value: dict[str, Any]) -> None:
    status, answer = cluster.ask("POST", JOBS, value)
    assert status == 201, answer


def test_a_file_has_its_effect_on_real_jobs(own: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "kueue.yaml"
    path.write_text(CONFIGURATION)
    own.roadstead("up", "--port", "0", "--node", NODE, "--config", str(path))
    log = (own.home / "logs" / "server.log").read_text()
    assert "configuration: webhook has no effect: there is no webhook server" in log
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    create(own, job("late", ["sleep", "600"], {"team": "blue"}, readinessProbe=never))
    create(own, job("short", ["true"]))
    create(own, job("long", ["sleep", "600"], {"kueue.x-k8s.io/max-exec-time-seconds": "4"}))
    create(own, job("steady", ["sleep", "600"]))  # nothing ends it: however late one looks, its pods are ready
    own.until(lambda: reason(workloads(own)["steady"], "PodsReady") == "Started", "ready pods are seen")
    own.until(lambda: "short" not in workloads(own), "a finished Workload goes")
    status, short = own.ask("GET", f"{JOBS}/short")
    assert (status, short["status"]["succeeded"]) == (200, 1)
    assert workloads(own)["late"]["metadata"]["labels"]["team"] == "blue"

    def deactivated(name: str, cause: str) -> bool:
        return reason(workloads(own)[name], "Evicted") == f"DeactivatedDueTo{cause}"

    own.until(lambda: deactivated("long", "MaximumExecutionTimeExceeded"), "its time is over")
    own.until(lambda: deactivated("late", "RequeuingLimitExceeded"), "its pods were late twice")
    late = workloads(own)["late"]
    counts = [(e["reason"], e["underlyingCause"], e["count"]) for e in late["status"]["schedulingStats"]["evictions"]]
    assert counts == [("PodsReadyTimeout", "WaitForStart", 1), ("Deactivated", "RequeuingLimitExceeded", 1)]
    own.until(lambda: own.ask("GET", f"{JOBS}/late")[1]["spec"]["suspend"], "the job is stopped")


def test_a_file_that_cannot_be_used_keeps_the_cluster_down(own: Cluster) -> None:
    own.home.mkdir()
    (own.home / "config.yaml").write_text(CONFIGURATION + "featureGates: {PartialAdmision: true}\nwait: 5m\n")
    done = own.roadstead("up", "--port", "0", check=False)
    assert done.returncode == 1
    assert f"error: the configuration {own.home}/config.yaml has 2 problems:" in done.stderr
    assert (
        "featureGates.PartialAdmision: unknown feature gate; the nearest that there are: PartialAdmission,"
        in done.stderr
    )
    assert "wait: unknown field" in done.stderr
    assert "Traceback" not in done.stderr
    assert own.processes() == []
    (own.home / "config.yaml").write_text(CONFIGURATION + "manageJobsWithoutQueueName: true\n")
    own.roadstead("up", "--port", "0", "--node", NODE)
    status, answer = own.ask("DELETE", "/apis/kueue.x-k8s.io/v1beta2/namespaces/default/localqueues/default")
    assert status == 200, answer
    create(own, job("nowhere", ["true"]))
    own.until(lambda: "nowhere" in workloads(own), "it is held although it names no queue")
    workload = workloads(own)["nowhere"]
    assert workload["spec"].get("queueName", "") == ""
    label = {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "mine"}}}
    status, answer = own.ask("PATCH", f"{JOBS}/nowhere", label, "application/merge-patch+json")
    assert status == 200, answer
    queue = {
        "apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "metadata": {"name": "mine"},
        "spec": {"clusterQueue": "default"},
    }  # fmt: skip
    status, answer = own.ask("POST", "/apis/kueue.x-k8s.io/v1beta2/namespaces/default/localqueues", queue)
    assert status == 201, answer
    own.until(lambda: own.ask("GET", f"{JOBS}/nowhere")[1]["status"].get("succeeded") == 1, "then it runs")
