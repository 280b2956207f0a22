"""`roadstead plan` and what stands behind `why`, on a whole cluster: true answers that store nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.cluster import Cluster, find_kubectl

pytestmark = pytest.mark.timeout(180)

TWO_JOBS = """
apiVersion: batch/v1
kind: Job
metadata: {name: a}
spec:
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{name: m, image: x, command: [sleep, "60"], resources: {limits: {cpu: 1, nvidia.com/gpu: 1}}}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: b}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: m, image: x, command: [sleep, "60"], resources: {limits: {cpu: 1, nvidia.com/gpu: 1}}}]
"""


def revision(cluster: Cluster) -> str:
    """The version of everything that a plan would touch; status writers elsewhere do not move it."""
    status, listing = cluster.ask("GET", "/apis/kueue.x-k8s.io/v1beta2/workloads")
    assert status == 200
    return json.dumps(
        sorted((item["metadata"]["name"], item["metadata"]["resourceVersion"]) for item in listing["items"])
    )


def test_a_plan_comes_true_and_stores_nothing(cluster: Cluster, tmp_path: Path) -> None:
    cluster.roadstead("run", "--gpus", "6", "--detach", "--name", "holder", "--", "sleep", "300")
    cluster.until(lambda: "Running" in cluster.roadstead("queue").stdout, "it runs")
    before, versions = cluster.everything(), revision(cluster)

    fits = cluster.roadstead("plan", "-o", "json", "--gpus", "2", "--name", "two", "--", "sleep", "300", check=False)
    assert fits.returncode == 0, fits.stderr
    (line,) = json.loads(fits.stdout)["work"]
    assert line["places"] == [{"podSet": "main", "index": 0, "node": "gpu", "devices": ["gpu-6", "gpu-7"]}]

    waits = cluster.roadstead("plan", "--gpus", "4", "--", "true", check=False)
    assert waits.returncode == 2, waits.stderr
    assert "It would wait. It needs 4 nvidia.com/gpu" in waits.stdout
    assert "would start now: Ask for 2 nvidia.com/gpu instead of 4 in each pod." in waits.stdout

    displaces = cluster.roadstead("plan", "--gpus", "4", "--priority", "high", "--", "true", check=False)
    assert displaces.returncode == 2, displaces.stderr
    assert "default/holder would be asked to make room. It would start on gpu when it has left." in displaces.stdout

    file = tmp_path / "two.yaml"
    file.write_text(TWO_JOBS)
    together = cluster.roadstead("plan", "-f", str(file), check=False)
    assert together.returncode == 2
    assert "job/a: It would start now" in together.stdout
    assert "job/b: It would wait" in together.stdout
    assert "Held by: default/a, default/holder." in together.stdout

    assert cluster.roadstead("plan", "--queue", "nowhere", "--", "true", check=False).returncode == 2
    assert cluster.roadstead("plan", "--nonsense", check=False).returncode == 1
    assert (cluster.everything(), revision(cluster)) == (before, versions)

    cluster.roadstead("run", "--gpus", "2", "--detach", "--name", "two", "--", "sleep", "300")
    cluster.until(lambda: "gpu-6, gpu-7" in cluster.roadstead("why", "two").stdout, "it starts where it was said")


def test_a_change_that_why_suggests_starts_it(cluster: Cluster) -> None:
    cluster.roadstead("run", "--cpus", "4", "--detach", "--name", "most", "--", "sleep", "300")
    cluster.roadstead("run", "--cpus", "4", "--detach", "--name", "wide", "--", "sleep", "300")
    cluster.until(lambda: "needs 4 cpu" in cluster.roadstead("why", "wide").stdout, "it waits")
    answer = json.loads(cluster.roadstead("why", "wide", "-o", "json").stdout)
    assert answer["verdict"] == "wait"
    (change,) = answer["changes"][0]["changes"]
    assert (change["what"], change["subject"], change["before"]) == ("request", "cpu", 4000)
    assert change["after"] < 4000
    smaller = cluster.roadstead("plan", "--cpus", f"{change['after']}m", "--", "true", check=False)
    assert smaller.returncode == 0, smaller.stdout


def test_what_is_no_question_is_refused(cluster: Cluster) -> None:
    assert cluster.ask("GET", "/roadstead/v1/")[1]["questions"][-1] == "plan"
    assert cluster.ask("GET", "/roadstead/v1/plan")[0] == 405
    assert cluster.ask("POST", "/roadstead/v1/queue", {})[0] == 405
    for body in (b"{", b"[]", b'{"objects": []}', b'{"objects": [1]}'):
        status, answer = cluster.ask("POST", "/roadstead/v1/plan", body)
        assert (status, answer["reason"]) == (400, "BadRequest")


@pytest.mark.kubectl
def test_kubectl_roadstead_asks_the_cluster_of_the_kubeconfig(cluster: Cluster, tmp_path: Path) -> None:
    plugin = tmp_path / "kubectl-roadstead"
    plugin.write_text(f"#!{sys.executable}\nfrom roadstead.cli.plugin import main\nmain()\n")
    plugin.chmod(0o755)
    kubectl = find_kubectl()
    assert kubectl is not None
    cluster.roadstead("run", "--detach", "--name", "seen", "--", "sleep", "300")
    environment = {**cluster.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}", "ROADSTEAD_HOME": str(tmp_path)}
    cluster.until(lambda: "seen" in cluster.roadstead("queue").stdout, "it is on the page")
    done = subprocess.run(
        [kubectl, "roadstead", "queue", "-A"], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "seen" in done.stdout
