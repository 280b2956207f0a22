"""From inside a pod: what its environment and its service account say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from roadstead.auth.certificates import Authority
from roadstead.cluster.remote import KubeconfigError
from roadstead.cluster.remote.in_cluster import in_cluster


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "ca.crt").write_bytes(Authority.load_or_create(tmp_path / "pki").certificate)
    (tmp_path / "token").write_text("secret\n")
    return tmp_path


@pytest.mark.parametrize(("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
def test_the_server_that_the_environment_names(
    host: str, url: str, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    cluster = in_cluster(account)
    assert cluster.url == url
    asyncio.run(cluster.close())


def test_outside_a_pod(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(KubeconfigError, match=r"does not run in a pod: .* --kubeconfig"):
        in_cluster(account)


def test_a_pod_without_account(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (account / "token").unlink()
    with pytest.raises(KubeconfigError, match=r"token is missing\. Set automountServiceAccountToken"):
        in_cluster(account)
