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
    found = {}
    for directory, _, names in os.walk(place, followlinks=True):
        for path in (Path(directory) / name for name in names):
            if ".." not in os.fspath(path):
                found[os.fspath(path.relative_to(place))] = (path.read_bytes(), path.stat().st_mode & 0o777)
    return found


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
        ({"nfs": {"server": "s", "path": "/"}}, "CreateContainerError", "of a kind that this node does not have"),
        ({"emptyDir": {"medium": "HugePages-2Mi"}}, "CreateContainerError", "huge pages"),
        ({"projected": {"sources": [{"clusterTrustBundle": {"path": "t"}}]}}, "CreateContainerError", "projects a source"),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, volume: Json, reason: str, text: str) -> None:
    with pytest.raises(CannotStart, match=text) as caught:
        made(tmp_path, volume)
    assert caught.value.problem.reason == reason
    assert not (tmp_path / "v").exists()


def test_a_token_is_put_where_it_is_asked_for(tmp_path: Path) -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"serviceAccountToken": {"path": "deep/vault", "audience": "vault"}},
    ]
    view = pod({"name": "a"}, volumes=[{"name": "v", "projected": {"defaultMode": 0o400, "sources": sources}}])
    wanted = volumes.token_files(view)
    assert wanted == [("v", "token", "", 3607), ("v", "deep/vault", "vault", 3600)]
    place = volumes.materialize(view, tmp_path, SOURCES, dict(zip(wanted, ("t1", "t2"), strict=True)))["v"]
    assert ((place / "token").read_text(), (place / "deep" / "vault").read_text()) == ("t1", "t2")
    assert (place / "token").stat().st_mode & 0o777 == 0o400


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
    assert volumes.variables(view.spec.containers[0], places) == {
        "ROADSTEAD_VOLUME_E": f"{tmp_path}/e",
        "ROADSTEAD_VOLUME_C": f"{tmp_path}/c",
    }


@pytest.mark.parametrize("sub", ["../out", "/abs"])
def test_a_sub_path_stays_inside(tmp_path: Path, sub: str) -> None:
    mount = {"name": "e", "mountPath": "/d", "subPath": sub}
    view = pod({"name": "a", "volumeMounts": [mount]}, volumes=[{"name": "e", "emptyDir": {}}])
    with pytest.raises(CannotStart, match="leaves its volume"):
        volumes.binds(view.spec.containers[0], view, volumes.materialize(view, tmp_path, SOURCES), {})


def sub_path(top: Path, below: str, volume: Json | None = None) -> Path:
    """Where a container finds what it mounts by this subPath of volume `v`."""
    view = pod(
        {"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/d", "subPath": below}]},
        volumes=[{"name": "v", **(volume or {"emptyDir": {}})}],
    )
    places = volumes.materialize(view, top / "volumes", SOURCES)
    (found,) = volumes.binds(view.spec.containers[0], view, places, {})
    assert found["within"] == f"{top}/volumes/v"
    return Path(found["source"])


@pytest.mark.parametrize("target", ["../../outside", "{top}/outside", "../../outside/not-there", "loop"])
@pytest.mark.parametrize("below", ["loop", "loop/evil/deep"])
def test_nothing_is_made_outside_a_volume_through_a_link_in_it(tmp_path: Path, target: str, below: str) -> None:
    (tmp_path / "volumes" / "v").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "volumes" / "v" / "loop").symlink_to(target.format(top=tmp_path))
    with pytest.raises(CannotStart, match=f"subPath '{below}' leads out of its volume by a symbolic link"):
        sub_path(tmp_path, below)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("below", ["link", "link/deep/er", "far/deep"])
def test_links_that_stay_inside_a_volume_are_followed(tmp_path: Path, below: str) -> None:
    (tmp_path / "volumes" / "v" / "real").mkdir(parents=True)
    (tmp_path / "volumes" / "v" / "link").symlink_to("real")
    (tmp_path / "volumes" / "v" / "far").symlink_to(tmp_path / "volumes" / "v" / "real" / "far")
    assert sub_path(tmp_path, below).is_dir()
    assert (tmp_path / "volumes" / "v" / below).resolve().is_relative_to(tmp_path / "volumes" / "v" / "real")


def test_a_sub_path_may_be_a_file(tmp_path: Path) -> None:
    assert sub_path(tmp_path, "a.txt", {"configMap": {"name": "settings"}}).read_text() == "A"
    with pytest.raises(CannotStart, match=r"subPath 'a\.txt/x' cannot be made in its volume: Not a directory"):
        sub_path(tmp_path, "a.txt/x", {"configMap": {"name": "settings"}})


def test_references() -> None:
    listed: list[Json] = [
        {"name": "a", "configMap": {"name": "x"}},
        {"name": "b", "secret": {"secretName": "y"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "z"}}]}},
    ]
    assert volumes.references(pod("a", volumes=listed)) == {("configmap", "x"), ("secret", "y"), ("secret", "z")}
