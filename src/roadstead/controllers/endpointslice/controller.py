"""EndpointSlices: where the pods of a Service are, and which of them are ready (kubernetes
`pkg/controller/endpointslice`).

A slice has a name that follows from its Service, its ports and a number, and holds a hundred pods at most. Pods are put
into the slices in the order of their names, so that the same pods give the same slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from roadstead.controllers.ownership import controlled
from roadstead.controllers.replica_pods import letters
from roadstead.kinds.names import ENDPOINT_SLICES, PODS, SERVICES
from roadstead.kinds.object import Json, Object, Resource, owner_reference
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.pod import PodView
from roadstead.kinds.views.service import ServiceView
from roadstead.runtime.cluster import Create, Delete, Update, Write
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, same_key

PER_SLICE: Final = 100
MANAGER: Final = "endpointslice-controller.k8s.io"
SERVICE_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"


def _selects(service: Object, pod: Object) -> bool:
    selector = service.view(ServiceView).spec.selector
    return selector is not None and bool(selector) and selector.items() <= pod.meta.labels.items()


def _keys_of_pod(changed: Object, read: Read) -> Iterable[Key]:
    """Services that select it now, and those that have it in a slice."""
    namespace = changed.meta.namespace
    keys = {each.key for each in read.list(SERVICES, namespace) if _selects(each, changed)}
    for found in read.by_index(ENDPOINT_SLICES, HOLDING, changed.meta.uid):
        keys.add((namespace, found.meta.labels.get(SERVICE_LABEL, "")))
    return sorted(keys)


def _keys_of_slice(changed: Object, read: Read) -> Iterable[Key]:
    name = changed.meta.labels.get(SERVICE_LABEL)
    return ((changed.meta.namespace, name),) if name and changed.meta.labels.get(MANAGED_BY) == MANAGER else ()


HOLDING: Final = "slices-by-pod-uid"
"""Index of EndpointSlices by the uids of the pods in them."""


def _holding(found: Object) -> Iterable[str]:
    if found.meta.labels.get(MANAGED_BY) != MANAGER:
        return ()
    endpoints = found.decode().get("endpoints") or ()
    return [each["targetRef"]["uid"] for each in endpoints if each.get("targetRef")]


class EndpointSliceController:
    """Keeps the EndpointSlices of Services with a selector."""

    name: ClassVar[str] = "endpointslice"
    watches: Mapping[Resource, KeysOf] = {
        SERVICES: same_key,
        PODS: _keys_of_pod,
        ENDPOINT_SLICES: _keys_of_slice,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {(ENDPOINT_SLICES, HOLDING): _holding}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        service = read.get(SERVICES, *key)
        if service is None or service.meta.deletion_timestamp:
            return NOTHING  # its slices go with it
        spec = service.decode()["spec"]
        if not spec.get("selector") or spec.get("type") == "ExternalName":
            return NOTHING  # somebody else writes its slices, or it has none
        wanted = _slices(service, spec, [pod for pod in read.list(PODS, key[0]) if _selects(service, pod)])
        there = {
            found.meta.name: found
            for found in controlled(read, ENDPOINT_SLICES, service)
            if found.meta.labels.get(MANAGED_BY) == MANAGER
        }
        writes: list[Write] = []
        for name, value in wanted.items():
            found = there.pop(name, None)
            if found is None:
                writes.append(Create(ENDPOINT_SLICES, value))
            else:
                update = _changed(found, value)
                if update is not None:
                    writes.append(update)
        writes += [Delete(found.ref, found.meta.uid) for found in there.values() if not found.meta.deletion_timestamp]
        return Step((tuple(writes),)) if writes else NOTHING


def _slices(service: Object, spec: Json, pods: Sequence[Object]) -> dict[str, Json]:
    """The slices that there should be, by name. Without pods, one that is empty."""
    by_ports: dict[bytes, tuple[list[Json], list[Json]]] = {}
    for pod in pods:
        value = pod.decode()
        status = value.get("status") or {}
        address = status.get("podIP")
        if not address or status.get("phase") in ("Succeeded", "Failed"):
            continue
        ports = _ports(spec, value)
        group = by_ports.setdefault(orjson.dumps(ports, option=orjson.OPT_SORT_KEYS), (ports, []))
        group[1].append(_endpoint(service, spec, pod, value, address))
    if not by_ports:
        by_ports[b""] = ([], [])
    found: dict[str, Json] = {}
    for digest, (ports, endpoints) in by_ports.items():
        for number in range(max(1, -(-len(endpoints) // PER_SLICE))):
            part = endpoints[number * PER_SLICE : (number + 1) * PER_SLICE]
            name = _name(service, digest if len(by_ports) > 1 else b"", number)
            found[name] = _slice(service, spec, name, ports, part)
    return found


def _name(service: Object, digest: bytes, number: int) -> str:
    return f"{service.meta.name[:57]}-{letters(f'{service.meta.uid}/{digest.decode()}/{number}', 5)}"


def _slice(service: Object, spec: Json, name: str, ports: list[Json], endpoints: list[Json]) -> Json:
    labels = {
        key: value
        for key, value in service.meta.labels.items()
        if key not in (HEADLESS_LABEL, SERVICE_LABEL, MANAGED_BY)
    }
    labels |= {SERVICE_LABEL: service.meta.name, MANAGED_BY: MANAGER}
    if spec.get("clusterIP") == "None":
        labels[HEADLESS_LABEL] = ""
    return {
        "apiVersion": ENDPOINT_SLICES.api_version,
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": service.meta.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints or None,
        "ports": ports or None,
    }


def _changed(found: Object, wanted: Json) -> Update | None:
    value = found.decode()
    metadata = {**value["metadata"], "labels": wanted["metadata"]["labels"]}
    fresh = {**value, "metadata": metadata, "endpoints": wanted["endpoints"], "ports": wanted["ports"]}
    return Update(ENDPOINT_SLICES, fresh) if fresh != value else None


def _ports(spec: Json, pod: Json) -> list[Json]:
    found: list[Json] = []
    for port in spec.get("ports") or ():
        number = _target(port, pod)
        if number is None:
            continue
        value: Json = {"name": port.get("name", ""), "port": number, "protocol": port["protocol"]}
        if port.get("appProtocol") is not None:
            value["appProtocol"] = port["appProtocol"]
        found.append(value)
    return found


def _target(port: Json, pod: Json) -> int | None:
    """The number of a target port: a name is looked up among the containers' ports."""
    target: Any = port.get("targetPort", port.get("port"))
    if isinstance(target, int):
        return target
    for container in (*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())):
        for each in container.get("ports") or ():
            if each.get("name") == target and each.get("protocol", "TCP") == port["protocol"]:
                return int(each["containerPort"])
    return None


def _endpoint(service: Object, spec: Json, pod: Object, value: Json, address: str) -> Json:
    serves = has_condition(pod.view(PodView).status.conditions, "Ready")
    leaves = pod.meta.deletion_timestamp is not None
    found: Json = {
        "addresses": [address],
        "conditions": {
            "ready": bool(spec.get("publishNotReadyAddresses")) or (serves and not leaves),
            "serving": serves,
            "terminating": leaves,
        },
        "targetRef": {"kind": "Pod", "namespace": pod.meta.namespace, "name": pod.meta.name, "uid": pod.meta.uid},
    }
    if value["spec"].get("nodeName"):
        found["nodeName"] = value["spec"]["nodeName"]
    if value["spec"].get("hostname") and value["spec"].get("subdomain") == service.meta.name:
        found["hostname"] = value["spec"]["hostname"]
    return found
