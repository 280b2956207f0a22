"""Placement (`roadstead.dev/v1alpha1`): node and devices of every member of a gang, written once."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roadstead.kinds.object import ObjectMeta
from roadstead.kinds.views.common import QuantityLike


class MemberView(msgspec.Struct, frozen=True, rename="camel"):
    node: str = ""
    devices: tuple[str, ...] = ()


class PlacedPodSetView(msgspec.Struct, frozen=True, rename="camel"):
    """`members[i]` is where the pod with index i of this set runs."""

    name: str = "main"
    requests: Mapping[str, QuantityLike] = {}
    members: tuple[MemberView, ...] = ()


class PlacedWorkloadView(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    uid: str = ""


class PlacementSpecView(msgspec.Struct, frozen=True, rename="camel"):
    workload: PlacedWorkloadView = PlacedWorkloadView()
    pod_sets: tuple[PlacedPodSetView, ...] = ()


class PlacementView(msgspec.Struct, frozen=True, rename="camel"):
    metadata: ObjectMeta = ObjectMeta()
    spec: PlacementSpecView = PlacementSpecView()
