"""kubectl and a pod that is probed: ready when it says so, restarted when it is ill, told in Events; parts of its
logs."""

from __future__ import annotations

import json
import re

import pytest

from tests.acceptance.cluster import Cluster

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(180)]

COMMAND = 'n=$(cat runs 2>/dev/null || echo 0); echo $((n+1)) > runs; for i in 1 2 3; do echo "run $n line $i"; done; touch well; exec sleep 600'


def test_a_pod_that_is_probed(cluster: Cluster) -> None:
    quick = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5}
    container = {
        "name": "main",
        "image": "local",
        "command": ["sh", "-c", COMMAND],
        "startupProbe": {"exec": {"command": ["test", "-e", "well"]}, **quick, "failureThreshold": 30},
        "readinessProbe": {"exec": {"command": ["test", "-e", "well"]}, **quick},
        "livenessProbe": {
            "exec": {"command": ["sh", "-c", "if [ -e ill ]; then rm ill; echo I am ill; exit 1; fi"]},
            **quick,
        },
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo leaving > left"]}}},
    }
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probed"}, "spec": {"containers": [container]}}
    path = cluster.home / "probed.json"
    path.write_text(json.dumps(manifest))
    cluster.kubectl("create", "-f", str(path))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/probed", "--timeout=40s")
    assert cluster.kubectl("get", "pod", "probed").stdout.splitlines()[1].split()[:4] == [
        "probed",
        "1/1",
        "Running",
        "0",
    ]

    uid = cluster.kubectl("get", "pod", "probed", "-o", "jsonpath={.metadata.uid}").stdout
    scratch = next(cluster.home.rglob(f"pods/{uid}/scratch"))
    (scratch / "well").unlink()
    cluster.kubectl("wait", "--for=condition=Ready=false", "pod/probed", "--timeout=40s")
    (scratch / "ill").touch()
    cluster.until(lambda: restarts(cluster) == "1", "the container was restarted")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/probed", "--timeout=60s")
    described = cluster.kubectl("describe", "pod", "probed").stdout
    assert "Liveness probe failed: I am ill" in described
    assert "Container main failed liveness probe, will be restarted" in described
    assert "Readiness probe failed" in described

    lines = [f"run 1 line {i}" for i in (1, 2, 3)]
    assert cluster.kubectl("logs", "probed").stdout.splitlines() == lines
    assert cluster.kubectl("logs", "-p", "probed").stdout.splitlines() == [f"run 0 line {i}" for i in (1, 2, 3)]
    assert cluster.kubectl("logs", "probed", "--tail=1", "--limit-bytes=5").stdout == "run 1"
    assert cluster.kubectl("logs", "probed", "--since=1h").stdout.splitlines() == lines
    assert cluster.kubectl("logs", "probed", "--since-time=2200-01-01T00:00:00Z").stdout == ""
    for stamped, line in zip(cluster.kubectl("logs", "probed", "--timestamps").stdout.splitlines(), lines, strict=True):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z " + line, stamped)
    cluster.kubectl("delete", "pod", "probed", "--grace-period=10", "--timeout=30s")


def restarts(cluster: Cluster) -> str:
    return cluster.kubectl("get", "pod", "probed", "-o", "jsonpath={.status.containerStatuses[0].restartCount}").stdout


def test_a_container_that_cannot_start_says_so_to_logs(cluster: Cluster) -> None:
    spec = {"containers": [{"name": "main", "image": "local", "command": ["/no/such/program"]}]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "startless"}, "spec": spec}
    path = cluster.home / "startless.json"
    path.write_text(json.dumps(manifest))
    cluster.kubectl("create", "-f", str(path))
    text = 'container "main" in pod "startless" is waiting to start: CrashLoopBackOff'
    cluster.until(lambda: text in cluster.kubectl("logs", "startless", check=False).stderr, "logs says why")
    cluster.kubectl("delete", "pod", "startless", "--grace-period=1", "--timeout=30s")
