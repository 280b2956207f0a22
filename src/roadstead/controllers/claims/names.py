"""Which claims a pod uses, under which names; and indexes over both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

from roadstead.kinds.names import POD_CLAIM_NAME_ANNOTATION, PODS, RESOURCE_CLAIMS
from roadstead.kinds.object import Object
from roadstead.kinds.views.claim import ClaimView, DeviceName
from roadstead.kinds.views.pod import PodClaimView, PodView
from roadstead.runtime.step import Key, Read

BY_CLAIM: Final = "by-claim"
"""Index of pods by "namespace/claim" that they use."""
BY_TEMPLATE: Final = "by-claim-template"
"""Index of pods by "namespace/template" that they name."""
BY_DEVICE: Final = "by-device"
"""Index of claims by the devices that they hold (admin access holds none)."""

USED: Final = "by-used-device"
"""Index of claims by all devices that they were given, admin access too."""

_BASE: Final = 57
"""Characters of a made name before its suffix (`generateName` upstream)."""
_SUFFIX: Final = 10


def made_name(pod: Object, entry: str) -> str:
    """The name of the claim made for one of a pod's `spec.resourceClaims`: `<pod>-<entry>-` and a suffix that only this
    pod has. Where that gets long, both parts are shortened by the same share."""
    name = pod.meta.name
    room = _BASE - 2
    if len(name) + len(entry) > room:
        for_pod = room * len(name) // (len(name) + len(entry))
        name, entry_part = name[:for_pod], entry[: room - for_pod]
    else:
        entry_part = entry
    suffix = sha256(f"{pod.meta.uid}/{entry}".encode()).hexdigest()[:_SUFFIX]
    return f"{name}-{entry_part}-{suffix}"


def claims_of(pod: Object) -> Iterator[tuple[PodClaimView, str | None]]:
    """The pod's `spec.resourceClaims`, each with the claim's name: "" if none was made yet, None if none is needed."""
    if not uses_claims(pod):
        return
    view = pod.view(PodView)
    made = {each.name: each.resource_claim_name for each in view.status.resource_claim_statuses or ()}
    for entry in view.spec.resource_claims or ():
        yield entry, entry.resource_claim_name or made.get(entry.name, "")


def belongs_to(claim: Object, pod: Object) -> bool:
    """It was made for this pod, and for no other of the same name."""
    owner = claim.meta.controller
    return owner is not None and owner.uid == pod.meta.uid


def claim_for(pod: Object, entry: PodClaimView, name: str, read: Read) -> Object | None:
    """The claim behind an entry, None if it cannot be used: it is not there (yet), or was made for somebody else."""
    claim = read.get(RESOURCE_CLAIMS, pod.meta.namespace, name) if name else None
    if claim is None or (entry.resource_claim_template_name and not belongs_to(claim, pod)):
        return None
    return claim


def uses_claims(pod: Object) -> bool:
    """Most pods use none, and need not be decoded to know."""
    if pod.brief is not None and not pod.brief.has_claims:
        return False
    return bool(pod.view(PodView).spec.resource_claims)


def pods_by_claim(pod: Object) -> Iterable[str]:
    """Index function for BY_CLAIM."""
    return [f"{pod.meta.namespace}/{name}" for _, name in claims_of(pod) if name]


def pods_by_template(pod: Object) -> Iterable[str]:
    """Index function for BY_TEMPLATE."""
    entries = (pod.view(PodView).spec.resource_claims or ()) if uses_claims(pod) else ()
    return [
        f"{pod.meta.namespace}/{entry.resource_claim_template_name}"
        for entry in entries
        if entry.resource_claim_template_name
    ]


def claims_by_device(claim: Object) -> Iterable[str]:
    """Index function for BY_DEVICE."""
    allocation = claim.view(ClaimView).status.allocation
    if allocation is None:
        return ()
    return [str(result.name) for result in allocation.results if not result.admin_access]


def claims_by_used_device(claim: Object) -> Iterable[str]:
    """Index function for USED."""
    allocation = claim.view(ClaimView).status.allocation
    results = allocation.results if allocation is not None else ()
    return dict.fromkeys(str(DeviceName(*result.name[:3])) for result in results)


def users_of(claim: Object, read: Read) -> list[Object]:
    """The pods that use, or want to use, a claim. `BY_CLAIM` must be among the indexes."""
    found = list(read.by_index(PODS, BY_CLAIM, "/".join(claim.key)))
    owner = claim.meta.controller
    if owner is not None and owner.kind == "Pod" and all(pod.meta.name != owner.name for pod in found):
        pod = read.get(PODS, claim.meta.namespace, owner.name)
        if pod is not None and belongs_to(claim, pod):
            found.append(pod)
    return found


def pod_keys(claim: Object, read: Read) -> Iterable[Key]:
    """KeysOf: the pods that use a claim, and the one that it was made for."""
    keys = [pod.key for pod in users_of(claim, read)]
    owner = claim.meta.controller
    if owner is not None and owner.kind == "Pod":
        keys.append((claim.meta.namespace, owner.name))
    return dict.fromkeys(keys)


def entry_of(claim: Object) -> str:
    """For which of its pod's `spec.resourceClaims` a claim was made."""
    return claim.meta.annotations.get(POD_CLAIM_NAME_ANNOTATION, "")
