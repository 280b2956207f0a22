"""Which slices a node publishes, and what is written when the server has others."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from roadstead.kinds.names import NODES, RESOURCE_SLICES
from roadstead.kinds.object import Json, Object, Ref
from roadstead.kinds.times import format_time
from roadstead.node.agent import slices
from roadstead.node.agent.hardware import GPU_DRIVER, NIC_DRIVER, hardware_of
from roadstead.node.agent.profiles import all_profiles
from roadstead.runtime.cluster import Create, Delete, Update, Write

PROFILES = sorted(all_profiles())
CHANGES = ["cpu", "l4x1", "h100x8", "h100x1-mig", "h100x8-mig"]


def node(uid: str = "node-uid") -> Object:
    return Object.of(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": uid}})


class Server:
    """Keeps slices as an API server does: uids, versions, times of taints."""

    def __init__(self) -> None:
        self.kept: dict[str, Object] = {}
        self._count = 0

    def take(self, writes: Iterable[Write]) -> None:
        for write in writes:
            self._count += 1
            name = write.ref.name
            assert write.ref == Ref(RESOURCE_SLICES, "", name)
            if isinstance(write, Delete):
                assert self.kept.pop(name).meta.uid == write.uid
                continue
            value = write.value
            if isinstance(write, Create):
                assert name not in self.kept
                value["metadata"]["uid"] = f"uid-{self._count}"
            else:
                assert value["metadata"]["resourceVersion"] == self.kept[name].meta.resource_version
            value["metadata"]["resourceVersion"] = str(self._count)
            for device in value["spec"].get("devices", ()):
                for taint in device.get("taints", ()):
                    taint.setdefault("timeAdded", format_time(self._count * 10**9))
            self.kept[name] = Object.of(RESOURCE_SLICES, value)

    def bring_up_to_date(self, profile: str, lost: Collection[str] = (), owner: Object | None = None) -> list[Write]:
        stages = slices.writes(owner or node(), hardware_of("n1", profile), lost, self.kept.values())
        done = [write for stage in stages for write in stage]
        self.take(done)
        return done

    def pool(self, driver: str) -> list[Json]:
        found = [obj.decode()["spec"] for _, obj in sorted(self.kept.items())]
        return [spec for spec in found if spec["driver"] == driver]


def is_complete(pool: list[Json]) -> bool:
    (about,) = {(spec["pool"]["generation"], spec["pool"]["resourceSliceCount"]) for spec in pool}
    return bool(about[1] == len(pool))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_node_publishes_all_its_devices_once_in_complete_pools(profile: str) -> None:
    server = Server()
    server.bring_up_to_date(profile)
    machine = hardware_of("n1", profile)
    for driver in machine.drivers:
        pool = server.pool(driver)
        assert is_complete(pool)
        assert {spec["pool"]["name"] for spec in pool} == {spec["nodeName"] for spec in pool} == {"n1"}
        names = [device["name"] for spec in pool for device in spec.get("devices", ())]
        assert names == [device.name for device in machine.of(driver)]
        for spec in pool:
            counted = any(device.get("consumesCounters") for device in spec.get("devices", ()))
            assert len(spec.get("devices", ())) <= (64 if counted else 128)
            assert len(spec.get("sharedCounters", ())) <= 8
            assert not (spec.get("devices") and spec.get("sharedCounters"))
    assert server.bring_up_to_date(profile) == []


def test_slices_belong_to_the_node_and_say_who_keeps_them() -> None:
    server = Server()
    server.bring_up_to_date("h100x8")
    (first, _) = (obj.decode()["metadata"] for _, obj in sorted(server.kept.items()))
    assert first["name"] == "00-dra.net-n1"
    assert first["labels"] == {"roadstead.dev/devices-of": "n1"}
    (owner,) = first["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Node", "n1", "node-uid", True)


def test_a_node_that_was_made_anew_owns_the_slices_that_are_left() -> None:
    server = Server()
    server.bring_up_to_date("l4x1")
    (write,) = server.bring_up_to_date("l4x1", owner=node("another"))
    assert isinstance(write, Update)
    assert write.value["metadata"]["ownerReferences"][0]["uid"] == "another"


def test_one_slice_that_changes_does_so_within_its_generation() -> None:
    server = Server()
    server.bring_up_to_date("h100x8")
    (write,) = server.bring_up_to_date("h100x8", ["gpu-3"])
    assert isinstance(write, Update)
    (pool,) = server.pool(GPU_DRIVER)
    tainted = {device["name"]: device["taints"] for device in pool["devices"] if device.get("taints")}
    assert list(tainted) == ["gpu-3"]
    assert (tainted["gpu-3"][0]["key"], tainted["gpu-3"][0]["effect"]) == ("gpu.nvidia.com/gpu-lost", "NoSchedule")
    assert pool["pool"]["generation"] == 1
    since = tainted["gpu-3"][0]["timeAdded"]
    assert server.bring_up_to_date("h100x8", ["gpu-3"]) == []
    server.bring_up_to_date("h100x8", ["gpu-1", "gpu-3"])
    (pool,) = server.pool(GPU_DRIVER)
    assert [taint["timeAdded"] for device in pool["devices"] for taint in device.get("taints", ())][1] == since
    assert len(server.bring_up_to_date("h100x8")) == 1


def test_all_parts_of_a_lost_gpu_are_lost() -> None:
    server = Server()
    server.bring_up_to_date("h100x1-mig", ["gpu-0"])
    devices = [device for spec in server.pool(GPU_DRIVER) for device in spec.get("devices", ())]
    assert len(devices) == 19
    assert all(device["taints"] for device in devices)


def test_several_slices_that_change_make_a_new_generation_and_all_are_written() -> None:
    server = Server()
    server.bring_up_to_date("h100x8-mig")
    before = server.pool(GPU_DRIVER)
    assert len(before) > 3
    server.bring_up_to_date("h100x8-mig", ["gpu-0", "gpu-7"])
    after = server.pool(GPU_DRIVER)
    assert [spec["pool"]["generation"] for spec in after] == [2] * len(before)
    assert [spec["pool"]["generation"] for spec in server.pool(NIC_DRIVER)] == [1]


def test_what_the_machine_has_no_more_goes_first() -> None:
    server = Server()
    server.bring_up_to_date("h100x8-mig")
    stages = slices.writes(node(), hardware_of("n1", "l4x1"), (), server.kept.values())
    assert [{type(write) for write in stage} for stage in stages] == [{Delete}, {Update}]
    server.take(write for stage in stages for write in stage)
    assert [len(server.pool(driver)) for driver in (GPU_DRIVER, NIC_DRIVER)] == [1, 0]
    assert [device["name"] for device in server.pool(GPU_DRIVER)[0]["devices"]] == ["gpu-0"]
    server.bring_up_to_date("cpu")
    assert server.kept == {}


@settings(max_examples=25, deadline=None)
@given(
    some.lists(
        some.tuples(some.sampled_from(CHANGES), some.sets(some.sampled_from(["gpu-0", "gpu-1", "rdma0"])), some.integers(0, 6)),
        max_size=4,
    )
)  # fmt: skip
def test_whatever_was_interrupted_the_next_one_makes_whole(tries: list[tuple[str, set[str], int]]) -> None:
    """However often machines change and agents die between two writes, generations only grow and the end is
    complete."""
    server, highest = Server(), 0
    for profile, lost, most in tries:
        stages = slices.writes(node(), hardware_of("n1", profile), lost, server.kept.values())
        server.take([write for stage in stages for write in stage][:most])
        known = [spec["pool"]["generation"] for spec in server.pool(GPU_DRIVER)]
        assert not known or max(known) >= highest or len(server.pool(GPU_DRIVER)) == 0
        highest = max(known, default=0)
    server.bring_up_to_date("h100x8-mig")
    assert is_complete(server.pool(GPU_DRIVER))
    assert is_complete(server.pool(NIC_DRIVER))
    assert server.bring_up_to_date("h100x8-mig") == []
