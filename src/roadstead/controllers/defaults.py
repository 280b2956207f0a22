"""The set-up that an embedded cluster has from its first second, so that the first submit finds a queue, and the first
claim a class.

`BOOTSTRAP` are the namespaces that whoever starts the cluster creates first (EXISTS is fine). From then on
`DefaultsController` makes what is missing; `fleet_quota` lets the default queue's quota follow the machines.

Nothing that a user changed is changed back. What the system cannot do without (its namespaces and priority classes) is
made again if it is deleted; the queues and classes for people are made once: a ConfigMap remembers that they were, so
that who deletes the default queue is rid of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from roadstead.controllers.fleet_quota import FLEET, QUOTA_ANNOTATION
from roadstead.expr.quantity import from_canonical
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    CONFIG_MAPS,
    DEFAULT_LOCAL_QUEUE,
    DEVICE_CLASSES,
    LOCAL_QUEUES,
    NAMESPACES,
    PRIORITY_CLASSES,
    RESOURCE_FLAVORS,
    WORKLOAD_PRIORITY_CLASSES,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.model.amounts import CPU, MEMORY
from roadstead.runtime.cluster import Create
from roadstead.runtime.step import Index, Key, KeysOf, Read, Step, in_order

MARKER: Final = ("kube-system", "roadstead-defaults")
"""The ConfigMap that remembers that the default queues were made."""
CLASSES: Final[Mapping[str, str]] = {
    "gpu.nvidia.com": "device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].type == 'gpu'",
    "mig.nvidia.com": "device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].type == 'mig'",
    "rdma.dra.net": "device.driver == 'dra.net' && device.attributes['dra.net'].rdma",
}
"""Device classes and what they select, as those drivers come with whose devices our node agents publish."""
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
    devices: Json = {
        name: {"spec": {"selectors": [{"cel": {"expression": expression}}]}} for name, expression in CLASSES.items()
    }
    return [
        *(_object(DEVICE_CLASSES, "DeviceClass", name, body) for name, body in devices.items()),
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
        DEVICE_CLASSES: _the_key,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del key, now
        wanted = _system_objects()
        is_furnished = read.get(CONFIG_MAPS, *MARKER) is not None
        if not is_furnished:
            wanted += _people_objects()
            note = (
                "The default queue, flavor, priority and device classes were made. "
                "Delete this to have missing ones made again."
            )
            wanted.append(_object(CONFIG_MAPS, "ConfigMap", MARKER[1], {"data": {"about": note}}, MARKER[0]))
        missing = [
            Create(resource, value)
            for resource, value in wanted
            if read.get(resource, value["metadata"].get("namespace", ""), value["metadata"]["name"]) is None
        ]
        return in_order(*missing)
