"""Nodes, tasks and devices for a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.slurm.language.constraint import eligible, hosts
from roadstead.slurm.language.placement.model import Device, Impossible, Node, NodeShare, Placement, Waits
from roadstead.slurm.language.placement.offer import Offer, least_cpus, needed_cpus, offer, per_task_cpus
from roadstead.slurm.language.placement.step import Step
from roadstead.slurm.language.releases import NEWEST, Release
from roadstead.slurm.language.request import GPU, SHARED_GPUS, Demand, JobRequest


@dataclass(frozen=True, slots=True)
class Size:
    """How many nodes and tasks a job is to have."""

    tasks: int | None
    least: int
    most: int
    wanted: int


def place(request: JobRequest, nodes: Sequence[Node], command: str = "srun", release: Release = NEWEST) -> Placement:
    """Where the job goes on these nodes (those of its partition). Impossible if it can never run there, Waits if it cannot now.

    Linear in nodes times devices per node, plus the tasks."""
    _check_nodes(request, nodes)
    _check_gres(request, nodes)
    required = hosts(request.nodelist)
    nodes = eligible(request, nodes)
    size = _size(request, nodes)
    ordered = sorted(nodes, key=lambda node: node.weight)
    rank = {node.name: number for number, node in enumerate(ordered)}
    ordered.sort(key=lambda node: node.name not in required)
    for near in (True, False):
        if not near and request.gres_flags == "enforce-binding":
            break
        offers = [made for node in ordered if (made := offer(node, request, size.tasks, near)) is not None]
        if not required <= {made.node.name for made in offers}:
            continue
        chosen = _choose(request, offers, size)
        if chosen is not None:
            chosen.sort(key=lambda each: rank[each[0].node.name])
            return _share(request, chosen, size, Step(command, release))
    raise Impossible


def _check_nodes(request: JobRequest, nodes: Sequence[Node]) -> None:
    """What the partition as a whole has not makes the job wait; what no node at all has is said by name."""
    needed = max(request.min_nodes or 1, 1)
    each = 1 if any(demand.cpus_per for demand in request.demands) else per_task_cpus(request)
    cpus = sum(node.cpus for node in nodes)
    if needed > len(nodes) or (not request.overcommit and (request.tasks or 1) * each > cpus):
        raise Waits("PartitionConfig", "Requested partition configuration not available now")
    if request.sockets_per_node and not any(node.sockets >= request.sockets_per_node for node in nodes):
        raise Impossible("Socket, core and/or thread specification can not be satisfied")
    if not any(node.cpus >= least_cpus(request) for node in nodes):
        raise Impossible("CPU count per node can not be satisfied")
    if not any(node.cpus >= needed_cpus(request) for node in nodes):
        raise Impossible
    if request.memory_per_node is not None and not any(node.memory >= request.memory_per_node for node in nodes):
        raise Impossible("Memory specification can not be satisfied")


def _check_gres(request: JobRequest, nodes: Sequence[Node]) -> None:
    """What no node can ever give. `mps` beyond one GPU waits for ever; beyond all of a node's it is refused."""
    for demand in request.demands:
        if demand.cpus_per and not any(node.cpus >= demand.cpus_per for node in nodes):
            raise Impossible
        if not demand.asks or demand.name == GPU:
            continue
        if request.tasks_per_gpu:
            raise Impossible  # tasks are counted per unit of it as well
        if demand.name not in SHARED_GPUS:
            continue
        every = [
            [d.shares for d in node.devices if d.name == GPU and d.shares and demand.type in ("", d.type)]
            for node in nodes
        ]
        if not any(sum(shares) >= demand.per_node for shares in every):
            raise Impossible
        if not any(share >= demand.per_node for shares in every for share in shares):
            raise Waits("Resources")


def _size(request: JobRequest, nodes: Sequence[Node]) -> Size:
    tasks = request.tasks
    least = max(request.min_nodes or 1, 1)
    most = request.max_nodes or len(nodes)
    if tasks is not None:
        most = min(most, tasks)
        if request.most_tasks_per_node:
            most = min(most, request.most_tasks_per_node * (request.min_nodes or 1))
        if request.tasks_per_node:
            least = max(least, -(-tasks // request.tasks_per_node))
    by_job = False
    for demand in request.demands:
        if demand.per_job:
            by_job = True
            if not any(node.free(demand.name, demand.type) for node in nodes):
                raise Impossible
        by_job = by_job or bool(demand.per_task)
        if demand.per_socket and demand.per_task and tasks is not None:
            # Counted over the whole job, and yet held against every node.
            fixed = demand.per_socket * (request.sockets_per_node or 1)
            largest = max((len(node.free(demand.name, demand.type)) for node in nodes), default=0)
            room = largest // demand.per_socket * demand.per_socket
            if tasks * demand.per_task < fixed or tasks * demand.per_task > room * least:
                raise Impossible
    if least > most:
        raise Impossible
    wanted = least if by_job or request.max_nodes is None else most
    return Size(tasks, least, most, wanted)


def _choose(request: JobRequest, offers: Sequence[Offer], size: Size) -> list[tuple[Offer, int]] | None:
    """(offer, CPUs taken) of the nodes taken, or None if they do not suffice."""
    each = per_task_cpus(request)
    least = least_cpus(request)
    cpus = (size.tasks if size.tasks is not None else size.least * (request.tasks_per_node or 1)) * each
    homeless = 0
    if request.overcommit:
        cpus, homeless = size.least, size.tasks or 0
    still = size.least
    left = {number: demand.per_job for number, demand in enumerate(request.demands) if demand.per_job}
    chosen: list[tuple[Offer, int]] = []
    for made in offers:
        short = cpus > 0 or homeless > 0 or any(gpus > 0 for gpus in left.values())
        if len(chosen) >= size.most or (len(chosen) >= size.wanted and not short):
            break
        reserve = max(still - 1, 0) * least
        use = made.cpus if request.exclusive else min(made.cpus, max(cpus - reserve, least))
        for number in left:
            gives = made.counted.get(number, made.most.get(number, 0))
            if request.gres_flags == "enforce-binding" and use <= 1:
                gives = min(gives, _near(request, made, request.demands[number], use, size))
            left[number] -= gives
        use = max(use, made.least_cpus)
        chosen.append((made, use))
        still -= 1
        cpus -= use
        homeless -= made.max_tasks
    short = cpus > 0 or homeless > 0 or any(gpus > 0 for gpus in left.values())
    return None if short or len(chosen) < size.least else chosen


def _share(request: JobRequest, chosen: Sequence[tuple[Offer, int]], size: Size, step: Step) -> Placement:
    each = per_task_cpus(request)
    tasks = size.tasks if size.tasks is not None else len(chosen) * (request.tasks_per_node or 1)
    rooms = [use for _, use in chosen]
    counts = _spread(request, chosen, rooms, tasks)
    told = least_cpus(request) if request.tasks_per_node else 0
    cores = [(made, max(count * each, told)) for (made, _), count in zip(chosen, counts, strict=True)]
    given = _gpus_by_job(request, cores, size)
    for number, demand in enumerate(request.demands):
        if demand.cpus_per and demand.per_job:
            rooms = [max(room, gpus * demand.cpus_per) for room, gpus in zip(rooms, given[number], strict=True)]
            counts = _spread(request, chosen, rooms, tasks)
    cpus = [
        max(count * each, room if request.exclusive or room > use else 0)
        for count, room, (_, use) in zip(counts, rooms, chosen, strict=True)
    ]
    step_tasks = step.tasks(request, len(chosen))
    if step_tasks is not None and len(chosen) <= step_tasks != tasks:
        counts, tasks = _spread(request, chosen, rooms, step_tasks), step_tasks
    shares = []
    for index, (made, _) in enumerate(chosen):
        taken: list[tuple[Demand, Device]] = []
        for number, demand in enumerate(request.demands):
            if demand.asks:
                across = _across(request, made, demand, cpus[index], size) if demand.per_socket else False
                sockets = max(request.sockets_per_node or 1, len(made.sockets) if across else 1)
                wanted = _wanted(demand, counts[index], given.get(number, []), index, sockets)
                taken += [(demand, device) for device in _take(made, demand, wanted, [device for _, device in taken])]
        devices: dict[str, list[int]] = {}
        for _, device in taken:
            devices.setdefault(device.name, []).append(device.index)
        shares.append(
            NodeShare(
                made.node.name,
                counts[index],
                cpus[index],
                {name: tuple(sorted(indices)) for name, indices in devices.items()},
                tuple(step.seen(request, taken, counts[index])),
                (request.memory_per_cpu or 0) * cpus[index] or (request.memory_per_node or 0),
            )
        )
    return Placement(tuple(shares), tasks, step.refusal(request, shares))


def _spread(request: JobRequest, chosen: Sequence[tuple[Offer, int]], rooms: Sequence[int], tasks: int) -> list[int]:
    """Tasks by node: one each, then in turn where there is room. Whole rounds are given at once: as many steps as there are
    different rooms, however many tasks."""
    each = per_task_cpus(request)
    counts = [1] * len(chosen)
    left = tasks - len(chosen)
    most = [
        min(1 << 30 if request.overcommit else room // each, made.max_tasks)
        for room, (made, _) in zip(rooms, chosen, strict=True)
    ]
    while left > 0 and (open_ := [index for index in range(len(chosen)) if counts[index] < most[index]]):
        rounds = min(left // len(open_), min(most[index] - counts[index] for index in open_))
        for index in open_ if rounds else open_[:left]:
            counts[index] += rounds or 1
            left -= rounds or 1
    return counts


def _gpus_by_job(request: JobRequest, chosen: Sequence[tuple[Offer, int]], size: Size) -> dict[int, list[int]]:
    """`--gpus` node by node: near the job's cores first, one kept back for each node to come, then the rest."""
    out: dict[int, list[int]] = {}
    for number, demand in enumerate(request.demands):
        if not demand.per_job:
            continue
        left = demand.per_job
        counts = [0] * len(chosen)
        for near in (True, False):
            for index, (made, use) in enumerate(chosen):
                behind = sum(1 for later in range(index + 1, len(chosen)) if counts[later] == 0)
                limit = made.most.get(number, 0)
                if near:
                    limit = min(limit, _near(request, made, demand, use, size))
                elif request.gres_flags == "enforce-binding" and use <= 1:
                    continue
                if demand.name == GPU and request.most_tasks_per_node and request.tasks_per_gpu:
                    tasks, each = request.most_tasks_per_node, request.tasks_per_gpu
                    limit = min(limit, max(tasks // each if request.generated else -(-tasks // each), 1))
                more = min(limit - counts[index], left - behind)
                if more > 0:
                    counts[index] += more
                    left -= more
        out[number] = counts
    return out


def _near(request: JobRequest, made: Offer, demand: Demand, use: int, size: Size) -> int:
    """Free devices on the sockets where the job's cores on this node will lie."""
    node = made.node
    sockets = made.sockets if _across(request, made, demand, use, size) else made.sockets[:1]
    return sum(1 for device in node.free(demand.name, demand.type) if device.socket in sockets or device.socket < 0)


def _across(request: JobRequest, made: Offer, demand: Demand, use: int, size: Size) -> bool:
    """Whether the job's cores on this node will lie on more than one of the sockets offered."""
    each = per_task_cpus(request)
    return (
        bool(demand.cpus_per)
        or bool(demand.per_job and demand.per_socket)
        or use > made.node.cores * made.node.threads
        or (use > 1 and each == 1)
        or (
            use <= each
            and each > 1
            and not demand.per_socket
            and size.tasks is not None
            and request.min_nodes is not None
        )
    )


def _wanted(demand: Demand, tasks: int, by_job: Sequence[int], index: int, sockets: int) -> int:
    if demand.per_node:
        return demand.per_node
    if demand.per_job and demand.per_socket:
        return by_job[index]
    if demand.per_socket:
        return demand.per_socket * max(sockets, 1)
    if demand.per_task:
        return demand.per_task * tasks
    return by_job[index]


def _take(made: Offer, demand: Demand, wanted: int, taken: Sequence[Device]) -> list[Device]:
    """Devices of a node for one demand."""
    if demand.name in SHARED_GPUS:
        fitting = (d for d in made.node.free(GPU) if d.shares >= demand.per_node and demand.type in ("", d.type))
        return [next(fitting)]
    free = [device for device in made.node.free(demand.name, demand.type) if device not in taken]
    if not demand.per_socket or demand.per_job:
        near = [device for device in free if device.socket in made.sockets or device.socket < 0]
        return (near + [device for device in free if device not in near])[:wanted]
    out: list[Device] = []
    for socket in sorted({device.socket for device in free}):
        here = [device for device in free if device.socket == socket]
        if len(here) >= demand.per_socket and len(out) < wanted:
            out += here[: demand.per_socket]
    return out
