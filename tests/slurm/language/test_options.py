"""Command lines: how they are read, and what each refusal says, by release."""

from __future__ import annotations

import pytest

from roadstead.slurm.language.commandline import read as read_line
from roadstead.slurm.language.commands import submit
from roadstead.slurm.language.errors import Refused
from roadstead.slurm.language.fleet import Cluster, read
from roadstead.slurm.language.options import understand
from roadstead.slurm.language.releases import NEWEST, OLDEST, Release
from roadstead.slurm.language.request import reconcile

TUX: Cluster = read(
    "GresTypes=gpu,mps,bandwidth\nDefMemPerCPU=500\nPartitionName=batch Nodes=ALL Default=YES\n"
    "NodeName=tux[0-7] Sockets=2 CoresPerSocket=4 RealMemory=16000 "
    "Gres=gpu:tesla:2,gpu:kepler:2,mps:400,bandwidth:lustre:no_consume:4G\n",
    "Name=gpu Type=tesla File=/dev/nvidia[0-1] Cores=0-3\nName=gpu Type=kepler File=/dev/nvidia[2-3] Cores=4-7\nName=mps Count=400\n",
)
GRES = "Invalid generic resource (gres) specification"
FAILED = "Failed to validate job spec"


def refusal(line: str, release: Release, environment: dict[str, str] | None = None) -> str:
    answer = submit(["sbatch", *line.split(), "job.sh"], TUX, environment=environment, release=release)
    assert answer.exit
    assert answer.stdout == ""
    return answer.stderr.replace("sbatch: ", "").replace("error: ", "").rstrip("\n")


def test_options_are_read_as_getopt_reads_them() -> None:
    line = read_line(["srun", "-n4", "-N", "2", "--gpus-per-n=1", "--mem", "1G", "-lHc2", "python", "-n9"])
    assert [(given.option.name, given.value) for given in line.given] == [
        ("ntasks", "4"),
        ("nodes", "2"),
        ("gpus-per-node", "1"),
        ("mem", "1G"),
        ("label", None),
        ("hold", None),
        ("cpus-per-task", "2"),
    ]
    assert line.operands == ("python", "-n9")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--bogus", "unrecognized option '--bogus'"),
        ("--gpu=2", "option '--gpu=2' is ambiguous; possibilities: '--gpu-bind' '--gpu-freq' '--gpus' '--gpus-per-node' "
                    "'--gpus-per-socket' '--gpus-per-task'"),
        ("--hold=1", "option '--hold' doesn't allow an argument"),
        ("--gres", "option '--gres' requires an argument"),
        ("-&", "invalid option -- '&'"),
        ("-n", "option requires an argument -- 'n'"),
    ],
)  # fmt: skip
def test_what_getopt_refuses(words: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        read_line(["sbatch", *words.split()])
    assert (refused.value.lines, refused.value.code) == ((says,), 255)
    assert refused.value.bare == ('Try "sbatch --help" for more information',)


def test_the_command_line_is_stronger_than_the_environment() -> None:
    asked = understand(
        ["sbatch", "--gpus=2", "job.sh"], {"SBATCH_GPUS": "4", "SBATCH_GRES": "mps:1", "SLURM_NTASKS": "9"}
    )
    assert (asked.request.gpus, asked.request.gres, asked.request.tasks) == ("2", "mps:1", None)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--gres=fpga", GRES),
        ("--gres=gpu:", GRES),
        ("--gres=gpu:tesla:x", GRES),
        ("--gres=gpu:2.5", "Batch job submission failed: Invalid Trackable RESource (TRES) specification"),
        ("--gres=gpu:1,", "Batch job submission failed: Invalid Trackable RESource (TRES) specification"),
        ("--gres=gpu:5", "Batch job submission failed: Requested node configuration is not available"),
        ("--gres=gpu:volta:1", "Batch job submission failed: Requested node configuration is not available"),
        ("--gres=bandwidth:lustre:5G", "Batch job submission failed: Requested node configuration is not available"),
        ("--gres=gpu:2,gpu:tesla:1", "Invalid GRES specification (with and without type identification)"),
        ("--gres=gpu:1,mps:50", GRES),
        ("--gpus-per-socket=1", f"--gpus-per-socket option requires --sockets-per-node specification\n{GRES}"),
        ("-N4 --gpus=3", f"{FAILED}, --gpus < -N\n{GRES}"),
        ("--gpus=4 --gpus-per-task=3", f"{FAILED}, --gpus not multiple of --gpus-per-task\n{GRES}"),
        ("-n3 --gpus=4 --gpus-per-task=2",
         f"{FAILED}. Based on --gpus and --gpus-per-task number of requested tasks differ from -n/--ntasks.\n{GRES}"),
        ("--gpus=5 --gpus-per-node=2", f"{FAILED}, --gpus is not multiple of --gres=gpu/--gpus-per-node\n{GRES}"),
        ("--gpus=1 --gpus-per-node=2", f"Failed to ensure --gpus >= --gres=gpu/--gpus-per-node >= --gpus-per-socket\n{GRES}"),
        ("-N3 --gpus=4 --gpus-per-node=2",
         f"{FAILED}. Based on --gpu and --gres=gpu/--gpus-per-node required nodes (2) doesn't fall between min_nodes (3) and "
         f"max_nodes (3) boundaries.\n{GRES}"),
        ("--gpus-per-node=3 --gpus-per-socket=2 --sockets-per-node=2",
         f"{FAILED}, --gres=gpu/--gpus-per-node not multiple of --gpus-per-socket.\n{GRES}"),
        ("--gpus-per-node=4 --gpus-per-socket=2 --sockets-per-node=1",
         f"{FAILED}. Based on --gres=gpu/--gpus-per-node and --gpus-per-socket required number of sockets differ from "
         f"--sockets-per-node.\n{GRES}"),
        ("-n2 --gpus-per-node=3 --gpus-per-task=2", f"{FAILED}, --gres=gpu/--gpus-per-node not multiple of --gpus-per-task.\n{GRES}"),
        ("-n2 --gpus-per-socket=3 --sockets-per-node=2 --gpus-per-task=2",
         f"{FAILED}, --gpus-per-socket not multiple of --gpus-per-task.\n{GRES}"),
        ("-n6 --ntasks-per-gpu=4", f"{FAILED}, -n/--ntasks has to be a multiple of --ntasks-per-gpu.\n{GRES}"),
        ("--mem=1G --mem-per-gpu=1G --gpus=1", "fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive."),
        ("--ntasks-per-gpu=2 --ntasks-per-node=2 --gpus=2",
         "fatal: --ntasks-per-node is mutually exclusive with --ntasks-per-gpu and SLURM_NTASKS_PER_GPU"),
        ("-c9", "CPU count per node can not be satisfied\nBatch job submission failed: Requested node configuration is not available"),
        ("--mem=16001",
         "Memory specification can not be satisfied\nBatch job submission failed: Requested node configuration is not available"),
        ("--sockets-per-node=3",
         "Socket, core and/or thread specification can not be satisfied\n"
         "Batch job submission failed: Requested node configuration is not available"),
        ("--ntasks=2x", 'Invalid numeric value "2x" for --ntasks.'),
        ("--nodes=2-1", "Maximum node count 1 is less than minimum node count 2"),
        ("--nodes=1-x", '"x" is not a valid node count'),
        ("--time=1d", "Invalid --time specification"),
        ("--signal=USR1@x", "Invalid --signal specification"),
        ("--begin=now+1month", "Invalid time specification (pos=4): now+1month\nInvalid --begin specification"),
        ("--distribution=plane", "Invalid plane size or size not specified\nInvalid --distribution specification"),
        ("-p nosuch", "invalid partition specified: nosuch\nBatch job submission failed: Invalid partition name specified"),
    ],
)  # fmt: skip
def test_refusals_that_did_not_change(line: str, text: str) -> None:
    assert refusal(line, OLDEST) == refusal(line, NEWEST) == text


@pytest.mark.parametrize(
    ("line", "oldest", "newest"),
    [
        ("--gpus-per-task=1",
         f"{FAILED}. --gpus-per-task used without either --gpus or -n/--ntasks is not allowed.\n{GRES}",
         f"{FAILED}. --gpus-per-task or --tres-per-task used without either --gpus or -n/--ntasks is not allowed.\n{GRES}"),
        ("-c2 --cpus-per-gpu=2 --gpus=1",
         f"--cpus-per-gpu is mutually exclusive with --cpus-per-task\n{GRES}",
         f"--cpus-per-task, --tres-per-task=cpu:#, and --cpus-per-gpu are mutually exclusive\n{GRES}"),
        ("--mem-per-gpu=1G",
         f"Requested mem_per_tres=gres:gpu:1024 but did not request any GPU.\n{GRES}",
         f"Requested mem_per_tres=gres/gpu:1024 but did not request any GPU.\n{GRES}"),
        ("--gpus=2 --gpu-bind=bogus", "Invalid --gpu-bind argument: gpu:bogus", "Invalid --gpu-bind argument: bogus"),
    ],
)  # fmt: skip
def test_texts_that_changed(line: str, oldest: str, newest: str) -> None:
    assert refusal(line, OLDEST) == oldest
    assert refusal(line, NEWEST) == newest


def test_what_later_releases_refuse() -> None:
    for line, text in (
        ("--gres=gpu:2 --gpus-per-node=2", "fatal: --gpus-per-node and --gres=gpu are mutually exclusive."),
        ("--cpus-per-gpu=2", f"Requested cpus_per_tres=gres/gpu:2 but did not request any GPU.\n{GRES}"),
    ):
        assert submit(["sbatch", *line.split(), "job.sh"], TUX, release=OLDEST).exit == 0
        assert refusal(line, NEWEST) == text
    for line in ("--gpus=2 --gpu-bind=map:0,1", "--gres-flags=one-task-per-sharing"):
        assert submit(["sbatch", *line.split(), "job.sh"], TUX, release=NEWEST).exit == 0
        assert submit(["sbatch", *line.split(), "job.sh"], TUX, release=OLDEST).exit == 255


def test_releases() -> None:
    assert Release.parse("25.11") < NEWEST
    assert str(Release.parse("23.02")) == "23.02"
    for text in ("new", "17.11", "99.01"):
        with pytest.raises(ValueError, match="Slurm"):
            Release.parse(text)


@pytest.mark.parametrize(
    ("line", "tasks", "nodes", "tasks_per_node"),
    [
        ("--gpus=4 --gpus-per-task=2", 2, None, None),
        ("--gpus=4 --gpus-per-node=2", None, 2, None),
        ("-n4 --ntasks-per-gpu=2", 4, None, None),
        ("--ntasks-per-gpu=2 --gpus=3", 6, None, None),
        ("-N2 --ntasks-per-gpu=2", 4, 2, None),
        ("-N2 --gpus-per-node=4 --gpus-per-task=2", 4, 2, 2),
    ],
)
def test_what_follows_from_what_is_said(
    line: str, tasks: int | None, nodes: int | None, tasks_per_node: int | None
) -> None:
    asked = understand(["sbatch", *line.split(), "job.sh"])
    request, said = reconcile(asked.request, TUX.gres_types)
    assert said == ()
    assert (request.tasks, request.min_nodes, request.tasks_per_node) == (tasks, nodes, tasks_per_node)


def test_warnings_do_not_refuse() -> None:
    answer = submit(["srun", "-N4", "-n2", "true"], TUX)
    assert (answer.exit, answer.stderr) == (0, "srun: Warning: can't run 2 processes on 4 nodes, setting nnodes to 2\n")


@pytest.mark.parametrize(
    ("line", "reason"), [("-N9", "PartitionConfig"), ("-n65", "PartitionConfig"), ("--gres=mps:150", "Resources")]
)
def test_what_is_taken_and_waits(line: str, reason: str) -> None:
    answer = submit(["sbatch", line, "job.sh"], TUX)
    assert (answer.exit, answer.stdout, answer.waits, answer.placement) == (
        0,
        "Submitted batch job {J1}\n",
        reason,
        None,
    )
    assert "queued and waiting for resources" in submit(["srun", line, "true"], TUX).stderr


def test_commands_without_work() -> None:
    assert submit(["sbatch", "--gpus", "job.sh"], TUX).stderr == "sbatch: error: Batch script is empty!\n"
    assert submit(["srun"], TUX).stderr == "srun: fatal: No command given to execute.\n"
