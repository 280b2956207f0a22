"""The quota of a ClusterQueue that follows the machines, and gives way to whoever sets a number by hand.

A queue annotated `roadstead.dev/quota: fleet` gets as nominal quota what the Ready nodes have in all. What was set last
is remembered in a second annotation, so a number that somebody changed is known as such: it is his from then on, and
the others go on following. An Event says so, and how to hand it back. Only a queue with one resource group and one
flavor can follow: with more there is no telling which machine belongs to which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec

from roadstead.expr.quantity import QuantityError, canonical, from_canonical
from roadstead.kinds.names import CLUSTER_QUEUES, NODES
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.node import NodeView
from roadstead.model.amounts import CPU, MEMORY, PODS
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Read, Step, in_order

QUOTA_ANNOTATION: Final = "roadstead.dev/quota"
"""On ClusterQueues: `fleet` lets the nominal quota follow what the Ready nodes have. Remove it to own all numbers."""
FLEET: Final = "fleet"
SET_ANNOTATION: Final = "roadstead.dev/quota-set"
"""What was set last, as JSON by resource; null where the number belongs to a person. Remove it to have all of them
follow again."""

_Set = dict[str, str | None]
_SET: Final = msgspec.json.Decoder(_Set)


def _fleet_queues(changed: Object, read: Read) -> Iterable[Key]:
    del changed
    return [queue.key for queue in read.by_index(CLUSTER_QUEUES, QUOTA_ANNOTATION, FLEET)]


def _follows(queue: Object) -> Iterable[str]:
    value = queue.meta.annotations.get(QUOTA_ANNOTATION)
    return (value,) if value else ()


def _itself(changed: Object, read: Read) -> Iterable[Key]:
    del read
    return (changed.key,) if changed.meta.annotations.get(QUOTA_ANNOTATION) == FLEET else ()


class FleetQuotaController:
    """Keeps the numbers of annotated ClusterQueues that nobody has set by hand at what the Ready nodes have in all.

    A resource that was covered stays covered, with 0 when its last machine is away; borrowing and lending limits stay.
    """

    name: ClassVar[str] = "fleet-quota"
    watches: Mapping[Resource, KeysOf] = {CLUSTER_QUEUES: _itself, NODES: _fleet_queues}
    indexes: Mapping[tuple[Resource, str], Index] = {(CLUSTER_QUEUES, QUOTA_ANNOTATION): _follows}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        queue = read.get(CLUSTER_QUEUES, *key)
        if queue is None or queue.meta.deletion_timestamp or queue.meta.annotations.get(QUOTA_ANNOTATION) != FLEET:
            return NOTHING
        value = queue.decode()
        groups = value["spec"].get("resourceGroups") or []
        if len(groups) > 1 or (groups and len(groups[0]["flavors"]) != 1):
            return NOTHING
        flavor: Json = groups[0]["flavors"][0] if groups else {"name": "default", "resources": []}
        before = _set_last(queue)
        decided = _decide({quota["name"]: quota for quota in flavor["resources"]}, before, _fleet_amounts(read))
        if decided.quotas == flavor["resources"] and decided.set_last == before:
            return NOTHING
        value["metadata"]["annotations"][SET_ANNOTATION] = msgspec.json.encode(
            decided.set_last, order="sorted"
        ).decode()
        value["spec"]["resourceGroups"] = (
            [
                {
                    "coveredResources": [quota["name"] for quota in decided.quotas],
                    "flavors": [{**flavor, "resources": decided.quotas}],
                }
            ]
            if decided.quotas
            else []
        )
        notes = [_told(queue, decided.taken)] if decided.taken else []
        return in_order(Update(CLUSTER_QUEUES, value), notes=notes)


@dataclass(frozen=True, slots=True)
class _Decided:
    """The quotas to be stored, what to remember, and the resources that a person has just taken over, with what they
    would be."""

    quotas: list[Json]
    set_last: _Set
    taken: Mapping[str, str]


def _decide(stored: Mapping[str, Json], before: _Set | None, fleet: Mapping[str, int]) -> _Decided:
    amounts = dict.fromkeys((CPU, MEMORY, *stored, *(before or ())), 0) | dict(fleet)
    names = sorted(amounts, key=lambda name: ({CPU: 0, MEMORY: 1}.get(name, 2), name))
    quotas: list[Json] = []
    remembered: _Set = {}
    taken: dict[str, str] = {}
    for name in names:
        quota, wanted = stored.get(name), from_canonical(name, amounts[name])
        if before is not None and _is_a_persons(name, quota, before):
            remembered[name] = None
            if before.get(name) is not None:
                taken[name] = wanted
            if quota is not None:
                quotas.append(quota)
        else:
            remembered[name] = wanted
            quotas.append({**(quota or {}), "name": name, "nominalQuota": wanted})
    return _Decided(quotas, remembered, taken)


def _is_a_persons(name: str, quota: Json | None, before: _Set) -> bool:
    """Taken over before, changed or removed since it was set, or put there by somebody else."""
    if name not in before:
        return quota is not None
    last = before[name]
    return last is None or quota is None or _canonical(name, quota["nominalQuota"]) != _canonical(name, last)


def _told(queue: Object, taken: Mapping[str, str]) -> Note:
    listed = ", ".join(f"{name} (the machines have {amount})" for name, amount in taken.items())
    return Note(
        queue,
        "Normal",
        "QuotaTakenOver",
        f"The nominal quota was changed by hand and no longer follows the machines: {listed}. "
        f"To let it follow again: kubectl annotate clusterqueue {queue.meta.name} {SET_ANNOTATION}-",
    )


def _set_last(queue: Object) -> _Set | None:
    """None where nothing was set yet, or what is remembered cannot be read: then all numbers follow."""
    text = queue.meta.annotations.get(SET_ANNOTATION)
    if text is None:
        return None
    try:
        return _SET.decode(text)
    except msgspec.DecodeError:
        return None


def _fleet_amounts(read: Read) -> dict[str, int]:
    """Allocatable amounts of all Ready nodes, added up. O(nodes)."""
    found: dict[str, int] = {}
    for node in read.list(NODES):
        status = node.view(NodeView).status
        if node.meta.deletion_timestamp or not has_condition(status.conditions, "Ready"):
            continue
        for name, quantity in status.allocatable.items():
            amount = _canonical(name, quantity)
            if name != PODS and amount is not None:  # a node that reports nonsense for a resource has none of it
                found[name] = found.get(name, 0) + amount
    return found


def _canonical(name: str, quantity: str | int | float) -> int | None:
    try:
        return canonical(name, quantity)
    except QuantityError:
        return None
