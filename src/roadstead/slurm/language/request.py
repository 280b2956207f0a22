"""A job's demand on nodes, tasks and GRES, and the rules by which its options must agree.

`reconcile` fills in what follows from the rest (`--gpus` and `--gpus-per-node` give the nodes, `--ntasks-per-gpu` the tasks) and
refuses what contradicts itself. Sources: sbatch(1), gres.shtml; the order of the checks decides which text is printed, and is as
observed on 22.05.8, as are its oddities (a second type of one GRES makes earlier refusals of it harmless).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from roadstead.slurm.language.errors import INVALID_GRES, INVALID_GRES_TYPE, Refused
from roadstead.slurm.language.gres import requested
from roadstead.slurm.language.releases import NEWEST, SLASHED, WITHOUT_GPUS, Release

GPU: Final = "gpu"
SHARED_GPUS: Final = ("mps", "shard")
"""GRES that are parts of a GPU."""


@dataclass(slots=True)
class Demand:
    """What a job asks of one GRES (name and type; "" is any type). 0: not asked for in that way."""

    name: str
    type: str = ""
    per_job: int = 0
    per_node: int = 0
    per_socket: int = 0
    per_task: int = 0
    cpus_per: int = 0
    memory_per: int = 0
    """MiB."""
    by_gres: bool = False
    """Asked for by `--gres` alone, which the steps of a batch job do not inherit beside `--gpus...`."""

    in_steps: int = 0
    """What `--gpus-per-node` says where `--gres` says otherwise: steps of a batch job go by the former."""

    @property
    def asks(self) -> bool:
        return bool(self.per_job or self.per_node or self.per_socket or self.per_task)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job as its options say it. None: not said. Memory in MiB."""

    tasks: int | None = None
    min_nodes: int | None = None
    max_nodes: int | None = None
    tasks_per_node: int | None = None
    tasks_per_socket: int | None = None
    tasks_per_core: int | None = None
    tasks_per_gpu: int | None = None
    sockets_per_node: int | None = None
    cores_per_socket: int | None = None
    cpus_per_task: int | None = None
    memory_per_node: int | None = None
    memory_per_cpu: int | None = None
    gres: str | None = None
    gpus: str = ""
    gpus_per_node: str = ""
    gpus_per_socket: str = ""
    gpus_per_task: str = ""
    cpus_per_gpu: int | None = None
    memory_per_gpu: int | None = None
    gpu_bind: str = ""
    gres_flags: str = ""
    distribution: str = ""
    exclusive: bool = False
    overcommit: bool = False
    partition: str = ""
    nodelist: str = ""
    """A hostlist: nodes that the job must have. More may be added."""
    exclude: str = ""
    """A hostlist: nodes that it must not have."""
    constraint: str = ""
    reservation: str = ""
    demands: tuple[Demand, ...] = field(default=())
    """Set by `reconcile`."""
    most_tasks_per_node: int | None = None
    """Set by `reconcile` from `--ntasks-per-gpu`: a limit, and what a node must have room for; not what it is given at least."""
    asked_tasks: int | None = None
    """Set by `reconcile`: the tasks that were said."""
    generated_by_nodes: bool = False
    """Set by `reconcile`: one GPU a node, since only nodes and tasks per GPU were said."""
    generated: bool = False
    """Set by `reconcile`: GPUs were not asked for but follow from the tasks."""

    def per_gpu(self, options: str) -> str:
        """The `gpu:` items of an option that leaves the name out: `tesla:1,2` is `gpu:tesla:1,gpu:2`."""
        return ",".join(f"{GPU}:{item}" for item in options.split(",") if item)


def reconcile(
    request: JobRequest, names: Collection[str], release: Release = NEWEST
) -> tuple[JobRequest, tuple[str, ...]]:
    """The request with what follows from it, and what was complained about without refusing. `names`: GresTypes. Refused if it
    contradicts itself."""
    work = _Work(request, release)
    work.collect(names)
    return work.finish()


class _Work:
    def __init__(self, request: JobRequest, release: Release) -> None:
        self.request = request
        self.release = release
        self.demands: dict[tuple[str, str], Demand] = {}
        self.said: list[str] = []
        self.tasks = request.tasks
        self.min_nodes, self.max_nodes = request.min_nodes, request.max_nodes
        self.tasks_per_node = request.tasks_per_node
        self.tasks_per_socket = request.tasks_per_socket
        self.sockets_per_node = request.sockets_per_node
        self.cpus_per_task = request.cpus_per_task
        self.even_tasks = 0
        """Tasks by `--ntasks-per-gpu`: they are parted evenly over the nodes asked for, and the rest of the division is dropped."""
        self.generated = self.generated_by_nodes = False
        self.uneven = False
        """Whether GPUs were to be made of tasks that do not divide."""

    def refuse(self, text: str) -> Refused:
        return Refused(*self.said, f"error: {text}", f"error: {INVALID_GRES}")

    def demand(self, name: str, kind: str) -> Demand:
        return self.demands.setdefault((name, kind), Demand(name, kind))

    # --- reading the options

    def collect(self, names: Collection[str]) -> None:
        request = self.request
        if request.cpus_per_gpu is not None:
            self.demand(GPU, "")
        for item in requested(request.per_gpu(request.gpus), names):
            self.demand(item.name, item.type).per_job = item.count
        gres = "" if (request.gres or "").lower() == "none" else request.gres
        per_node = ",".join(filter(None, (request.per_gpu(request.gpus_per_node), gres)))
        for item in requested(per_node, names):
            demand = self.demand(item.name, item.type)
            demand.by_gres = not demand.asks
            demand.per_node = item.count
        for item in requested(request.per_gpu(request.gpus_per_node), names):
            demand = self.demand(item.name, item.type)
            demand.by_gres = False
            demand.in_steps = item.count if item.count < demand.per_node else 0
        for item in requested(request.per_gpu(request.gpus_per_socket), names):
            demand = self.demand(item.name, item.type)
            demand.per_socket, demand.by_gres = item.count, False
        for item in requested(request.per_gpu(request.gpus_per_task), names):
            demand = self.demand(item.name, item.type)
            demand.per_task, demand.by_gres = item.count, False
        if request.memory_per_gpu:
            self.demand(GPU, "")
        if request.tasks_per_gpu is not None:
            self._tasks_per_gpu(request.tasks_per_gpu)
        for each in self.demands.values():
            if each.name == GPU:
                each.cpus_per = 0 if each.type else request.cpus_per_gpu or 0
                each.memory_per = request.memory_per_gpu or 0

    def _tasks_per_gpu(self, tasks_per_gpu: int) -> None:
        gpus = [each for each in self.demands.values() if each.name == GPU and each.asks]
        if gpus:
            count = 0
            for each in gpus:
                count += each.per_job or each.per_node * (self.min_nodes or 1)
            if count:
                self.even_tasks = count * tasks_per_gpu
                self.tasks = max(self.tasks or 0, count * tasks_per_gpu)
        elif self.tasks is None and self.nodes_fixed and self.min_nodes is not None:
            # One GPU a node.
            self.demand(GPU, "").per_job = self.min_nodes
            self.generated_by_nodes = True
            self.tasks = self.min_nodes * tasks_per_gpu
            self.even_tasks = self.tasks
        elif self.tasks is not None:
            count = self.tasks // tasks_per_gpu
            if not count and (GPU, "") not in self.demands:
                self.said.append(
                    "error: gres_job_state_validate: Failed to add generated GRES gres:gpu:0 (via ntasks_per_tres) to gres_list"
                )
                return
            self.uneven = self.tasks % tasks_per_gpu != 0
            self.generated = True
            self.demand(GPU, "").per_job = count
            self.even_tasks = self.tasks
        else:
            raise self.refuse(
                "gres_job_state_validate: --ntasks-per-tres needs either a GRES GPU specification or a node/ntask specification"
            )

    @property
    def nodes_fixed(self) -> bool:
        """Whether the options name one number of nodes; tasks then default to it."""
        return self.request.min_nodes is not None and self.request.min_nodes == self.request.max_nodes

    # --- agreeing

    def finish(self) -> tuple[JobRequest, tuple[str, ...]]:
        demands = list(self.demands.values())
        failed = False
        types: dict[str, set[str]] = {}
        for each in demands:
            problem = self._check(each)
            if problem:
                self.said.append(f"error: {problem}")
                failed = True
                break
            types.setdefault(each.name, set()).add(each.type)
            if GPU in types and any(name in types for name in SHARED_GPUS):
                failed = True
                break
        mixed = [name for name, found in types.items() if "" in found and len(found) > 1]
        if any(self.demands[name, ""].asks for name in mixed):
            raise Refused(*self.said, f"error: {INVALID_GRES_TYPE}")
        if mixed:
            # An item without a type that asks for nothing (it stands for `--cpus-per-gpu` alone) makes up for what went before.
            failed = failed and self.release >= SLASHED
            demands = [each for each in demands if each.name not in mixed or each.type]
        if failed:
            raise Refused(*self.said, f"error: {INVALID_GRES}")
        for each in demands:
            if each.name == GPU:
                each.cpus_per = self.request.cpus_per_gpu or 0
        if self.tasks is None and self.nodes_fixed and self.min_nodes and any(each.per_task for each in demands):
            self.tasks = self.min_nodes * (self.tasks_per_node or 1)
        done = replace(
            self.request,
            tasks=self.tasks,
            min_nodes=self.min_nodes,
            max_nodes=self.max_nodes,
            tasks_per_node=self.tasks_per_node,
            tasks_per_socket=self.tasks_per_socket,
            sockets_per_node=self.sockets_per_node,
            cpus_per_task=self.cpus_per_task,
            demands=tuple(demands),
            most_tasks_per_node=max(self.even_tasks // (self.min_nodes or 1), 1) if self.even_tasks else None,
            generated=self.generated,
            generated_by_nodes=self.generated_by_nodes,
            asked_tasks=self.request.tasks,
        )
        return done, tuple(self.said)

    def _check(self, demand: Demand) -> str:
        """What is wrong with one demand, or ""; fills in what follows from it."""
        failed = "Failed to validate job spec"
        per_job, per_node, per_socket, per_task = demand.per_job, demand.per_node, demand.per_socket, demand.per_task
        if per_job and max(per_node, per_socket, per_task) > per_job:
            return "Failed to ensure --gpus >= --gres=gpu/--gpus-per-node >= --gpus-per-socket"
        if per_node and max(per_socket, per_task) > per_node:
            return "Failed to ensure --gpus >= --gpus-per-task"
        if per_socket and self.sockets_per_node is None:
            return "--gpus-per-socket option requires --sockets-per-node specification"
        if demand.cpus_per and self.request.cpus_per_task is not None:
            if self.release < SLASHED:
                return "--cpus-per-gpu is mutually exclusive with --cpus-per-task"
            return "--cpus-per-task, --tres-per-task=cpu:#, and --cpus-per-gpu are mutually exclusive"
        if self.uneven:
            return f"{failed}, -n/--ntasks has to be a multiple of --ntasks-per-{demand.name}."
        idle = self._without_gpus(demand)
        if idle:
            return idle
        if per_task and not per_job and self.tasks is None and not self.nodes_fixed:
            if self.release < SLASHED:
                return f"{failed}. --gpus-per-task used without either --gpus or -n/--ntasks is not allowed."
            return f"{failed}. --gpus-per-task or --tres-per-task used without either --gpus or -n/--ntasks is not allowed."
        return (
            (per_job and self._check_job(demand))
            or (per_node and self._check_node(demand))
            or (per_socket and per_task and self._check_socket(demand))
            or (per_task and demand.cpus_per and self._check_cpus(demand))
            or (per_job and self._check_nodes(demand))
            or ""
        )

    def _without_gpus(self, demand: Demand) -> str:
        """Per-GPU amounts need a GPU to be per."""
        if demand.name != GPU or any(each.asks for each in self.demands.values() if each.name == GPU):
            return ""
        slash = "/" if self.release >= SLASHED else ":"
        if demand.cpus_per and self.release >= WITHOUT_GPUS:
            return f"Requested cpus_per_tres=gres{slash}gpu:{demand.cpus_per} but did not request any GPU."
        if demand.memory_per:
            return f"Requested mem_per_tres=gres{slash}gpu:{demand.memory_per} but did not request any GPU."
        return ""

    def _check_job(self, demand: Demand) -> str:
        failed = "Failed to validate job spec"
        if demand.per_node:
            if demand.per_job % demand.per_node:
                return f"{failed}, --gpus is not multiple of --gres=gpu/--gpus-per-node"
            nodes = demand.per_job // demand.per_node
            low, high = self.min_nodes, self.max_nodes
            if (low is not None and nodes < low) or (high is not None and nodes > high):
                return (
                    f"{failed}. Based on --gpu and --gres=gpu/--gpus-per-node required nodes ({nodes}) doesn't fall between "
                    f"min_nodes ({_shown(low)}) and max_nodes ({_shown(high)}) boundaries."
                )
            self.min_nodes = self.max_nodes = nodes
        if demand.per_task:
            if demand.per_job % demand.per_task:
                return f"{failed}, --gpus not multiple of --gpus-per-task"
            tasks = demand.per_job // demand.per_task
            default = self.request.min_nodes if self.nodes_fixed else None
            if self.tasks is None and default in (None, tasks):
                self.tasks = tasks
            elif self.tasks != tasks:
                return (
                    f"{failed}. Based on --gpus and --gpus-per-task number of requested tasks differ from -n/--ntasks."
                )
        return ""

    def _check_node(self, demand: Demand) -> str:
        failed = "Failed to validate job spec"
        if demand.per_socket:
            if demand.per_node % demand.per_socket:
                return f"{failed}, --gres=gpu/--gpus-per-node not multiple of --gpus-per-socket."
            sockets = demand.per_node // demand.per_socket
            if self.sockets_per_node is None:
                self.sockets_per_node = sockets
            elif self.sockets_per_node != sockets:
                return (
                    f"{failed}. Based on --gres=gpu/--gpus-per-node and --gpus-per-socket required number of sockets differ from "
                    "--sockets-per-node."
                )
        if demand.per_task:
            if demand.per_node % demand.per_task:
                return f"{failed}, --gres=gpu/--gpus-per-node not multiple of --gpus-per-task."
            tasks = demand.per_node // demand.per_task
            if self.tasks_per_node is None:
                self.tasks_per_node = tasks
            elif self.tasks_per_node != tasks:
                return (
                    f"{failed}. Based on --gres=gpu/--gpus-per-node and --gpus-per-task requested number of tasks per node differ "
                    "from --ntasks-per-node."
                )
        return ""

    def _check_socket(self, demand: Demand) -> str:
        failed = "Failed to validate job spec"
        if demand.per_socket % demand.per_task:
            return f"{failed}, --gpus-per-socket not multiple of --gpus-per-task."
        tasks = demand.per_socket // demand.per_task
        if self.tasks_per_socket is None:
            self.tasks_per_socket = tasks
        elif self.tasks_per_socket != tasks:
            return (
                f"{failed}. Based on --gpus-per-socket and --gpus-per-task requested number of tasks per sockets differ from "
                "--ntasks-per-socket."
            )
        return ""

    def _check_cpus(self, demand: Demand) -> str:
        cpus = demand.cpus_per * demand.per_task
        if not self.cpus_per_task:
            self.cpus_per_task = cpus
        elif self.cpus_per_task != cpus:
            return (
                "Failed to validate job spec. Based on --cpus-per-gpu and --gpus-per-task requested number of cpus differ from "
                "-c/--cpus-per-task."
            )
        return ""

    def _check_nodes(self, demand: Demand) -> str:
        if self.min_nodes is not None and demand.per_job < self.min_nodes:
            return "Failed to validate job spec, --gpus < -N"
        if self.max_nodes is not None and demand.per_job < self.max_nodes:
            self.max_nodes = demand.per_job
        return ""


def _shown(nodes: int | None) -> int:
    """What is printed for a node count that was not given."""
    return 0xFFFFFFFE if nodes is None else nodes
