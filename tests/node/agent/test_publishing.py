"""Slices on a real (embedded) API: published at the start, kept through breakdowns, strangers' hands and restarts."""

from __future__ import annotations

from pathlib import Path

from roadstead.kinds.names import NODES, RESOURCE_SLICES, UNHEALTHY_ANNOTATION
from roadstead.kinds.object import Json, Object, Ref
from roadstead.kinds.times import SECOND
from roadstead.node.agent.options import NodeOptions
from roadstead.runtime.cluster import Create, Delete, Update
from tests.cluster.loop import in_loop
from tests.node.agent.world import World, done, until, world

QUICK = SECOND // 20


async def published(made: World) -> dict[str, Json]:
    return {obj.meta.name: obj.decode() for obj in (await made.cluster.list(RESOURCE_SLICES)).items}


async def until_devices(made: World, wanted: dict[str, int]) -> dict[str, Json]:
    """Until slice -> number of devices is this."""
    last: dict[str, int] = {}

    async def holds() -> bool:
        last.clear()
        last.update({name: len(one["spec"].get("devices", ())) for name, one in (await published(made)).items()})
        return last == wanted

    try:
        await until(holds)
    except AssertionError:
        raise AssertionError(f"slices are {last}") from None
    return await published(made)


H100 = {"00-gpu.nvidia.com-n1": 8, "00-dra.net-n1": 8}


async def node(made: World, name: str = "n1") -> Object:
    found = await made.cluster.get(Ref(NODES, "", name))
    assert found is not None
    return found


async def annotate(made: World, text: str) -> None:
    value = (await node(made)).decode()
    value["metadata"]["annotations"][UNHEALTHY_ANNOTATION] = text
    done(await made.cluster.write(Update(NODES, value)))


@in_loop
async def test_a_node_publishes_its_devices_and_a_real_server_takes_them(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.start_agent(
            NodeOptions("n1", "h100x8-mig", simulate=True), NodeOptions("n2", "l4x1-shared", simulate=True)
        )
        expected = {f"0{index}-gpu.nvidia.com-n1": count for index, count in enumerate((0, 64, 64, 24))}
        found = await until_devices(made, {**expected, "00-dra.net-n1": 8, "00-gpu.nvidia.com-n2": 1})
        assert {one["spec"]["nodeName"] for one in found.values()} == {"n1", "n2"}
        owner = found["00-dra.net-n1"]["metadata"]["ownerReferences"][0]
        assert owner["uid"] == (await node(made)).meta.uid


@in_loop
async def test_a_device_that_breaks_is_tainted_and_counted_out(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.start_agent(NodeOptions("n1", "h100x8"), lease_interval=QUICK)
        await until_devices(made, H100)
        await annotate(made, "gpu-3,rdma0")

        async def tainted() -> set[str]:
            devices = [one for each in (await published(made)).values() for one in each["spec"]["devices"]]
            return {
                f"{one['name']} {taint['key']} {taint['effect']}" for one in devices for taint in one.get("taints", ())
            }

        async def are_out() -> bool:
            inventory = (await node(made)).meta.annotations["roadstead.dev/node-devices"]
            return (
                await tainted() == {"gpu-3 gpu.nvidia.com/gpu-lost NoSchedule", "rdma0 dra.net/link-down NoSchedule"}
                and '{"name":"gpu-3","resource":"nvidia.com/gpu","index":3,"healthy":false}' in inventory
            )

        await until(are_out)
        await made.stop_agent()
        await annotate(made, "")
        await made.start_agent(NodeOptions("n1", "h100x8"), lease_interval=QUICK)

        async def are_well() -> bool:
            return (
                await tainted() == set()
                and "false" not in (await node(made)).meta.annotations["roadstead.dev/node-devices"]
            )

        await until(are_well)


@in_loop
async def test_what_others_do_to_slices_is_undone(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.start_agent(NodeOptions("n1", "h100x8"))
        found = await until_devices(made, H100)
        meta = found["00-dra.net-n1"]["metadata"]
        await made.cluster.write(Delete(Ref(RESOURCE_SLICES, "", meta["name"]), meta["uid"]))
        value = found["00-gpu.nvidia.com-n1"]
        del value["spec"]["devices"][1:]
        done(await made.cluster.write(Update(RESOURCE_SLICES, value)))
        await until_devices(made, H100)


@in_loop
async def test_a_machine_with_other_devices_leaves_no_stale_slices_and_touches_no_others(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.start_agent(NodeOptions("n1", "h100x8"))
        await until_devices(made, H100)
        await made.stop_agent()
        own = {
            "apiVersion": RESOURCE_SLICES.api_version,
            "kind": "ResourceSlice",
            "metadata": {"name": "somebody"},
            "spec": {
                "driver": "fpga.example.com",
                "nodeName": "n1",
                "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "fpga-0"}],
            },
        }
        done(await made.cluster.write(Create(RESOURCE_SLICES, own)))
        await made.start_agent(NodeOptions("n1", "cpu"))
        await until_devices(made, {"somebody": 1})


@in_loop
async def test_slices_follow_a_node_that_is_made_anew(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.start_agent(NodeOptions("n1", "l4x1"), lease_interval=QUICK)
        await until_devices(made, {"00-gpu.nvidia.com-n1": 1})
        old = await node(made)
        await made.cluster.write(Delete(old.ref, old.meta.uid))

        async def is_owned_again() -> bool:
            new = await made.cluster.get(old.ref)
            slices = await published(made)
            owners = [one["metadata"]["ownerReferences"][0]["uid"] for one in slices.values()]
            return new is not None and new.meta.uid != old.meta.uid and owners == [new.meta.uid]

        await until(is_owned_again, 15.0)
