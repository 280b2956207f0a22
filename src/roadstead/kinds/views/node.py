"""Nodes as `v1` writes them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roadstead.kinds.object import ObjectMeta
from roadstead.kinds.views.common import Condition, QuantityLike
from roadstead.kinds.views.kueue import TaintView


class NodeSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    unschedulable: bool = False
    taints: tuple[TaintView, ...] | None = None
    provider_id: str = msgspec.field(default="", name="providerID")


class NodeAddressView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    type: str = ""
    address: str = ""


class NodeStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    capacity: Mapping[str, QuantityLike] = {}
    allocatable: Mapping[str, QuantityLike] = {}
    conditions: tuple[Condition, ...] = ()
    addresses: tuple[NodeAddressView, ...] = ()


class NodeView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpecView = NodeSpecView()
    status: NodeStatusView = NodeStatusView()
