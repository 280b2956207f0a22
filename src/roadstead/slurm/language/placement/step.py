"""What a job step sees of its job: `srun` by itself, or inside of `sbatch` and `salloc`, with the whole job at its disposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.slurm.language.errors import INVALID_GRES
from roadstead.slurm.language.placement.model import Device, NodeShare
from roadstead.slurm.language.releases import SLASHED, Release
from roadstead.slurm.language.request import GPU, Demand, JobRequest


@dataclass(frozen=True, slots=True)
class Step:
    """A step over all of a job. `command`: who made the job."""

    command: str
    release: Release

    def tasks(self, request: JobRequest, nodes: int) -> int | None:
        """Tasks of the step, if they are not the job's: `srun --ntasks-per-gpu` counts the GPUs of one node for its step, and tasks
        that follow from `--gpus` and `--gpus-per-task` are not told to it: it starts one a node."""
        if self.command != "srun":
            return None
        fixed = request.min_nodes is not None and request.min_nodes == request.max_nodes
        derived = any(demand.per_task and (demand.per_job or (fixed and demand.per_node)) for demand in request.demands)
        told = any(demand.per_job for demand in request.demands) and not request.generated_by_nodes
        if request.asked_tasks is None and (derived or (fixed and request.tasks_per_gpu and not told)):
            return nodes
        if not request.tasks_per_gpu or request.asked_tasks is None:
            return None
        per_node = sum(demand.per_node for demand in request.demands if demand.name == GPU)
        return max(request.asked_tasks, per_node * request.tasks_per_gpu) if per_node else None

    def refusal(self, request: JobRequest, shares: Sequence[NodeShare]) -> str:
        """Why there cannot be such a step, or ""."""
        gpus = [demand for demand in request.demands if demand.name == GPU]
        if not any(demand.asks for demand in gpus) and (gpus or request.tasks_per_gpu):
            return INVALID_GRES
        if any(
            demand.asks and demand.name != GPU and demand.type and not _stocked(demand, shares)
            for demand in request.demands
        ):
            return INVALID_GRES
        if gpus and not all(share.devices.get(GPU) for share in shares):
            return INVALID_GRES
        if request.generated and len(shares) > (request.min_nodes or 1):
            return "Insufficient GRES available in allocation"
        if self.command == "srun" and request.generated_by_nodes and (request.tasks_per_gpu or 1) > 1:
            return INVALID_GRES
        return ""

    def seen(self, request: JobRequest, taken: Sequence[tuple[Demand, Device]], tasks: int) -> list[tuple[int, ...]]:
        """The GPUs that each task of a node sees: all, unless a binding or a count per task parts them."""
        gpus = [(demand, device.index) for demand, device in taken if device.name == GPU]
        if self.command != "srun" and any(not demand.by_gres for demand, _ in gpus):
            gpus = [(demand, index) for demand, index in gpus if not demand.by_gres]
            for limited in {id(demand): demand for demand, _ in gpus if demand.in_steps}.values():
                mine = [pair for pair in gpus if pair[0] is limited][limited.in_steps :]
                gpus = [pair for pair in gpus if pair not in mine]
        every = tuple(sorted(index for _, index in gpus))
        bind = request.gpu_bind.lower().removeprefix("verbose,")
        per_task = [demand for demand in request.demands if demand.name == GPU and demand.per_task]
        if per_task and not bind:
            count = sum(demand.per_task for demand in per_task)
            if self.release < SLASHED and any(demand.type for demand in per_task):
                return [()] * tasks if tasks > 1 else [every]  # a type makes the tasks that share a node see nothing
            if tasks == 1 and any(demand.per_node for demand in per_task):
                return [every]
            return [every[task * count :][:count] or every[:count] for task in range(tasks)]
        if tasks == 1 or not every:
            return [every] * tasks
        if bind == "none" and self.release < SLASHED:
            return [()] * tasks
        return [self._bound(bind, request.tasks_per_gpu, every, task) for task in range(tasks)]

    def _bound(self, bind: str, tasks_per_gpu: int | None, gpus: tuple[int, ...], task: int) -> tuple[int, ...]:
        kind, _, value = bind.partition(":")
        if kind == "single" and value.isdigit() and int(value):
            return (gpus[task // int(value) % len(gpus)],)
        if kind == "per_task" and value.isdigit() and int(value):
            return gpus[task * int(value) :][: int(value)] or gpus[:1]
        if kind in ("map_gpu", "map", "mask_gpu", "mask") and value:
            items = value.split(",")
            item = items[task % len(items)]
            if kind.startswith("map"):
                chosen = tuple(index for index in gpus if str(index) == item)
            else:
                mask = int(item.removeprefix("0x") or "0", 16)
                chosen = tuple(index for index in gpus if mask >> index & 1)
            return chosen or gpus[:1]
        if tasks_per_gpu and not bind:
            return (gpus[task // tasks_per_gpu % len(gpus)],)
        return gpus


def _stocked(demand: Demand, shares: Sequence[NodeShare]) -> bool:
    """`mps:tesla:50` is granted to the job and refused to its step."""
    return demand.name not in ("mps", "shard")
