"""What a cluster without queues means to who submits, and how the default ones come back.

The cluster makes its default queue, flavor and classes once and remembers that it did (`controllers/defaults.py`), so
that who deletes them is rid of them, also after the next start. Nobody is left to find out by himself: `status` and
`up` say it, with the way back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from roadstead.cli.home import Home

WAY_BACK = "Make the default queue, flavor and classes again: roadstead up --default-queues"


def note_about(queues: Collection[dict[str, Any]], local_queues: int) -> str:
    """What to know about a cluster in which work has no way through a queue; "" if all is well. `queues`: as on the
    queue's page."""
    if queues and local_queues:
        return ""
    if not local_queues:
        return f"There is no LocalQueue: jobs start at once and wait for nothing but room on a node. {WAY_BACK}"
    return f"There is no ClusterQueue: what is submitted to a queue waits until there is one. {WAY_BACK}"


def make_again(home: Home) -> None:
    """Forget that the defaults were made: the cluster makes those that are missing. What people changed stays
    changed."""
    asyncio.run(_forget(home))


def look(home: Home) -> str:
    """`note_about` this cluster, once it has furnished itself."""
    return asyncio.run(_look(home))


async def _forget(home: Home) -> None:
    from roadstead.cli.client import Client
    from roadstead.cli.failure import Failure
    from roadstead.controllers.defaults import MARKER
    from roadstead.kinds.names import CONFIG_MAPS
    from roadstead.kinds.object import Ref
    from roadstead.runtime.cluster import Delete, Result

    async with Client(home) as client:
        marker = await client.cluster.get(Ref(CONFIG_MAPS, *MARKER))
        if marker is None:
            return
        outcome = await client.cluster.write(Delete(marker.ref, marker.meta.uid))
        if outcome.result not in (Result.DONE, Result.MISSING):
            raise Failure(f"the default queues cannot be made again: {outcome.message}", "Try again.")


async def _look(home: Home) -> str:
    from roadstead.cli.client import Client
    from roadstead.controllers.defaults import MARKER
    from roadstead.kinds.names import CLUSTER_QUEUES, CONFIG_MAPS, LOCAL_QUEUES
    from roadstead.kinds.object import Ref

    async with Client(home) as client:
        if await client.cluster.get(Ref(CONFIG_MAPS, *MARKER)) is None:
            return ""  # they are being made
        queues = (await client.cluster.list(CLUSTER_QUEUES)).items
        local = (await client.cluster.list(LOCAL_QUEUES)).items
    return note_about([{"name": queue.meta.name} for queue in queues], len(local))
