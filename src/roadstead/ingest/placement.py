"""Placement -> `model.Placement`, the part of a Workload's facts that says where its members are."""

from __future__ import annotations

from roadstead.ingest.reading import Notes, amounts, view
from roadstead.kinds.object import Object
from roadstead.kinds.views.placement import PlacementView
from roadstead.model.workload import Member, Placement, PodSetPlacement


def placement_of(obj: Object, notes: Notes) -> Placement | None:
    """Where every member of the gang is, or None if the object can't be read."""
    found = view(obj, PlacementView, notes)
    if found is None:
        return None
    return Placement(
        tuple(
            PodSetPlacement(
                name=pod_set.name,
                members=tuple(Member(member.node, member.devices) for member in pod_set.members),
                requests=amounts(pod_set.requests, notes, f"requests of pod set {pod_set.name}"),
            )
            for pod_set in found.spec.pod_sets
        )
    )


def speaks_for(obj: Object, uid: str) -> bool:
    """True if this Placement was written for the Workload with this uid, not for an earlier one of the same name."""
    found = view(obj, PlacementView, [])
    return found is not None and found.spec.workload.uid in ("", uid)
