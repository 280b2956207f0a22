"""kubeconfig files: what is understood, and what is said about the rest. (A whole one is used by the contract
suite.)"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadstead.cluster.remote import KubeconfigError, from_kubeconfig


def config(user: Any = None, **cluster: Any) -> dict[str, Any]:
    return {
        "current-context": "main",
        "contexts": [
            {"name": "main", "context": {"cluster": "c", "user": "u"}},
            {"name": "other", "context": {"cluster": "gone"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1/", **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
    }


def write(directory: Path, content: Any) -> Path:
    path = directory / "config"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("content", "context", "message"),
    [
        ("a: [", "", "is not YAML: line 1, column 5: "),
        ("- a", "", "holds a list; it must be a mapping with contexts"),
        ({"contexts": []}, "", "has no current-context. Name one"),
        (config(), "none", r'has no context "none" \(there are: main, other\)'),
        (config(), "other", r'has no cluster "gone" \(there are: c\)'),
        (config(server=""), "", 'cluster "c" has no server'),
        (config({"exec": {"command": "x"}}), "", 'user "u" logs in by exec, which is not supported'),
        (
            config({"client-certificate-data": base64.b64encode(b"x").decode()}),
            "",
            "needs client-certificate and client-key",
        ),
        (config(**{"certificate-authority-data": "%%%"}), "", "certificate-authority-data is not base64"),
        (config(**{"certificate-authority": "nowhere.crt"}), "", "certificate-authority .*nowhere.crt cannot be read"),
        (
            config(**{"certificate-authority-data": base64.b64encode(b"x").decode()}),
            "",
            "certificate-authority holds no certificate that can be read",
        ),
        (
            config({f"client-{name}-data": base64.b64encode(b"x").decode() for name in ("certificate", "key")}),
            "",
            "client-certificate and client-key cannot be used",
        ),
        (config(**{"proxy-url": "http://127.0.0.1:3128"}), "", "by proxy-url, which is not supported"),
        ({"current-context": "a", "contexts": {"a": {}}}, "", "contexts is a mapping; it must be a list"),
        (
            {"current-context": "a", "contexts": [{"name": "a", "context": "b"}]},
            "",
            'context "a" is only text; it must be a mapping',
        ),
    ],
)
def test_refused_with_a_reason(tmp_path: Path, content: Any, context: str, message: str) -> None:
    with pytest.raises(KubeconfigError, match=message):
        from_kubeconfig(write(tmp_path, content), context)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=r"none cannot be read: No such file"):
        from_kubeconfig(tmp_path / "none")


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "t"}, {"authorization": "Bearer t"}),
        ({"tokenFile": "token", "token": "ignored"}, {"authorization": "Bearer from-file"}),
        ({}, {}),
    ],
)
def test_tokens(tmp_path: Path, user: dict[str, str], header: dict[str, str]) -> None:
    (tmp_path / "token").write_text("from-file\n")  # relative paths are relative to the file
    cluster = from_kubeconfig(write(tmp_path, config(user)))
    assert cluster._headers() == header
    assert str(cluster._client.base_url) == "https://127.0.0.1:1"
    asyncio.run(cluster.close())
