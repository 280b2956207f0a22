"""Custom objects among the others: they go with their owner and with their namespace, though nobody knew of their kind at the start."""

from __future__ import annotations

import asyncio

from roadstead.cluster.embedded.definitions import Definitions
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.requests import DeleteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.compose.embedded import namespaced, refit
from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.namespace import NamespaceController
from roadstead.kinds.names import CONFIG_MAPS, DEFINITIONS, NAMESPACES
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry
from roadstead.runtime.runner import Runner
from tests.cluster.loop import in_loop
from tests.kinds.apiextensions.widgets import crd

WIDGETS = Resource("example.com", "v1", "widgets")


@in_loop
async def test_custom_objects_go_with_their_owner_and_their_namespace() -> None:
    resources = Resources(Store.in_memory(), default_registry().fork())
    registry = resources.registry
    controllers = (GarbageCollector(registry), NamespaceController(namespaced(registry)))
    runner = Runner(EmbeddedCluster(resources), controllers)
    definitions = Definitions(resources)
    definitions.changed.append(lambda: refit(runner, controllers, registry))

    def kind(resource: Resource) -> Kind:
        found = registry.get(resource)
        assert found is not None
        return found

    async def make(resource: Resource, name: str, namespace: str = "", **metadata: object) -> Json:
        value: Json = {"metadata": {"name": name, **metadata}}
        return (await resources.create(kind(resource), namespace, value)).object.decode()

    def names(resource: Resource) -> list[str]:
        return [found.meta.name for found in resources.store.list(kind(resource).stored)]

    tasks = [asyncio.create_task(runner.run()), asyncio.create_task(definitions.run())]
    try:
        async with asyncio.timeout(20):
            await runner.wait_synced()
            await make(NAMESPACES, "team")
            await resources.create(kind(DEFINITIONS), "", crd())
            while registry.get(WIDGETS) is None:
                await asyncio.sleep(0.005)
            owner = await make(WIDGETS, "owner", "team")
            reference = {
                "apiVersion": "example.com/v1",
                "kind": "Widget",
                "name": "owner",
                "uid": owner["metadata"]["uid"],
            }
            await make(CONFIG_MAPS, "owned", "team", ownerReferences=[reference])
            of_map = {**reference, "apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "u-gone"}
            await make(WIDGETS, "orphan", "team", ownerReferences=[of_map])
            await make(WIDGETS, "other", "team")
            while names(WIDGETS) != ["other", "owner"]:
                await asyncio.sleep(0.005)
            await resources.delete(kind(WIDGETS), "team", "owner", DeleteOptions())
            while names(CONFIG_MAPS):
                await asyncio.sleep(0.005)
            await resources.delete(kind(NAMESPACES), "", "team", DeleteOptions())
            while names(NAMESPACES):
                await asyncio.sleep(0.005)
            assert names(WIDGETS) == []
            stored = kind(WIDGETS).stored
            assert stored in runner.informers
            await resources.delete(kind(DEFINITIONS), "", "widgets.example.com", DeleteOptions())
            while stored in runner.informers:
                await asyncio.sleep(0.005)
            assert not tasks[0].done(), "an informer that goes takes nobody with it"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await resources.store.close()
