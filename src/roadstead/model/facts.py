"""Facts: what `World.apply` takes. One value per API object, or the news that the object is gone."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from roadstead.model.dra import DeviceClass, DeviceTaintRule, ResourceClaim, ResourceSlice
from roadstead.model.nodes import Node
from roadstead.model.queues import (
    AdmissionCheck,
    ClusterQueue,
    Cohort,
    LocalQueue,
    Namespace,
    ResourceFlavor,
    Topology,
)
from roadstead.model.workload import Pod, Workload

Noun: TypeAlias = (
    Namespace
    | Topology
    | Node
    | DeviceClass
    | ResourceSlice
    | DeviceTaintRule
    | ResourceFlavor
    | AdmissionCheck
    | Cohort
    | ClusterQueue
    | LocalQueue
    | ResourceClaim
    | Workload
    | Pod
)


class Gone(msgspec.Struct, frozen=True):
    """The object of this noun and key does not exist (any more). Key: (namespace, name), or ("", name)."""

    noun: type[Noun]
    key: tuple[str, str]


Fact: TypeAlias = Noun | Gone
