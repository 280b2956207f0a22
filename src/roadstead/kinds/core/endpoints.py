"""Endpoints (v1): all addresses behind a Service in one object, as older clients write and read them. Nobody fills them
in here: EndpointSlices are kept."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core import checks
from roadstead.kinds.discovery.endpoint_checks import endpoint_address, hostname, node_name, port_details
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import ENDPOINTS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy

_SHOWN: Final = 3


class EndpointsStrategy(Strategy):
    """Endpoints."""

    create_on_update = True
    columns = (Column("Name", format="name"), Column("Endpoints"), Column("Age"))

    def default(self, obj: Json) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                if not port.get("protocol"):
                    port["protocol"] = "TCP"
                if not port.get("name"):
                    port.pop("name", None)

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        for i, subset in enumerate(obj.get("subsets") or ()):
            _subset(subset, f"subsets[{i}]", found)
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], _shown(obj.get("subsets") or []), ages.created(obj, now)]


def _subset(subset: Json, path: str, found: list[FieldError]) -> None:
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        found.append(errors.required(path, "must specify `addresses` or `notReadyAddresses`"))
    for name in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(subset.get(name) or ()):
            where = f"{path}.{name}[{i}]"
            hostname(address.get("hostname"), f"{where}.hostname", found)
            node_name(address.get("nodeName"), f"{where}.nodeName", found)
            endpoint_address(address.get("ip", ""), f"{where}.ip", found)
    ports = subset.get("ports") or []
    for i, port in enumerate(ports):
        where, name = f"{path}.ports[{i}]", port.get("name", "")
        if name:
            checks.dns_label(name, f"{where}.name", found)
        elif len(ports) > 1:
            found.append(errors.required(f"{where}.name"))
        checks.port_number(port.get("port", 0), f"{where}.port", found)
        port_details(port, where, found)


def _shown(subsets: list[Json]) -> str:
    if not subsets:
        return "<none>"
    words: list[str] = []
    for subset in subsets:
        addresses = [address.get("ip", "") for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or []
        words += addresses if not ports else [f"{ip}:{port.get('port', 0)}" for port in ports for ip in addresses]
    shown = ",".join(words[:_SHOWN])
    return f"{shown} + {len(words) - _SHOWN} more..." if len(words) > _SHOWN else shown


def kind() -> Kind:
    return builtin_kind(ENDPOINTS, "Endpoints", EndpointsStrategy(), short_names=("ep",))
