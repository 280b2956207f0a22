"""What `roadstead operator` says on a cluster that it cannot work on, and what a real server makes of our manifests."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.realcluster.operators import ACCOUNT, Place, manifests, place
from tests.realcluster.server import RealServer, shared

pytestmark = [pytest.mark.realcluster, pytest.mark.timeout(120)]


def _operator(kubeconfig: Path, *options: str) -> tuple[int, str]:
    """Exit code and words of an operator that must end by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "roadstead.cli", "operator", "--kubeconfig", str(kubeconfig), *options],
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stderr


@pytest.fixture
def here(whole_cluster: RealServer, tmp_path: Path) -> Iterator[Place]:
    with place(whole_cluster, tmp_path) as found:
        yield found


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Place]:
    """On the server without controllers, where nothing of ours was ever applied."""
    found = Place(shared(), tmp_path)
    yield found
    found.background.call(found.cluster.close())
    found.background.stop()


def test_definitions_that_are_missing(bare: Place) -> None:
    code, said = _operator(bare.admin)
    assert code == 1
    assert re.search(
        r"does not serve \d+ of \d+ resources: [a-z0-9./, -]*clusterqueues\.kueue\.x-k8s\.io/v1beta2, ", said
    )
    assert "roadstead manifests | kubectl apply -f -" in said


def test_an_older_kueue(bare: Place) -> None:
    older = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "workloads.kueue.x-k8s.io"},
        "spec": {
            "group": "kueue.x-k8s.io",
            "names": {"kind": "Workload", "plural": "workloads"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1beta1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    bare.apply(older)
    try:
        bare.kubectl("wait", "--for=condition=Established", "crd/workloads.kueue.x-k8s.io", "--timeout=20s")
        code, said = _operator(bare.admin)
        assert code == 1
        assert "Of kueue.x-k8s.io it serves v1beta1 only." in said
        assert "v1beta2 is needed" in said
    finally:
        bare.kubectl("delete", "crd", "workloads.kueue.x-k8s.io", "--wait=false")


def test_rights_that_are_missing(here: Place) -> None:
    code, said = _operator(here.server.kubeconfig("stranger", ()))
    assert code == 1
    assert "This identity lacks" in said
    assert "roadstead manifests | kubectl apply -f -" in said


def test_one_right_that_is_missing_is_named(here: Place) -> None:
    role = "roadstead-operator"
    rules = here.get(f"clusterrole/{role}")["rules"]
    left = [rule for rule in rules if "workloads/status" not in rule["resources"]]
    here.apply(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": role}, "rules": left}
    )
    try:
        code, said = _operator(here.server.kubeconfig(ACCOUNT, ()))
        assert code == 1
        assert "update workloads/status.kueue.x-k8s.io" in said
    finally:
        here.apply_text(manifests("--without-kueue-crds", "--without-deployment"))


def test_a_namespace_without_a_lease_to_be_had(here: Place) -> None:
    code, said = _operator(here.admin, "--namespace", "nowhere")
    assert code == 1
    assert 'The lease nowhere/roadstead-operator cannot be written: missing: namespaces "nowhere" not found.' in said


def test_what_is_applied_twice_is_unchanged(here: Place) -> None:
    again = here.apply_text(manifests())
    assert "deployment.apps/roadstead-operator created" in again
    try:
        lines = here.apply_text(manifests()).splitlines()
        assert [line for line in lines if not line.endswith(" unchanged")] == []
    finally:
        here.kubectl("delete", "-n", "roadstead-system", "deployment", "roadstead-operator")
    older = here.kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifests("--without-policy")).stdout
    assert "mutatingadmissionpolicy" not in older
