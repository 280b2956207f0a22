"""May a pod use its claims, and what do they hold? Pure.

The checks are the kubelet's (k8s `pkg/kubelet/cm/dra/manager.go` prepareResources) and those that drivers make before
they hand out a device: each claim exists, is the pod's if it was made for one, is allocated, is reserved for the pod,
and can be used here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.claim import ClaimView
from roadstead.node.agent.claims.record import PreparedClaim, PreparedDevice
from roadstead.node.agent.hardware import Hardware
from roadstead.node.agent.views import Pod

FindCdi = Callable[[str, str, str], Sequence[str]]
"""(driver, device, uid of the claim) -> qualified names of what the driver prepared."""


class NotPrepared(Exception):
    """Why the pod cannot start with its claims as they are. It is tried again."""


class Entry(NamedTuple):
    """One claim that a pod uses. `name` is the pod's word for it, "" for the one that stands for extended resources."""

    name: str
    claim: str
    from_template: bool


def entries(pod: Pod) -> Iterator[Entry]:
    """The claims that the pod uses. NotPrepared if one has not been made yet."""
    made = {one.name: one.resource_claim_name for one in pod.status.resource_claim_statuses}
    for one in pod.spec.resource_claims:
        if one.resource_claim_name:
            yield Entry(one.name, one.resource_claim_name, False)
        elif one.name not in made:
            raise NotPrepared(f'the ResourceClaim for "{one.name}" has not been created yet')
        elif name := made[one.name]:  # an entry without a name: none is needed
            yield Entry(one.name, name, True)
    extended = pod.status.extended_resource_claim_status
    if extended is not None:
        yield Entry("", extended.resource_claim_name, True)


def check(pod: Pod, entry: Entry, claim: Object | None, hardware: Hardware, find_cdi: FindCdi) -> PreparedClaim:
    """What the claim gives the pod on the node of this hardware. NotPrepared says what is in the way. O(devices of the
    claim)."""
    if claim is None:
        raise NotPrepared(f"ResourceClaim {entry.claim} does not exist")
    view = claim.view(ClaimView)
    owner = claim.meta.controller
    if entry.from_template and (owner is None or owner.uid != pod.uid):
        raise NotPrepared(f"ResourceClaim {entry.claim} was not created for pod {pod.metadata.name} ({pod.uid})")
    allocation = view.status.allocation
    if allocation is None:
        raise NotPrepared(f"ResourceClaim {entry.claim} is not allocated")
    if all(consumer.uid != pod.uid for consumer in view.consumers):
        raise NotPrepared(
            f"pod {pod.metadata.name} ({pod.uid}) is not allowed to use ResourceClaim {entry.claim} ({claim.meta.uid}): "
            "its status.reservedFor does not name the pod"
        )
    if allocation.node not in ("", hardware.node):
        raise NotPrepared(
            f"ResourceClaim {entry.claim} was allocated for node {allocation.node}, and the pod is on {hardware.node}"
        )
    devices: Json = claim.decode()["status"]["allocation"].get("devices") or {}
    return PreparedClaim(
        entry=entry.name,
        namespace=claim.meta.namespace,
        name=entry.claim,
        uid=claim.meta.uid,
        from_template=entry.from_template,
        devices=tuple(_device(result, claim, hardware, find_cdi) for result in devices.get("results") or ()),
        config=tuple(devices.get("config") or ()),
    )


def _device(result: Json, claim: Object, hardware: Hardware, find_cdi: FindCdi) -> PreparedDevice:
    driver, pool, name = result["driver"], result["pool"], result["device"]
    if driver in hardware.drivers and pool == hardware.node:
        own = hardware.by_id.get((driver, name))
        if own is None:
            raise NotPrepared(
                f"ResourceClaim {claim.meta.name} holds {driver}/{pool}/{name}, which this node does not have"
            )
        return PreparedDevice(result, own.physical, own.part, own.visible, own.published["attributes"])
    found = find_cdi(driver, name, claim.meta.uid)
    if not found:
        raise NotPrepared(
            f"ResourceClaim {claim.meta.name} holds {driver}/{pool}/{name}, and no CDI device for it is to be found: neither "
            f"{claim.meta.uid}-{name} nor {name} of a kind k8s.{driver}/... or {driver}/... (is the driver running on this node?)"
        )
    return PreparedDevice(result, cdi=tuple(found))
