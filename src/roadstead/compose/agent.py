"""A node agent's process: which cluster it speaks to, and with which certificate it answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from roadstead.auth.certificates import LOCAL_ADDRESSES, LOCAL_NAMES, Authority
from roadstead.cluster.remote import RemoteCluster
from roadstead.compose.running import Refused, first_of, stopped
from roadstead.kinds.names import NODES
from roadstead.kinds.object import Ref
from roadstead.kinds.rbac.policy import NODE_AGENT
from roadstead.node.agent.options import AgentOptions, CannotJoin, NodeOptions, Tls
from roadstead.node.main import run_agent
from roadstead.runtime.cluster import Cluster, Delete, Result, Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """A node agent beside an embedded server: it speaks over the Unix socket, as a user of its own, and has its
    certificate from the same authority."""

    socket: Path
    pki: Path
    state: Path
    nodes: Sequence[NodeOptions]
    api_server: Callable[[], str] = str
    """Where pods reach the server (https://HOST:PORT): asked at every start of a container, since a server may move."""
    gone: Sequence[str] = ()
    """Nodes that agents with this state were, and that this one is no more. Nobody would ever look after a pod there
    again, so their objects are deleted; a node of anybody else stays, and is not ready once it falls silent."""
    on_gone_deleted: Callable[[], None] = lambda: None


def run_node(setup: AgentSetup, ready: Callable[[], None]) -> None:
    """Run a node agent until SIGTERM or SIGINT. The processes it started outlive it. Raises Refused if it cannot run
    here."""
    uvloop.run(_node(setup, ready))


async def _node(setup: AgentSetup, ready: Callable[[], None]) -> None:
    stopping = stopped()
    options = AgentOptions(
        state=setup.state,
        nodes=tuple(setup.nodes),
        tls=_agent_certificate(setup),
        api_server=setup.api_server,
        on_ready=lambda port: ready(),
    )
    cluster = RemoteCluster("http://localhost", uds=setup.socket, act_as=NODE_AGENT)
    try:
        if setup.gone and await retire(cluster, setup.gone):
            setup.on_gone_deleted()
        await first_of(serve_node(cluster, options), stopping.wait())
        log.info("stopping; running processes go on")
    finally:
        await cluster.close()


async def serve_node(cluster: Cluster, options: AgentOptions) -> None:
    """Be a node agent until cancelled. Raises Refused if it cannot be one here."""
    try:
        await run_agent(cluster, options)
    except CannotJoin as error:
        raise Refused(str(error), error.hint) from error


async def retire(cluster: Cluster, names: Sequence[str]) -> bool:
    """Delete these nodes. False if one of them may still be there: the next start tries again."""
    for name in names:
        try:
            stored = await cluster.get(Ref(NODES, "", name))
            if stored is None:
                continue
            outcome = await cluster.write(Delete(stored.ref, stored.meta.uid))
        except Unavailable as error:
            log.warning("node %s, which this agent is no more, could not be deleted: %s", name, error)
            return False
        if outcome.result not in (Result.DONE, Result.MISSING):
            log.warning("node %s, which this agent is no more, could not be deleted: %s", name, outcome.message)
            return False
        log.info("node %s is no more: this agent was it before", name)
    return True


def _agent_certificate(setup: AgentSetup) -> Tls:
    authority = Authority.load_or_create(setup.pki)
    names = [*LOCAL_NAMES, *(node.name for node in setup.nodes)]
    pair = authority.issue_server("system:node", names, list(LOCAL_ADDRESSES))
    certificate, key = setup.pki / "node.crt", setup.pki / "node.key"
    pair.save(certificate, key)
    return Tls(certificate, key, authority.path)
