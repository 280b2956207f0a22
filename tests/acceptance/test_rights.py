"""Rights as people meet them: docs/security.md, line by line, and the kubectl commands about roles."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.cluster import ROOT, Cluster, find_kubectl

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(180)]


def _lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "security.md").read_text(), re.S | re.M)
    return [re.sub(r"\s{2,}#.*", "", line) for block in blocks for line in block.splitlines()]


def _shell(cluster: Cluster, folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """One line of the page, where `kubectl` and `roadstead` are commands."""
    tools = folder / "tools"
    if not tools.exists():
        tools.mkdir()
        program = find_kubectl()
        assert program is not None
        (tools / "kubectl").symlink_to(program)
        (tools / "roadstead").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m roadstead.cli "$@"\n')
        (tools / "roadstead").chmod(0o755)
    environment = {**cluster.environment, "PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_every_line_of_the_page_works(cluster: Cluster, tmp_path: Path) -> None:
    said = {}
    for line in _lines():
        done = _shell(cluster, tmp_path, line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[line] = done.stdout
    assert "Username    ada" in said["kubectl --kubeconfig ada.kubeconfig auth whoami"].replace("\t", " ")
    assert said["kubectl --kubeconfig ada.kubeconfig auth can-i create jobs -n vision"] == "yes\n"
    assert said["kubectl auth can-i list pods --as system:serviceaccount:default:watcher"] == "yes\n"
    assert (tmp_path / "ada.kubeconfig").stat().st_size > 1000
    refused = _shell(cluster, tmp_path, "kubectl --kubeconfig ada.kubeconfig get pods -n vision")
    assert 'User "ada" cannot list resource "pods"' in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["user", "add", "system:x"], "error: 'system:x' cannot be the name of a user or group here"),
        (["user", "add", "x", "--group", "system:masters"], "error: 'system:masters' cannot be the name of a user or group here"),
        (["user", "add", "x", "--role", "nope"], "error: there is no ClusterRole 'nope'."),
        (["user", "add", "x", "-n", "nowhere"], "error: there is no namespace 'nowhere'."),
        (["user", "remove", "nobody"], "error: nobody has no binding that `roadstead user add` made."),
    ],
)  # fmt: skip
def test_what_cannot_be_given(cluster: Cluster, words: list[str], said: str) -> None:
    done = cluster.roadstead(*words, check=False)
    assert done.returncode != 0
    assert done.stderr.startswith(said)
    assert done.stdout == ""


def test_roles_are_made_described_and_reconciled(cluster: Cluster) -> None:
    cluster.kubectl("create", "clusterrole", "pod-reader", "--verb=get,list", "--resource=pods,jobs.batch")
    cluster.kubectl("create", "clusterrolebinding", "readers", "--clusterrole=pod-reader", "--group=readers")
    asked = ("auth", "can-i", "list", "pods", "-A", "--as", "carol")
    assert cluster.kubectl(*asked, "--as-group", "readers").stdout == "yes\n"
    assert cluster.kubectl(*asked, check=False).stdout == "no\n"
    described = cluster.kubectl("describe", "clusterrole", "pod-reader").stdout
    assert "jobs.batch" in described
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "pod-reader"},
        "rules": [rule],
    }
    path = cluster.home / "role.json"
    path.write_text(json.dumps(role))
    cluster.kubectl("auth", "reconcile", "-f", str(path), "--remove-extra-permissions")
    assert json.loads(cluster.kubectl("get", "clusterrole", "pod-reader", "-o", "json").stdout)["rules"] == [rule]
    assert cluster.kubectl(*asked, "--as-group", "readers", check=False).stdout == "no\n"


def test_aggregated_roles_have_the_rules_of_others(cluster: Cluster) -> None:
    as_viewer = ("--as", "dan", "-n", "default")
    cluster.kubectl("create", "rolebinding", "dan", "--clusterrole=view", "--user=dan", "-n", "default")
    assert cluster.kubectl("auth", "can-i", "list", "localqueues.kueue.x-k8s.io", *as_viewer).stdout == "yes\n"
    assert cluster.kubectl("auth", "can-i", "get", "secrets", *as_viewer, check=False).stdout == "no\n"
    label = "rbac.authorization.k8s.io/aggregate-to-view=true"
    cluster.kubectl("create", "clusterrole", "sees-secrets", "--verb=get", "--resource=secrets")
    cluster.kubectl("label", "clusterrole", "sees-secrets", label)
    cluster.until(
        lambda: cluster.kubectl("auth", "can-i", "get", "secrets", *as_viewer, check=False).stdout == "yes\n",
        "view has the new role's rules",
    )
    assert "secrets is forbidden" in cluster.kubectl("get", "secrets", "-A", *as_viewer, check=False).stderr
    cluster.kubectl("delete", "clusterrole", "sees-secrets")


def test_what_was_taken_out_of_the_policy_is_back_after_a_restart(cluster: Cluster) -> None:
    cluster.kubectl("delete", "clusterrolebinding", "system:basic-user")
    cluster.kubectl(
        "annotate",
        "clusterrole",
        "system:monitoring",
        "rbac.authorization.kubernetes.io/autoupdate=false",
        "--overwrite",
    )
    cluster.kubectl("patch", "clusterrole", "system:monitoring", "--type=merge", "-p", '{"rules": null}')
    cluster.roadstead("down")
    cluster.roadstead("up", "--port", "0")
    assert cluster.kubectl("get", "clusterrolebinding", "system:basic-user", "-o", "name").stdout
    kept = json.loads(cluster.kubectl("get", "clusterrole", "system:monitoring", "-o", "json").stdout)
    assert kept["rules"] is None
    assert cluster.kubectl("auth", "whoami", "--as", "eve").returncode == 0
