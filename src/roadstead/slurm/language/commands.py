"""Whole command lines answered from a configuration alone: `sbatch`, `srun` and `salloc` on an idle cluster, and `scontrol show
hostlist`, `hostlistsorted` and `hostnames`. Nothing is run: what is answered is whether a request is taken, with which words, and
where it would go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from roadstead.slurm.language.constraint import check, hosts
from roadstead.slurm.language.errors import INVALID_GRES, NODE_CONFIGURATION, Refused, Rejected
from roadstead.slurm.language.fleet import Cluster
from roadstead.slurm.language.gres import check_counts
from roadstead.slurm.language.hostlist import Hostlist, HostlistError
from roadstead.slurm.language.options import understand
from roadstead.slurm.language.placement import Placement, place
from roadstead.slurm.language.placement.model import Impossible, Waits
from roadstead.slurm.language.releases import NEWEST, SLASHED, Release
from roadstead.slurm.language.request import GPU, JobRequest, reconcile

FRAMES: Final = {
    "sbatch": "error: Batch job submission failed: ",
    "srun": "error: Unable to allocate resources: ",
    "salloc": "error: Job submit/allocate failed: ",
}
JOB: Final = "{J1}"
"""Stands for the number of the job that the command makes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says. `placement` is set if the job would start, `waits` to the reason if it would not yet."""

    exit: int
    stdout: str = ""
    stderr: str = ""
    placement: Placement | None = None
    waits: str = ""
    request: JobRequest | None = None


def submit(
    argv: Sequence[str],
    cluster: Cluster,
    *,
    environment: Mapping[str, str] | None = None,
    script: str | None = None,
    release: Release = NEWEST,
) -> Answer:
    """The answer of `sbatch`, `srun` or `salloc` on this cluster, all of it idle. `script`: text of the batch script.
    ValueError if the first word is none of the three."""
    if not argv or argv[0] not in FRAMES:
        given = f"{argv[0]!r} is none of them" if argv else "the command line is empty"
        raise ValueError(f"Three commands submit a job, and {given}. Begin with sbatch, srun or salloc.")
    command = argv[0]
    said: list[str] = []
    try:
        asked = understand(argv, environment, release)
        said += asked.warnings
        _check_command(command, asked.operands, script)
        request, more = reconcile(asked.request, cluster.gres_types, release)
        said += more
        _check_tres(request)
        return _placed(command, request, cluster, asked.flags, said, release)
    except Refused as err:
        lines = [*said, *(line for line in err.lines if line not in said)]
        before, after = ("".join(f"{line}\n" for line in some) for some in (err.before, err.bare))
        return Answer(err.code, "", before + _text(command, lines) + after)
    except Rejected as err:
        return Answer(1, "", _text(command, [*said, *err.before, FRAMES[command] + err.text]))


def _check_command(command: str, operands: Sequence[str], script: str | None) -> None:
    if command == "srun" and not operands:
        raise Refused("fatal: No command given to execute.")
    if command == "sbatch" and not operands and not script:
        raise Refused("error: Batch script is empty!")


def _check_tres(request: JobRequest) -> None:
    """The controller's look at what the command let pass."""
    for options in (request.gpus, request.gpus_per_node, request.gpus_per_socket, request.gpus_per_task):
        check_counts(request.per_gpu(options), empty_is_wrong=False)
    if request.gres is not None and request.gres.lower() != "none":
        check_counts(request.gres, empty_is_wrong=True)


def _placed(
    command: str, request: JobRequest, cluster: Cluster, flags: frozenset[str], said: list[str], release: Release
) -> Answer:
    partition = cluster.partition(request.partition)
    if partition is None:
        if request.partition:
            raise Rejected(
                "Invalid partition name specified", f"error: invalid partition specified: {request.partition}"
            )
        raise Rejected("No partition specified or system default partition")
    if request.reservation:
        raise Rejected("Requested reservation is invalid")  # a configuration holds none
    features = {feature for node in cluster.nodes for feature in node.features}
    check(request, {node.name for node in cluster.nodes}, features, partition.nodes)
    required = len(hosts(request.nodelist))
    if required > max(request.min_nodes or 1, 1):
        request = replace(request, min_nodes=required)
    if request.memory_per_cpu is None and request.memory_per_node is None and not request.memory_per_gpu:
        request = replace(request, memory_per_cpu=cluster.memory_per_cpu)
    taken = f"Submitted batch job {JOB}\n" if command == "sbatch" else ""
    try:
        placement = place(request, cluster.placement_nodes(partition.nodes), command, release)
    except Impossible as err:
        if "hold" in flags and command == "sbatch":
            return Answer(0, taken, _text(command, said), None, "JobHeldUser", request)
        raise Rejected(NODE_CONFIGURATION, *(f"error: {line}" for line in err.before)) from err
    except Waits as err:
        if command != "sbatch":
            said += [err.said] if err.said else []
            said.append(f"job {JOB} queued and waiting for resources")
        return Answer(0, taken, _text(command, said), None, err.reason, request)
    if "hold" in flags:
        return Answer(0, taken, _text(command, said), None, "JobHeldUser", request)
    half = _half(command, request, cluster)
    if half:
        return Answer(1, "", _text(command, [*said, *half]), None, "", request)
    if command == "srun" and placement.step_error:
        return Answer(1, "", _text(command, [*said, *_step_refusal(request, placement)]), None, "", request)
    return Answer(0, taken, _text(command, said), placement, "", request)


def _half(command: str, request: JobRequest, cluster: Cluster) -> list[str]:
    """`srun --exclusive --gpus-per-node=N` with more GPUs than lie on one socket: its job gets those of one, its step asks for all."""
    if command != "srun" or not request.exclusive or request.tasks is not None:
        return []
    for demand in request.demands:
        if demand.name != GPU or demand.type or not demand.per_node:
            continue
        for node in cluster.placement_nodes():
            on_first = sum(1 for device in node.devices if device.name == GPU and device.socket in (0, -1))
            if node.sockets > 1 and 0 < on_first < demand.per_node:
                return [
                    f"error: Step requested gres_per_node=gpu:{demand.per_node} is more than the job's gres_per_node=gpu:{on_first}",
                    f"error: Unable to create step for job {JOB}: {INVALID_GRES}",
                ]
    return []


def _step_refusal(request: JobRequest, placement: Placement) -> list[str]:
    framed = f"error: Unable to create step for job {JOB}: {placement.step_error}"
    gpus = min((demand.per_job for demand in request.demands if demand.per_job), default=0)
    nodes = len(placement.shares)
    if request.generated_by_nodes:
        gpus = nodes // (request.tasks_per_gpu or 1)
    if request.tasks_per_gpu and not gpus and not any(demand.asks and not demand.per_job for demand in request.demands):
        return [f"error: {placement.step_error}"]
    if gpus and gpus < nodes and not request.generated:
        return [f"error: Step requested gres=gpu:{gpus} is less than the requested min nodes={nodes}", framed]
    return [framed]


def _text(command: str, lines: Sequence[str]) -> str:
    return "".join(f"{command}: {line}\n" for line in lines)


# --- scontrol show host...

VARIABLE: Final = {True: "SLURM_JOB_NODELIST", False: "SLURM_NODELIST"}
"""The list that `hostnames` takes without an argument, by whether the release is a newer one."""


def show(argv: Sequence[str], environment: Mapping[str, str] | None = None, release: Release = NEWEST) -> Answer | None:
    """The answer of `scontrol show hostlist|hostlistsorted|hostnames [LIST]`; None if the command line is another."""
    if (
        len(argv) < 3
        or argv[0] != "scontrol"
        or argv[1] != "show"
        or argv[2] not in ("hostlist", "hostlistsorted", "hostnames")
    ):
        return None
    kind = argv[2]
    text = argv[3] if len(argv) > 3 else None
    if text is None:
        if kind != "hostnames":
            return None
        text = (environment or {}).get(VARIABLE[release >= SLASHED])
        if not text:
            return Answer(0, "", "scontrol: error: host list is empty\n")
    try:
        hosts = Hostlist.parse(text)
    except HostlistError as err:
        lines = "".join(f"scontrol: error: {line}\n" for line in err.lines)
        return Answer(0 if kind == "hostnames" else 1, "", f"{lines}{err}\n")
    if kind == "hostnames":
        return Answer(0, "".join(f"{name}\n" for name in hosts))
    return Answer(0, f"{hosts.sorted() if kind == 'hostlistsorted' else hosts}\n")
