"""What a contract test works with: an open Cluster and a namespace of its own on it."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.runtime.cluster import Cluster, Create, Delete, Outcome, Result, Update, WatchEvent
from tests.contracts.adapters import World

DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace for one test, and short ways to use it."""

    cluster: Cluster
    namespace: str
    expired_version: str

    def config_map(self, name: str = "a", **metadata: Any) -> Json:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace, **metadata},
            "data": {"key": "value"},
        }

    def pod(self, name: str = "p", **metadata: Any) -> Json:
        """A pod that no scheduler takes."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, **metadata},
            "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "example.com/none"}]},
        }

    def ref(self, name: str = "a", resource: Resource = CONFIG_MAPS) -> Ref:
        return Ref(resource, self.namespace, name)

    async def create(self, value: Json, resource: Resource = CONFIG_MAPS) -> Object:
        return stored(await self.cluster.write(Create(resource, value)))

    async def update(self, value: Json, resource: Resource = CONFIG_MAPS, subresource: str = "") -> Object:
        return stored(await self.cluster.write(Update(resource, value, subresource)))

    async def delete(self, found: Object, **more: Any) -> Outcome:
        return await self.cluster.write(Delete(found.ref, found.meta.uid, **more))

    async def get(self, name: str = "a", resource: Resource = CONFIG_MAPS) -> Object:
        found = await self.cluster.get(self.ref(name, resource))
        assert found is not None
        return found

    async def follow(
        self, since: str, count: int, resource: Resource = CONFIG_MAPS, **narrowed: Any
    ) -> list[WatchEvent]:
        """The next `count` changes in this namespace after `since`."""
        found: list[WatchEvent] = []
        events = self.cluster.watch(resource, since, self.namespace, **narrowed)
        try:
            async for event in events:
                if event.object is not None:
                    found.append(event)
                    if len(found) == count:
                        break
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()
        return found


def stored(outcome: Outcome) -> Object:
    """The object after a write that was done."""
    assert outcome.result is Result.DONE, outcome
    assert outcome.object is not None
    return outcome.object


def contract(test: Callable[[Place], Coroutine[Any, Any, None]]) -> Callable[[World], None]:
    """Run a coroutine test with a place of its own on each world."""

    @functools.wraps(test)
    def run(world: World) -> None:
        async def bounded() -> None:
            async with world.open() as cluster:
                name = f"contract-{uuid.uuid4().hex[:12]}"
                stored(await cluster.write(Create(NAMESPACES, {"metadata": {"name": name}})))
                await test(Place(cluster, name, world.expired_version))

        asyncio.run(asyncio.wait_for(bounded(), DEADLINE_SECONDS))

    del run.__wrapped__  # else pytest asks for the inner function's arguments
    return run


async def service_account(place: Place) -> None:
    """Pods need one; a controller of the server may have made it already."""
    value = {"metadata": {"name": "default", "namespace": place.namespace}}
    outcome = await place.cluster.write(Create(SERVICE_ACCOUNTS, value))
    assert outcome.result in (Result.DONE, Result.EXISTS), outcome


async def a_pod(place: Place, name: str = "p", **metadata: Any) -> Object:
    await service_account(place)
    return await place.create(place.pod(name, **metadata), PODS)
