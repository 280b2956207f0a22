"""The embedded server in the states that recorded sessions need: no scheduler, no workload controllers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from roadstead.apiserver.serve import ApiServer
from roadstead.cluster.embedded.history import Limits
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import NAMESPACES, NODES
from roadstead.kinds.served import default_registry

FIRST_NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
SHORT_HISTORY: Final = 16


class Flavor(StrEnum):
    BARE = "bare"
    CONTROLLERS = "controllers"  # garbage collection, namespaces, service accounts
    OLD_HISTORY = "old-history"  # watch history begins after version 1


@asynccontextmanager
async def embedded(flavor: Flavor, directory: Path) -> AsyncIterator[ApiServer]:
    """A running server with its data in `directory`."""
    registry = default_registry()
    if flavor is Flavor.OLD_HISTORY:
        await _age(directory / "data")
    store = Store.open(directory / "data", "normal")
    try:
        resources = Resources(store, registry)
        namespaces = registry.get(NAMESPACES)
        assert namespaces is not None
        for name in FIRST_NAMESPACES:
            value = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await resources.create(namespaces, "", value)
        server = ApiServer(resources, registry, state_dir=directory / "state")
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
    finally:
        await store.close()


async def _age(directory: Path) -> None:
    """Give a store a past that its history no longer holds."""
    store = Store.open(directory, "normal", Limits(changes=SHORT_HISTORY))
    try:
        resources = Resources(store, default_registry())
        nodes = resources.registry.get(NODES)
        assert nodes is not None
        for number in range(2 * SHORT_HISTORY):
            value = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"past-{number}"}}
            await resources.create(nodes, "", value)
    finally:
        await store.close()
