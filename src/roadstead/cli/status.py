"""`roadstead status`: what is running, and how full it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from roadstead.cli.default_queues import note_about
from roadstead.cli.home import Home, find_home
from roadstead.cli.kubeconfig import require_up
from roadstead.cli.output import dump, home_option, output_option, table
from roadstead.cli.processes import running

if TYPE_CHECKING:
    from roadstead.kinds.object import Json


@click.command(short_help="what is running, and how full it is")
@home_option
@output_option
def command(home: str | None, form: str) -> None:
    """What is running, and how full it is."""
    where = find_home(home)
    require_up(where)
    answer = asyncio.run(_status(where))
    if form in ("json", "yaml"):
        click.echo(dump(answer, form))
    elif form == "name":
        for name in (
            *(f"node/{node['name']}" for node in answer["nodes"]),
            *(f"clusterqueue/{q['name']}" for q in answer["queues"]),
        ):
            click.echo(name)
    else:
        click.echo(_page(answer, wide=form == "wide"))


async def _status(home: Home) -> dict[str, Any]:
    from roadstead.apiserver.app import ANSWERS_PREFIX
    from roadstead.cli.client import Client
    from roadstead.kinds.names import LOCAL_QUEUES, NODES

    server, node = running(home, "server"), running(home, "node")
    async with Client(home) as client:
        nodes = [obj.decode() for obj in (await client.cluster.list(NODES)).items]
        queues = (await client.ask(ANSWERS_PREFIX + "queue"))["queues"]
        local_queues = len((await client.cluster.list(LOCAL_QUEUES)).items)
    return {
        "server": {"pid": server.pid, "url": server.record.get("url")} if server else None,
        "nodeAgent": {"pid": node.pid} if node else None,
        "state": str(home.root),
        "nodes": [_node(obj) for obj in nodes],
        "queues": queues,
        "note": note_about(queues, local_queues),
    }


def condition(obj: Json, name: str) -> Json | None:
    """The condition of this type if it is True."""
    for entry in obj.get("status", {}).get("conditions") or ():
        if entry["type"] == name and entry["status"] == "True":
            found: Json = entry
            return found
    return None


def _node(node: Json) -> dict[str, Any]:
    allocatable = node.get("status", {}).get("allocatable", {})
    return {
        "name": node["metadata"]["name"],
        "ready": condition(node, "Ready") is not None,
        "schedulable": not node.get("spec", {}).get("unschedulable", False),
        "allocatable": {name: value for name, value in sorted(allocatable.items()) if name != "pods"},
    }


def _page(answer: dict[str, Any], *, wide: bool) -> str:
    server, agent = answer["server"], answer["nodeAgent"]
    lines = [
        f"server      {server['url']} (pid {server['pid']})" if server else "server      down",
        f"node agent  pid {agent['pid']}" if agent else "node agent  down; start it again with `roadstead up`",
        "",
        table(
            ("NODE", "STATUS", "ALLOCATABLE"),
            [
                (
                    node["name"],
                    ("Ready" if node["ready"] else "NotReady") + ("" if node["schedulable"] else ",SchedulingDisabled"),
                    " ".join(f"{name}={value}" for name, value in node["allocatable"].items()),
                )
                for node in answer["nodes"]
            ],
        ),
        "",
        answer["note"] or _queues(answer["queues"], wide=wide),
    ]
    return "\n".join(lines)


def _queues(queues: list[dict[str, Any]], *, wide: bool) -> str:
    """What each queue has and holds, as its workloads say now: never behind, as the stored counts may be."""
    header = ["QUEUE", "PENDING", "ADMITTED", "USED OF QUOTA"]
    rows = []
    for queue in queues:
        used = " ".join(_cell(quota, wide=wide) for quota in queue["quotas"])
        row = [queue["name"] + _remark(queue), queue["pending"], queue["admitted"], used]
        rows.append([*row, queue["cohort"], queue["localQueues"]] if wide else row)
    return table([*header, "COHORT", "LOCALQUEUES"] if wide else header, rows)


def _remark(queue: dict[str, Any]) -> str:
    if not queue["active"]:
        return f" (inactive: {queue['message'] or 'not looked at yet'})"
    return "" if queue["localQueues"] else " (no LocalQueue leads here)"


def _cell(quota: dict[str, Any], *, wide: bool) -> str:
    flavor = f"{quota['flavor']}/" if wide else ""
    borrowed = f" ({quota['borrowed']} borrowed)" if quota["borrowed"] != "0" else ""
    return f"{flavor}{quota['resource']}={quota['used']}/{quota['nominal']}{borrowed}"
