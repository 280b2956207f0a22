"""Work that yields when the whole cluster stops, as it does when it is preempted: told to end, kept in its queue,
started again later.

A taint says on every node that it is being shut down. Admission takes such a node for lost (ingest/node.py), so gangs
leave it at once and count no failure; pods outside queues stay until their processes are stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from roadstead.cli.client import Client
from roadstead.cli.failure import Failure
from roadstead.cli.home import Home
from roadstead.cli.processes import running
from roadstead.kinds.names import NODES, SHUTDOWN_TAINT, WORKLOADS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.runtime.cluster import Update

LOOK_SECONDS = 0.05
_WRITES_TRIED = 5


def yield_work(home: Home, seconds: float) -> int:
    """Have every admitted workload give its place back, and wait for it as long as `seconds`. Gives how many did; 0 as
    well where no server or agent is there to be told, or they do not answer."""
    if running(home, "server") is None or running(home, "node") is None:
        return 0
    try:
        return asyncio.run(_yield(home, seconds))
    except Failure:
        return 0


def take_work(home: Home) -> None:
    """Nodes that were shut down take work again."""
    asyncio.run(_take(home))


async def _yield(home: Home, seconds: float) -> int:
    async with Client(home) as client:
        holding = await _holders(client)
        if not holding:
            return 0
        try:
            await _taint_all(client, shut=True)
            loop = asyncio.get_running_loop()
            deadline = loop.time() + seconds
            left = holding
            while left and loop.time() < deadline:
                await asyncio.sleep(LOOK_SECONDS)
                left = holding & await _holders(client)
        except asyncio.CancelledError:  # Ctrl-C: the cluster is not stopped after all
            await _taint_all(client, shut=False)
            raise
        return len(holding) - len(left)


async def _take(home: Home) -> None:
    async with Client(home) as client:
        await _taint_all(client, shut=False)


async def _taint_all(client: Client, *, shut: bool) -> None:
    for node in (await client.cluster.list(NODES)).items:
        await _taint(client, node, shut=shut)


async def _holders(client: Client) -> frozenset[str]:
    """uids of the workloads that hold a reservation and are not over."""
    return frozenset(item.meta.uid for item in _unfinished((await client.cluster.list(WORKLOADS)).items))


def _unfinished(workloads: Collection[Object]) -> list[Object]:
    found = []
    for workload in workloads:
        conditions = workload.view(WorkloadView).status.conditions
        if has_condition(conditions, "QuotaReserved") and not has_condition(conditions, "Finished"):
            found.append(workload)
    return found


async def _taint(client: Client, node: Object, *, shut: bool) -> None:
    """Put the taint on the node or take it away; others write nodes too, so a conflict is tried again on what is there
    now."""
    current: Object | None = node
    for _ in range(_WRITES_TRIED):
        if current is None:
            return
        value = current.decode()
        taints: Sequence[Json] = value.setdefault("spec", {}).get("taints") or ()
        others = [taint for taint in taints if taint["key"] != SHUTDOWN_TAINT]
        wanted = [*others, {"key": SHUTDOWN_TAINT, "effect": "NoSchedule"}] if shut else others
        if wanted == list(taints):
            return
        value["spec"]["taints"] = wanted
        if (await client.cluster.write(Update(NODES, value))).is_done:
            return
        current = await client.cluster.get(node.ref)
