"""Devices for pods that no Placement names, on nodes of clusters whose scheduler counts devices and leaves the choice
to the node (Kubernetes: the kubelet's device manager, `pkg/kubelet/cm/devicemanager`).

The choice is on disk before anything starts by it, so an agent that comes back knows it, whatever became of the pod
meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from roadstead.kinds.names import POD_DEVICES_ANNOTATION
from roadstead.kinds.object import ObjectMeta
from roadstead.node.agent import devices, resources
from roadstead.node.agent.claims import record as claims
from roadstead.node.agent.occupancy import Use
from roadstead.node.agent.profiles import Profile
from roadstead.node.agent.views import Pod
from roadstead.node.keeper import runs
from roadstead.node.keeper.runs import RunError


def wants(pod: Pod, profile: Profile) -> int:
    """How many devices this node has to choose for the pod; 0 if it asks for none, was given some, or asks for more
    than there are (`devices.rejection` says so)."""
    if not profile.resource or devices.assigned(pod) or devices.stands_for(pod, profile.resource):
        return 0
    asked = resources.device_count(pod, profile.resource)
    return asked if asked <= profile.devices else 0


def choose(count: int, profile: Profile, busy: Iterable[str]) -> tuple[str, ...]:
    """The first `count` free devices by index; () if there are not so many. O(devices)."""
    taken = set(busy)
    free = [str(device["name"]) for device in profile.inventory if device["name"] not in taken]
    return tuple(free[:count]) if len(free) >= count else ()


def given(pod: Pod, names: Iterable[str]) -> Pod:
    """The pod as if its binding had named these devices."""
    annotations = {**pod.metadata.annotations, POD_DEVICES_ANNOTATION: ",".join(names)}
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, annotations=annotations))


def on_disk(state: Path) -> Iterator[tuple[str, Pod, frozenset[Use]]]:
    """(node, the pod by its devices, what it has by claims) of every pod that was given devices and that the agent
    still keeps a directory of."""
    for uid in _names(state / "pods"):
        try:
            record = runs.read_json(os.fspath(state / "pods" / uid / "pod.json"))
        except RunError:
            continue
        if record is None:
            continue
        by_claims = claims.uses(claims.read(state / "pods" / uid) or ())
        if record.get("devices") or by_claims:
            nobody = Pod(metadata=ObjectMeta(uid=uid, name=record.get("name", uid)))
            yield record.get("node", ""), given(nobody, record.get("devices", ())), by_claims


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
