"""What one node has for a job: CPUs, tasks and devices, near the devices or anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from roadstead.slurm.language.placement.model import Device, Node
from roadstead.slurm.language.request import GPU, SHARED_GPUS, Demand, JobRequest


@dataclass(slots=True)
class Offer:
    """What a node could give. `cpus` is the most that count for tasks; `sockets` those whose cores may be used, first choice first;
    `most`: devices by demand; `least_cpus`: CPUs that `--cpus-per-gpu` asks for whatever the tasks do."""

    node: Node
    cpus: int
    sockets: tuple[int, ...]
    most: dict[int, int] = field(default_factory=dict)
    least_cpus: int = 0
    max_tasks: int = 1 << 30
    counted: dict[int, int] = field(default_factory=dict)
    """Devices by demand, no more than `--mem-per-gpu` leaves memory for."""


def per_task_cpus(request: JobRequest) -> int:
    return max(1, request.cpus_per_task or 1)


def least_cpus(request: JobRequest) -> int:
    """CPUs that a node is given at least."""
    return per_task_cpus(request) * (request.tasks_per_node or 1)


def needed_cpus(request: JobRequest) -> int:
    """CPUs that a node must have room for to take part."""
    return max(least_cpus(request), per_task_cpus(request) * (request.most_tasks_per_node or 1))


def offer(node: Node, request: JobRequest, tasks: int | None, near: bool) -> Offer | None:
    """What the node has, or None if it cannot take part."""
    cpus_each = per_task_cpus(request)
    sockets = tuple(socket for socket in range(node.sockets) if node.cores_free(socket))
    most: dict[int, int] = {}
    max_tasks = 1 << 30
    least = needed_for_gpus = 0
    preferred: list[int] = []
    places_of: dict[int, list[int]] = {}
    counted: dict[int, int] = {}
    for number, demand in enumerate(request.demands):
        if not demand.asks:
            continue
        got = _devices(node, demand, request, tasks)
        if got is None:
            return None
        count, places = got
        most[number] = count
        places_of[number] = places
        preferred += [socket for socket in places if socket not in preferred]
        if demand.per_task:
            max_tasks = min(max_tasks, count // demand.per_task)
    if preferred:
        ordered = tuple(sorted(preferred))
        sockets = ordered if near else (*ordered, *(socket for socket in sockets if socket not in ordered))
    cores = sum(node.cores_free(socket) for socket in sockets)
    cpus = cores * node.threads
    for number, demand in enumerate(request.demands):
        if number not in most or demand.name != GPU:
            continue
        if demand.cpus_per:
            beside = cores * node.threads
            if demand.per_job and not demand.per_node and places_of[number]:
                beside = sum(node.cores_free(socket) for socket in places_of[number]) * node.threads
                cpus = min(cpus, len(node.free(demand.name, demand.type)) * demand.cpus_per)
            fit = beside // demand.cpus_per
            if _fixed(demand, request) > fit:
                return None
            most[number] = min(most[number], fit)
            least += _fixed(demand, request) * demand.cpus_per
            if demand.per_job and not demand.per_task:
                needed_for_gpus = most[number] * demand.cpus_per
        if demand.memory_per:
            fit = node.memory_free // demand.memory_per
            if not fit or _fixed(demand, request) > fit:
                return None
            counted[number] = min(most[number], fit)
            if demand.per_task:
                max_tasks = min(max_tasks, fit // demand.per_task)
        if not most[number]:
            return None
    cpus = _by_memory(node, request, cpus)
    if request.tasks_per_node:
        max_tasks = min(max_tasks, request.tasks_per_node)
    if request.most_tasks_per_node:
        max_tasks = min(max_tasks, request.most_tasks_per_node)
    if request.tasks_per_socket:
        max_tasks = min(max_tasks, request.tasks_per_socket * len(sockets))
        if max(least, needed_for_gpus) > max_tasks * cpus_each:
            return None
    cpus = min(cpus // cpus_each * cpus_each, max(max_tasks * cpus_each, least))
    if cpus < needed_cpus(request) and not request.overcommit:
        return None
    return Offer(node, cpus, sockets, most, least, max_tasks, counted)


def _fixed(demand: Demand, request: JobRequest) -> int:
    """Devices that a node must give, whatever the others do."""
    return demand.per_node or demand.per_socket * (request.sockets_per_node or 1)


def _by_memory(node: Node, request: JobRequest, cpus: int) -> int:
    if request.memory_per_node is not None:
        return cpus if request.memory_per_node <= node.memory_free else 0
    if request.memory_per_cpu:
        return min(cpus, node.memory_free // request.memory_per_cpu)
    return cpus


def _devices(node: Node, demand: Demand, request: JobRequest, tasks: int | None) -> tuple[int, list[int]] | None:
    """(the most that the node gives, sockets that they are near), or None if it cannot give what every node must."""
    if demand.name in SHARED_GPUS:
        return _shares(node, demand)
    if not any(device.name == demand.name for device in node.devices):
        return _stock(node, demand)
    free = node.free(demand.name, demand.type)
    wanted = _fixed(demand, request)
    if demand.per_socket:
        return _by_socket(free, demand, request.sockets_per_node or 1)
    if wanted:
        if len(free) < wanted:
            return None
        return wanted, _sockets(free, wanted)
    total = demand.per_job
    if demand.per_task:
        if len(free) < demand.per_task:
            return None
        total = total or demand.per_task * (tasks or 1)
    count = min(len(free), total)
    if not count:
        return (0, []) if demand.per_job else None
    return count, _sockets(free, count, node, demand.cpus_per)


def _by_socket(free: tuple[Device, ...], demand: Demand, sockets: int) -> tuple[int, list[int]] | None:
    having: dict[int, int] = {}
    for device in free:
        having[device.socket] = having.get(device.socket, 0) + 1
    enough = [socket for socket in sorted(having) if having[socket] >= demand.per_socket]
    if not enough or (len(enough) < sockets and not demand.type):
        return None
    return demand.per_socket * len(enough), [socket for socket in enough if socket >= 0]


def _sockets(free: tuple[Device, ...], wanted: int, node: Node | None = None, cpus_per: int = 0) -> list[int]:
    """Sockets with devices, as few as hold the number wanted and the CPUs for them, first the one that holds most."""
    cpus = wanted * cpus_per
    having: dict[int, int] = {}
    for device in free:
        if device.socket >= 0:
            having[device.socket] = having.get(device.socket, 0) + 1
    chosen: list[int] = []
    for socket in sorted(having, key=lambda each: (-having[each], each)):
        if wanted <= 0 and cpus <= 0:
            break
        chosen.append(socket)
        wanted -= having[socket]
        if node is not None:
            cpus -= node.cores_free(socket) * node.threads
    return chosen


def _shares(node: Node, demand: Demand) -> tuple[int, list[int]] | None:
    """Parts of one GPU: all that a job asks of a node comes from a single device."""
    units = demand.per_node
    free = [device for device in node.free(GPU) if device.shares and (not demand.type or device.type == demand.type)]
    fitting = [device for device in free if device.shares >= units]
    if not fitting:
        return None
    first = fitting[0]
    return 1, [first.socket] if first.socket >= 0 else []


def _stock(node: Node, demand: Demand) -> tuple[int, list[int]] | None:
    having = sum(
        stock.count
        for stock in node.stocks
        if stock.name == demand.name and (not demand.type or stock.type == demand.type)
    )
    wanted = demand.per_node
    return (wanted, []) if having >= wanted else None
