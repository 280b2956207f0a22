"""Devices that the node chooses: never one twice, remembered over an agent's death, waited for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds.names import POD_DEVICES_ANNOTATION
from roadstead.kinds.object import Json, ObjectMeta
from roadstead.node.agent import allotment, devices
from roadstead.node.agent.occupancy import Occupancy
from roadstead.node.agent.options import NodeOptions
from roadstead.node.agent.profiles import profile
from roadstead.node.agent.views import Container, Pod, PodSpec, Resources
from tests.cluster.loop import in_loop
from tests.node.agent.world import World, main_status, pod, world

EIGHT = profile("h100x8")


def asking(count: int, name: str = "p", names: str = "") -> Pod:
    resources = Resources(limits={EIGHT.resource: str(count)}) if count else Resources()
    annotations = {POD_DEVICES_ANNOTATION: names} if names else {}
    return Pod(
        metadata=ObjectMeta(name=name, uid=name, annotations=annotations),
        spec=PodSpec(containers=(Container("main", resources=resources),)),
    )


@pytest.mark.parametrize(
    ("pod", "wanted"),
    [(asking(0), 0), (asking(2), 2), (asking(8), 8), (asking(9), 0), (asking(2, names="gpu-3,gpu-4"), 0)],
)
def test_how_many_the_node_has_to_choose(pod: Pod, wanted: int) -> None:
    assert allotment.wants(pod, EIGHT) == wanted


@pytest.mark.parametrize(
    ("count", "busy", "chosen"),
    [
        (0, (), ()),
        (2, (), ("gpu-0", "gpu-1")),
        (2, ("gpu-0", "gpu-2"), ("gpu-1", "gpu-3")),
        (7, ("gpu-0", "gpu-2"), ()),
        (8, (), tuple(f"gpu-{index}" for index in range(8))),
    ],
)
def test_the_first_free_ones_or_none(count: int, busy: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    assert allotment.choose(count, EIGHT, busy) == chosen


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 8)), max_size=40))
def test_no_device_is_held_twice(story: list[tuple[bool, int, int]]) -> None:
    occupancy, held = Occupancy(), dict[str, tuple[str, ...]]()
    for begins, number, count in story:
        name = str(number)
        if not begins:
            occupancy.release(name)
            held.pop(name, None)
        elif name not in held and (chosen := allotment.choose(count, EIGHT, occupancy.busy())):
            pod = allotment.given(asking(count, name), chosen)
            assert devices.rejection(pod, EIGHT) is None
            occupancy.hold(pod)
            held[name] = chosen
        every = [device for names in held.values() for device in names]
        assert len(set(every)) == len(every)
        assert occupancy.busy() == set(every)


def gpu_pod(name: str, count: int, command: str) -> Json:
    resources = {"limits": {EIGHT.resource: str(count)}}
    return pod(name, f"echo $CUDA_VISIBLE_DEVICES; {command}", container={"resources": resources})


async def guest(it: World) -> None:
    await it.start_agent(NodeOptions("n1", "h100x8"), is_guest=True)


async def visible(it: World, name: str) -> str:
    found = await it.until_pod(name, lambda seen: main_status(seen)["state"].get("running") and it.log(seen))
    return it.log(found).strip()


@in_loop
async def test_a_pod_waits_until_enough_devices_are_free(tmp_path: Path) -> None:
    gate = tmp_path / "go"
    async with world(tmp_path) as it:
        await guest(it)
        await it.create(gpu_pod("first", 6, f"until [ -e {gate} ]; do sleep 0.01; done"))
        assert await visible(it, "first") == "0,1,2,3,4,5"
        await it.create(gpu_pod("second", 4, "sleep 100"))
        seen = await it.until_pod("second", lambda seen: main_status(seen)["state"].get("waiting", {}).get("message"))
        assert main_status(seen)["state"]["waiting"] == {
            "reason": "ContainerCreating",
            "message": "waiting for 4 free devices: gpu-0, gpu-1, gpu-2, gpu-3, gpu-4, gpu-5 are in use",
        }
        await it.create(gpu_pod("third", 2, "sleep 100"))
        assert await visible(it, "third") == "6,7"
        gate.touch()
        assert await visible(it, "second") == "0,1,2,3"


@in_loop
async def test_a_pod_that_asks_for_more_than_there_is_fails(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await guest(it)
        await it.create(gpu_pod("p", 9, "true"))
        assert (await it.until_phase("p", "Failed"))["status"]["reason"] == "UnexpectedAdmissionError"


@in_loop
async def test_the_choice_outlives_the_agent_and_the_pod(tmp_path: Path) -> None:
    """A pod that is gone while no agent looks still has its devices as long as its process lives."""
    gate = tmp_path / "go"
    async with world(tmp_path) as it:
        await guest(it)
        stubborn = f"trap '' TERM; until [ -e {gate} ]; do sleep 0.01; done"
        await it.create(gpu_pod("stays", 2, "sleep 100"))
        await it.create(gpu_pod("goes", 5, stubborn))
        before = [await visible(it, name) for name in ("stays", "goes")]
        assert sorted(",".join(before)) == sorted("0,1,2,3,4,5,6")
        await it.stop_agent()
        await it.delete("goes", grace=0)
        await it.create(gpu_pod("next", 2, "sleep 100"))
        await guest(it)
        seen = await it.until_pod("next", lambda seen: main_status(seen)["state"].get("waiting", {}).get("message"))
        assert "waiting for 2 free devices" in main_status(seen)["state"]["waiting"]["message"]
        gate.touch()
        after = await visible(it, "next")
        assert not set(after.split(",")) & set(before[0].split(","))
        assert await visible(it, "stays") == before[0]
