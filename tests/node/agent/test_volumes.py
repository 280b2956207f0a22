"""Volumes as directories: content, modes, what is missing, what is refused, where they are mounted."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from roadstead.kinds.object import Json
from roadstead.node.agent import volumes
from roadstead.node.agent.environment import Sources
from roadstead.node.agent.problems import CannotStart
from tests.node.agent.build import pod

SOURCES = Sources(
    {
        ("configmap", "settings"): {"data": {"a.txt": "A", "b.txt": "B"}, "binaryData": {"c.bin": "AAE="}},
        ("secret", "keys"): {"data": {"token": base64.b64encode(b"t").decode()}},
        ("configmap", "gone"): None,
    },
    "127.64.0.7",
    "127.0.0.1",
)


def made(top: Path, volume: Json) -> dict[str, tuple[bytes, int]]:
    """What is in a volume `v` of this description: path -> (content, mode)."""
    view = pod({"name": "a"}, volumes=[{"name": "v", **volume}], metadata={"labels": {"app": 'x"y', "b": "2"}})
    place = volumes.materialize(view, top, SOURCES)["v"]
    files = [path for path in sorted(place.rglob("*")) if path.is_file()]
    return {os.fspath(path.relative_to(place)): (path.read_bytes(), path.stat().st_mode & 0o777) for path in files}


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (
            {"configMap": {"name": "settings"}},
            {"a.txt": (b"A", 0o644), "b.txt": (b"B", 0o644), "c.bin": (b"\0\1", 0o644)},
        ),
        (
            {"configMap": {"name": "settings", "defaultMode": 0o600, "items": [{"key": "a.txt", "path": "d/x", "mode": 0o400}, {"key": "b.txt", "path": "y"}]}},
            {"d/x": (b"A", 0o400), "y": (b"B", 0o600)},
        ),
        ({"secret": {"secretName": "keys"}}, {"token": (b"t", 0o644)}),
        ({"configMap": {"name": "gone", "optional": True}}, {}),
        ({"configMap": {"name": "settings", "optional": True, "items": [{"key": "no", "path": "x"}]}}, {}),
        (
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}, {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"labels": (b'app="x\\"y"\nb="2"', 0o644), "name": (b"p", 0o644)},
        ),
        (
            {"projected": {"defaultMode": 0o440, "sources": [{"configMap": {"name": "settings", "items": [{"key": "a.txt", "path": "a"}]}}, {"secret": {"name": "keys"}}]}},
            {"a": (b"A", 0o440), "token": (b"t", 0o440)},
        ),
        ({"emptyDir": {}}, {}),
    ],
)  # fmt: skip
def test_content(tmp_path: Path, volume: Json, expected: dict[str, tuple[bytes, int]]) -> None:
    assert made(tmp_path, volume) == expected


@pytest.mark.parametrize(
    ("volume", "reason", "text"),
    [
        ({"configMap": {"name": "gone"}}, "CreateContainerConfigError", 'configmap "gone" not found'),
        ({"configMap": {"name": "settings", "items": [{"key": "no", "path": "x"}]}}, "CreateContainerConfigError", "non-existent config key: no"),
        ({"configMap": {"name": "settings", "items": [{"key": "a.txt", "path": "../x"}]}}, "CreateContainerConfigError", "leaves its volume"),
        ({"hostPath": {"path": "/tmp"}}, "CreateContainerError", "of a kind that this node does not have"),
        ({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, "CreateContainerError", "projects a source"),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, volume: Json, reason: str, text: str) -> None:
    with pytest.raises(CannotStart, match=text) as caught:
        made(tmp_path, volume)
    assert caught.value.problem.reason == reason
    assert not (tmp_path / "v").exists()


def test_the_token_volume_that_servers_add_comes_without_the_token(tmp_path: Path) -> None:
    view = pod(
        {"name": "a"}, volumes=[{"name": "kube-api-access-x", "projected": {"sources": [{"serviceAccountToken": {}}]}}]
    )
    assert list(volumes.materialize(view, tmp_path, SOURCES)["kube-api-access-x"].iterdir()) == []


def test_a_volume_is_made_once_and_kept_over_restarts(tmp_path: Path) -> None:
    made(tmp_path, {"emptyDir": {}})
    (tmp_path / "v" / "kept").write_text("x")
    assert made(tmp_path, {"emptyDir": {}}) == {"kept": (b"x", 0o644)}


def test_mounts_become_binds(tmp_path: Path) -> None:
    mounts: list[Json] = [
        {"name": "e", "mountPath": "/data"},
        {"name": "e", "mountPath": "/sub", "subPath": "x/y", "readOnly": True},
        {"name": "e", "mountPath": "/expr", "subPathExpr": "$(WHO)"},
        {"name": "c", "mountPath": "/etc/c"},
    ]
    view = pod(
        {"name": "a", "volumeMounts": mounts},
        volumes=[{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "settings"}}],
    )
    places = volumes.materialize(view, tmp_path, SOURCES)
    found = volumes.binds(view.spec.containers[0], view, places, {"WHO": "me"})
    assert [(one["source"], one["target"], one["read_only"]) for one in found] == [
        (f"{tmp_path}/e", "/data", False),
        (f"{tmp_path}/e/x/y", "/sub", True),
        (f"{tmp_path}/e/me", "/expr", False),
        (f"{tmp_path}/c", "/etc/c", True),
    ]
    assert (tmp_path / "e" / "x" / "y").is_dir()
    assert volumes.variables(places, ["e", "c"]) == {
        "ROADSTEAD_VOLUME_E": f"{tmp_path}/e",
        "ROADSTEAD_VOLUME_C": f"{tmp_path}/c",
    }


@pytest.mark.parametrize("sub", ["../out", "/abs"])
def test_a_sub_path_stays_inside(tmp_path: Path, sub: str) -> None:
    mount = {"name": "e", "mountPath": "/d", "subPath": sub}
    view = pod({"name": "a", "volumeMounts": [mount]}, volumes=[{"name": "e", "emptyDir": {}}])
    with pytest.raises(CannotStart, match="leaves its volume"):
        volumes.binds(view.spec.containers[0], view, volumes.materialize(view, tmp_path, SOURCES), {})


def test_references() -> None:
    listed: list[Json] = [
        {"name": "a", "configMap": {"name": "x"}},
        {"name": "b", "secret": {"secretName": "y"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "z"}}]}},
    ]
    assert volumes.references(pod("a", volumes=listed)) == {("configmap", "x"), ("secret", "y"), ("secret", "z")}
