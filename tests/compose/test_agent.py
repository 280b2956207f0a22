"""Nodes that an agent was before, and is no more."""

from __future__ import annotations

import asyncio

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.compose.agent import retire
from roadstead.kinds.names import NODES
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create, Outcome, Unavailable, Write


def node(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


class Away(EmbeddedCluster):
    """Takes no writes."""

    async def write(self, write: Write) -> Outcome:
        raise Unavailable("connection refused")


def test_nodes_of_before_are_deleted_and_those_of_others_stay() -> None:
    async def look() -> None:
        store = Store.in_memory()
        resources = Resources(store, default_registry())
        cluster = EmbeddedCluster(resources)
        for name in ("vm", "gpu", "neighbour"):
            assert (await cluster.write(Create(NODES, node(name)))).is_done
        assert not await retire(Away(resources), ("vm",)), "the next start tries again"
        assert await retire(cluster, ("vm", "never-registered"))
        assert [item.meta.name for item in (await cluster.list(NODES)).items] == ["gpu", "neighbour"]
        await store.close()

    asyncio.run(look())
