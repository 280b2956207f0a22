"""The embedded server in the states that recorded sessions need: no scheduler, no workload controllers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from roadstead.apiserver.serve import ApiServer
from roadstead.auth.files import write_private
from roadstead.cluster.embedded.definitions import Definitions
from roadstead.cluster.embedded.history import Limits
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.requests import DeleteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.compose.embedded import namespaced, refit
from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.namespace import NamespaceController
from roadstead.controllers.roles import bootstrap_writes
from roadstead.controllers.service_account import ServiceAccountController
from roadstead.kinds.names import NAMESPACES, NODES
from roadstead.kinds.served import default_registry
from roadstead.runtime.runner import Runner

FIRST_NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
RECORDER: Final = "oracle-admin"
"""Who asked when the sessions were recorded."""
SHORT_HISTORY: Final = 16


class Flavor(StrEnum):
    BARE = "bare"
    CONTROLLERS = "controllers"  # garbage collection, namespaces, service accounts
    OLD_HISTORY = "old-history"  # watch history begins after version 1


@asynccontextmanager
async def embedded(flavor: Flavor, directory: Path) -> AsyncIterator[ApiServer]:
    """A running server with its data in `directory`."""
    registry = default_registry().fork()
    if flavor is Flavor.OLD_HISTORY:
        await _age(directory / "data")
    store = Store.open(directory / "data", "normal")
    try:
        plugins = default_plugins(default_account_is_given=flavor is Flavor.CONTROLLERS)
        resources = Resources(store, registry, plugins)
        namespaces = registry.get(NAMESPACES)
        assert namespaces is not None
        for name in FIRST_NAMESPACES:
            value = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await resources.create(namespaces, "", value)
        cluster = EmbeddedCluster(resources)
        await asyncio.gather(*map(cluster.write, bootstrap_writes(store.get)))
        state = directory / "state"
        write_private(state / "tokens.csv", f'{secrets.token_urlsafe(32)},{RECORDER},1,"system:masters"\n'.encode())
        server = ApiServer(resources, registry, state_dir=state)
        await server.start()
        definitions = Definitions(resources)
        definitions.load()
        defining = asyncio.create_task(definitions.run())
        try:
            if flavor is Flavor.CONTROLLERS:
                async with _controllers(resources, server.authority.certificate.decode(), definitions):
                    yield server
            else:
                yield server
        finally:
            defining.cancel()
            await asyncio.gather(defining, return_exceptions=True)
            await server.stop()
    finally:
        await store.close()


@asynccontextmanager
async def _controllers(resources: Resources, ca_text: str, definitions: Definitions) -> AsyncIterator[None]:
    """Garbage collection, namespaces, service accounts."""
    controllers = (
        GarbageCollector(resources.registry),
        NamespaceController(namespaced(resources.registry)),
        ServiceAccountController(ca_text),
    )
    runner = Runner(EmbeddedCluster(resources), controllers)
    definitions.changed.append(lambda: refit(runner, controllers, resources.registry))
    running = asyncio.create_task(runner.run())
    try:
        await runner.wait_synced()
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


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
            await resources.delete(nodes, "", f"past-{number}", DeleteOptions())
    finally:
        await store.close()
