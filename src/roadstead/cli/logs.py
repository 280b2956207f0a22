"""`roadstead logs`: the output of a job's newest pod, or of a pod."""

from __future__ import annotations

import asyncio
import sys

import click

from roadstead.cli.client import Client
from roadstead.cli.failure import Failure
from roadstead.cli.home import find_home
from roadstead.cli.output import home_option, namespace_option
from roadstead.kinds.names import JOB_NAME_LABEL, PODS
from roadstead.kinds.object import Object, Ref
from roadstead.runtime.cluster import Selector


@click.command(short_help="print or follow the output of a job or pod")
@home_option
@namespace_option
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@click.option("-c", "--container", default="", help="Container. Default: the first.")
@click.argument("name")
def command(home: str | None, namespace: str, follow: bool, container: str, name: str) -> None:
    """Print the output of job NAME (its newest pod) or of pod NAME."""
    asyncio.run(_logs(Client(find_home(home)), namespace, name, container, follow))


async def _logs(client: Client, namespace: str, name: str, container: str, follow: bool) -> None:
    async with client:
        pod = await _pod(client, namespace, name)
        chosen = container or pod.decode()["spec"]["containers"][0]["name"]
        async with client.log(namespace, pod.meta.name, chosen, follow=follow) as chunks:
            async for chunk in chunks:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()


async def _pod(client: Client, namespace: str, name: str) -> Object:
    pods = (await client.cluster.list(PODS, namespace, Selector(labels=f"{JOB_NAME_LABEL}={name}"))).items
    if pods:
        return max(pods, key=lambda pod: (pod.meta.creation_timestamp or "", pod.meta.name))
    pod = await client.cluster.get(Ref(PODS, namespace, name))
    if pod is None:
        raise Failure(
            f'no job or pod "{name}" with output in namespace {namespace}.',
            "A job that waits has no pods yet; ask why: roadstead why " + name,
        )
    return pod
