"""Whose changes are tracked, and what of managedFields is stored."""

from __future__ import annotations

import pytest

from roadstead.cluster.embedded.requests import DeleteOptions, WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES, PODS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry
from tests.cluster.loop import in_loop

OPTIONS = WriteOptions()
CLIENT = WriteOptions(field_manager="client", tracks=True)


REGISTRY = default_registry()


def kind_of(resource: Resource) -> Kind:
    found = REGISTRY.get(resource)
    assert found is not None
    return found


CONFIG_MAP, POD = kind_of(CONFIG_MAPS), kind_of(PODS)


async def resources() -> Resources:
    """The real kinds, whose schemas say who may own what."""
    made = Resources(Store.in_memory(), REGISTRY)
    await made.create(kind_of(NAMESPACES), "", {"metadata": {"name": "default"}})
    return made


def config(name: str = "a", **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def owners(obj: Json) -> dict[str, list[str]]:
    return {
        entry["manager"]: sorted(entry["fieldsV1"].get("f:data", {}))
        for entry in obj["metadata"].get("managedFields", ())
    }


@in_loop
async def test_what_controllers_create_is_nobodys_until_somebody_applies() -> None:
    api = await resources()
    created = await api.create(CONFIG_MAP, "default", config(x="1"), OPTIONS)
    assert "managedFields" not in created.object.decode()["metadata"]
    changed = {**created.object.decode(), "data": {"x": "2"}}
    written = await api.update(CONFIG_MAP, "default", "a", changed, CLIENT)
    assert owners(written.object.decode()) == {}
    with pytest.raises(StatusError, match="before-first-apply"):
        await api.apply(CONFIG_MAP, "default", "a", config(x="3"), CLIENT)
    applied = await api.apply(CONFIG_MAP, "default", "a", config(y="1"), CLIENT)
    assert owners(applied.object.decode()) == {"client": ["f:y"], "before-first-apply": [".", "f:x"]}


@in_loop
async def test_what_clients_create_is_tracked_whoever_changes_it() -> None:
    api = await resources()
    created = await api.create(CONFIG_MAP, "default", config(x="1"), CLIENT)
    assert owners(created.object.decode()) == {"client": [".", "f:x"]}
    changed = {**created.object.decode(), "data": {"x": "2"}}
    written = await api.update(CONFIG_MAP, "default", "a", changed, WriteOptions(field_manager="controller"))
    assert owners(written.object.decode()) == {"client": [], "controller": ["f:x"]}
    with pytest.raises(StatusError, match='conflict with "controller" using v1'):
        await api.apply(CONFIG_MAP, "default", "a", config(x="1"), CLIENT)


@in_loop
async def test_applying_the_same_is_no_write() -> None:
    api = await resources()
    first = await api.apply(CONFIG_MAP, "default", "a", config(x="1"), CLIENT)
    assert first.created
    again = await api.apply(CONFIG_MAP, "default", "a", config(x="1"), CLIENT)
    assert (again.created, again.object.raw) == (False, first.object.raw)
    assert api.current_rv() == first.object.meta.resource_version


@in_loop
async def test_a_dry_run_of_an_apply_leaves_no_trace() -> None:
    api = await resources()
    dry = WriteOptions(field_manager="client", dry_run=True, tracks=True)
    answer = await api.apply(CONFIG_MAP, "default", "a", config(x="1"), dry)
    assert owners(answer.object.decode()) == {"client": ["f:x"]}
    with pytest.raises(StatusError, match="not found"):
        await api.get(CONFIG_MAP, "default", "a")


@in_loop
async def test_preconditions_of_an_apply() -> None:
    api = await resources()
    created = await api.create(CONFIG_MAP, "default", config(), CLIENT)
    stale = config(x="1")
    stale["metadata"]["resourceVersion"] = "1"
    with pytest.raises(StatusError, match="the object has been modified"):
        await api.apply(CONFIG_MAP, "default", "a", stale, CLIENT)
    other = config(x="1")
    other["metadata"]["uid"] = "other"
    with pytest.raises(StatusError, match="field is immutable"):
        await api.apply(CONFIG_MAP, "default", "a", other, CLIENT)
    other["metadata"]["name"] = "b"
    with pytest.raises(StatusError, match="uid mismatch: the provided object specified uid other"):
        await api.apply(CONFIG_MAP, "default", "b", other, CLIENT)
    assert (await api.get(CONFIG_MAP, "default", "a")).raw == created.object.raw


@in_loop
async def test_removing_the_last_finalizer_by_an_apply_ends_the_object() -> None:
    api = await resources()
    held = config(x="1")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await api.apply(CONFIG_MAP, "default", "a", held, CLIENT)
    assert not (await api.delete(CONFIG_MAP, "default", "a", DeleteOptions())).removed
    assert (await api.apply(CONFIG_MAP, "default", "a", config(x="1"), CLIENT)).removed
    with pytest.raises(StatusError, match="not found"):
        await api.get(CONFIG_MAP, "default", "a")


@in_loop
async def test_an_apply_to_the_status_of_nothing_makes_nothing() -> None:
    api = await resources()
    with pytest.raises(StatusError, match='pods "p" not found'):
        await api.apply(
            POD,
            "default",
            "p",
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {}},
            CLIENT,
            "status",
        )


@in_loop
async def test_a_custom_object_that_loses_all_of_a_map_by_an_apply_is_refused_as_on_a_real_server() -> None:
    api = await resources()
    flavor = REGISTRY.by_kind("kueue.x-k8s.io/v1beta2", "ResourceFlavor")
    assert flavor is not None
    head = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "a"}}
    await api.apply(flavor, "", "a", {**head, "spec": {"nodeLabels": {"a": "b"}}}, CLIENT)
    with pytest.raises(StatusError, match=r'spec: Invalid value: "null": spec in body must be of type object'):
        await api.apply(flavor, "", "a", {**head, "spec": {}}, CLIENT)
    gone = await api.apply(flavor, "", "a", head, CLIENT)
    assert "nodeLabels" not in gone.object.decode().get("spec", {})
