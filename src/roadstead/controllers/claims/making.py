"""Claims from templates: every pod that names a ResourceClaimTemplate gets a ResourceClaim of its own
(resourceclaim/controller.go).

Upstream lets the server choose the claim's name; here it follows from the pod, so that a lost answer cannot make two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from roadstead.controllers.claims.names import (
    BY_CLAIM,
    BY_TEMPLATE,
    belongs_to,
    entry_of,
    made_name,
    pod_keys,
    pods_by_claim,
    pods_by_template,
    uses_claims,
)
from roadstead.kinds.names import (
    POD_CLAIM_NAME_ANNOTATION,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
)
from roadstead.kinds.object import Json, Object, Resource, owner_reference
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.cluster import Create, Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Read, Step


def _with_templates(pod: Object, read: Read) -> Iterable[Key]:
    del read
    return (pod.key,) if uses_claims(pod) else ()


def _naming(template: Object, read: Read) -> Iterable[Key]:
    return [pod.key for pod in read.by_index(PODS, BY_TEMPLATE, "/".join(template.key))]


class PodClaimsController:
    """Makes the claims of a pod, and writes their names into its status."""

    name: ClassVar[str] = "pod-claims"
    watches: Mapping[Resource, KeysOf] = {
        PODS: _with_templates,
        RESOURCE_CLAIMS: pod_keys,
        RESOURCE_CLAIM_TEMPLATES: _naming,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {
        (PODS, BY_TEMPLATE): pods_by_template,
        (PODS, BY_CLAIM): pods_by_claim,
    }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        pod = read.get(PODS, *key)
        if pod is None or pod.meta.deletion_timestamp is not None:
            return NOTHING
        view = pod.view(PodView)
        if view.has_ended:
            return NOTHING
        known = {each.name: each.resource_claim_name for each in view.status.resource_claim_statuses or ()}
        names: dict[str, str | None] = dict(known)
        creates: list[Create] = []
        notes: list[Note] = []
        for entry in view.spec.resource_claims or ():
            if not entry.resource_claim_template_name or (entry.name in known and known[entry.name] is None):
                continue
            claim = _existing(pod, entry.name, known.get(entry.name), read)
            if claim is not None:
                names[entry.name] = claim.meta.name
                continue
            template = read.get(RESOURCE_CLAIM_TEMPLATES, pod.meta.namespace, entry.resource_claim_template_name)
            if template is None:
                why = f'resource claim template "{entry.resource_claim_template_name}" not found'
                notes.append(_failed(pod, f"PodResourceClaim {entry.name}: {why}"))
                continue
            value = claim_from(template, pod, entry.name)
            names[entry.name] = value["metadata"]["name"]
            creates.append(Create(RESOURCE_CLAIMS, value))
        stages: list[tuple[Create | Update, ...]] = [tuple(creates)] if creates else []
        if names != known:
            value = pod.decode()
            value.setdefault("status", {})["resourceClaimStatuses"] = [
                {"name": name} if claim_name is None else {"name": name, "resourceClaimName": claim_name}
                for name, claim_name in names.items()
            ]
            stages.append((Update(PODS, value, "status"),))
        return Step(tuple(stages), notes=tuple(notes)) if stages or notes else NOTHING


def _existing(pod: Object, entry: str, recorded: str | None, read: Read) -> Object | None:
    """The claim that was made for this entry before: as recorded, else found by its owner (a crash came in between)."""
    if recorded:
        claim = read.get(RESOURCE_CLAIMS, pod.meta.namespace, recorded)
        if claim is not None and belongs_to(claim, pod):
            return claim
    found = read.owned_by(RESOURCE_CLAIMS, pod.meta.uid)
    return next((claim for claim in found if entry_of(claim) == entry and belongs_to(claim, pod)), None)


def claim_from(template: Object, pod: Object, entry: str) -> Json:
    """The claim of one pod: what the template says, and whose it is."""
    spec = template.decode()["spec"]
    said: Json = spec.get("metadata") or {}
    metadata: Json = {
        "name": made_name(pod, entry),
        "namespace": pod.meta.namespace,
        "annotations": {**(said.get("annotations") or {}), POD_CLAIM_NAME_ANNOTATION: entry},
        "ownerReferences": [owner_reference(pod)],
    }
    if said.get("labels"):
        metadata["labels"] = said["labels"]
    return {
        "apiVersion": RESOURCE_CLAIMS.api_version,
        "kind": "ResourceClaim",
        "metadata": metadata,
        "spec": spec["spec"],
    }


def _failed(pod: Object, message: str) -> Note:
    return Note(pod, "Warning", "FailedResourceClaimCreation", message)
