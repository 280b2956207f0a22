"""What Endpoints and EndpointSlices share: addresses and ports.

Pods of this cluster live on one machine, each with an address of its own out of 127.64.0.0/10: those count as ordinary
here, while a real server refuses the whole loopback range.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

PODS: Final = ipaddress.ip_network("127.64.0.0/10")
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_BAD_ADDRESS: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def endpoint_address(address: str, path: str, found: list[FieldError]) -> int:
    """An address at which a client may be sent; gives its IP version, 0 if it is none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        found.append(invalid(path, address, _BAD_ADDRESS))
        return 0
    if parsed.is_unspecified:
        found.append(invalid(path, address, f"may not be unspecified ({address})"))
    if parsed.is_loopback and not (parsed.version == 4 and parsed in PODS):
        found.append(invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if parsed.is_link_local:
        found.append(invalid(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    return parsed.version


def node_name(name: str | None, path: str, found: list[FieldError]) -> None:
    if name is not None:
        found.extend(invalid(path, name, why) for why in syntax.dns_subdomain(name))


def port_details(port: Json, path: str, found: list[FieldError]) -> None:
    """Protocols, of transport and application."""
    protocol = port.get("protocol", "")
    if not protocol:
        found.append(errors.required(f"{path}.protocol"))
    elif protocol not in PROTOCOLS:
        found.append(errors.not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    name = port.get("appProtocol")
    if name is not None:
        found.extend(invalid(f"{path}.appProtocol", name, why) for why in syntax.qualified_name(name))


def hostname(name: str | None, path: str, found: list[FieldError]) -> None:
    if name:
        checks.dns_label(name, path, found)
