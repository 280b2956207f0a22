"""Files and directories of the machine as volumes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from roadstead.node.agent.environment import Sources
from roadstead.node.agent.problems import CannotStart
from roadstead.node.agent.volumes import binds, host_path, materialize, variables
from tests.node.agent.build import pod

KINDS = ("Directory", "File", "Socket", "CharDevice", "BlockDevice")
WORDS = {
    "Directory": "directory",
    "DirectoryOrCreate": "directory",
    "File": "file",
    "FileOrCreate": "file",
    "Socket": "socket file",
    "CharDevice": "character device",
    "BlockDevice": "block device",
}


@pytest.fixture
def there(tmp_path: Path) -> dict[str, Path]:
    """One thing of each kind (no block device: they need root)."""
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("x")
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(tmp_path, os.O_DIRECTORY)
    listener.bind(f"/proc/self/fd/{here}/s")
    os.close(here)
    listener.close()
    return {
        "Directory": tmp_path / "d",
        "File": tmp_path / "f",
        "Socket": tmp_path / "s",
        "CharDevice": Path("/dev/null"),
        "nothing": tmp_path / "n",
    }


@pytest.mark.parametrize("kind", [*WORDS, ""])
@pytest.mark.parametrize("what", ["Directory", "File", "Socket", "CharDevice", "nothing"])
def test_types(there: dict[str, Path], kind: str, what: str) -> None:
    path = there[what]
    is_made = what == "nothing" and kind in ("", "DirectoryOrCreate", "FileOrCreate")
    if is_made or kind == "" or kind.removesuffix("OrCreate") == what:
        assert host_path.prepare("v", os.fspath(path), kind) == path
        assert path.is_file() if kind == "FileOrCreate" else path.exists()
        return
    with pytest.raises(CannotStart) as caught:
        host_path.prepare("v", os.fspath(path), kind)
    assert caught.value.problem.message == (
        f'MountVolume.SetUp failed for volume "v" : hostPath type check failed: {path} is not a {WORDS[kind]}'
    )
    assert not there["nothing"].exists()


def test_directories_are_made_all_the_way_and_a_file_only_in_its_directory(tmp_path: Path) -> None:
    assert host_path.prepare("v", f"{tmp_path}/a/b", "DirectoryOrCreate").is_dir()
    with pytest.raises(CannotStart, match="is not a file"):
        host_path.prepare("v", f"{tmp_path}/no/file", "FileOrCreate")


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(CannotStart, match="f/below"):
        host_path.prepare("v", f"{tmp_path}/f/below", "")


def test_a_host_path_may_be_written_unless_the_mount_says_otherwise(tmp_path: Path) -> None:
    mounts = [{"name": "h", "mountPath": "/h"}, {"name": "h", "mountPath": "/r", "readOnly": True}]
    view = pod({"name": "a", "volumeMounts": mounts}, volumes=[{"name": "h", "hostPath": {"path": f"{tmp_path}/data"}}])
    places = materialize(view, tmp_path / "volumes", Sources({}, "", ""))
    (container,) = view.spec.containers
    assert [(one["source"], one["read_only"]) for one in binds(container, view, places, {})] == [
        (f"{tmp_path}/data", False),
        (f"{tmp_path}/data", True),
    ]
    assert variables(container, places) == {"ROADSTEAD_VOLUME_H": f"{tmp_path}/data"}
