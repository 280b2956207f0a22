"""Whom an object concerns is asked when everything that the controller looks at is listed: not sooner, and of nothing
twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES
from roadstead.kinds.object import Object, Resource
from roadstead.runtime.cluster import EVERYTHING, Create, Delete, Listing, Selector
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step
from tests.cluster.kinds import small_registry


class Late(EmbeddedCluster):
    """Lists namespaces only when told to."""

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self.may_list = asyncio.Event()

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        if resource == NAMESPACES:
            await self.may_list.wait()
        return await super().list(resource, namespace, selector)


class Orphans:
    """Wakes for ConfigMaps whose namespace it does not see, and remembers of whom it was asked."""

    name: ClassVar[str] = "orphans"
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.woken: list[str] = []
        self.watches: Mapping[Resource, KeysOf] = {CONFIG_MAPS: self._keys, NAMESPACES: lambda changed, read: ()}

    def _keys(self, changed: Object, read: Read) -> Iterable[Key]:
        self.asked.append(changed.meta.name)
        if read.get(NAMESPACES, "", changed.meta.namespace) is None:
            yield changed.key

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        self.woken.append(key[1])
        return NOTHING


@asynccontextmanager
async def half_listed() -> AsyncIterator[tuple[Late, Runner, Orphans]]:
    """A runner that has seen two ConfigMaps and not yet their namespace."""
    store = Store.in_memory()
    cluster, orphans = Late(Resources(store, small_registry())), Orphans()
    await cluster.write(Create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}))
    for name in ("b", "a"):
        await cluster.write(Create(CONFIG_MAPS, config_map(name)))
    runner = Runner(cluster, [orphans])
    running = asyncio.create_task(runner.run())
    try:
        await runner.informers[CONFIG_MAPS].synced.wait()
        yield cluster, runner, orphans
    finally:
        running.cancel()
        await asyncio.wait((running,))
        await store.close()


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


async def all_listed(cluster: Late, runner: Runner) -> None:
    cluster.may_list.set()
    await runner.wait_synced()
    for _ in range(10):
        await asyncio.sleep(0)


def test_nobody_is_taken_for_an_orphan_while_the_owners_are_not_listed() -> None:
    async def story() -> None:
        async with half_listed() as (cluster, runner, orphans):
            assert orphans.asked == []
            await all_listed(cluster, runner)
            assert orphans.asked == ["a", "b"]
            assert orphans.woken == []

    asyncio.run(story())


def test_what_vanishes_meanwhile_is_told_of_too() -> None:
    async def story() -> None:
        async with half_listed() as (cluster, runner, orphans):
            cache = runner.caches[CONFIG_MAPS]
            first = cache.get(("default", "a"))
            assert first is not None
            await cluster.write(Delete(first.ref, first.meta.uid))
            async with asyncio.timeout(10):
                while cache.get(first.key) is not None:
                    await asyncio.sleep(0)
            assert orphans.asked == []
            await all_listed(cluster, runner)
            assert orphans.asked == ["a", "b"]

    asyncio.run(story())


def test_later_changes_are_told_of_at_once() -> None:
    async def story() -> None:
        async with half_listed() as (cluster, runner, orphans):
            await all_listed(cluster, runner)
            await cluster.write(Create(CONFIG_MAPS, config_map("c")))
            async with asyncio.timeout(10):
                while "c" not in orphans.asked:
                    await asyncio.sleep(0)
            assert orphans.asked == ["a", "b", "c"]

    asyncio.run(story())
