"""Who a pod's peers are, and the hosts file by which its processes find them. Pure.

Peers are the pods of the same Job, or of the same headless service (`spec.subdomain`), in the same namespace. A peer is
found as `<hostname>`, `<hostname>.<subdomain>` and the full service names (k8s
`docs/concepts/services-networking/dns-pod-service`).
"""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.node.agent.addresses import likely_address
from roadstead.node.agent.views import Pod

BEGIN = "# roadstead: peers"


def wants_peers(pod: Pod) -> bool:
    """Does this pod have a name that others look for?"""
    return bool(pod.spec.hostname or pod.spec.subdomain)


def wants_hosts(pod: Pod) -> bool:
    """Does this pod need a hosts file of its own?"""
    return wants_peers(pod) or bool(pod.spec.host_aliases)


def are_peers(one: Pod, other: Pod) -> bool:
    if one.metadata.namespace != other.metadata.namespace or one.uid == other.uid:
        return False
    if one.spec.subdomain and one.spec.subdomain == other.spec.subdomain:
        return True
    owner, others = one.metadata.controller, other.metadata.controller
    return owner is not None and others is not None and owner.uid == others.uid


def address(pod: Pod) -> str:
    """The pod's address: what its status says, else what it is going to be."""
    return pod.status.pod_ip or likely_address(pod.uid)


def names(pod: Pod, domain: str = "cluster.local") -> list[str]:
    """All names of a pod, the longest first."""
    host, subdomain, namespace = pod.hostname, pod.spec.subdomain, pod.metadata.namespace
    if not subdomain:
        return [host]
    service = f"{host}.{subdomain}"
    return [
        f"{service}.{namespace}.svc.{domain}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}",
        service,
        host,
    ]


def peers_of(pod: Pod, others: Iterable[Pod]) -> list[Pod]:
    """The pod's living peers, by host name; of two with one name (a member and its successor) the younger."""
    found: dict[str, Pod] = {}
    for other in others:
        if not are_peers(pod, other) or other.status.is_final or not wants_peers(other):
            continue
        known = found.get(other.hostname)
        if known is None or (known.metadata.creation_timestamp or "") <= (other.metadata.creation_timestamp or ""):
            found[other.hostname] = other
    return [found[name] for name in sorted(found)]


def hosts_file(pod: Pod, own_address: str, peers: Iterable[Pod], machine: str) -> str:
    """The machine's own hosts file, then the pod and its peers."""
    lines = [machine.rstrip("\n"), BEGIN, _line(own_address, names(pod))]
    everyone = [own_address]
    for peer in peers:
        lines.append(_line(address(peer), names(peer)))
        everyone.append(address(peer))
    if pod.spec.subdomain:
        subdomain, namespace = pod.spec.subdomain, pod.metadata.namespace
        service = [f"{subdomain}.{namespace}.svc.cluster.local", f"{subdomain}.{namespace}.svc", subdomain]
        lines += [_line(ip, service) for ip in sorted(everyone)]
    lines += [_line(alias.ip, list(alias.hostnames)) for alias in pod.spec.host_aliases]
    return "\n".join(lines) + "\n"


def _line(ip: str, hosts: list[str]) -> str:
    return f"{ip}\t{' '.join(hosts)}"


def peers_variable(pod: Pod, own_address: str, peers: Iterable[Pod]) -> str:
    """ROADSTEAD_PEERS: `name=address,...` of the pod and its peers, by name."""
    pairs = {pod.hostname: own_address, **{peer.hostname: address(peer) for peer in peers}}
    return ",".join(f"{name}={pairs[name]}" for name in sorted(pairs))
