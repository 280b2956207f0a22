"""Unmodified kubectl with a Deployment: rolled out, scaled, changed, taken back, evicted within its budget, reached by a Service's
slices, and gone."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.cluster import EXAMPLES, Cluster

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(180)]


def test_a_deployment_from_manifest_to_its_end(cluster: Cluster) -> None:
    def word() -> set[str]:
        pods = json.loads(cluster.kubectl("get", "pods", "-l", "app=pulse", "-o", "json").stdout)["items"]
        alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        return {str(pod["spec"]["containers"][0].get("env")) for pod in alive}

    cluster.kubectl("apply", "-f", str(EXAMPLES / "deployment.yaml"))
    said = cluster.kubectl("rollout", "status", "deployment/pulse", "--timeout=60s").stdout
    assert said.splitlines()[-1] == 'deployment "pulse" successfully rolled out'
    table = cluster.kubectl("get", "deployment", "pulse").stdout.splitlines()
    assert table[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert table[1].split()[:4] == ["pulse", "2/2", "2", "2"]
    assert cluster.kubectl("expose", "deployment", "pulse", "--port=80").stdout == "service/pulse exposed\n"
    cluster.until(
        lambda: cluster.kubectl("get", "endpointslices", "-o", "jsonpath={..addresses}").stdout.count("127.") == 2,
        "both pods are in the slices of the service",
    )
    assert cluster.kubectl("scale", "deployment/pulse", "--replicas=3").stdout == "deployment.apps/pulse scaled\n"
    cluster.kubectl("rollout", "status", "deployment/pulse", "--timeout=60s")
    before = word()
    cluster.kubectl("set", "env", "deployment/pulse", "WORD=again")
    cluster.kubectl("rollout", "status", "deployment/pulse", "--timeout=60s")
    assert "again" in str(word())
    history = cluster.kubectl("rollout", "history", "deployment/pulse").stdout
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    assert cluster.kubectl("rollout", "undo", "deployment/pulse").stdout == "deployment.apps/pulse rolled back\n"
    cluster.kubectl("rollout", "status", "deployment/pulse", "--timeout=60s")
    assert word() == before
    described = cluster.kubectl("describe", "deployment", "pulse").stdout
    assert "NewReplicaSetAvailable" in described
    assert "Scaled up replica set" in described
    cluster.until(
        lambda: cluster.kubectl("get", "pdb", "pulse", "-o", "jsonpath={.status.disruptionsAllowed}").stdout == "1",
        "one may be evicted",
    )
    cluster.kubectl("delete", "deployment/pulse", "service/pulse", "pdb/pulse")
    cluster.until(
        lambda: "pulse" not in cluster.kubectl("get", "pods,replicasets,endpointslices", "-o", "name").stdout,
        "all of it is gone",
    )
