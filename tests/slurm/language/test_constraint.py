"""`--nodelist`, `--exclude`, `--constraint` and `--reservation`."""

from __future__ import annotations

import pytest

from roadstead.slurm.language.commands import submit
from roadstead.slurm.language.fleet import read

CLUSTER = read(
    "PartitionName=batch Nodes=ALL Default=YES\nPartitionName=few Nodes=a[0-1]\n"
    "NodeName=a[0-3] CPUs=4 Features=intel\nNodeName=b[0-1] CPUs=4 Weight=9 Features=amd,fast\n"
)


@pytest.mark.parametrize(
    ("options", "nodes"),
    [
        ("-w a2", ["a2"]),
        ("--nodelist=a[2-3]", ["a2", "a3"]),
        ("-w a2 -N2", ["a0", "a2"]),
        ("-w b1,a1", ["a1", "b1"]),
        ("-x a0", ["a1"]),
        ("-x a[0-2] -N2", ["a3", "b0"]),
        ("-C amd", ["b0"]),
        ("-C amd&fast -N2", ["b0", "b1"]),
        ("-C intel|fast -x a[0-3]", ["b0"]),
    ],
)
def test_nodes_are_those_asked_for(options: str, nodes: list[str]) -> None:
    answer = submit(["sbatch", *options.split(), "job.sh"], CLUSTER)
    assert (answer.exit, answer.stderr) == (0, "")
    assert answer.placement is not None
    assert [share.node for share in answer.placement.shares] == nodes


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("-w nope", "Invalid node name specified"),
        ("-x nope", "Invalid node name specified"),
        ("-w a[1-", "Invalid node name specified"),
        ("-w a1 -x a1", "Invalid node name specified"),
        ("-p few -w a2", "Requested nodes not in this partition"),
        ("-w a[0-2] -N2", "Node count specification invalid"),
        ("-C gpu", "Invalid feature specification"),
        ("-C amd*2", "Invalid feature specification"),
        ("-C intel&amd", "Requested node configuration is not available"),
        ("-x a[0-3],b[0-1]", "Requested node configuration is not available"),
        ("-w b0 -C intel", "Requested node configuration is not available"),
        ("--reservation=r", "Requested reservation is invalid"),
    ],
)
@pytest.mark.parametrize(
    ("command", "frame"), [("sbatch", "Batch job submission failed"), ("srun", "Unable to allocate resources")]
)
def test_what_cannot_be_had_is_refused(command: str, frame: str, options: str, says: str) -> None:
    answer = submit([command, *options.split(), "job.sh"], CLUSTER)
    assert (answer.exit, answer.stderr) == (1, f"{command}: error: {frame}: {says}\n")


@pytest.mark.parametrize("argv", [[], ["frob"]])
def test_only_three_commands_submit(argv: list[str]) -> None:
    with pytest.raises(ValueError, match="sbatch, srun or salloc"):
        submit(argv, CLUSTER)


def test_a_great_many_tasks_are_divided_evenly() -> None:
    answer = submit(["srun", "--ntasks=1000003", "--overcommit", "x"], CLUSTER)
    assert answer.placement is not None
    counts = [share.tasks for share in answer.placement.shares]
    assert sum(counts) == 1000003
    assert counts == sorted(counts, reverse=True)
    assert counts[0] - counts[-1] <= 1
