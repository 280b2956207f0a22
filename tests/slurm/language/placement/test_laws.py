"""What every placement keeps, checked without asking the code that made it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.slurm.language.commands import submit
from roadstead.slurm.language.fleet import Cluster, read
from roadstead.slurm.language.placement import Device, Node, Placement, place
from roadstead.slurm.language.placement.model import Impossible
from roadstead.slurm.language.request import Demand, JobRequest
from tests.slurm.language.test_options import TUX

counts = st.integers(1, 8)
small = st.integers(1, 4)
option = st.one_of(
    counts.map(lambda n: f"-n{n}"),
    small.map(lambda n: f"-N{n}"),
    small.map(lambda n: f"-c{n}"),
    small.map(lambda n: f"--ntasks-per-node={n}"),
    st.tuples(st.sampled_from(["", "tesla:", "kepler:"]), counts).map(lambda pair: f"--gpus={pair[0]}{pair[1]}"),
    st.tuples(st.sampled_from(["", "tesla:", "kepler:"]), small).map(
        lambda pair: f"--gpus-per-node={pair[0]}{pair[1]}"
    ),
    st.tuples(st.sampled_from(["", "tesla:", "kepler:"]), small).map(
        lambda pair: f"--gpus-per-task={pair[0]}{pair[1]}"
    ),
    st.sampled_from(
        ["--gres=gpu:1", "--gres=gpu:tesla:2", "--gres=bandwidth:lustre:1G", "--gres=mps:50", "--ntasks-per-gpu=2"]
    ),
)


def check(placement: Placement, request: JobRequest, cluster: Cluster) -> None:
    nodes = {node.name: node for node in cluster.placement_nodes()}
    shares = placement.shares
    assert len({share.node for share in shares}) == len(shares) > 0
    if request.min_nodes and request.max_nodes:
        assert request.min_nodes <= len(shares) <= max(request.max_nodes, request.min_nodes)
    for share in shares:
        node = nodes[share.node]
        assert share.tasks >= 1
        assert share.cpus <= node.cpus
        assert share.memory <= node.memory
        assert share.tasks * (request.cpus_per_task or 1) <= share.cpus or request.overcommit
        if request.tasks_per_node:
            assert share.tasks <= request.tasks_per_node
        for name, indices in share.devices.items():
            assert len(set(indices)) == len(indices), "a device twice"
            assert set(indices) <= {device.index for device in node.devices if device.name == name}
        assert len(share.by_task) == share.tasks
        assert {index for seen in share.by_task for index in seen} <= set(share.devices.get("gpu", ()))
    kinds = {(node.name, device.index): device.type for node in nodes.values() for device in node.devices}
    for demand in request.demands:
        if demand.name != "gpu":
            continue
        given = [
            sum(1 for index in share.devices.get("gpu", ()) if demand.type in ("", kinds[share.node, index]))
            for share in shares
        ]
        if demand.per_node:
            assert all(count >= demand.per_node for count in given)
        if demand.per_task:
            assert all(count >= demand.per_task * share.tasks for count, share in zip(given, shares, strict=True))
        if demand.per_job and not demand.per_node and not demand.per_task and not request.tasks_per_gpu:
            assert sum(given) >= demand.per_job


@settings(max_examples=150, deadline=None)
@given(st.lists(option, min_size=1, max_size=4))
def test_what_is_placed_keeps_what_was_asked(options: list[str]) -> None:
    answer = submit(["sbatch", *options, "job.sh"], TUX)
    assert (answer.exit == 0) == (answer.stdout != "")
    if answer.placement is not None:
        assert answer.request is not None
        check(answer.placement, answer.request, TUX)
        if answer.request.tasks is not None:
            assert sum(share.tasks for share in answer.placement.shares) == answer.request.tasks
    assert submit(["sbatch", *options, "job.sh"], TUX) == answer


def node(name: str, gpus: int, *, weight: int = 1, busy: int = 0, free_cores: int = 4) -> Node:
    devices = tuple(Device("gpu", "", index, 0) for index in range(gpus))
    cores = (frozenset(range(free_cores)),)
    taken = frozenset(("gpu", index) for index in range(busy))
    return Node(name, 1, 4, memory=1000, devices=devices, weight=weight, free_cores=cores, busy=taken)


def test_lighter_nodes_come_first() -> None:
    found = place(JobRequest(tasks=1), [node("a", 0, weight=5), node("b", 0, weight=1), node("c", 0, weight=1)])
    assert [share.node for share in found.shares] == ["b"]


def test_what_is_in_use_is_not_given_again() -> None:
    request = JobRequest(tasks=1, demands=(Demand("gpu", per_node=2),))
    found = place(request, [node("a", 4, busy=3), node("b", 4, busy=2)])
    assert [(share.node, share.devices["gpu"]) for share in found.shares] == [("b", (2, 3))]
    full = [node("a", 4, busy=3), node("c", 2, free_cores=0)]
    try:
        place(request, full)
    except Impossible:
        return
    raise AssertionError("two GPUs were found where one is free")


def test_no_consume_is_a_limit_of_one_job_and_not_a_stock() -> None:
    cluster = read(
        "GresTypes=bandwidth\nNodeName=a CPUs=4 Gres=bandwidth:lustre:no_consume:4G\nPartitionName=p Nodes=a Default=YES\n"
    )
    assert submit(["sbatch", "--gres=bandwidth:lustre:4G", "job.sh"], cluster).placement is not None
    assert submit(["sbatch", "--gres=bandwidth:lustre:5G", "job.sh"], cluster).exit == 1
