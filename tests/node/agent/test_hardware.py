"""What a profile's devices are in detail: as their drivers publish them, within the API's limits, the same every
time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from roadstead.expr.quantity import parse
from roadstead.kinds.names import DEVICE_ATTRIBUTE
from roadstead.kinds.object import Json
from roadstead.node.agent.hardware import (
    GPU_DRIVER,
    LOST_TAINTS,
    NIC_DRIVER,
    NUMA_NODE,
    PCI_BUS,
    PCIE_ROOT,
    Device,
    Hardware,
    hardware_of,
)
from roadstead.node.agent.profiles import all_profiles, profile


def text(device: Device, name: str) -> str:
    found: str = device.published["attributes"][name]["string"]
    return found


def by_root(hardware: Hardware, driver: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for device in hardware.of(driver):
        found.setdefault(text(device, PCIE_ROOT), []).append(device.name)
    return found


def test_two_gpus_and_two_adapters_share_each_root_of_a_h100_machine() -> None:
    machine = hardware_of("n1", "h100x8")
    gpus, nics = by_root(machine, GPU_DRIVER), by_root(machine, NIC_DRIVER)
    assert list(gpus) == list(nics) == ["pci0000:15", "pci0000:37", "pci0000:97", "pci0000:b7"]
    assert gpus["pci0000:37"] == ["gpu-2", "gpu-3"]
    assert nics["pci0000:37"] == ["rdma2", "rdma3"]
    numa = {device.name: device.published["attributes"][NUMA_NODE]["int"] for device in machine.devices}
    assert [numa[f"gpu-{index}"] for index in range(8)] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_gpu_says_what_nvidias_driver_says() -> None:
    first = hardware_of("n1", "h100x8").devices[0]
    attributes = first.published["attributes"]
    assert {name: next(iter(value.values())) for name, value in attributes.items() if "/" not in name} == {
        "type": "gpu",
        "uuid": text(first, "uuid"),
        "index": 0,
        "minor": 0,
        "productName": "NVIDIA H100 80GB HBM3",
        "brand": "Nvidia",
        "architecture": "Hopper",
        "cudaComputeCapability": "9.0.0",
        "driverVersion": "580.95.5",
        "cudaDriverVersion": "13.0.0",
    }
    assert text(first, DEVICE_ATTRIBUTE) == "gpu-0"
    assert text(first, "uuid").startswith("GPU-")
    assert first.published["capacity"] == {"memory": {"value": "81559Mi"}}


@pytest.mark.parametrize("name", sorted(all_profiles()))
def test_devices_keep_the_apis_limits_and_tell_each_other_apart(name: str) -> None:
    machine, looks = hardware_of("n1", name), profile(name)
    assert machine is hardware_of("n1", name)
    for driver in machine.drivers:
        names = [device.name for device in machine.of(driver)]
        assert len(names) == len(set(names))
    assert max(Counter(text(device, PCI_BUS) for device in machine.devices if not device.part).values(), default=1) == 1
    wholes = [device for device in machine.of(GPU_DRIVER) if not device.part]
    assert [device.name for device in wholes] == [one["name"] for one in looks.inventory]
    assert [device.visible for device in wholes] == [str(one["index"]) for one in looks.inventory]
    for device in machine.devices:
        value = device.published
        assert len(value["attributes"]) + len(value.get("capacity", {})) <= 32
        assert all(len(str(one.get("string", ""))) <= 64 for one in value["attributes"].values())
        for uses in value.get("consumesCounters", ()):
            assert len(uses["counters"]) <= 32
    uuids = [
        text(device, "uuid") for device in wholes + list(hardware_of("n2", name).of(GPU_DRIVER)) if not device.part
    ]
    assert len(uuids) == len(set(uuids))


def counters(value: Json) -> dict[str, int]:
    return {name: parse(one["value"]).value for name, one in value["counters"].items()}


def test_the_parts_of_a_gpu_come_from_its_counters() -> None:
    machine = hardware_of("n1", "h100x1-mig")
    names = [device.name for device in machine.devices]
    assert len(names) == 1 + 7 + 4 + 3 + 2 + 1 + 1
    assert names[:2] == ["gpu-0", "gpu-0-mig-1g10gb-19-0"]
    (have,) = (counters(one) for one in machine.counter_sets)
    used = {
        device.name: counters(one)
        for device in machine.devices
        for one in device.published["consumesCounters"]
        if one["counterSet"] == machine.counter_sets[0]["name"]
    }
    assert used["gpu-0"] == have
    assert all(use[name] <= have[name] for use in used.values() for name in use)

    def fit(*together: str) -> bool:
        sums: Counter[str] = Counter()
        for one in together:
            sums.update(used[one])
        return all(sums[name] <= have[name] for name in sums)

    assert fit(*(f"gpu-0-mig-1g10gb-19-{start}" for start in range(7)))
    assert fit("gpu-0-mig-3g40gb-9-0", "gpu-0-mig-3g40gb-9-4")
    assert not fit("gpu-0-mig-4g40gb-5-0", "gpu-0-mig-1g10gb-19-3")  # the same memory slice
    assert not fit("gpu-0", "gpu-0-mig-1g10gb-19-6")
    assert {device.physical for device in machine.devices} == {"gpu-0"}
    assert {text(device, DEVICE_ATTRIBUTE) for device in machine.devices} == {"gpu-0"}


def test_who_asks_for_no_share_of_a_shared_gpu_gets_the_whole() -> None:
    (gpu,) = hardware_of("n1", "l4x1-shared").devices
    assert gpu.is_shareable
    memory = gpu.published["capacity"]["memory"]
    policy = memory["requestPolicy"]
    assert policy["default"] == memory["value"]
    least, most, step = (parse(policy["validRange"][name]).value for name in ("min", "max", "step"))
    assert (most - least) % step == 0


def test_the_manual_names_every_profile_driver_and_attribute() -> None:
    manual = (Path(__file__).resolve().parents[3] / "docs" / "devices.md").read_text()
    assert [name for name in all_profiles() if f"`{name}`" not in manual] == []
    gpu, mig = hardware_of("n1", "h100x1-mig").devices[:2]
    attributes = {name for one in (gpu, mig) for name in one.published["attributes"]}
    assert [name for name in attributes if f"`{name.removeprefix('resource.kubernetes.io')}`" not in manual] == [
        PCIE_ROOT
    ]
    assert [name for name in (GPU_DRIVER, NIC_DRIVER, PCIE_ROOT, *LOST_TAINTS.values()) if name not in manual] == []
