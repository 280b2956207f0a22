"""`why`, `plan` and `queue` on a real kube-apiserver that holds what Kueue holds, for a user who may read and nothing
else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.cluster import ROOT, find_kubectl
from tests.realcluster.operators import Place, place
from tests.realcluster.server import RealServer

pytestmark = [pytest.mark.realcluster, pytest.mark.timeout(120)]

USER = "onlooker"
KUEUE = "kueue.x-k8s.io"


class Onlooker:
    """A user with the rights that docs/read-only.md lists."""

    def __init__(self, here: Place) -> None:
        self.here = here
        document = (ROOT / "docs" / "read-only.md").read_text()
        (role,) = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)]
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "roadstead-onlooker"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role["metadata"]["name"],
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        }
        here.apply(role, binding)
        self.kubeconfig = here.server.kubeconfig(USER, ())

    def asks(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, "-m", "roadstead.cli", *words, "--kubeconfig", str(self.kubeconfig)], stdin)

    def run(self, words: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "HOME": str(self.here.directory),
            "NO_COLOR": "1",
        }
        return subprocess.run(words, input=stdin, capture_output=True, text=True, env=environment, timeout=60)

    def answer(self, *words: str) -> Any:
        done = self.asks(*words, "-o", "json")
        assert done.returncode in (0, 2), done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def user(whole_cluster: RealServer, tmp_path: Path) -> Iterator[Onlooker]:
    with place(whole_cluster, tmp_path) as here:
        yield Onlooker(here)


def store_workload(here: Place, job: str, queue: str, cpu: int, admitted_by: str = "") -> None:
    """A job's Workload as Kueue writes it, admitted or waiting."""
    owner = here.get(f"job/{job}")
    template = owner["spec"]["template"]
    template["spec"]["containers"][0]["resources"]["requests"]["cpu"] = str(cpu)
    reference = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job,
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    name = f"job-{job}-12345"
    here.apply(
        {
            "apiVersion": f"{KUEUE}/v1beta2",
            "kind": "Workload",
            "metadata": {"name": name, "namespace": here.namespace, "ownerReferences": [reference]},
            "spec": {
                "queueName": queue,
                "priority": 0,
                "active": True,
                "podSets": [{"name": "main", "count": 1, "template": template}],
            },
        }
    )
    if not admitted_by:
        return
    at = {"lastTransitionTime": "2024-01-01T00:00:00Z", "message": "", "status": "True"}
    assigned = {
        "name": "main",
        "count": 1,
        "flavors": {"cpu": f"flavor-{here.id}"},
        "resourceUsage": {"cpu": str(cpu)},
    }
    status = {
        "admission": {"clusterQueue": admitted_by, "podSetAssignments": [assigned]},
        "conditions": [{"type": kind, "reason": kind, **at} for kind in ("QuotaReserved", "Admitted")],
    }
    here.kubectl(
        "patch", "workload", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
    )


def stored(here: Place) -> dict[str, str]:
    """What is stored in our corner, and in which version."""
    found: dict[str, str] = {}
    for what in ("workloads", "jobs", "localqueues", "clusterqueues", "resourceflavors", "pods"):
        for item in here.get(what)["items"]:
            found[f"{what}/{item['metadata']['uid']}"] = item["metadata"]["resourceVersion"]
    return found


def test_the_same_answers_with_the_right_to_read_and_nothing_written(user: Onlooker) -> None:
    here = user.here
    lab = here.queue("lab", cpu=4)
    here.queue("roomy", cpu=8)
    here.submit("first", "lab")
    here.submit("second", "lab")
    store_workload(here, "first", "lab", 3, admitted_by=lab)
    store_workload(here, "second", "lab", 2)
    before = stored(here)

    why = user.asks("why", "second", "-n", here.namespace)
    assert why.returncode == 0, why.stderr
    assert why.stdout.splitlines()[0] == (
        f"It needs 2 cpu; ClusterQueue {lab} has 1 free of at most 4 (flavor flavor-{here.id}). "
        "It starts by itself when 1 more is free."
    )
    assert f"Held by: {here.namespace}/first." in why.stdout
    assert "would start now: Submit it to LocalQueue roomy." in why.stdout
    assert "or: Ask for 1 cpu instead of 2 in each pod." in why.stdout

    page = user.answer("queue", "-n", here.namespace)
    assert [(line["job"], line["state"], line["position"]) for line in page["workloads"]] == [
        ("first", "Running", 0),
        ("second", "Waiting", 1),
    ]

    manifest = yaml.safe_load(here.job("third", "lab"))
    planned = user.asks("plan", "-f", "-", "-o", "json", stdin=yaml.safe_dump(manifest))
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["work"][0]["clusterQueue"] == lab
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "2"
    planned = user.asks("plan", "-f", "-", stdin=yaml.safe_dump(manifest))
    assert planned.returncode == 2, planned.stderr
    assert planned.stdout.startswith("job/third: It would wait. It needs 2 cpu;")

    assert stored(here) == before
    assert "third" not in here.kubectl("get", "jobs").stdout


def test_nothing_can_be_written_with_the_rights_that_the_page_lists(user: Onlooker) -> None:
    kubectl = find_kubectl()
    assert kubectl is not None
    allowed = user.run([kubectl, "auth", "can-i", "--list", "--no-headers"]).stdout.splitlines()
    verbs = {
        verb for line in allowed if "selfsubject" not in line for verb in line.rpartition("[")[2].rstrip("]").split()
    }
    assert verbs == {"get", "list", "watch"}
    for verb in ("create", "update", "patch", "delete"):
        for what in ("workloads", "clusterqueues", "jobs", "pods"):
            assert user.run([kubectl, "auth", "can-i", verb, what, "-A"]).stdout.strip() == "no"
    refused = user.run([kubectl, "create", "-f", "-"], user.here.job("forbidden", "lab"))
    assert "forbidden" in refused.stderr
    assert refused.returncode == 1


def test_who_may_not_read_hears_what_to_ask_for(user: Onlooker) -> None:
    stranger = user.here.server.kubeconfig("stranger", ())
    done = user.run([sys.executable, "-m", "roadstead.cli", "queue", "-A", "--kubeconfig", str(stranger)])
    assert done.returncode == 1
    assert 'User "stranger" cannot list resource' in done.stderr
    assert "Ask an administrator for the right to list, in all namespaces: namespaces, " in done.stderr


def test_kubectl_roadstead_asks_where_kubectl_would(user: Onlooker, tmp_path: Path) -> None:
    here = user.here
    here.queue("lab", cpu=1)
    plugin = tmp_path / "kubectl-roadstead"
    plugin.write_text(f"#!{sys.executable}\nfrom roadstead.cli.plugin import main\nmain()\n")
    plugin.chmod(0o755)
    kubectl = find_kubectl()
    assert kubectl is not None
    environment = {**os.environ, "KUBECONFIG": str(user.kubeconfig), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [kubectl, "roadstead", "plan", "-n", here.namespace, "--queue", "lab", "--cpus", "2", "--", "true"],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "can never have more than 1" in done.stdout
