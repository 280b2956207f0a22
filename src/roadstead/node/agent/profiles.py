"""Node profiles: what kinds of machines a node can be told to look like. The data is `profiles.json`.

Labels are those that NVIDIA's GPU feature discovery publishes (k8s-device-plugin, `docs/gpu-feature-discovery`), so
node selectors and resource flavors written for a real cluster match. What the devices are in detail is what
`hardware.py` makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

GPU_RESOURCE: Final = "nvidia.com/gpu"


class Partition(msgspec.Struct, frozen=True, rename="camel"):
    """A MIG profile: what an instance of it takes from its GPU, and at which memory slices it may start."""

    profile: str
    id: int
    memory: str
    starts: tuple[int, ...]
    size: int
    """In memory slices."""
    engines: Mapping[str, int]


class Gpu(msgspec.Struct, frozen=True, rename="camel"):
    """One kind of GPU as its driver describes it."""

    product: str
    brand: str
    architecture: str
    capability: str
    """CUDA compute capability, as a semantic version."""
    memory: str
    mig_capable: bool = False
    engines: Mapping[str, int] = {}
    memory_slices: int = 0
    partitions: tuple[Partition, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """What feature discovery says of a node that has some."""
        major, minor, _ = self.capability.split(".")
        return {
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": self.product.replace(" ", "-"),
            "nvidia.com/gpu.family": self.architecture.lower().replace(" ", "-"),
            "nvidia.com/gpu.memory": self.memory.removesuffix("Mi"),
            "nvidia.com/gpu.compute.major": major,
            "nvidia.com/gpu.compute.minor": minor,
            "nvidia.com/gpu.replicas": "1",
            "nvidia.com/gpu.sharing-strategy": "none",
            "nvidia.com/mig.capable": str(self.mig_capable).lower(),
        }


class Profile(msgspec.Struct, frozen=True):
    """`cpu` and `memory` are what a simulated node has; a real one has the machine's."""

    cpu: str
    memory: str
    gpu: str = ""
    """Which kind; see `model`."""
    devices: int = 0
    """GPUs."""
    roots: tuple[str, ...] = ()
    """PCIe root complexes by bus number (hexadecimal). GPUs and network adapters are spread evenly over them, in order;
    the first half of the roots is NUMA node 0, the others 1, unless there is but one."""
    nics: int = 0
    partitioned: bool = False
    """The GPUs can be cut into MIG instances as claims ask for them."""
    shared: bool = False
    """Claims may ask for a part of a GPU's memory, several at once."""

    @property
    def resource(self) -> str:
        """What pods ask for by count, "" if there is nothing."""
        return GPU_RESOURCE if self.devices else ""

    @property
    def model(self) -> Gpu | None:
        return _data().gpus[self.gpu] if self.devices else None

    @property
    def labels(self) -> dict[str, str]:
        return self.model.labels if self.model is not None else {}

    @property
    def inventory(self) -> list[dict[str, object]]:
        """The devices as the node's annotation lists them while all are healthy: gpu-0, gpu-1, ..."""
        return [
            {"name": f"gpu-{index}", "resource": self.resource, "index": index, "healthy": True}
            for index in range(self.devices)
        ]


class _Data(msgspec.Struct, frozen=True):
    gpus: Mapping[str, Gpu]
    profiles: Mapping[str, Profile]


@cache
def _data() -> _Data:
    return msgspec.json.decode((Path(__file__).parent / "profiles.json").read_bytes(), type=_Data)


def all_profiles() -> Mapping[str, Profile]:
    return _data().profiles


def profile(name: str) -> Profile:
    """The profile of this name; ValueError lists those there are."""
    try:
        return all_profiles()[name]
    except KeyError:
        known = ", ".join(sorted(all_profiles()))
        raise ValueError(f"There is no node profile {name!r}; there are {known}.") from None
