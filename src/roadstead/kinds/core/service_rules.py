"""Rules of Services (kubernetes `validateService`, in its order), and which IP families they have
(`initIPFamilyFields`)."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.metadata import check_labels
from roadstead.kinds.object import Json

EXTERNAL_NAME: Final = "ExternalName"
TYPES: Final = ("ClusterIP", EXTERNAL_NAME, "LoadBalancer", "NodePort")
SINGLE: Final = "SingleStack"
POLICIES: Final = ("PreferDualStack", "RequireDualStack", SINGLE)
_DISTRIBUTIONS: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")
_BAD_ADDRESS: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_DAY: Final = 86400


def is_headless(spec: Json) -> bool:
    return list(spec.get("clusterIPs") or ()) == ["None"]


def validate_service(obj: Json) -> list[FieldError]:
    """Everything wrong with a defaulted Service whose addresses were given out."""
    spec = obj["spec"]
    found: list[FieldError] = []
    if not spec.get("ports") and not is_headless(spec) and spec["type"] != EXTERNAL_NAME:
        found.append(errors.required("spec.ports"))
    _by_type(spec, found)
    names: set[str] = set()
    for i, port in enumerate(spec.get("ports") or ()):
        _port(port, f"spec.ports[{i}]", len(spec["ports"]) > 1, names, found)
    found += check_labels(spec.get("selector"), "spec.selector")
    _affinity(spec, found)
    found += validate_addresses(spec)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        _external_address(address, f"spec.externalIPs[{i}]", found)
    if spec["type"] not in TYPES:
        found.append(errors.not_supported("spec.type", spec["type"], TYPES))
    _ports_together(spec, found)
    _balancer(spec, found)
    _traffic(spec, found)
    return found


def validate_service_update(new: Json, old: Json) -> list[FieldError]:
    """Addresses stay (kubernetes `ValidateServiceUpdate`)."""
    spec, before = new["spec"], old["spec"]
    found: list[FieldError] = []
    if EXTERNAL_NAME not in (spec["type"], before["type"]) and not (is_headless(spec) and is_headless(before)):
        _same_addresses(spec.get("clusterIPs") or [], before.get("clusterIPs") or [], found)
        if not is_headless(spec) and not is_headless(before):
            families, had = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
            if families[:1] != had[:1]:
                found.append(invalid("spec.ipFamilies[0]", families, "may not change once set"))
    name, had_name = spec.get("loadBalancerClass"), before.get("loadBalancerClass")
    if before["type"] == "LoadBalancer" == spec["type"] and name != had_name:
        found.append(invalid("spec.loadBalancerClass", name, "may not change once set"))
    return found + validate_service(new)


def _same_addresses(addresses: list[str], had: list[str], found: list[FieldError]) -> None:
    if not addresses and had:
        found.append(invalid("spec.clusterIPs[0]", addresses, "primary clusterIP can not be unset"))
    elif addresses[:1] != had[:1] and had:
        found.append(invalid("spec.clusterIPs[0]", addresses, "may not change once set"))


def _by_type(spec: Json, found: list[FieldError]) -> None:
    kind = spec["type"]
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        found.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services"))
    if kind != EXTERNAL_NAME:
        return
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            found.append(errors.forbidden(f"spec.{name}", "may not be set for ExternalName services"))
    alias = spec.get("externalName", "").removesuffix(".")
    if alias:
        found.extend(invalid("spec.externalName", alias, why) for why in syntax.dns_subdomain(alias))
    else:
        found.append(errors.required("spec.externalName"))


def _port(port: Json, path: str, needs_name: bool, names: set[str], found: list[FieldError]) -> None:
    name = port.get("name", "")
    if needs_name and not name:
        found.append(errors.required(f"{path}.name"))
    elif name:
        checks.dns_label(name, f"{path}.name", found)
        if name in names:
            found.append(errors.duplicate(f"{path}.name", name))
        names.add(name)
    checks.port_number(port.get("port", 0), f"{path}.port", found)
    if port["protocol"] not in ("SCTP", "TCP", "UDP"):
        found.append(errors.not_supported(f"{path}.protocol", port["protocol"], ("SCTP", "TCP", "UDP")))
    checks.port(port["targetPort"], f"{path}.targetPort", found)
    if port.get("appProtocol") is not None:
        found.extend(
            invalid(f"{path}.appProtocol", port["appProtocol"], why)
            for why in syntax.qualified_name(port["appProtocol"])
        )


def _affinity(spec: Json, found: list[FieldError]) -> None:
    affinity, config = spec["sessionAffinity"], spec.get("sessionAffinityConfig")
    if affinity not in ("ClientIP", "None"):
        found.append(errors.not_supported("spec.sessionAffinity", affinity, ("ClientIP", "None")))
    elif affinity == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds", 0)
        if not 0 < seconds <= _DAY:
            path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            found.append(invalid(path, seconds, f"must be greater than 0 and less than {_DAY}"))


def validate_addresses(spec: Json) -> list[FieldError]:
    """clusterIP, clusterIPs and IP families fit each other (`ValidateServiceClusterIPsRelatedFields`)."""
    found: list[FieldError] = []
    if spec["type"] == EXTERNAL_NAME:
        return found
    path, first, addresses = "spec.clusterIPs", spec.get("clusterIP", ""), list(spec.get("clusterIPs") or ())
    if first and not addresses:
        found.append(errors.required(path))
    elif first and addresses[0] != first:
        found.append(invalid(path, addresses, "first value must match `clusterIP`"))
    elif not first and addresses:
        found.append(invalid(path, addresses, "must be empty when `clusterIP` is not specified"))
    seen: set[str] = set()
    for i, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in ("IPv4", "IPv6"):
            found.append(errors.not_supported(f"spec.ipFamilies[{i}]", family, ("IPv4", "IPv6")))
        if family in seen:
            found.append(errors.duplicate(f"spec.ipFamilies[{i}]", family))
        seen.add(family)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in POLICIES:
        found.append(errors.not_supported("spec.ipFamilyPolicy", policy, POLICIES))
    _each_address(addresses, path, list(spec.get("ipFamilies") or ()), found)
    return found


def _each_address(addresses: list[str], path: str, families: list[str], found: list[FieldError]) -> None:
    before = len(found)
    if addresses[:1] == ["None"]:
        if len(addresses) > 1:
            found.append(invalid(path, addresses, "'None' must be the first and only value"))
    else:
        for i, address in enumerate(addresses):
            if family_of(address) is None:
                found.append(invalid(f"{path}[{i}]", address, _BAD_ADDRESS))
    if len(addresses) > 2:
        found.append(invalid(path, addresses, "may only hold up to 2 values"))
    if len(found) > before or addresses[:1] == ["None"]:
        return
    if len(addresses) == 2 and family_of(addresses[0]) == family_of(addresses[1]):
        found.append(invalid(path, addresses, "may specify no more than one IP for each IP family"))
    for i, (address, family) in enumerate(zip(addresses, families, strict=False)):
        if family in ("IPv4", "IPv6") and family_of(address) != family:
            found.append(
                invalid(f"{path}[{i}]", address, f"expected an {family} value as indicated by `ipFamilies[{i}]`")
            )


def family_of(address: Any) -> str | None:
    """IPv4 or IPv6; None if it is no address."""
    try:
        return f"IPv{ipaddress.ip_address(address).version}"
    except ValueError:
        return None


def settle_families(spec: Json, old: Json | None) -> list[FieldError]:
    """Fill in IP families and their policy for a cluster that has IPv4 alone, in place, and say what it cannot give."""
    if spec["type"] == EXTERNAL_NAME:
        return []
    addresses = list(spec.get("clusterIPs") or ())
    if "ipFamilyPolicy" not in spec:
        is_loose = addresses == ["None"] and not spec.get("selector")
        two = len(addresses) == 2 or len(spec.get("ipFamilies") or ()) == 2
        spec["ipFamilyPolicy"] = "RequireDualStack" if is_loose or two else SINGLE
    found = validate_addresses(spec)
    if found:
        return found
    policy, path = spec["ipFamilyPolicy"], "spec.ipFamilyPolicy"
    if (
        old is not None
        and policy == SINGLE
        and len(spec.get("ipFamilies") or ()) > 1
        and spec.get("ipFamilies") == old.get("ipFamilies")
    ):
        spec["ipFamilies"] = spec["ipFamilies"][:1]
    if policy == SINGLE:
        for name, words in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
            if len(spec.get(name) or ()) == 2:
                why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {words} are specified"
                found.append(invalid(path, policy, why))
    families = list(spec.get("ipFamilies") or ())
    for i, address in enumerate(addresses):
        family = family_of(address)
        if address != "None" and family is not None and i >= len(families):
            if family == "IPv6":
                found.append(invalid(f"spec.clusterIPs[{i}]", addresses, "IPv6 is not configured on this cluster"))
            else:
                families.append(family)
    if found:
        return found
    if addresses == ["None"] and not spec.get("selector"):
        families = families or ["IPv4"]
        if len(families) < 2 and policy != SINGLE:
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        spec["ipFamilies"] = families
        return []
    if policy == "RequireDualStack":
        found.append(invalid(path, policy, "this cluster is not configured for dual-stack services"))
    for i, family in enumerate(families):
        if family != "IPv4":
            found.append(invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
    spec["ipFamilies"] = families or ["IPv4"]
    return found


def _external_address(address: str, path: str, found: list[FieldError]) -> None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        found.append(invalid(path, address, _BAD_ADDRESS))
        return
    if parsed.is_unspecified:
        found.append(invalid(path, address, f"may not be unspecified ({address})"))
    if parsed.is_loopback:
        found.append(invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if parsed.is_link_local:
        found.append(invalid(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))


def _ports_together(spec: Json, found: list[FieldError]) -> None:
    ports = spec.get("ports") or ()
    if spec["type"] == "ClusterIP":
        for i, port in enumerate(ports):
            if port.get("nodePort"):
                why = "may not be used when `type` is 'ClusterIP'"
                found.append(errors.forbidden(f"spec.ports[{i}].nodePort", why))
    at_nodes: set[tuple[str, int]] = set()
    for i, port in enumerate(ports):
        key = (port["protocol"], port.get("nodePort", 0))
        if port.get("nodePort") and key in at_nodes:
            found.append(errors.duplicate(f"spec.ports[{i}].nodePort", port["nodePort"]))
        at_nodes.add(key)
    seen: set[tuple[str, int]] = set()
    for i, port in enumerate(ports):
        key = (port["protocol"], port.get("port", 0))
        if key in seen:
            shown = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            found.append(errors.duplicate(f"spec.ports[{i}]", shown))
        seen.add(key)


def _balancer(spec: Json, found: list[FieldError]) -> None:
    only = "may only be used when `type` is 'LoadBalancer'"
    is_balancer = spec["type"] == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges and not is_balancer:
        found.append(errors.forbidden("spec.LoadBalancerSourceRanges", only))
    for i, text in enumerate(ranges):
        try:
            ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            found.append(invalid(f"spec.LoadBalancerSourceRanges[{i}]", text.strip(), why))
    if spec.get("allocateLoadBalancerNodePorts") is not None and not is_balancer:
        found.append(errors.forbidden("spec.allocateLoadBalancerNodePorts", only))
    name = spec.get("loadBalancerClass")
    if name is not None and not is_balancer:
        found.append(errors.forbidden("spec.loadBalancerClass", only))
    elif name is not None:
        found.extend(invalid("spec.loadBalancerClass", name, why) for why in syntax.qualified_name(name))


def _traffic(spec: Json, found: list[FieldError]) -> None:
    external = spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and spec.get("externalIPs"))
    policy = spec.get("externalTrafficPolicy", "")
    if not external and policy:
        why = "may only be set for externally-accessible services"
        found.append(invalid("spec.externalTrafficPolicy", policy, why))
    elif external and policy not in ("Cluster", "Local"):
        found.append(errors.not_supported("spec.externalTrafficPolicy", policy, ("Cluster", "Local")))
    if spec.get("healthCheckNodePort") and not (spec["type"] == "LoadBalancer" and policy == "Local"):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        found.append(invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], why))
    inside = spec.get("internalTrafficPolicy")
    if inside is not None and inside not in ("Cluster", "Local"):
        found.append(errors.not_supported("spec.internalTrafficPolicy", inside, ("Cluster", "Local")))
    wish = spec.get("trafficDistribution")
    if wish is not None and wish not in _DISTRIBUTIONS:
        found.append(errors.not_supported("spec.trafficDistribution", wish, _DISTRIBUTIONS, keep_order=True))
