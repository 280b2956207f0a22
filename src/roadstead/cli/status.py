"""`roadstead status`: what is running, and how full it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

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
    from roadstead.cli.client import Client
    from roadstead.kinds.names import CLUSTER_QUEUES, NODES

    server, node = running(home, "server"), running(home, "node")
    async with Client(home) as client:
        nodes = [obj.decode() for obj in (await client.cluster.list(NODES)).items]
        queues = [obj.decode() for obj in (await client.cluster.list(CLUSTER_QUEUES)).items]
    return {
        "server": {"pid": server.pid, "url": server.record.get("url")} if server else None,
        "nodeAgent": {"pid": node.pid} if node else None,
        "state": str(home.root),
        "nodes": [_node(obj) for obj in nodes],
        "queues": [_queue(obj) for obj in queues],
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


def _queue(queue: Json) -> dict[str, Any]:
    status = queue.get("status", {})
    quota = {
        (flavor["name"], resource["name"]): resource["nominalQuota"]
        for group in queue["spec"].get("resourceGroups") or ()
        for flavor in group["flavors"]
        for resource in flavor["resources"]
    }
    used = {
        (flavor["name"], resource["name"]): resource["total"]
        for flavor in status.get("flavorsReservation") or ()
        for resource in flavor["resources"]
    }
    active: Any = next((entry for entry in status.get("conditions") or () if entry["type"] == "Active"), {})
    return {
        "name": queue["metadata"]["name"],
        "active": active.get("status") == "True",
        "why": "" if active.get("status") == "True" else active.get("message", "not looked at yet"),
        "pending": status.get("pendingWorkloads", 0),
        "admitted": status.get("admittedWorkloads", 0),
        "usage": [
            {
                "flavor": flavor,
                "resource": resource,
                "used": str(used.get((flavor, resource), "0")),
                "quota": str(amount),
            }
            for (flavor, resource), amount in quota.items()
        ],
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
        table(
            ("QUEUE", "PENDING", "ADMITTED", "USED OF QUOTA"),
            [
                (
                    queue["name"] + ("" if queue["active"] else f" (inactive: {queue['why']})"),
                    queue["pending"],
                    queue["admitted"],
                    " ".join(
                        (f"{cell['flavor']}/" if wide else "") + f"{cell['resource']}={cell['used']}/{cell['quota']}"
                        for cell in queue["usage"]
                    ),
                )
                for queue in answer["queues"]
            ],
        ),
    ]
    return "\n".join(lines)
