"""Services get their addresses and ports where they are written."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from roadstead.cluster.embedded.plugins.services import ADDRESSES, NODE_PORTS, ServiceAddresses
from roadstead.cluster.embedded.requests import WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import NAMESPACES, SERVICES
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from tests.cluster.loop import in_loop

OPTIONS = WriteOptions()


async def api() -> Resources:
    made = Resources(Store.in_memory(), default_registry(), (ServiceAddresses(),))
    kind = default_registry().get(NAMESPACES)
    assert kind is not None
    await made.create(kind, "", {"metadata": {"name": "default"}}, OPTIONS)
    return made


def service(name: str = "web", **spec: Any) -> Json:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]} | spec}


async def create(resources: Resources, value: Json) -> Json:
    kind = resources.registry.get(SERVICES)
    assert kind is not None
    written = await resources.create(kind, "default", value, OPTIONS)
    return written.object.decode()


async def change(resources: Resources, name: str, **spec: Any) -> Json:
    kind = resources.registry.get(SERVICES)
    assert kind is not None

    def apply(value: Json) -> Json:
        for key, one in spec.items():
            if one is None:
                value["spec"].pop(key, None)
            else:
                value["spec"][key] = one
        return value

    written = await resources.patch(kind, "default", name, apply, OPTIONS)
    return written.object.decode()


@in_loop
async def test_each_service_gets_an_address_of_its_own() -> None:
    resources = await api()
    made = [(await create(resources, service(f"s{number}")))["spec"] for number in range(50)]
    given = [spec["clusterIP"] for spec in made]
    assert len(set(given)) == 50
    assert all(spec["clusterIPs"] == [spec["clusterIP"]] for spec in made)
    assert all(ipaddress.ip_address(address) in ADDRESSES for address in given)
    assert made[0]["ipFamilies"] == ["IPv4"]
    assert made[0]["ipFamilyPolicy"] == "SingleStack"
    assert made[0]["internalTrafficPolicy"] == "Cluster"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"clusterIP": "192.168.1.1"}, 'spec.clusterIPs: Invalid value: ["192.168.1.1"]: failed to allocate IP 192.168.1.1: the provided network does not match the current range'),
        ({"clusterIP": "127.128.0.9"}, 'spec.clusterIPs: Invalid value: ["127.128.0.9"]: failed to allocate IP 127.128.0.9: provided IP is already allocated'),
        ({"clusterIP": "nine"}, 'spec.clusterIPs[0]: Invalid value: "nine": must be a valid IP address'),
        ({"ipFamilyPolicy": "RequireDualStack"}, 'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services'),
        ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        ({"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]}, "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"),
        ({"type": "NodePort", "ports": [{"port": 1, "nodePort": 30001}]}, "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"),
        ({"type": "NodePort", "clusterIP": "None"}, "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"),
        ({"ports": []}, "spec.ports: Required value"),
        ({"ports": [{"port": 80, "nodePort": 30005}]}, "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"),
        ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name: Required value"),
        ({"sessionAffinity": "X"}, 'spec.sessionAffinity: Unsupported value: "X": supported values: "ClientIP", "None"'),
        ({"externalIPs": ["127.0.0.1"]}, 'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range'),
        ({"externalTrafficPolicy": "Local"}, 'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'),
        ({"loadBalancerClass": "x.io/y"}, "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
    ],
)  # fmt: skip
@in_loop
async def test_what_is_refused(spec: Json, expected: str) -> None:
    resources = await api()
    first = service("first", type="NodePort", clusterIP="127.128.0.9", ports=[{"port": 1, "nodePort": 30001}])
    await create(resources, first)
    with pytest.raises(StatusError) as refused:
        await create(resources, service(**spec))
    assert refused.value.code == 422
    assert expected in refused.value.message


@in_loop
async def test_headless_and_alias_have_no_address() -> None:
    resources = await api()
    headless = (await create(resources, service("a", clusterIP="None", selector={"a": "b"})))["spec"]
    assert (headless["clusterIPs"], headless["ipFamilies"]) == (["None"], ["IPv4"])
    alias = {"metadata": {"name": "b"}, "spec": {"type": "ExternalName", "externalName": "e.example.com"}}
    assert (await create(resources, alias))["spec"] == {
        "type": "ExternalName",
        "externalName": "e.example.com",
        "sessionAffinity": "None",
    }


@in_loop
async def test_what_was_given_stays_and_what_a_type_has_not_goes() -> None:
    resources = await api()
    made = (await create(resources, service()))["spec"]
    node = (await change(resources, "web", type="NodePort", clusterIP=None, clusterIPs=None))["spec"]
    assert node["clusterIP"] == made["clusterIP"]
    port = node["ports"][0]["nodePort"]
    assert port in NODE_PORTS
    again = (await change(resources, "web", ports=[{"port": 81}]))["spec"]
    assert again["ports"][0]["nodePort"] == port
    back = (await change(resources, "web", type="ClusterIP"))["spec"]
    assert "nodePort" not in back["ports"][0]
    assert "externalTrafficPolicy" not in back
    gone = (await change(resources, "web", type="ExternalName", externalName="e.example.com"))["spec"]
    assert "clusterIP" not in gone
    assert "ipFamilies" not in gone


@in_loop
async def test_an_address_does_not_change() -> None:
    resources = await api()
    await create(resources, service(clusterIP="127.128.0.9"))
    with pytest.raises(StatusError, match="may not change once set"):
        await change(resources, "web", clusterIP="127.128.0.10", clusterIPs=["127.128.0.10"])
