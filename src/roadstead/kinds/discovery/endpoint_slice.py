"""EndpointSlice (discovery.k8s.io/v1): a part of the addresses behind a Service."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core import checks
from roadstead.kinds.discovery.endpoint_checks import endpoint_address, hostname, node_name, port_details
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.metadata import check_labels
from roadstead.kinds.names import ENDPOINT_SLICES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy

MOST_ENDPOINTS: Final = 1000
_MOST_ADDRESSES: Final = 100
_MOST_PORTS: Final = 20000
_MOST_TOPOLOGY: Final = 16
_MOST_HINTS: Final = 8
_TYPES: Final = ("FQDN", "IPv4", "IPv6")
_SHOWN: Final = 3


class EndpointSliceStrategy(Strategy):
    """EndpointSlices: a change of labels counts as one, too."""

    has_generation = True
    columns = (
        Column("Name", format="name"),
        Column("AddressType"),
        Column("Ports"),
        Column("Endpoints"),
        Column("Age"),
    )

    def default(self, obj: Json) -> None:
        obj["endpoints"] = obj.get("endpoints") or None  # Go's nil slices, which are always written
        obj["ports"] = obj.get("ports") or None
        for port in obj["ports"] or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        metadata, before = new["metadata"], old["metadata"]
        if (metadata.get("labels") or {}) != (before.get("labels") or {}):
            metadata["generation"] = (before.get("generation") or 0) + 1

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        kind = obj.get("addressType", "")
        checks.one_of(kind, _TYPES, "addressType", found)
        _ports(obj.get("ports") or [], found)
        _endpoints(obj.get("endpoints") or [], kind, found)
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found = self.validate(new)
        if new.get("addressType") != old.get("addressType"):
            found.append(invalid("addressType", new.get("addressType"), "field is immutable"))
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ()]
        addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
        return [
            obj["metadata"]["name"],
            obj.get("addressType", ""),
            _some(ports),
            _some(addresses),
            ages.created(obj, now),
        ]


def _some(words: list[str]) -> str:
    """The first few, and how many more there are."""
    if not words:
        return "<unset>"
    shown = ",".join(words[:_SHOWN])
    return f"{shown} + {len(words) - _SHOWN} more..." if len(words) > _SHOWN else shown


def _ports(ports: list[Json], found: list[FieldError]) -> None:
    if len(ports) > _MOST_PORTS:
        found.append(errors.too_many("ports", len(ports), _MOST_PORTS))
        return
    seen: set[str] = set()
    for i, port in enumerate(ports):
        path, name = f"ports[{i}]", port.get("name", "")
        if name:
            checks.dns_label(name, f"{path}.name", found)
        if name in seen:
            found.append(errors.duplicate(f"{path}.name", name))
        seen.add(name)
        port_details(port, path, found)


def _endpoints(endpoints: list[Json], kind: str, found: list[FieldError]) -> None:
    if len(endpoints) > MOST_ENDPOINTS:
        found.append(errors.too_many("endpoints", len(endpoints), MOST_ENDPOINTS))
        return
    for i, endpoint in enumerate(endpoints):
        path = f"endpoints[{i}]"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            found.append(errors.required(f"{path}.addresses", "must contain at least 1 address"))
        elif len(addresses) > _MOST_ADDRESSES:
            found.append(errors.too_many(f"{path}.addresses", len(addresses), _MOST_ADDRESSES))
        for j, address in enumerate(addresses):
            _address(address, kind, f"{path}.addresses", j, found)
        node_name(endpoint.get("nodeName"), f"{path}.nodeName", found)
        topology = endpoint.get("deprecatedTopology") or {}
        if len(topology) > _MOST_TOPOLOGY:
            found.append(errors.too_many(f"{path}.deprecatedTopology", len(topology), _MOST_TOPOLOGY))
        found += check_labels(topology, f"{path}.deprecatedTopology")
        hostname(endpoint.get("hostname"), f"{path}.hostname", found)
        _hints(endpoint.get("hints") or {}, f"{path}.hints", found)


def _address(address: str, kind: str, path: str, index: int, found: list[FieldError]) -> None:
    if kind in ("IPv4", "IPv6"):
        version = endpoint_address(address, f"{path}[{index}]", found)
        if version and kind != f"IPv{version}":
            found.append(invalid(path, address, f"must be an {kind} address"))
    elif kind == "FQDN":
        where = f"{path}[{index}]"
        name = address.removesuffix(".")
        found.extend(invalid(where, address, why) for why in syntax.dns_subdomain(name))
        if not syntax.dns_subdomain(name) and "." not in name:
            found.append(invalid(where, address, "should be a domain with at least two segments separated by dots"))


def _hints(hints: Json, path: str, found: list[FieldError]) -> None:
    for name in ("forZones", "forNodes"):
        where, values = f"{path}.{name}", hints.get(name) or []
        if len(values) > _MOST_HINTS:
            found.append(errors.too_many(where, len(values), _MOST_HINTS))
            return
        seen: set[str] = set()
        for i, value in enumerate(values):
            text = value.get("name", "")
            if text in seen:
                found.append(errors.duplicate(f"{where}[{i}].name", text))
            seen.add(text)
            rule = syntax.label_value if name == "forZones" else syntax.dns_subdomain
            found.extend(invalid(f"{where}[{i}].name", text, why) for why in rule(text))


def kind() -> Kind:
    return builtin_kind(ENDPOINT_SLICES, "EndpointSlice", EndpointSliceStrategy())
