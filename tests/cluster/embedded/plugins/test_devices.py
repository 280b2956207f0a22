"""When a device taint was added, and where admin access may be given."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable

import pytest

from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.requests import WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry
from roadstead.kinds.times import SECOND, format_time

API = "resource.k8s.io/v1"


class World:
    def __init__(self) -> None:
        self.now = 1_800_000_000 * SECOND
        self.resources = Resources(Store.in_memory(), default_registry(), default_plugins(), clock=lambda: self.now)

    def kind(self, name: str) -> Kind:
        found = default_registry().by_kind(API, name) or default_registry().by_kind("v1", name)
        assert found is not None
        return found

    async def create(self, kind: str, namespace: str = "", **fields: Json) -> Json:
        made = self.kind(kind)
        value = {"apiVersion": made.resource.api_version, "kind": kind, "metadata": {"name": "a"}, **fields}
        return (await self.resources.create(made, namespace, copy.deepcopy(value))).object.decode()

    async def update(self, kind: str, value: Json, namespace: str = "", subresource: str = "") -> Json:
        written = await self.resources.update(self.kind(kind), namespace, "a", value, WriteOptions(), subresource)
        return written.object.decode()


def run(story: Callable[[World], Awaitable[None]]) -> None:
    async def inside() -> None:
        await story(World())

    asyncio.run(inside())


def test_a_taint_says_when_it_was_added() -> None:
    async def story(world: World) -> None:
        began = format_time(world.now)
        rule = await world.create("DeviceTaintRule", spec={"taint": {"key": "k", "effect": "NoSchedule"}})
        assert rule["spec"]["taint"]["timeAdded"] == began
        world.now += 60 * SECOND
        rule["spec"]["taint"]["value"] = "v"
        rule = await world.update("DeviceTaintRule", rule)
        assert rule["spec"]["taint"]["timeAdded"] == began, "another value is no other taint"
        assert rule["metadata"]["generation"] == 2
        rule["spec"]["taint"]["effect"] = "NoExecute"
        rule = await world.update("DeviceTaintRule", rule)
        assert rule["spec"]["taint"]["timeAdded"] == format_time(world.now), "another effect is"
        rule["spec"]["taint"] |= {"effect": "NoSchedule", "timeAdded": began}
        rule = await world.update("DeviceTaintRule", rule)
        assert rule["spec"]["taint"]["timeAdded"] == began, "unless the client says when"

    run(story)


def test_so_do_the_taints_in_slices() -> None:
    async def story(world: World) -> None:
        spec: Json = {
            "driver": "d.com",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
            "nodeName": "n",
            "devices": [{"name": "e", "taints": [{"key": "k", "effect": "NoSchedule"}]}],
        }
        found = await world.create("ResourceSlice", spec=spec)
        [taint] = found["spec"]["devices"][0]["taints"]
        assert taint["timeAdded"] == format_time(world.now)

    run(story)


@pytest.mark.parametrize("label", ["", "false", "true"])
def test_admin_access_is_given_only_where_the_namespace_allows_it(label: str) -> None:
    async def story(world: World) -> None:
        labels = {"resource.kubernetes.io/admin-access": label} if label else {}
        await world.resources.create(
            world.kind("Namespace"),
            "",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "t", "labels": labels}},
        )
        asked: Json = {
            "devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "adminAccess": True}}]}
        }
        given = {"request": "r", "driver": "d.com", "pool": "p", "device": "e", "adminAccess": True}
        why = "admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"

        async def claim() -> None:
            await world.create("ResourceClaim", "t", spec=asked)

        async def template() -> None:
            await world.create("ResourceClaimTemplate", "t", spec={"spec": asked})

        async def status() -> None:
            plain = copy.deepcopy(asked)
            del plain["devices"]["requests"][0]["exactly"]["adminAccess"]
            value = await world.create("ResourceClaim", "t", metadata={"name": "a"}, spec=plain)
            value["status"] = {"allocation": {"devices": {"results": [given]}}}
            await world.update("ResourceClaim", value, "t", "status")

        for write, path in (
            (template, "spec.devices.requests[0].adminAccess"),
            (status, "status.allocation.devices.results[0].adminAccess"),
            *(((claim, "spec.devices.requests[0].adminAccess"),) if label != "true" else ()),
        ):
            if label == "true":
                await write()
                continue
            with pytest.raises(StatusError) as refused:
                await write()
            assert refused.value.message.endswith(f'"a" is invalid: {path}: Forbidden: {why}')

    run(story)
