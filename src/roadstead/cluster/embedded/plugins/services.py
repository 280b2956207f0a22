"""Addresses and node ports of Services are given out where they are written, from what other Services have (kubernetes
`pkg/registry/core/service/storage/alloc.go`).

Nothing is kept beside the Services themselves. Where the search begins is drawn from the Service's uid, so that two
that are written in the same moment hardly meet.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from typing import Final

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.kinds.core.service_rules import EXTERNAL_NAME, settle_families
from roadstead.kinds.errors import FieldError, StatusError, internal_error, invalid, invalid_object
from roadstead.kinds.names import SERVICES
from roadstead.kinds.object import Json

ADDRESSES: Final = ipaddress.ip_network("127.128.0.0/16")
"""Beyond the pods' own 127.64.0.0/10. Nobody listens there: a client is refused at once."""
NODE_PORTS: Final = range(30000, 32768)


class ServiceAddresses:
    """See the module."""

    def admit(self, request: AdmissionRequest) -> None:
        obj = request.object
        if request.kind.resource != SERVICES or obj is None or request.subresource:
            return
        spec = obj["spec"]
        old: Json | None = request.old["spec"] if request.old is not None else None
        name = obj["metadata"].get("name") or request.name
        problems = settle_families(spec, old)
        if problems:
            raise _refused(name, problems)
        others = [
            found.decode()["spec"] for found in request.list_all(SERVICES) if found.meta.uid != obj["metadata"]["uid"]
        ]
        start = int.from_bytes(hashlib.sha256(obj["metadata"]["uid"].encode()).digest()[:8], "big")
        _give_address(spec, name, others, start)
        _give_node_ports(spec, name, others, start)


def _refused(name: str, problems: list[FieldError]) -> StatusError:
    return invalid_object("", "Service", name, problems)


def _give_address(spec: Json, name: str, others: Iterable[Json], start: int) -> None:
    if spec["type"] == EXTERNAL_NAME or spec.get("clusterIPs") == ["None"]:
        return
    taken = {address for other in others for address in other.get("clusterIPs") or ()}
    asked = spec.get("clusterIPs") or ()
    for address in asked:
        why = ""
        if ipaddress.ip_address(address) not in ADDRESSES:
            why = "the provided network does not match the current range"
        elif address in taken:
            why = "provided IP is already allocated"
        if why:
            problem = invalid("spec.clusterIPs", list(asked), f"failed to allocate IP {address}: {why}")
            raise _refused(name, [problem])
    if not asked:
        size = ADDRESSES.num_addresses - 2
        for offset in range(size):
            address = str(ADDRESSES[1 + (start + offset) % size])
            if address not in taken:
                spec["clusterIP"], spec["clusterIPs"] = address, [address]
                return
        raise internal_error(f"failed to allocate a serviceIP: all {size} addresses of {ADDRESSES} are taken")


def _give_node_ports(spec: Json, name: str, others: Iterable[Json], start: int) -> None:
    kind = spec["type"]
    wanted = kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)
    if not wanted:
        return
    taken = {port.get("nodePort", 0) for other in others for port in other.get("ports") or ()}
    taken |= {other.get("healthCheckNodePort", 0) for other in others}
    for i, port in enumerate(spec.get("ports") or ()):
        asked = port.get("nodePort", 0)
        if asked:
            why = ""
            if asked not in NODE_PORTS:
                why = f"provided port is not in the valid range. The range of valid ports is {NODE_PORTS[0]}-{NODE_PORTS[-1]}"
            elif asked in taken:
                why = "provided port is already allocated"
            if why:
                raise _refused(name, [invalid(f"spec.ports[{i}].nodePort", asked, why)])
    given = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    for port in spec.get("ports") or ():
        if not port.get("nodePort"):
            port["nodePort"] = _free_port(taken | given, start)
            given.add(port["nodePort"])
    if kind == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local" and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = _free_port(taken | given, start)


def _free_port(taken: set[int], start: int) -> int:
    for offset in range(len(NODE_PORTS)):
        port = NODE_PORTS[(start + offset) % len(NODE_PORTS)]
        if port not in taken:
            return port
    raise internal_error(f"failed to allocate a nodePort: all {len(NODE_PORTS)} ports are taken")
