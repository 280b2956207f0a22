"""A node agent as a guest: this machine as a node, or several, of a cluster that others run.

The log port's certificate is signed by an authority of the agent's own, since the cluster's key is not at hand: API
servers that are not given `--kubelet-certificate-authority` take it, as they take kubelets that sign their own. Whose
client certificates count there is what the cluster publishes in ConfigMap
kube-system/extension-apiserver-authentication.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvloop

from roadstead.auth.certificates import CERTIFICATE_LIFETIME, LOCAL_NAMES, Authority
from roadstead.auth.files import write_private
from roadstead.cluster.remote import RemoteCluster, from_kubeconfig
from roadstead.cluster.remote.kubeconfig import authority_of
from roadstead.compose.agent import serve_node
from roadstead.compose.preflight import must_answer, must_grant
from roadstead.compose.rights import Right
from roadstead.compose.running import Refused, first_of, stopped
from roadstead.kinds.names import CONFIG_MAPS, EVENTS, LEASES, NODES, PODS, RESOURCE_SLICES
from roadstead.kinds.object import Ref, Resource
from roadstead.node.agent.node_object import LEASE_NAMESPACE
from roadstead.node.agent.options import AgentOptions, NodeOptions, Tls
from roadstead.runtime.cluster import Unavailable

log = logging.getLogger(__name__)

PUBLISHED: Final = Ref(CONFIG_MAPS, "kube-system", "extension-apiserver-authentication")
CLIENT_CA: Final = "client-ca-file"
_PATIENCE_SECONDS: Final = 5.0
"""How long a server that is just being started is waited for. One that goes away later is waited for without end."""
_LOOK_SECONDS: Final = 60.0
_RENEW_SECONDS: Final = CERTIFICATE_LIFETIME.total_seconds() * 0.8


@dataclass(frozen=True, slots=True)
class JoinSetup:
    """Which cluster, and what the machine is there. `address` "": the one from which the API server is reached.
    `client_ca` goes before what the cluster publishes."""

    kubeconfig: Path
    context: str
    pki: Path
    state: Path
    nodes: Sequence[NodeOptions]
    address: str = ""
    port: int = 0
    client_ca: Path | None = None


def server_of(kubeconfig: Path, context: str = "") -> str:
    """The URL of the cluster that the file names. Raises KubeconfigError."""
    return from_kubeconfig(kubeconfig, context).url


def join(setup: JoinSetup, ready: Callable[[], None]) -> None:
    """Be a node agent of that cluster until SIGTERM or SIGINT; `ready` is called once the nodes are registered. The
    processes it started outlive it. Raises KubeconfigError, or Refused if the cluster does not take it."""
    uvloop.run(_join(setup, ready))


async def _join(setup: JoinSetup, ready: Callable[[], None]) -> None:
    stopping = stopped()
    cluster = from_kubeconfig(setup.kubeconfig, setup.context)
    try:
        await _must_answer_soon(cluster)
        await _must_be_a_cluster_of_others(cluster)
        await must_grant(cluster, rights(setup.nodes), _hint(setup.nodes))
        papers = Papers(cluster, setup, setup.address or own_address(cluster.url))
        options = AgentOptions(
            state=setup.state,
            nodes=tuple(setup.nodes),
            tls=await papers.make(),
            host=papers.address,
            port=setup.port,
            is_guest=True,
            api_server=lambda: cluster.url,
            on_ready=lambda port: ready(),
        )
        await first_of(serve_node(cluster, options), papers.keep(), stopping.wait())
        log.info("stopping; running processes go on")
    finally:
        await cluster.close()


async def _must_answer_soon(cluster: RemoteCluster) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            await cluster.ask("/api")
            break
        except Unavailable:
            await asyncio.sleep(0.2)
    await must_answer(cluster)


async def _must_be_a_cluster_of_others(cluster: RemoteCluster) -> None:
    try:
        status, version = await cluster.ask("/version")
    except Unavailable:  # it answered a moment ago
        await must_answer(cluster)
        return
    if status == 200 and str(version.get("compiler", "")).startswith("python"):
        raise Refused(
            f"{cluster.url} is an embedded Roadstead server: it takes node agents of its own machine only.",
            "There, run: roadstead node. Or name a Kubernetes cluster.",
        )


def own_address(url: str) -> str:
    """The address from which this machine reaches a server: what others reach it by, as far as that can be told.
    Nothing is sent. Raises Refused if there is no way to the server."""
    parts = urlsplit(url)
    try:
        family, kind, _, _, address = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise Refused(
            f"This machine has no address that {parts.hostname} could reach: {error.strerror or error}.",
            "Name one with --address.",
        ) from error


# --- rights


def rights(nodes: Sequence[NodeOptions]) -> list[Right]:
    """What the agent does on the API server; group system:nodes with the name system:node:NAME has it all for node
    NAME. (What it reads for pods, ConfigMaps, Secrets and tokens, follows from the pods that are bound to it.)"""
    found = {_right(PODS, "status", "update"), _right(PODS, "", "delete"), _right(EVENTS, "", "create")}
    for node in nodes:
        found |= {_right(NODES, "", verb, name=node.name) for verb in ("get", "update")}
        found |= {_right(NODES, "", "create"), _right(NODES, "status", "update", name=node.name)}
        found |= {_right(PODS, "", verb, selector=("spec.nodeName", node.name)) for verb in ("list", "watch")}
        found |= {_right(LEASES, "", verb, namespace=LEASE_NAMESPACE, name=node.name) for verb in ("get", "update")}
        found.add(_right(LEASES, "", "create", namespace=LEASE_NAMESPACE))
        if node.by_claims:  # what is its own, a node may change: no server says so before there is something
            found.add(_right(RESOURCE_SLICES, "", "create"))
            own = ("spec.nodeName", node.name)
            found |= {_right(RESOURCE_SLICES, "", verb, selector=own) for verb in ("list", "watch")}
    return sorted(found, key=str)


def _right(
    resource: Resource,
    subresource: str,
    verb: str,
    *,
    namespace: str = "",
    name: str = "",
    selector: tuple[str, str] | None = None,
) -> Right:
    return Right(resource.group, resource.plural, subresource, verb, namespace, name, selector)


def _hint(nodes: Sequence[NodeOptions]) -> str:
    if len(nodes) == 1:
        return f"Use a kubeconfig of user system:node:{nodes[0].name} in group system:nodes, or of an administrator."
    return f"One identity for {len(nodes)} nodes must be an administrator's; or start an agent for each node, with a --home of its own."


# --- certificates


class Papers:
    """The files of the log port, kept fresh."""

    def __init__(self, cluster: RemoteCluster, setup: JoinSetup, address: str) -> None:
        self._cluster = cluster
        self._setup = setup
        self.address = address
        self._issued_at = 0.0
        self._tls = Tls(setup.pki / "node.crt", setup.pki / "node.key", setup.pki / "clients.crt")

    async def make(self) -> Tls | None:
        """All files; None if nobody says whose client certificates count: then no logs are served."""
        if not await self._bring_clients():
            own = authority_of(self._setup.kubeconfig, self._setup.context)
            if not own:
                log.warning(
                    "no logs are served: whose client certificates count is not known. Name a file with --client-ca"
                )
                return None
            log.info("%s/%s cannot be read; callers are checked by the kubeconfig's authority", *PUBLISHED[1:])
            write_private(self._tls.client_authority, own)
        self._issue()
        return self._tls

    async def keep(self) -> None:
        """Until cancelled: follow what the cluster publishes, and renew our own certificate in time."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._bring_clients()
            if time.monotonic() - self._issued_at > _RENEW_SECONDS:
                self._issue()

    async def _bring_clients(self) -> bool:
        """Write the client authority if it is known and new; False if it is not known."""
        try:
            found = await self._clients()
        except (Unavailable, OSError) as error:
            if self._setup.client_ca is not None and not self._issued_at:
                raise  # named by hand, and not there
            log.debug("client authority: %s", error)
            return False
        path = self._tls.client_authority
        if found and (not path.exists() or path.read_bytes() != found):
            write_private(path, found)
        return bool(found)

    async def _clients(self) -> bytes:
        if self._setup.client_ca is not None:
            return self._setup.client_ca.read_bytes()
        published = await self._cluster.get(PUBLISHED)
        return str((published.decode().get("data") or {}).get(CLIENT_CA, "")).encode() if published else b""

    def _issue(self) -> None:
        names = [*LOCAL_NAMES[:1], *(node.name for node in self._setup.nodes)]
        pair = Authority.load_or_create(self._setup.pki).issue_server("system:node", names, [self.address])
        pair.save(self._tls.certificate, self._tls.key)
        self._issued_at = time.monotonic()
