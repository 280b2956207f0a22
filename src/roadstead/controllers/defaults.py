"""The set-up that an embedded cluster has from its first second, so that the first submit finds a queue.

`BOOTSTRAP` are the namespaces that whoever starts the cluster creates first (EXISTS is fine). From then on two controllers keep
house: `DefaultsController` makes what is missing, `FleetQuotaController` lets a queue's quota follow the machines.

Nothing that a user changed is changed back. What the system cannot do without (its namespaces and priority classes) is made again
if it is deleted; the queues and classes for people are made once: a ConfigMap remembers that they were, so that who deletes the
default queue is rid of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from roadstead.expr.quantity import QuantityError, canonical, from_canonical
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    CONFIG_MAPS,
    DEFAULT_LOCAL_QUEUE,
    LOCAL_QUEUES,
    NAMESPACES,
    NODES,
    PRIORITY_CLASSES,
    RESOURCE_FLAVORS,
    WORKLOAD_PRIORITY_CLASSES,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.node import NodeView
from roadstead.model.amounts import CPU, MEMORY, PODS
from roadstead.runtime.cluster import Create, Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, in_order

QUOTA_ANNOTATION: Final = "roadstead.dev/quota"
"""On ClusterQueues: `fleet` lets the nominal quota follow what the Ready nodes have. Remove it to own the numbers."""
FLEET: Final = "fleet"
MARKER: Final = ("kube-system", "roadstead-defaults")
"""The ConfigMap that remembers that the default queues were made."""
THE_KEY: Final = ("", "defaults")
DEFAULT: Final = "default"


def _object(resource: Resource, kind: str, name: str, body: Json, namespace: str = "") -> tuple[Resource, Json]:
    metadata: Json = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    extra = body.pop("metadata", {})
    return resource, {"apiVersion": resource.api_version, "kind": kind, "metadata": {**metadata, **extra}, **body}


def _system_objects() -> list[tuple[Resource, Json]]:
    critical = [
        ("system-cluster-critical", 2_000_000_000, "Work without which the cluster does not function."),
        ("system-node-critical", 2_000_001_000, "Work without which its node does not function."),
    ]
    return [
        *(
            _object(NAMESPACES, "Namespace", name, {})
            for name in ("default", "kube-system", "kube-public", "kube-node-lease")
        ),
        *(
            _object(
                PRIORITY_CLASSES,
                "PriorityClass",
                name,
                {
                    "value": value,
                    "globalDefault": False,
                    "description": text,
                    "preemptionPolicy": "PreemptLowerPriority",
                },
            )
            for name, value, text in critical
        ),
    ]


def _people_objects() -> list[tuple[Resource, Json]]:
    queue: Json = {
        "metadata": {"annotations": {QUOTA_ANNOTATION: FLEET}},
        "spec": {
            "namespaceSelector": {},
            "queueingStrategy": "BestEffortFIFO",
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [_group(DEFAULT, {CPU: 0, MEMORY: 0})],
        },
    }
    classes = [
        ("low", -100, "Gives way to everybody else."),
        ("normal", 0, "Ordinary work."),
        ("high", 100, "Goes first, and may preempt lower classes of its queue."),
    ]
    return [
        _object(RESOURCE_FLAVORS, "ResourceFlavor", DEFAULT, {"spec": {}}),
        _object(CLUSTER_QUEUES, "ClusterQueue", DEFAULT, queue),
        _object(LOCAL_QUEUES, "LocalQueue", DEFAULT_LOCAL_QUEUE, {"spec": {"clusterQueue": DEFAULT}}, "default"),
        *(
            _object(WORKLOAD_PRIORITY_CLASSES, "WorkloadPriorityClass", name, {"value": value, "description": text})
            for name, value, text in classes
        ),
    ]


def _group(flavor: str, amounts: Mapping[str, int]) -> Json:
    return {
        "coveredResources": list(amounts),
        "flavors": [
            {
                "name": flavor,
                "resources": [
                    {"name": name, "nominalQuota": from_canonical(name, amount)} for name, amount in amounts.items()
                ],
            }
        ],
    }


BOOTSTRAP: Final[tuple[Create, ...]] = tuple(
    Create(resource, value) for resource, value in _system_objects() if resource == NAMESPACES
)


def _the_key(changed: Object, read: Read) -> Iterable[Key]:
    del changed, read
    return (THE_KEY,)


def _if_marker(changed: Object, read: Read) -> Iterable[Key]:
    del read
    return (THE_KEY,) if changed.key == MARKER else ()


class DefaultsController:
    """Makes what is missing of the default set-up. See the module."""

    name: ClassVar[str] = "defaults"
    watches: Mapping[Resource, KeysOf] = {
        NAMESPACES: _the_key,
        PRIORITY_CLASSES: _the_key,
        CONFIG_MAPS: _if_marker,
        RESOURCE_FLAVORS: _the_key,
        CLUSTER_QUEUES: _the_key,
        LOCAL_QUEUES: _the_key,
        WORKLOAD_PRIORITY_CLASSES: _the_key,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del key, now
        wanted = _system_objects()
        is_furnished = read.get(CONFIG_MAPS, *MARKER) is not None
        if not is_furnished:
            wanted += _people_objects()
            note = (
                "The default queue, flavor and priority classes were made. Delete this to have missing ones made again."
            )
            wanted.append(_object(CONFIG_MAPS, "ConfigMap", MARKER[1], {"data": {"about": note}}, MARKER[0]))
        missing = [
            Create(resource, value)
            for resource, value in wanted
            if read.get(resource, value["metadata"].get("namespace", ""), value["metadata"]["name"]) is None
        ]
        return in_order(*missing)


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
    """Keeps the nominal quota of annotated ClusterQueues at what the Ready nodes have in all.

    Only a queue with one resource group and one flavor can follow: with more there is no telling which machine belongs to which.
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
        flavor: Json = groups[0]["flavors"][0] if groups else {"name": DEFAULT, "resources": []}
        known: dict[str, Json] = {quota["name"]: quota for quota in flavor["resources"]}
        fleet = dict.fromkeys((CPU, MEMORY, *known), 0) | _fleet_amounts(read)
        names = sorted(fleet, key=lambda name: ({CPU: 0, MEMORY: 1}.get(name, 2), name))
        quotas = [
            {**known.get(name, {}), "name": name, "nominalQuota": from_canonical(name, fleet[name])} for name in names
        ]
        if quotas == flavor["resources"]:
            return NOTHING
        value["spec"]["resourceGroups"] = [
            {"coveredResources": names, "flavors": [{**flavor, "resources": quotas}]},
        ]
        return in_order(Update(CLUSTER_QUEUES, value))


def _fleet_amounts(read: Read) -> dict[str, int]:
    """Allocatable amounts of all Ready nodes, added up. O(nodes)."""
    found: dict[str, int] = {}
    for node in read.list(NODES):
        status = node.view(NodeView).status
        if node.meta.deletion_timestamp or not has_condition(status.conditions, "Ready"):
            continue
        for name, quantity in status.allocatable.items():
            if name == PODS:
                continue
            try:
                found[name] = found.get(name, 0) + canonical(name, quantity)
            except QuantityError:
                continue  # a node that reports nonsense for a resource has none of it
    return found
