"""Node -> `model.Node`."""

from __future__ import annotations

import msgspec

from roadstead.ingest.reading import Notes, amounts, taint_of, time_of, view
from roadstead.kinds.names import NODE_DEVICES_ANNOTATION, SHUTDOWN_TAINT
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.node import NodeView
from roadstead.model.nodes import Device, Node


class _Listed(msgspec.Struct, frozen=True):
    """One entry of the annotation `roadstead.dev/node-devices`."""

    name: str
    resource: str
    index: int
    healthy: bool = True


LONG_AGO = 1
"""A node that is being shut down counts as not ready since then: nobody's patience with it lasts."""

_DEVICES = msgspec.json.Decoder(tuple[_Listed, ...])


def fact_of(obj: Object, notes: Notes) -> Node:
    """The node's facts. One that can't be read, is being deleted, or lists devices that can't be read takes no new
    work: handing out devices that nobody can name would hand them out twice. One that is being shut down loses the work
    it has."""
    found = view(obj, NodeView, notes)
    if found is None:
        return Node(obj.meta.name, ready=False, unschedulable=True)
    devices, devices_readable = _devices(found, notes)
    ready = find_condition(found.status.conditions, "Ready")
    is_leaving = any(taint.key == SHUTDOWN_TAINT for taint in found.spec.taints or ())
    is_ready = ready is not None and ready.is_true and not is_leaving
    since = (ready.last_transition_time if ready is not None else None) or obj.meta.creation_timestamp
    return Node(
        name=obj.meta.name,
        labels=tuple(sorted(found.metadata.labels.items())),
        taints=tuple(taint_of(taint) for taint in found.spec.taints or ()),
        unschedulable=found.spec.unschedulable or obj.meta.deletion_timestamp is not None or not devices_readable,
        ready=is_ready,
        unready_since=LONG_AGO if is_leaving else 0 if is_ready else time_of(since, notes, "Ready"),
        allocatable=amounts(found.status.allocatable, notes, "status.allocatable"),
        devices=devices,
    )


def _devices(found: NodeView, notes: Notes) -> tuple[tuple[Device, ...], bool]:
    listed = found.metadata.annotations.get(NODE_DEVICES_ANNOTATION)
    if not listed:
        return (), True
    try:
        entries = _DEVICES.decode(listed)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        notes.append(
            f"annotation {NODE_DEVICES_ANNOTATION} can't be read: {error}. No pod is placed on this node until it holds"
            ' a list of {"name", "resource", "index", "healthy"}.'
        )
        return (), False
    return tuple(Device(each.name, each.resource, each.index, each.healthy) for each in entries), True
