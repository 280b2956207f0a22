"""`roadstead logs`: the output of a job's newest pod, or of a pod."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, find_home
from roadstead.cli.named import JOB, POD, WORKLOAD, Named, named
from roadstead.cli.output import home_option, namespace_option, note, write_bytes
from roadstead.cli.whole import Whole

if TYPE_CHECKING:
    from roadstead.cli.client import Client
    from roadstead.kinds.object import Object

POLL_SECONDS = 0.2


@click.command(short_help="print or follow the output of a job or pod")
@home_option
@namespace_option
@click.option("-f", "--follow", is_flag=True, help="Wait until it has output, and go on until it ends.")
@click.option("-c", "--container", default="", metavar="NAME", help="Container. Default: the first.")
@click.option("-p", "--previous", is_flag=True, help="The attempt before, of a container that was started again.")
@click.option("--timestamps", is_flag=True, help="Begin each line with the time at which it was written.")
@click.option("--tail", type=Whole(min=-1), default=-1, metavar="LINES", help="Only the last LINES lines.")
@click.option(
    "--since", default="", metavar="WHEN", help="Only what was written since: 30s, 5m, 1h30m ago, or a time (RFC 3339)."
)
@click.argument("name")
def command(
    home: str | None,
    namespace: str,
    follow: bool,
    container: str,
    previous: bool,
    timestamps: bool,
    tail: int,
    since: str,
    name: str,
) -> None:
    """Print the output of job NAME (its newest pod) or of pod NAME. NAME may say which: job/NAME, workload/NAME,
    pod/NAME."""
    meant = named(name)
    options = {
        **({"previous": "true"} if previous else {}),
        **({"timestamps": "true"} if timestamps else {}),
        **({"tailLines": str(tail)} if tail >= 0 else {}),
        **since_option(since),
    }
    asyncio.run(_logs(find_home(home), namespace, meant, container, follow, options))


def since_option(text: str) -> dict[str, str]:
    """What `--since` asks the server for: seconds for a duration, else the time as it is. Failure if it is neither.

    >>> since_option("1h30m")
    {'sinceSeconds': '5400'}
    """
    from roadstead.kinds.times import parse_time

    if not text:
        return {}
    units = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if units is not None:
        hours, minutes, seconds = (int(part or 0) for part in units.groups())
        total = hours * 3600 + minutes * 60 + seconds
        if total > 0:
            return {"sinceSeconds": str(total)}
    try:
        parse_time(text)
    except ValueError:
        raise Failure(
            f"--since {text} is neither how long ago nor a time.", "Write 30s, 5m, 1h30m, or 2026-01-31T12:00:00Z."
        ) from None
    return {"sinceTime": text}


async def _logs(
    home: Home, namespace: str, meant: Named, container: str, follow: bool, options: Mapping[str, str]
) -> None:
    from roadstead.cli.client import Client

    async with Client(home) as client:
        pod = await _pod(client, namespace, await _without_workload(client, namespace, meant), follow)
        names = [entry["name"] for entry in pod.decode()["spec"]["containers"]]
        if container and container not in names:
            raise Failure(
                f"pod {pod.meta.name} has no container {container}; it has {', '.join(names)}.",
                "Name one of them with -c.",
            )
        if not container and len(names) > 1:
            note(f"output of container {names[0]}; the others are {', '.join(names[1:])} (-c NAME)")
        async with client.log(
            namespace, pod.meta.name, container or names[0], follow=follow, options=options
        ) as chunks:
            async for chunk in chunks:
                write_bytes(chunk)


async def _without_workload(client: Client, namespace: str, meant: Named) -> Named:
    """The job behind a workload, or what was meant if that is none."""
    from roadstead.kinds.names import WORKLOADS
    from roadstead.kinds.object import Ref

    if meant.kind != WORKLOAD:
        return meant
    workload = await client.cluster.get(Ref(WORKLOADS, namespace, meant.name))
    if workload is None:
        raise Failure(f"there is no workload {meant.name} in namespace {namespace}.", "List them: roadstead queue -A")
    owner = workload.meta.controller
    if owner is None or owner.kind != "Job":
        what = f"{owner.kind} {owner.name}" if owner is not None else "nobody"
        raise Failure(
            f"workload {meant.name} is of {what}; output is printed of jobs.", "Name one of its pods: pod/NAME"
        )
    return Named(JOB, owner.name)


async def _pod(client: Client, namespace: str, meant: Named, follow: bool) -> Object:
    """The newest pod of the job of that name that has output, or the pod of that name; waits for it if `follow`."""
    from roadstead.cli.follow import ends_by_itself, has_output, pods_of, waiting_reason, workload_of
    from roadstead.kinds.names import JOBS, PODS
    from roadstead.kinds.object import Ref

    name, said = meant.name, ""
    while True:
        job = await client.cluster.get(Ref(JOBS, namespace, name)) if meant.kind != POD else None
        lone = await client.cluster.get(Ref(PODS, namespace, name)) if job is None and meant.kind != JOB else None
        pods = await pods_of(client, job) if job is not None else [lone] if lone is not None else []
        for pod in reversed(pods):
            if has_output(pod.decode()):
                return pod
        if job is None and lone is None:
            what = meant.kind or "job or pod"
            raise Failure(f"there is no {what} {name} in namespace {namespace}.", "List them: roadstead queue -A")
        workload = await workload_of(client, job) if job is not None else None
        reason = waiting_reason(workload) if workload is not None else ""
        if not follow:
            raise Failure(
                f"{name} has no output yet: {reason or 'it has not started'}",
                f"Wait for it: roadstead logs -f -n {namespace} {name}"
                if workload is None or ends_by_itself(workload)
                else f"What to do: roadstead why -n {namespace} {name}",
            )
        if reason != said:
            said = reason
            note(f"waiting: {reason}")
        await asyncio.sleep(POLL_SECONDS)
