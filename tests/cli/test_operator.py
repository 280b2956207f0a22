"""`roadstead operator` and `roadstead manifests`: words, refusals before any cluster is asked, and what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from roadstead.cli import main


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


NOWHERE = """
current-context: x
contexts: [{name: x, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]
"""


@pytest.mark.parametrize(
    ("kubeconfig", "said"),
    [
        ("{", "is not YAML"),
        ("[1]", "holds a list; it must be a mapping with contexts"),
        ("a: b", "has no current-context. Name one"),
        (NOWHERE, "https://127.0.0.1:1 cannot be reached: ConnectError"),
    ],
)
def test_a_cluster_that_cannot_be_asked(
    kubeconfig: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig)
    code, _, error = _run(capsys, "operator", "--kubeconfig", str(path))
    assert code == 1
    assert error.startswith("error: ")
    assert said in error
    assert "Traceback" not in error


def test_outside_a_pod_a_kubeconfig_is_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    code, _, error = _run(capsys, "operator")
    assert code == 1
    assert "Name a cluster with --kubeconfig" in error


def test_terms_that_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = _run(capsys, "operator", "--lease-duration", "5")
    assert code == 2
    assert "The lease duration (5 s) must be longer than the renew deadline (10 s)" in error


def _printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[tuple[str, str]]:
    code, out, _ = _run(capsys, "manifests", *words)
    assert code == 0
    return [(document["kind"], document["metadata"]["name"]) for document in yaml.safe_load_all(out)]


def test_manifests_are_printed_in_an_order_in_which_they_can_be_applied(capsys: pytest.CaptureFixture[str]) -> None:
    found = _printed(capsys)
    kinds = list(dict.fromkeys(kind for kind, _ in found))
    assert kinds == [
        "CustomResourceDefinition",
        "Namespace",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "Deployment",
    ]
    assert ("CustomResourceDefinition", "workloads.kueue.x-k8s.io") in found
    assert ("CustomResourceDefinition", "placements.roadstead.dev") in found
    assert _printed(capsys) == found


@pytest.mark.parametrize(
    ("option", "gone"),
    [
        ("--without-policy", {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}),
        ("--without-deployment", {"Deployment"}),
    ],
)
def test_parts_can_be_left_out(option: str, gone: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    everything = {kind for kind, _ in _printed(capsys)}
    assert everything - {kind for kind, _ in _printed(capsys, option)} == gone


def test_kueues_own_definitions_can_stay(capsys: pytest.CaptureFixture[str]) -> None:
    found = _printed(capsys, "--without-kueue-crds")
    assert [name for kind, name in found if kind == "CustomResourceDefinition"] == ["placements.roadstead.dev"]


def test_the_image_and_namespace_are_the_administrators(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _run(
        capsys, "manifests", "--without-kueue-crds", "--image", "registry/roadstead:1", "--namespace", "queues"
    )
    documents = {document["kind"]: document for document in yaml.safe_load_all(out)}
    deployment = documents["Deployment"]
    assert deployment["metadata"]["namespace"] == "queues"
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry/roadstead:1"
    assert container["args"] == ["operator", "--namespace=queues"]
    assert documents["RoleBinding"]["subjects"][0]["namespace"] == "queues"
