"""Node profiles: what kinds of machines a node can be told to look like. The data is `profiles.json`.

Labels are those that NVIDIA's GPU feature discovery publishes (k8s-device-plugin, `docs/gpu-feature-discovery`), so node selectors
and resource flavors written for a real cluster match.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec


class Profile(msgspec.Struct, frozen=True):
    """`cpu` and `memory` are what a simulated node has; a real one has the machine's."""

    cpu: str
    memory: str
    resource: str = ""
    devices: int = 0
    labels: Mapping[str, str] = {}

    @property
    def inventory(self) -> list[dict[str, object]]:
        """The devices as the node's annotation lists them: gpu-0, gpu-1, ..."""
        return [
            {"name": f"gpu-{index}", "resource": self.resource, "index": index, "healthy": True}
            for index in range(self.devices)
        ]


@cache
def all_profiles() -> Mapping[str, Profile]:
    return msgspec.json.decode((Path(__file__).parent / "profiles.json").read_bytes(), type=dict[str, Profile])


def profile(name: str) -> Profile:
    """The profile of this name; ValueError lists those there are."""
    try:
        return all_profiles()[name]
    except KeyError:
        known = ", ".join(sorted(all_profiles()))
        raise ValueError(f"There is no node profile {name!r}; there are {known}.") from None
