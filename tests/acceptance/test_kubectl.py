"""Unmodified kubectl on a whole cluster: every command that the README's reader would try, on the manifests in
examples/."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from tests.acceptance.cluster import EXAMPLES, Cluster, find_kubectl

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(180)]


def test_a_job_from_manifest_to_its_end(cluster: Cluster) -> None:
    assert cluster.kubectl("apply", "-f", str(EXAMPLES / "job.yaml")).stdout == "job.batch/hello created\n"
    cluster.kubectl("wait", "--for=condition=Complete", "job/hello", "--timeout=40s")
    assert cluster.kubectl("logs", "job/hello").stdout.splitlines() == [f"hello {i}" for i in range(1, 6)]
    assert cluster.kubectl("apply", "-f", str(EXAMPLES / "job.yaml")).stdout == "job.batch/hello unchanged\n"
    table = cluster.kubectl("get", "job", "hello").stdout.splitlines()
    assert table[0].split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    assert table[1].split()[:3] == ["hello", "Complete", "1/1"]
    described = cluster.kubectl("describe", "job", "hello").stdout
    assert "1 Succeeded" in described
    assert "SuccessfulCreate" in described
    assert cluster.kubectl("delete", "job", "hello").stdout == 'job.batch "hello" deleted\n'
    cluster.until(
        lambda: "hello" not in cluster.kubectl("get", "pods,workloads,placements", "-o", "name").stdout,
        "all of it is gone",
    )


def test_logs_follow_a_running_process(cluster: Cluster) -> None:
    manifest = yaml.safe_load((EXAMPLES / "job.yaml").read_text())
    manifest["metadata"]["name"] = "ticks"
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["command"] = ["sh", "-c", "echo first; sleep 2; echo last"]
    path = cluster.home / "ticks.json"
    path.write_text(json.dumps(manifest))
    cluster.kubectl("create", "-f", str(path))
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod", "-l", "job-name=ticks", "--timeout=30s")
    program = find_kubectl()
    assert program is not None
    following = subprocess.Popen(
        [program, "logs", "-f", "job/ticks"], env=cluster.environment, stdout=subprocess.PIPE, text=True
    )
    assert following.stdout is not None
    assert following.stdout.readline() == "first\n"
    running = cluster.kubectl("get", "pod", "-l", "job-name=ticks", "-o", "jsonpath={.items[0].status.phase}").stdout
    assert running == "Running", "the first line arrived while the process was still running"
    assert following.stdout.readline() == "last\n"
    assert following.wait(timeout=30) == 0


def test_exact_devices(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", str(EXAMPLES / "gpu-job.yaml"))
    cluster.kubectl("wait", "--for=condition=Complete", "job/two-gpus", "--timeout=40s")
    said = cluster.kubectl("logs", "job/two-gpus").stdout
    indices = said.partition(":")[2].strip().split(",")
    assert len(set(indices)) == 2
    assert all(0 <= int(index) < 8 for index in indices)


def test_members_of_an_indexed_job(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", str(EXAMPLES / "indexed-job.yaml"))
    cluster.kubectl("wait", "--for=condition=Complete", "job/members", "--timeout=40s")
    said = cluster.kubectl("logs", "-l", "job-name=members", "--tail=-1").stdout
    assert sorted(said.splitlines()) == [f"member {i} of 3 is members-{i}" for i in range(3)]
    job = json.loads(cluster.kubectl("get", "job", "members", "-o", "json").stdout)
    assert job["status"]["completedIndexes"] == "0-2"


def test_a_bare_pod_with_configuration(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", str(EXAMPLES / "pod.yaml"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/reader", "--timeout=30s")
    cluster.until(lambda: "harbour" in cluster.kubectl("logs", "reader").stdout, "the motto was printed")
    assert cluster.kubectl("logs", "reader").stdout.startswith("ahoy\n")
    wide = cluster.kubectl("get", "pod", "reader", "-o", "wide").stdout.splitlines()
    assert "gpu" in wide[1].split()
    assert cluster.kubectl("get", "pods", "-l", "app=reader", "-o", "name").stdout == "pod/reader\n"
    assert yaml.safe_load(cluster.kubectl("get", "pod", "reader", "-o", "yaml").stdout)["status"]["phase"] == "Running"
    assert "Normal" in cluster.kubectl("describe", "pod", "reader").stdout
    cluster.kubectl("delete", "pod", "reader", "--timeout=30s")
    assert cluster.kubectl("get", "pod", "reader", check=False).returncode == 1


def test_watching(cluster: Cluster) -> None:
    program = find_kubectl()
    assert program is not None
    watching = subprocess.Popen(
        [program, "get", "configmaps", "-w", "-o", "name", "-l", "watched=yes"],
        env=cluster.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watching.stdout is not None
    try:
        cluster.kubectl("create", "-f", str(write(cluster, "one")))
        assert watching.stdout.readline() == "configmap/one\n"
    finally:
        watching.terminate()
        watching.wait(timeout=10)


def write(cluster: Cluster, name: str) -> str:
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"watched": "yes"}}}
    path = cluster.home / f"{name}.json"
    path.write_text(json.dumps(value))
    return str(path)


def test_a_teams_queue_and_why_a_job_waits_in_it(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", str(EXAMPLES / "team-queue.yaml"))
    manifest = yaml.safe_load((EXAMPLES / "job.yaml").read_text())
    manifest["metadata"] = {"name": "big", "labels": {"kueue.x-k8s.io/queue-name": "astronomy"}}
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "2"
    path = cluster.home / "big.json"
    path.write_text(json.dumps(manifest))
    cluster.kubectl("apply", "-f", str(path))
    cluster.until(
        lambda: "ExceedsMaxQuota" in cluster.kubectl("get", "workloads", "-o", "json").stdout,
        "a verdict is stored",
    )
    why = cluster.roadstead("why", "big").stdout
    assert "needs 2 cpu" in why
    assert "can never have more than 1" in why
    assert "big" in cluster.roadstead("queue", "-A").stdout
    cluster.kubectl("delete", "job", "big")


def test_a_cohort_lends_what_a_team_leaves_idle(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", str(EXAMPLES / "cohort.yaml"))
    assert cluster.kubectl("get", "cohorts", "-o", "name").stdout == "cohort.kueue.x-k8s.io/sciences\n"
    borrowed = "jsonpath={.status.flavorsReservation[0].resources[0].borrowed}"
    cluster.kubectl("wait", f"--for={borrowed}=300m", "clusterqueue/biology", "--timeout=30s")
    assert "cpu=800m/500m (300m borrowed)" in cluster.roadstead("status").stdout
    cluster.kubectl("wait", "--for=condition=Complete", "job/borrower", "--timeout=40s")
    cluster.kubectl("wait", f"--for={borrowed}=0", "clusterqueue/biology", "--timeout=30s")


def test_all_examples_come_together_and_go_together(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", str(EXAMPLES))
    done = cluster.kubectl("delete", "-f", str(EXAMPLES), "--timeout=60s")
    assert done.stderr == ""
    assert cluster.kubectl("get", "cohorts,topologies", "-o", "name").stdout == ""


def test_what_is_served_is_listed(cluster: Cluster) -> None:
    listed = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").stdout.split()
    assert {"pods", "jobs.batch", "workloads.kueue.x-k8s.io", "placements.roadstead.dev"} <= set(listed)
    for name in listed:
        assert cluster.kubectl("get", name, "-A").returncode == 0
