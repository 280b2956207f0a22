"""Placement (`roadstead.dev/v1alpha1`): node and devices of every member of a gang, written once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadstead.kinds.object import ObjectMeta
from roadstead.kinds.views.common import QuantityLike


class MemberClaimView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What one of the member's claims is given, by the pod's name for it; `allocation` is an AllocationResult."""

    name: str = ""
    allocation: Mapping[str, Any] = {}


class MemberView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    node: str = ""
    devices: tuple[str, ...] = ()
    claims: tuple[MemberClaimView, ...] = ()


class PlacedPodSetView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`members[i]` is where the pod with index i of this set runs."""

    name: str = "main"
    requests: Mapping[str, QuantityLike] = {}
    members: tuple[MemberView, ...] = ()


class PlacedWorkloadView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    uid: str = ""


class PlacementSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    workload: PlacedWorkloadView = PlacedWorkloadView()
    pod_sets: tuple[PlacedPodSetView, ...] = ()


class PlacementView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: PlacementSpecView = PlacementSpecView()
