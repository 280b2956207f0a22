"""Short ways to make objects and to follow a watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from roadstead.cluster.embedded.requests import WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.embedded.watching import Event
from roadstead.kinds.names import CONFIG_MAPS, JOBS, LEASES, NAMESPACES, PODS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.registry import Kind
from tests.cluster.kinds import small_registry

NOW = 1_700_000_000_000_000_000
NOW_TEXT = "2023-11-14T22:13:20Z"

REGISTRY = small_registry()
OPTIONS = WriteOptions()


def kind_of(resource: Resource) -> Kind:
    found = REGISTRY.get(resource)
    assert found is not None
    return found


NAMESPACE, POD, CONFIG_MAP, JOB, LEASE = (kind_of(r) for r in (NAMESPACES, PODS, CONFIG_MAPS, JOBS, LEASES))


def config_map(name: str = "a", namespace: str = "default", **metadata: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"key": "value"},
    }


def pod(name: str = "p", node: str = "", **metadata: Any) -> Json:
    return {"metadata": {"name": name, **metadata}, "spec": {"nodeName": node} if node else {}}


async def resources(store: Store | None = None, **more: Any) -> Resources:
    """An API over an empty store in memory with the namespace `default`."""
    made = Resources(store or Store.in_memory(), REGISTRY, clock=lambda: NOW, **more)
    await made.create(NAMESPACE, "", {"metadata": {"name": "default"}}, OPTIONS)
    return made


async def put(store: Store, value: Json, expected: Object | None = None) -> Object:
    """Write straight to the store and wait for it."""
    pending = store.put(CONFIG_MAPS, value, expected)
    await pending.committed
    return pending.object


async def take(events: AsyncIterator[Event], count: int) -> list[tuple[str, str, str]]:
    """The next `count` events as (type, name, version)."""
    found = []
    for _ in range(count):
        type_, about, version = await anext(events)
        found.append((type_, about.meta.name if about else "", version))
    return found
