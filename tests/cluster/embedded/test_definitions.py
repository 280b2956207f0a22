"""Definitions at work: served when stored, after a restart too; names, versions, changes, the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from roadstead.cluster.embedded.definitions import Definitions
from roadstead.cluster.embedded.requests import DeleteOptions, ListOptions, WatchOptions, WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import DEFINITIONS, INSTANCES_FINALIZER, NAMESPACES
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry
from tests.cluster.loop import in_loop
from tests.kinds.apiextensions.widgets import crd

V1 = Resource("example.com", "v1", "widgets")
BETA = Resource("example.com", "v1beta1", "widgets")
N = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}


def two_versions(storage: str) -> list[Json]:
    whole = {"openAPIV3Schema": {"type": "object", "properties": {"spec": N}}}
    return [{"name": name, "served": True, "storage": name == storage, "schema": whole} for name in ("v1", "v1beta1")]


class World:
    """An API with its definitions at work."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    def kind(self, resource: Resource) -> Kind:
        found = self.resources.registry.get(resource)
        assert found is not None, f"{resource} is not served"
        return found

    async def define(self, value: Json) -> None:
        await self.resources.create(self.kind(DEFINITIONS), "", value)
        await self.until(lambda: self.condition("Established", value["metadata"]["name"]) == "True")

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)

    def definition(self, name: str = "widgets.example.com") -> Json | None:
        found = self.resources.store.get(DEFINITIONS, "", name)
        return None if found is None else found.decode()

    def condition(self, type: str, name: str = "widgets.example.com") -> str:
        conditions = ((self.definition(name) or {}).get("status") or {}).get("conditions") or ()
        return next((found["status"] for found in conditions if found["type"] == type), "")

    async def make(self, name: str, resource: Resource = V1, **more: object) -> Json:
        value: Json = {"metadata": {"name": name, **more}, "spec": {}}
        return (await self.resources.create(self.kind(resource), "default", value)).object.decode()


@contextlib.asynccontextmanager
async def world(store: Store | None = None) -> AsyncIterator[World]:
    opened = store or Store.in_memory()
    resources = Resources(opened, default_registry().fork())
    definitions = Definitions(resources)
    definitions.load()
    made = World(resources)
    with contextlib.suppress(StatusError):
        await resources.create(made.kind(NAMESPACES), "", {"metadata": {"name": "default"}})
    task = asyncio.create_task(definitions.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await opened.close()


@in_loop
async def test_a_definition_is_established_and_served() -> None:
    async with world() as here:
        await here.define(crd(N))
        value = here.definition()
        assert value is not None
        assert value["status"]["acceptedNames"]["plural"] == "widgets"
        assert here.condition("NamesAccepted") == "True"
        assert (await here.make("a"))["spec"] == {"n": 1}
        assert not default_registry().get(V1), "other servers in this process know nothing of it"


@in_loop
async def test_it_is_served_after_a_restart(tmp_path: Path) -> None:
    async with world(Store.open(tmp_path, "normal")) as here:
        await here.define(crd(N))
        await here.make("a")
    async with world(Store.open(tmp_path, "normal")) as again:
        page = await again.resources.list(again.kind(V1), "default", ListOptions())
        assert [found.meta.name for found in page.items] == ["a"]


@in_loop
async def test_a_changed_schema_takes_effect_on_what_is_stored() -> None:
    async with world() as here:
        await here.define(crd({"type": "object"}))
        await here.make("a")
        value = here.definition()
        assert value is not None
        value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = N
        await here.resources.update(here.kind(DEFINITIONS), "", "widgets.example.com", value, WriteOptions())
        await here.until(lambda: here.kind(V1).schema.raw["properties"]["spec"] == N)
        found = await here.resources.get(here.kind(V1), "default", "a")
        assert found.decode()["spec"] == {"n": 1}


@in_loop
async def test_versions_show_the_same_objects() -> None:
    async with world() as here:
        await here.define(crd(versions=two_versions("v1")))
        made = await here.make("a", BETA)
        assert made["apiVersion"] == "example.com/v1beta1"
        assert here.resources.store.list(here.kind(V1).stored)[0].decode()["apiVersion"] == "example.com/v1"
        found = await here.resources.get(here.kind(V1), "default", "a")
        assert found.decode()["apiVersion"] == "example.com/v1"
        watch = here.resources.watch(here.kind(BETA), "default", WatchOptions())
        _, first, _ = await anext(watch)
        assert first is not None
        assert first.decode()["apiVersion"] == "example.com/v1beta1"
        await watch.aclose()


@in_loop
async def test_an_update_of_nothing_stores_anew_in_the_new_storage_version() -> None:
    async with world() as here:
        await here.define(crd(versions=two_versions("v1")))
        await here.make("a")
        value = here.definition()
        assert value is not None
        value["spec"]["versions"] = two_versions("v1beta1")
        await here.resources.update(here.kind(DEFINITIONS), "", "widgets.example.com", value, WriteOptions())
        await here.until(lambda: here.kind(V1).to_store({})["apiVersion"] == "example.com/v1beta1")
        value = here.definition()
        assert value is not None
        assert value["status"]["storedVersions"] == ["v1", "v1beta1"]
        same = (await here.resources.get(here.kind(V1), "default", "a")).decode()
        await here.resources.update(here.kind(V1), "default", "a", same, WriteOptions())
        assert here.resources.store.list(here.kind(V1).stored)[0].decode()["apiVersion"] == "example.com/v1beta1"


@in_loop
async def test_names_that_are_taken_are_not_accepted_until_they_are_free() -> None:
    async with world() as here:
        await here.define(crd())
        other = crd()
        other["metadata"]["name"] = "gadgets.example.com"
        other["spec"]["names"] = {"plural": "gadgets", "kind": "Widget"}
        await here.resources.create(here.kind(DEFINITIONS), "", other)
        await here.until(lambda: here.condition("NamesAccepted", "gadgets.example.com") == "False")
        assert here.condition("Established", "gadgets.example.com") == "False"
        assert here.resources.registry.get(Resource("example.com", "v1", "gadgets")) is None
        await here.resources.delete(here.kind(DEFINITIONS), "", "widgets.example.com", DeleteOptions())
        await here.until(lambda: here.condition("Established", "gadgets.example.com") == "True")


@in_loop
async def test_objects_go_before_their_definition_and_watches_end() -> None:
    async with world() as here:
        await here.define(crd())
        await here.make("plain")
        await here.make("held", finalizers=["example.com/hold"])
        kind = here.kind(V1)
        seen: list[str] = []

        async def follow() -> None:
            async for type, _, _ in here.resources.watch(kind, "default", WatchOptions()):
                seen.append(type)

        following = asyncio.create_task(follow())
        await here.until(lambda: len(seen) == 2)
        gone = await here.resources.delete(here.kind(DEFINITIONS), "", "widgets.example.com", DeleteOptions())
        assert not gone.removed
        assert gone.object.meta.finalizers == (INSTANCES_FINALIZER,)
        assert here.condition("Terminating") == "True"
        await here.until(lambda: here.resources.store.count(kind.stored) == 1)
        assert here.definition() is not None
        assert here.kind(V1).is_leaving
        held = (await here.resources.get(kind, "default", "held")).decode()
        del held["metadata"]["finalizers"]
        await here.resources.update(kind, "default", "held", held, WriteOptions())
        await here.until(lambda: here.definition() is None)
        await here.until(lambda: here.resources.registry.get(V1) is None)
        await asyncio.wait_for(following, 10)
        assert seen.count("DELETED") == 2


@in_loop
async def test_a_definition_that_comes_back_begins_anew() -> None:
    async with world() as here:
        await here.define(crd())
        await here.make("a")
        before = here.resources.current_rv()
        await here.resources.delete(here.kind(DEFINITIONS), "", "widgets.example.com", DeleteOptions())
        await here.until(lambda: here.definition() is None and here.resources.registry.get(V1) is None)
        await here.define(crd())
        assert not (await here.resources.list(here.kind(V1), "default", ListOptions())).items
        watch = here.resources.watch(here.kind(V1), "default", WatchOptions(resource_version=before))
        with pytest.raises(StatusError) as refused:
            await anext(watch)
        assert refused.value.code == 410


@in_loop
async def test_our_own_kinds_stay_ours() -> None:
    """Their definitions, as other clusters get them, are accepted here; neither they nor their end change what is
    served."""
    from roadstead.kinds.crds import definitions

    async with world() as here:
        own = [kind for kind in default_registry() if kind.is_custom]
        for value in definitions(default_registry()):
            await here.define(value)
        assert [here.kind(kind.resource) for kind in own] == own
        for value in definitions(default_registry()):
            await here.resources.delete(here.kind(DEFINITIONS), "", value["metadata"]["name"], DeleteOptions())
        await here.until(lambda: not here.resources.store.list(DEFINITIONS))
        assert [here.kind(kind.resource) for kind in own] == own
