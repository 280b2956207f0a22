from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from roadstead.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "slurm"


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["import", *arguments])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_yaml_on_stdout_and_what_is_lost_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(EXAMPLE / "slurm.conf"), "-n", "team") == 0
    said = capsys.readouterr()
    objects = list(yaml.safe_load_all(said.out))
    assert {each["kind"] for each in objects} == {
        "Node", "ResourceSlice", "DeviceClass", "ResourceFlavor", "Cohort", "ClusterQueue", "LocalQueue",
    }  # fmt: skip
    assert {each["metadata"]["namespace"] for each in objects if each["kind"] == "LocalQueue"} == {"team"}
    # The gres.conf that lies beside is read without being named: devices know their sockets.
    slices = [each for each in objects if each["kind"] == "ResourceSlice"]
    numa = [device["attributes"]["resource.kubernetes.io/numaNode"]["int"] for device in slices[0]["spec"]["devices"]]
    assert numa == [0, 0, 1, 1]
    assert "no_consume" in said.err
    assert call(str(EXAMPLE / "slurm.conf"), str(EXAMPLE / "gres.conf"), "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_included_files_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slurm.conf").write_text("Include nodes.conf\nPartitionName=p Nodes=ALL\n")
    (tmp_path / "nodes.conf").write_text("NodeName=a,b\n")
    assert call(str(tmp_path / "slurm.conf")) == 0
    assert capsys.readouterr().out.count("kind: Node\n") == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("NodeName=a\nNodeName=a\n", "Duplicated NodeName a"),
        ("ClusterName=x\n", "defines no node"),
        ("Include gone.conf\n", "gone.conf cannot be read"),
    ],
)
def test_what_cannot_be_imported(
    text: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "slurm.conf").write_text(text)
    assert call(str(tmp_path / "slurm.conf")) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
