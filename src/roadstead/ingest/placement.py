"""Placement -> `model.Placement`, the part of a Workload's facts that says where its members are."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.ingest.dra import BAD, allocation_of
from roadstead.ingest.reading import Notes, amounts, view
from roadstead.kinds.object import Object
from roadstead.kinds.roadstead.released import released
from roadstead.kinds.views.placement import MemberView, PlacementView
from roadstead.model.dra import Allocation
from roadstead.model.workload import Member, Placement, PodClass, PodSetPlacement


def placement_of(obj: Object, notes: Notes, pods: Mapping[str, PodClass]) -> Placement | None:
    """Where every member of the gang is that needs its place still, or None if the object can't be read. `pods`: what
    its pod sets run."""
    found = view(obj, PlacementView, notes)
    if found is None:
        return None
    return Placement(
        tuple(
            PodSetPlacement(
                name=pod_set.name,
                members=tuple(
                    _member(member, notes)
                    for number, member in enumerate(pod_set.members)
                    if number not in released(obj.meta.annotations, pod_set.name)
                ),
                requests=amounts(pod_set.requests, notes, f"requests of pod set {pod_set.name}"),
                shared=shared_claims(pods.get(pod_set.name)),
            )
            for pod_set in found.spec.pod_sets
        )
    )


def shared_claims(pod: PodClass | None) -> tuple[tuple[str, tuple[str, str]], ...]:
    """Which claims of the pods are one for all of them."""
    return tuple((each.name, each.shared) for each in (pod.claims if pod else ()) if each.shared is not None)


def _member(member: MemberView, notes: Notes) -> Member:
    claims: list[tuple[str, Allocation]] = []
    for each in member.claims:
        try:
            claims.append((each.name, allocation_of(each.allocation)))
        except BAD as error:
            notes.append(f"the allocation of claim {each.name} on node {member.node} can't be read: {error}")
    return Member(member.node, member.devices, tuple(claims))


def speaks_for(obj: Object, uid: str) -> bool:
    """True if this Placement was written for the Workload with this uid, not for an earlier one of the same name."""
    found = view(obj, PlacementView, [])
    return found is not None and found.spec.workload.uid in ("", uid)
