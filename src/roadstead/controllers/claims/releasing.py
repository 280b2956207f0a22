"""Claims that nobody uses any more give their devices back (resourceclaim/controller.go, `syncClaim`).

A consumer is dropped when its pod is gone, is another one, has ended, or is being deleted without ever having had a
node. With the last of them the allocation goes, in the same write. A claim made for a pod is deleted as soon as that
pod has ended.

A claim that is allocated and used by nobody is left alone, as upstream: whoever made it so may have a reason. The one
exception is an allocation that only a node which no longer exists could use (upstream's scheduler takes it back when a
pod waits for it).

A pod that came to its node by itself (`spec.nodeName` in what the user wrote) is added to the consumers of what is
allocated already; nothing is allocated for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from roadstead.controllers.claims.allocating import reserve
from roadstead.controllers.claims.names import BY_CLAIM, belongs_to, claims_of, pods_by_claim, users_of, uses_claims
from roadstead.kinds.names import NODES, PODS, RESOURCE_CLAIMS
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.kinds.resource.claim_status import MAX_CONSUMERS
from roadstead.kinds.views.claim import ClaimView, ConsumerView
from roadstead.kinds.views.pod import PodClaimView, PodView
from roadstead.runtime.cluster import Delete, Update
from roadstead.runtime.step import NOTHING, Absent, Index, Key, KeysOf, Read, Step, same_key


def _claims_of(pod: Object, read: Read) -> Iterable[Key]:
    """What a pod used, and what was made for it."""
    if not uses_claims(pod):
        return ()
    named = [(pod.meta.namespace, name) for _, name in claims_of(pod) if name]
    return dict.fromkeys([*named, *(claim.key for claim in read.owned_by(RESOURCE_CLAIMS, pod.meta.uid))])


def _only_there(node: Object, read: Read) -> Iterable[Key]:
    """Claims that only this node could use, once it is gone."""
    name = node.meta.name
    if read.get(NODES, "", name) is None:
        yield from (claim.key for claim in read.by_index(RESOURCE_CLAIMS, BY_NODE, name))


BY_NODE = "claims-by-node"
"""Index of claims by the one node that their allocation can be used on."""


def claims_by_node(claim: Object) -> Iterable[str]:
    """Index function for BY_NODE."""
    allocation = claim.view(ClaimView).status.allocation
    return (allocation.node,) if allocation is not None and allocation.node else ()


class ResourceClaimController:
    """Keeps `status.reservedFor` of a claim true."""

    name: ClassVar[str] = "resource-claims"
    watches: Mapping[Resource, KeysOf] = {RESOURCE_CLAIMS: same_key, PODS: _claims_of, NODES: _only_there}
    indexes: Mapping[tuple[Resource, str], Index] = {
        (PODS, BY_CLAIM): pods_by_claim,
        (RESOURCE_CLAIMS, BY_NODE): claims_by_node,
    }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        claim = read.get(RESOURCE_CLAIMS, *key)
        if claim is None:
            return NOTHING
        view = claim.view(ClaimView)
        doubted: list[Absent] = []
        kept = [each for each in view.consumers if _is_used_by(claim, each, read, doubted)]
        if len(kept) < len(view.consumers):
            return Step(((released(claim, kept),),), confirm=tuple(doubted))
        is_allocated = view.status.allocation is not None
        if claim.meta.deletion_timestamp is not None:
            return Step(((released(claim, ()),),)) if is_allocated and not kept else NOTHING
        if is_allocated and (lost := _lost_node(claim, kept, read)) is not None:
            return Step(((released(claim, ()),),), confirm=(lost,))
        if is_allocated and (value := _joined(claim, read)) is not None:
            return Step(((Update(RESOURCE_CLAIMS, value, "status"),),))
        if not kept and _is_over(claim, read):
            return Step(((Delete(claim.ref, claim.meta.uid),),))
        return NOTHING


def _is_used_by(claim: Object, consumer: ConsumerView, read: Read, doubted: list[Absent]) -> bool:
    """Does this consumer still need the claim? A pod that the view does not show is only gone once the server says so:
    `doubted`."""
    if not consumer.is_pod:
        return True  # somebody else's to release
    pod = read.get(PODS, claim.meta.namespace, consumer.name)
    if pod is None or pod.meta.uid != consumer.uid:
        doubted.append(Absent(Ref(PODS, claim.meta.namespace, consumer.name), consumer.uid))
        return False
    view = pod.view(PodView)
    return not view.has_ended and not (pod.meta.deletion_timestamp is not None and not view.spec.node_name)


def _is_over(claim: Object, read: Read) -> bool:
    """It was made for a pod that has ended."""
    owner = claim.meta.controller
    if owner is None or owner.kind != "Pod":
        return False
    pod = read.get(PODS, claim.meta.namespace, owner.name)
    return pod is not None and belongs_to(claim, pod) and pod.view(PodView).has_ended


def _joined(claim: Object, read: Read) -> Json | None:
    """The claim with the pods that use it and were put on their node past the queue, as far as its devices can be used
    there and there is room among its consumers; None if there are none."""
    allocation = claim.view(ClaimView).status.allocation
    nodes = {"", allocation.node} if allocation is not None and allocation.node else None
    value: Json | None = None
    for pod in users_of(claim, read):
        view = pod.view(PodView)
        if not view.spec.node_name or view.has_ended or pod.meta.deletion_timestamp is not None:
            continue
        if nodes is not None and view.spec.node_name not in nodes:
            continue
        if any(entry.resource_claim_template_name and not belongs_to(claim, pod) for entry in _entries(pod, claim)):
            continue
        changed = claim.decode() if value is None else value
        if len(changed["status"].get("reservedFor") or ()) < MAX_CONSUMERS and reserve(changed, pod):
            value = changed
    return value


def _entries(pod: Object, claim: Object) -> Iterable[PodClaimView]:
    """Under which of its names the pod uses the claim."""
    return (entry for entry, name in claims_of(pod) if name == claim.meta.name)


def _lost_node(claim: Object, consumers: Sequence[ConsumerView], read: Read) -> Absent | None:
    """The node that the allocation is tied to, if it is not there and no consumer runs on it."""
    allocation = claim.view(ClaimView).status.allocation
    node = allocation.node if allocation is not None else ""
    if not node or read.get(NODES, "", node) is not None:
        return None
    for consumer in consumers:
        pod = read.get(PODS, claim.meta.namespace, consumer.name) if consumer.is_pod else None
        if pod is None or pod.view(PodView).spec.node_name:
            return None
    return Absent(Ref(NODES, "", node))


def released(claim: Object, kept: Sequence[ConsumerView]) -> Update:
    """The claim without the consumers that are not `kept`; without its allocation if none is left."""
    value = claim.decode()
    status: Json = value.setdefault("status", {})
    uids = {each.uid for each in kept}
    consumers = [each for each in status.get("reservedFor") or () if each.get("uid", "") in uids]
    if consumers:
        status["reservedFor"] = consumers
    else:
        for name in ("reservedFor", "allocation", "devices"):
            status.pop(name, None)
    return Update(RESOURCE_CLAIMS, value, "status")
