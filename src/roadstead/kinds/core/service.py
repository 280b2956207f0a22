"""Service (v1): a name and an address for the pods that a selector finds. Addresses are given out; nothing forwards to
the pods."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import ages
from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.core.service_rules import EXTERNAL_NAME, validate_service, validate_service_update
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import SERVICES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column

_EXTERNAL: Final = ("NodePort", "LoadBalancer")
CLIENT_TIMEOUT: Final = 10800
"""Seconds that sessionAffinity ClientIP lasts unless it says otherwise."""


class ServiceStrategy(StatusStrategy):
    """Services. Addresses and node ports come from the admission plugin that gives them out."""

    name_rule = staticmethod(syntax.dns_label)
    create_on_update = True
    field_names = ("spec.clusterIP", "spec.type")
    columns = (
        Column("Name", format="name"),
        Column("Type"),
        Column("Cluster-IP"),
        Column("External-IP"),
        Column("Port(s)"),
        Column("Age"),
        Column("Selector", priority=1),
    )

    def default(self, obj: Json) -> None:
        spec = obj.setdefault("spec", {})
        _default_affinity(spec)
        if not spec.get("type"):
            spec["type"] = "ClusterIP"
        for port in spec.get("ports") or ():
            if not port.get("protocol"):
                port["protocol"] = "TCP"
            if not port.get("targetPort"):
                port["targetPort"] = port.get("port", 0)
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        if is_external(spec) and not spec.get("externalTrafficPolicy"):
            spec["externalTrafficPolicy"] = "Cluster"
        if "internalTrafficPolicy" not in spec and spec["type"] in ("ClusterIP", *_EXTERNAL):
            spec["internalTrafficPolicy"] = "Cluster"
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {"loadBalancer": {}}

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        super().prepare_update(new, old, subresource)
        if subresource != "status":
            _keep_given(new["spec"], old["spec"])
            _follow_cluster_ip(new["spec"], old["spec"])
            _drop_what_the_type_has_not(new["spec"], old["spec"])

    def validate(self, obj: Json) -> list[FieldError]:
        return validate_service(obj)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        return [] if subresource == "status" else validate_service_update(new, old)

    def fields(self, obj: Json) -> dict[str, str]:
        spec = obj["spec"]
        return {"spec.clusterIP": spec.get("clusterIP", ""), "spec.type": spec.get("type", "")}

    def cells(self, obj: Json, now: float) -> list[Any]:
        spec = obj["spec"]
        addresses = spec.get("clusterIPs") or ()
        selector = spec.get("selector") or {}
        return [
            obj["metadata"]["name"],
            spec.get("type", ""),
            addresses[0] if addresses else "<none>",
            _external_address(obj),
            ",".join(_port(port) for port in spec.get("ports") or ()) or "<none>",
            ages.created(obj, now),
            ",".join(f"{key}={value}" for key, value in sorted(selector.items())) or "<none>",
        ]


def is_external(spec: Json) -> bool:
    """It can be reached from outside the cluster."""
    return spec.get("type") in _EXTERNAL or (spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs")))


def _default_affinity(spec: Json) -> None:
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_TIMEOUT}}


def _needs_address(spec: Json) -> bool:
    return spec.get("type") != EXTERNAL_NAME


def _needs_node_ports(spec: Json) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def _keep_given(new: Json, old: Json) -> None:
    """What was given out stays, where an update does not speak of it (kubernetes `patchAllocatedValues`)."""
    if _needs_address(old) and _needs_address(new):
        for name in ("clusterIP", "clusterIPs"):
            if not new.get(name) and old.get(name):
                new[name] = old[name]
    if not (_needs_node_ports(old) and _needs_node_ports(new)):
        return
    before = {port.get("name", ""): port.get("nodePort", 0) for port in old.get("ports") or ()}
    taken = {port.get("nodePort", 0) for port in new.get("ports") or ()} & set(before.values())
    for port in new.get("ports") or ():
        known = before.get(port.get("name", ""), 0)
        if not port.get("nodePort") and known and known not in taken:
            port["nodePort"] = known


def _follow_cluster_ip(new: Json, old: Json) -> None:
    """Who changes clusterIP alone means clusterIPs as well (kubernetes `NormalizeClusterIPs`)."""
    if new.get("clusterIP") == old.get("clusterIP"):
        return
    if new.get("clusterIPs") == old.get("clusterIPs"):
        if new.get("clusterIP"):
            new["clusterIPs"] = [new["clusterIP"]]
        else:
            new.pop("clusterIPs", None)


_OF_ADDRESSES: Final = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
_OF_BALANCERS: Final = ("allocateLoadBalancerNodePorts", "loadBalancerClass")


def _drop_what_the_type_has_not(new: Json, old: Json) -> None:
    """A change of type takes along what only the old type has, unless the update says something else of it."""
    dropped: list[str] = []
    if _needs_address(old) and not _needs_address(new):
        dropped += _OF_ADDRESSES
    if old.get("type") == "LoadBalancer" != new.get("type"):
        dropped += _OF_BALANCERS
    if is_external(old) and not is_external(new):
        dropped += ("externalTrafficPolicy", "healthCheckNodePort")
    for name in dropped:
        if new.get(name) == old.get(name):
            new.pop(name, None)
    if _needs_node_ports(old) and not _needs_node_ports(new):
        known = {port.get("nodePort", 0) for port in old.get("ports") or ()}
        for port in new.get("ports") or ():
            if port.get("nodePort", 0) in known:
                port.pop("nodePort", None)


def _external_address(obj: Json) -> str:
    spec = obj["spec"]
    external = list(spec.get("externalIPs") or ())
    if spec.get("type") == EXTERNAL_NAME:
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        given = [each.get("ip") or each.get("hostname", "") for each in ingress]
        return ",".join([*given, *external]) or "<pending>"
    return ",".join(external) or "<none>"


def _port(port: Json) -> str:
    at_node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{at_node}/{port.get('protocol', '')}"


def kind() -> Kind:
    return builtin_kind(
        SERVICES,
        "Service",
        ServiceStrategy(),
        short_names=("svc",),
        categories=("all",),
        subresources=(STATUS,),
    )
