"""Services as `v1` writes them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roadstead.kinds.object import ObjectMeta


class ServiceSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    selector: Mapping[str, str] | None = None


class ServiceView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpecView = ServiceSpecView()
