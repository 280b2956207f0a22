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
        ("GresTypes=gpu\nNodeName=a Gres=gpu:99999999999\n", "at most 1024 are possible"),
        (
            "NodeName=a\nNodeName=N_1\n",
            "slurm.conf line 2: Kubernetes takes no node named N_1; it would have to be n-1",
        ),
        ("NodeName=node-A\n", "takes no node named node-A"),
        ("NodeName=a\nPartitionName=Debug\nPartitionName=debug\n", "line 3: the partitions Debug ("),
        ("NodeName=a\nPartitionName=a_b\nPartitionName=a-b\n", "would both be the ClusterQueue a-b"),
        ("NodeName=a\nPartitionName=__\n", "nothing is left of the partition name __"),
        (f"NodeName={'n' * 60}1\nNodeName={'n' * 60}2 CPUs=2\n", "would have one name"),
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


@pytest.mark.parametrize(("content", "position"), [(b"NodeName=a\n\xff\xfe", 11), (b"Node\0Name", 4)])
def test_what_is_no_text(content: bytes, position: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slurm.conf").write_bytes(content)
    assert call(str(tmp_path / "slurm.conf")) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"is not text: its byte {position} is" in said.err


def test_errors_name_the_file_as_it_was_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prod.conf").write_text("NodeName=a\nNodeName=a\n")
    assert call(str(tmp_path / "prod.conf")) == 1
    assert f"{tmp_path / 'prod.conf'} line 2" in capsys.readouterr().err
