"""Leases as `coordination.k8s.io/v1` writes them."""

from __future__ import annotations

import msgspec

from roadstead.kinds.object import ObjectMeta


class LeaseSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Times are MicroTime strings (`kinds.times`)."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class LeaseView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: LeaseSpecView = LeaseSpecView()
