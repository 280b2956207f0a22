"""Object changes -> facts: the one door that deciders (and the runner of recorded scenarios) use.

Never raises for what an object says. What could not be used as it is becomes a `Trouble` and the safest fact: a node
that takes nothing new, a queue that is inactive, a workload that is not admitted but keeps what it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from roadstead.ingest import devices, members, node, pod, queues, workload
from roadstead.ingest.filled_in import Ranges, no_ranges
from roadstead.ingest.reading import Lookup, Notes, Trouble
from roadstead.kinds.names import (
    ADMISSION_CHECKS,
    CLUSTER_QUEUES,
    COHORTS,
    DEVICE_CLASSES,
    DEVICE_TAINT_RULES,
    LIMIT_RANGES,
    LOCAL_QUEUES,
    NAMESPACES,
    NODES,
    PLACEMENTS,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_FLAVORS,
    RESOURCE_SLICES,
    RUNTIME_CLASSES,
    TOPOLOGIES,
    WORKLOAD_ANNOTATION,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.model.dra import DeviceClass, DeviceTaintRule, ResourceClaim, ResourceSlice
from roadstead.model.facts import Fact, Gone, Noun
from roadstead.model.nodes import Node
from roadstead.model.queues import (
    AdmissionCheck,
    ClusterQueue,
    Cohort,
    LocalQueue,
    Namespace,
    ResourceFlavor,
    Topology,
)
from roadstead.model.workload import Pod, Workload

_Make = Callable[[Object, Notes], Noun | None]

_NOUNS: Final[dict[Resource, tuple[type[Noun], _Make]]] = {
    NAMESPACES: (Namespace, lambda obj, notes: queues.namespace_of(obj)),
    TOPOLOGIES: (Topology, queues.topology_of),
    NODES: (Node, node.fact_of),
    RESOURCE_FLAVORS: (ResourceFlavor, queues.flavor_of),
    ADMISSION_CHECKS: (AdmissionCheck, queues.admission_check_of),
    COHORTS: (Cohort, queues.cohort_of),
    CLUSTER_QUEUES: (ClusterQueue, queues.cluster_queue_of),
    LOCAL_QUEUES: (LocalQueue, queues.local_queue_of),
    PODS: (Pod, pod.fact_of),
}

RESOURCES: Final[tuple[Resource, ...]] = (LIMIT_RANGES, RUNTIME_CLASSES, *_NOUNS, WORKLOADS, PLACEMENTS)
"""What a decider has to watch for its world to be whole, claims for devices apart."""

_DEVICES: Final[dict[Resource, tuple[type[Noun], _Make]]] = {
    DEVICE_CLASSES: (DeviceClass, devices.class_fact),
    RESOURCE_SLICES: (ResourceSlice, devices.slice_fact),
    DEVICE_TAINT_RULES: (DeviceTaintRule, devices.rule_fact),
    RESOURCE_CLAIMS: (ResourceClaim, devices.claim_fact),
}

CLAIM_RESOURCES: Final[tuple[Resource, ...]] = (*_DEVICES, RESOURCE_CLAIM_TEMPLATES)
"""What it has to watch besides where devices are claimed (resource.k8s.io/v1)."""

_BY_KIND: Final[dict[str, Resource]] = {
    "Namespace": NAMESPACES,
    "Topology": TOPOLOGIES,
    "Node": NODES,
    "ResourceFlavor": RESOURCE_FLAVORS,
    "AdmissionCheck": ADMISSION_CHECKS,
    "Cohort": COHORTS,
    "ClusterQueue": CLUSTER_QUEUES,
    "LocalQueue": LOCAL_QUEUES,
    "Pod": PODS,
    "Workload": WORKLOADS,
    "Placement": PLACEMENTS,
    "DeviceClass": DEVICE_CLASSES,
    "ResourceSlice": RESOURCE_SLICES,
    "DeviceTaintRule": DEVICE_TAINT_RULES,
    "ResourceClaim": RESOURCE_CLAIMS,
}
_NAMESPACED: Final = frozenset({LOCAL_QUEUES, PODS, WORKLOADS, PLACEMENTS, RESOURCE_CLAIMS})


def fact(
    resource: Resource,
    key: tuple[str, str],
    obj: Object | None,
    lookup: Lookup,
    troubles: list[Trouble] | None = None,
    ranges: Ranges = no_ranges,
) -> list[Fact]:
    """The facts that follow from one change: `obj` is the newest version of `key`, None if it is gone.

    A Workload is read together with its Placement (same namespace and name), and a change of either makes the
    Workload's fact anew, so the order in which the two become known does not matter. A bound pod that names its member
    in a Placement is read with both: whoever keeps the objects asks for its fact again when the Placement changes, or
    what the Workload holds. It is read with the ResourceClaimTemplates and RuntimeClasses that its pods name and the
    LimitRanges of its namespace, too: when one of them changes, whoever keeps the objects asks for the Workload's fact
    again (`devices.template_keys` and `filled_in.runtime_class_names` say for which). `lookup(resource, namespace,
    name)` gives the newest known version of another object, `ranges(namespace)` its LimitRanges. Resources that no fact
    comes from give []. Notes are added to `troubles`.
    """
    notes: Notes = []
    found = _facts(resource, key, obj, lookup, notes, ranges)
    if troubles is not None:
        troubles += [Trouble(resource, key, message) for message in notes]
    return found


def _facts(
    resource: Resource, key: tuple[str, str], obj: Object | None, lookup: Lookup, notes: Notes, ranges: Ranges
) -> list[Fact]:
    if resource in (WORKLOADS, PLACEMENTS):
        placement = obj if resource == PLACEMENTS else lookup(PLACEMENTS, *key)
        owner = obj if resource == WORKLOADS else lookup(WORKLOADS, *key)
        if owner is None:
            return [Gone(Workload, key)]
        return [workload.fact_of(owner, placement, notes, lookup, ranges)]
    known = _NOUNS.get(resource) or _DEVICES.get(resource)
    if known is None:
        return []
    if resource == PODS:
        alone = _pod(obj, lookup, notes) if obj is not None else None
        return [alone if alone is not None else Gone(Pod, key)]
    noun, make = known
    made = make(obj, notes) if obj is not None else None
    return [made if made is not None else Gone(noun, key)]


def _pod(obj: Object, lookup: Lookup, notes: Notes) -> Pod | None:
    is_of_workload = WORKLOAD_ANNOTATION in obj.meta.annotations
    return pod.fact_of(obj, notes, speaks_for_itself=is_of_workload and members.speaks_for_itself(obj, lookup))


def fact_of_dict(value: Json, placement: Json | None = None, troubles: list[Trouble] | None = None) -> Fact | None:
    """The fact of an object given as a dict with `kind`; a Workload may bring its Placement, but no templates.
    Namespaced objects without a namespace are in `default`. None for kinds that no fact comes from (a Placement alone
    among them)."""
    resource = _BY_KIND.get(str(value.get("kind", "")))
    if resource is None or resource == PLACEMENTS:
        return None
    obj = _object(resource, value)
    placed = _object(PLACEMENTS, placement) if placement is not None else None
    found = fact(resource, obj.key, obj, lambda of, *_: placed if of == PLACEMENTS else None, troubles)
    return found[0]


def _object(resource: Resource, value: Json) -> Object:
    metadata = dict(value.get("metadata") or {})
    if resource in _NAMESPACED:
        metadata.setdefault("namespace", "default")
    return Object.of(resource, {**value, "metadata": metadata})
