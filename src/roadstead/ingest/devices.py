"""ResourceSlice, DeviceClass, DeviceTaintRule, ResourceClaim -> their facts; ResourceClaimTemplate -> the claim in
it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from roadstead.ingest.dra import BAD, Json, allocation_of, claim_of, claim_of_spec, class_of, rule_of, slice_of
from roadstead.ingest.pod_class import ClaimRef, Resolve, claim_refs
from roadstead.ingest.reading import Lookup, Notes, view
from roadstead.kinds.names import RESOURCE_CLAIM_TEMPLATES
from roadstead.kinds.object import Object
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.model.dra import Claim, DeviceClass, DeviceTaintRule, PodClaim, ResourceClaim, ResourceSlice

Made = TypeVar("Made")


def slice_fact(obj: Object, notes: Notes) -> ResourceSlice | None:
    """None, as if it did not exist, if it can't be read: devices that nobody understands are given to nobody."""
    return _fact(slice_of, obj, notes, "None of its devices are used")


def class_fact(obj: Object, notes: Notes) -> DeviceClass | None:
    """None if it can't be read: claims that name it wait."""
    return _fact(class_of, obj, notes, "No claim of this class is allocated")


def rule_fact(obj: Object, notes: Notes) -> DeviceTaintRule | None:
    return _fact(rule_of, obj, notes, "It taints nothing")


def claim_fact(obj: Object, notes: Notes) -> ResourceClaim | None:
    """A claim with what it was given. One whose spec can't be read asks for nothing, but keeps its devices in use."""
    value = obj.decode()
    status = value.get("status") or {}
    try:
        claim = claim_of(value)
    except BAD as error:
        notes.append(f"spec can't be read: {error}. Nothing is allocated for it")
        claim = None
    allocation = None
    if status.get("allocation"):
        try:
            allocation = allocation_of(status["allocation"])
        except BAD as error:
            notes.append(f"status.allocation can't be read: {error}. Its devices may be given to others")
    if claim is None and allocation is None:
        return None
    return ResourceClaim(
        namespace=obj.meta.namespace,
        name=obj.meta.name,
        uid=obj.meta.uid,
        claim=claim or Claim(obj.meta.namespace, obj.meta.name, ()),
        allocation=allocation,
        consumers=tuple(str(each.get("uid", "")) for each in status.get("reservedFor") or ()),
        owner_pod=next((each.uid for each in obj.meta.owner_references if each.kind == "Pod" and each.controller), ""),
        deleting=obj.meta.deletion_timestamp is not None,
    )


def template_claim(obj: Object) -> Claim | None:
    """What claims made from this ResourceClaimTemplate ask for, None if it can't be read."""
    try:
        return claim_of_spec((obj.decode().get("spec") or {}).get("spec"))
    except BAD:
        return None


def template_keys(workload: Object) -> tuple[tuple[str, str], ...]:
    """(namespace, name) of the ResourceClaimTemplates that a Workload's pods name."""
    if b'"resourceClaims"' not in workload.raw:
        return ()
    found = view(workload, WorkloadView, [])
    return tuple(
        dict.fromkeys(
            (workload.meta.namespace, ref.resource_claim_template_name)
            for pod_set in (found.spec.pod_sets if found else ())
            for ref in claim_refs(pod_set.template.get("spec") or {})
            if ref.resource_claim_template_name
        )
    )


def of_template(namespace: str, lookup: Lookup) -> Resolve:
    """How claims of pods that are still to be made are resolved: their templates say what they ask for."""

    def resolve(ref: ClaimRef) -> PodClaim:
        if ref.resource_claim_name:
            return PodClaim(ref.name, shared=(namespace, ref.resource_claim_name))
        name = ref.resource_claim_template_name or ""
        template = lookup(RESOURCE_CLAIM_TEMPLATES, namespace, name)
        claim = template_claim(template) if template is not None else None
        return PodClaim(ref.name, claim) if claim is not None else PodClaim(ref.name, missing=name)

    return resolve


def of_pod(namespace: str, made: Mapping[str, str | None]) -> Resolve:
    """How claims of a pod that exists are resolved: by the ResourceClaims made for it (`status.resourceClaimStatuses`:
    the pod's name for a claim -> its own; None where the pod turned out to need none)."""

    def resolve(ref: ClaimRef) -> PodClaim | None:
        name = ref.resource_claim_name
        if not name:
            if ref.name not in made:
                return PodClaim(ref.name)  # nobody made it yet
            name = made[ref.name]
        return PodClaim(ref.name, shared=(namespace, name)) if name else None

    return resolve


def _fact(read: Callable[[Json], Made], obj: Object, notes: Notes, instead: str) -> Made | None:
    try:
        return read(obj.decode())
    except BAD as error:
        notes.append(f"can't be read: {type(error).__name__}: {error}. {instead}")
        return None
