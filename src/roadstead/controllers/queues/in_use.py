"""Finalizers that keep what is in use: a queue while work holds its quota, a flavor while a queue names it, a topology
while a flavor does, an admission check while a queue asks for it (kueue 1.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Final

from roadstead.controllers.queues.names import BY_CHECK, BY_FLAVOR, BY_TOPOLOGY, checks_of, flavors_of, topologies_of
from roadstead.kinds.names import ADMISSION_CHECKS, CLUSTER_QUEUES, IN_USE_FINALIZER, RESOURCE_FLAVORS, TOPOLOGIES
from roadstead.kinds.object import Object, Resource
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, in_order, same_key

GOING: Final = "going"
"""Index of those that wait to be deleted."""


def finalizer_write(obj: Object, is_in_use: Callable[[], bool]) -> Update | None:
    """The write that sets the finalizer, or takes it from an object that is being deleted and not in use any more."""
    is_going = obj.meta.deletion_timestamp is not None
    has_it = IN_USE_FINALIZER in obj.meta.finalizers
    if is_going != has_it or (is_going and is_in_use()):
        return None
    value = obj.decode()
    others = [name for name in obj.meta.finalizers if name != IN_USE_FINALIZER]
    value["metadata"]["finalizers"] = others if is_going else [*others, IN_USE_FINALIZER]
    return Update(obj.resource, value)


def _waiting_to_go(resource: Resource, read: Read) -> Iterable[Key]:
    """Who named it may have let go of it: those that wait to be deleted look again."""
    return [obj.key for obj in read.by_index(resource, GOING, "")]


def _is_going(obj: Object) -> Iterable[str]:
    return ("",) if obj.meta.deletion_timestamp else ()


def _flavors_of_cluster_queue(queue: Object, read: Read) -> Iterable[Key]:
    return [*(("", name) for name in flavors_of(queue)), *_waiting_to_go(RESOURCE_FLAVORS, read)]


def _checks_of_cluster_queue(queue: Object, read: Read) -> Iterable[Key]:
    return [*(("", name) for name in checks_of(queue)), *_waiting_to_go(ADMISSION_CHECKS, read)]


def _topologies_of_flavor(flavor: Object, read: Read) -> Iterable[Key]:
    return [*(("", name) for name in topologies_of(flavor)), *_waiting_to_go(TOPOLOGIES, read)]


class ResourceFlavorController:
    """A ResourceFlavor stays while a ClusterQueue names it."""

    name: ClassVar[str] = "resource-flavor"
    watches: Mapping[Resource, KeysOf] = {RESOURCE_FLAVORS: same_key, CLUSTER_QUEUES: _flavors_of_cluster_queue}
    indexes: Mapping[tuple[Resource, str], Index] = {
        (CLUSTER_QUEUES, BY_FLAVOR): flavors_of,
        (RESOURCE_FLAVORS, GOING): _is_going,
    }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        return _keep(read.get(RESOURCE_FLAVORS, *key), lambda: bool(read.by_index(CLUSTER_QUEUES, BY_FLAVOR, key[1])))


class TopologyController:
    """A Topology stays while a ResourceFlavor names it."""

    name: ClassVar[str] = "topology"
    watches: Mapping[Resource, KeysOf] = {TOPOLOGIES: same_key, RESOURCE_FLAVORS: _topologies_of_flavor}
    indexes: Mapping[tuple[Resource, str], Index] = {
        (RESOURCE_FLAVORS, BY_TOPOLOGY): topologies_of,
        (TOPOLOGIES, GOING): _is_going,
    }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        return _keep(read.get(TOPOLOGIES, *key), lambda: bool(read.by_index(RESOURCE_FLAVORS, BY_TOPOLOGY, key[1])))


class AdmissionCheckController:
    """An AdmissionCheck stays while a ClusterQueue asks for it. Whether it is Active, its own controller says."""

    name: ClassVar[str] = "admission-check"
    watches: Mapping[Resource, KeysOf] = {ADMISSION_CHECKS: same_key, CLUSTER_QUEUES: _checks_of_cluster_queue}
    indexes: Mapping[tuple[Resource, str], Index] = {
        (CLUSTER_QUEUES, BY_CHECK): checks_of,
        (ADMISSION_CHECKS, GOING): _is_going,
    }

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        return _keep(read.get(ADMISSION_CHECKS, *key), lambda: bool(read.by_index(CLUSTER_QUEUES, BY_CHECK, key[1])))


def _keep(obj: Object | None, is_in_use: Callable[[], bool]) -> Step:
    write = finalizer_write(obj, is_in_use) if obj is not None else None
    return in_order(write) if write is not None else NOTHING
