"""The devices of a node in detail, from its profile: what their drivers would publish, and what a process must be told
to use them.

Attributes are those that the vendors' DRA drivers publish: `gpu.nvidia.com` (NVIDIA/k8s-dra-driver-gpu, GPUs and, on
partitioned profiles, every MIG placement with the counters that it takes) and `dra.net` (kubernetes-sigs/dranet,
network adapters). An attribute of our own, `roadstead.dev/device`, names the device in the node's annotation
`roadstead.dev/node-devices`, so that `nvidia.com/gpu: 1` and a claim draw on the same thing; a partition carries the
name of its whole GPU.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from roadstead.kinds.names import DEVICE_ATTRIBUTE
from roadstead.kinds.object import Json
from roadstead.node.agent.profiles import Gpu, Partition, Profile, profile

GPU_DRIVER: Final = "gpu.nvidia.com"
NIC_DRIVER: Final = "dra.net"
PCIE_ROOT: Final = "resource.kubernetes.io/pcieRoot"
PCI_BUS: Final = "resource.kubernetes.io/pciBusID"
NUMA_NODE: Final = "resource.kubernetes.io/numaNode"

DRIVER_VERSION: Final = "580.95.5"
CUDA_VERSION: Final = "13.0.0"
"""What simulated GPUs say of their driver."""

LOST_TAINTS: Final = {GPU_DRIVER: "gpu.nvidia.com/gpu-lost", NIC_DRIVER: "dra.net/link-down"}
"""Taint keys of devices that are not healthy, by driver (NVIDIA's is its own)."""


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """One device that can be allocated."""

    driver: str
    name: str
    physical: str
    """Which thing of the machine it is, or is a part of: a name of the node's annotation, or an adapter."""
    part: str
    """Which part of it; "" = the whole."""
    visible: str
    """What names it in CUDA_VISIBLE_DEVICES (a node-local index, or a MIG instance) or NCCL_IB_HCA (an RDMA device)."""
    published: Json
    """As in a ResourceSlice. Not to be edited."""

    @property
    def is_shareable(self) -> bool:
        return bool(self.published.get("allowMultipleAllocations"))


@dataclass(frozen=True, slots=True, eq=False)
class Hardware:
    """All devices of one node, in the order in which they are offered."""

    node: str
    devices: tuple[Device, ...] = ()
    counter_sets: tuple[Json, ...] = ()
    """What the GPU driver's partitions share."""

    @property
    def drivers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(device.driver for device in self.devices))

    @property
    def by_id(self) -> Mapping[tuple[str, str], Device]:
        """By driver and name."""
        return _index(self)

    def of(self, driver: str) -> Sequence[Device]:
        return [device for device in self.devices if device.driver == driver]


@lru_cache(maxsize=4096)
def _index(hardware: Hardware) -> Mapping[tuple[str, str], Device]:
    return {(device.driver, device.name): device for device in hardware.devices}


@lru_cache(maxsize=4096)
def hardware_of(node: str, profile_name: str) -> Hardware:
    """The devices of node `node`. The same every time: uuids and addresses follow from the names. O(devices)."""
    looks = profile(profile_name)
    gpu = looks.model
    if gpu is None:
        return Hardware(node)
    places = _Places(looks)
    found: list[Device] = []
    for index in range(looks.devices):
        found += _gpu_devices(node, looks, gpu, index, places.gpu(index))
    found += [_nic(node, index, places.nic(index)) for index in range(looks.nics)]
    sets = tuple(_counter_set(gpu, index) for index in range(looks.devices)) if looks.partitioned else ()
    return Hardware(node, tuple(found), sets)


@dataclass(frozen=True, slots=True)
class _Place:
    root: str
    bus: str
    numa: int

    @property
    def attributes(self) -> Json:
        return {
            PCI_BUS: {"string": self.bus},
            PCIE_ROOT: {"string": self.root},
            NUMA_NODE: {"int": self.numa},
        }


class _Places:
    """Where on the machine's PCIe tree things are: below each root first its GPUs, then its adapters."""

    def __init__(self, looks: Profile) -> None:
        self._roots = [int(text, 16) for text in looks.roots]
        self._gpus, self._nics = looks.devices, looks.nics

    def gpu(self, index: int) -> _Place:
        root = index * len(self._roots) // self._gpus
        return self._place(root, index - _first(root, self._gpus, len(self._roots)))

    def nic(self, index: int) -> _Place:
        roots = len(self._roots)
        root = index * roots // self._nics
        gpus = _first(root + 1, self._gpus, roots) - _first(root, self._gpus, roots)
        return self._place(root, gpus + index - _first(root, self._nics, roots))

    def _place(self, root: int, slot: int) -> _Place:
        number = self._roots[root]
        numa = root * 2 // len(self._roots) if len(self._roots) > 1 else 0
        return _Place(f"pci0000:{number:02x}", f"0000:{number + 2 + slot:02x}:00.0", numa)


def _first(root: int, things: int, roots: int) -> int:
    """Index of the first of `things` below this root."""
    return -(-root * things // roots)


def _uuid(*names: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "roadstead.dev/" + "/".join(map(str, names))))


# --- GPUs


def _gpu_devices(node: str, looks: Profile, gpu: Gpu, index: int, place: _Place) -> Iterator[Device]:
    name = f"gpu-{index}"
    uid = f"GPU-{_uuid(node, name)}"
    common: Json = {
        "productName": {"string": gpu.product},
        "brand": {"string": gpu.brand},
        "architecture": {"string": gpu.architecture},
        "cudaComputeCapability": {"version": gpu.capability},
        "driverVersion": {"version": DRIVER_VERSION},
        "cudaDriverVersion": {"version": CUDA_VERSION},
        **place.attributes,
        DEVICE_ATTRIBUTE: {"string": name},
    }
    whole: Json = {
        "name": name,
        "attributes": {
            "type": {"string": "gpu"},
            "uuid": {"string": uid},
            "index": {"int": index},
            "minor": {"int": index},
            **common,
        },
        "capacity": {"memory": {"value": gpu.memory}},
    }
    if looks.shared:
        whole["allowMultipleAllocations"] = True
        whole["capacity"]["memory"]["requestPolicy"] = {
            "default": gpu.memory,  # who asks for no share gets the whole
            "validRange": {"min": "256Mi", "max": gpu.memory, "step": "1Mi"},
        }
    if looks.partitioned:
        whole["consumesCounters"] = [{"counterSet": _set_name(index), "counters": _all_counters(gpu)}]
    yield Device(GPU_DRIVER, name, name, "", str(index), whole)
    if looks.partitioned:
        for partition in gpu.partitions:
            for start in partition.starts:
                yield _mig(node, index, uid, partition, start, common)


def _mig(node: str, index: int, parent: str, partition: Partition, start: int, common: Json) -> Device:
    name = f"gpu-{index}-mig-{partition.profile.replace('.', '')}-{partition.id}-{start}"
    counters = {engine: {"value": str(count)} for engine, count in partition.engines.items() if count}
    counters["memory"] = {"value": partition.memory}
    counters |= {f"memory-slice-{each}": {"value": "1"} for each in range(start, start + partition.size)}
    published: Json = {
        "name": name,
        "attributes": {
            "type": {"string": "mig"},
            "parentUUID": {"string": parent},
            "profile": {"string": partition.profile},
            **common,
        },
        "capacity": {
            **{_camel(engine): {"value": str(count)} for engine, count in partition.engines.items()},
            "memory": {"value": partition.memory},
        },
        "consumesCounters": [{"counterSet": _set_name(index), "counters": counters}],
    }
    return Device(GPU_DRIVER, name, f"gpu-{index}", name, f"MIG-{_uuid(node, name)}", published)


def _set_name(index: int) -> str:
    return f"gpu-{index}-counter-set"


def _all_counters(gpu: Gpu) -> Json:
    counters = {engine: {"value": str(count)} for engine, count in gpu.engines.items()}
    counters["memory"] = {"value": gpu.memory}
    return counters | {f"memory-slice-{each}": {"value": "1"} for each in range(gpu.memory_slices)}


def _counter_set(gpu: Gpu, index: int) -> Json:
    return {"name": _set_name(index), "counters": _all_counters(gpu)}


def _camel(name: str) -> str:
    """
    >>> _camel("copy-engines")
    'copyEngines'
    """
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


# --- network adapters


def _nic(node: str, index: int, place: _Place) -> Device:
    name, rdma = f"rdma{index}", f"mlx5_{index}"
    digits = _uuid(node, name).replace("-", "")
    mac = ":".join(["02", *(digits[at : at + 2] for at in range(0, 10, 2))])
    attributes: Json = {
        "dra.net/ifName": {"string": name},
        "dra.net/pciAddress": {"string": place.bus},
        "dra.net/mac": {"string": mac},
        "dra.net/pciVendor": {"string": "Mellanox Technologies"},
        "dra.net/pciDevice": {"string": "MT2910 Family [ConnectX-7]"},
        "dra.net/numaNode": {"int": place.numa},
        "dra.net/mtu": {"int": 9000},
        "dra.net/encapsulation": {"string": "ether"},
        "dra.net/state": {"string": "up"},
        "dra.net/type": {"string": "device"},
        "dra.net/ebpf": {"bool": False},
        "dra.net/sriov": {"bool": False},
        "dra.net/virtual": {"bool": False},
        "dra.net/rdma": {"bool": True},
        "dra.net/rdmaDevice": {"string": rdma},
        **place.attributes,
    }
    return Device(NIC_DRIVER, name, name, "", rdma, {"name": name, "attributes": attributes})
