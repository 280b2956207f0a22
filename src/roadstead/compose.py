"""The one place where the worlds are wired: which store, which controllers, which deciding core, which surface.

Embedded world: `serve_forever` is the server process (API, controllers, admission), `run_node` the node agent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from roadstead.apiserver.serve import ApiServer, CannotListen
from roadstead.auth.certificates import LOCAL_ADDRESSES, LOCAL_NAMES, Authority
from roadstead.auth.files import write_private
from roadstead.cluster.embedded.expiry import keep_expiring
from roadstead.cluster.embedded.failures import StoreError
from roadstead.cluster.embedded.log import Durability
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.remote import RemoteCluster
from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.binder import Binder
from roadstead.controllers.defaults import BOOTSTRAP, DefaultsController, FleetQuotaController
from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.job import JobController
from roadstead.controllers.namespace import NamespaceController
from roadstead.controllers.node_lifecycle import NodeLifecycleController
from roadstead.controllers.pod_garbage import PodGarbageController
from roadstead.controllers.queues import ClusterQueueController, LocalQueueController, ResourceFlavorController
from roadstead.controllers.service_account import ServiceAccountController
from roadstead.controllers.workload import AfterlifeController, WorkloadController
from roadstead.kinds.registry import Registry
from roadstead.kinds.served import default_registry
from roadstead.node.agent.options import AgentOptions, NodeOptions, Tls
from roadstead.node.main import run_agent
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import Controller
from roadstead.views.answers import Answers

log = logging.getLogger(__name__)


class Refused(Exception):
    """The server cannot start as asked: what happened, and what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where an embedded server keeps its state and listens."""

    data: Path
    pki: Path
    socket: Path | None = None
    kubeconfig: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    durability: Durability = "full"


def serve_forever(options: ServerOptions, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` gets the URL once everything listens. Raises Refused."""
    uvloop.run(_serve(options, ready))


async def _serve(options: ServerOptions, ready: Callable[[str], None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with serving(options) as api:
        gc.collect()
        gc.freeze()  # what was loaded at start stays: the collector need not look at it again
        ready(api.url)
        stop = asyncio.create_task(stopping.wait())
        await stop
        log.info("stopping")


@contextlib.asynccontextmanager
async def serving(options: ServerOptions) -> AsyncIterator[ApiServer]:
    """The whole server, for as long as the context lasts. A part that dies ends it all: better restarted than half alive."""
    try:
        store = Store.open(options.data, options.durability)
    except StoreError as error:
        raise Refused(str(error)) from error
    try:
        registry = default_registry()
        resources = Resources(store, registry, default_plugins())
        cluster = EmbeddedCluster(resources)
        for write in BOOTSTRAP:
            await cluster.write(write)  # EXISTS from the second start on
        decider = AdmissionDecider(served=[kind.resource for kind in registry])
        api = ApiServer(
            resources,
            registry,
            state_dir=options.pki,
            host=options.host,
            port=options.port,
            unix_socket=options.socket,
            answers=lambda path: answers(path),
        )
        runner = Runner(cluster, controllers(registry, api.authority.certificate.decode()), [decider])
        answers = Answers(runner.view, decider.why, runner.clock.now)
        try:
            await api.start()
        except CannotListen as error:
            raise Refused(str(error)) from error
        try:
            if options.kubeconfig is not None:
                write_private(options.kubeconfig, json.dumps(api.kubeconfig(), indent=2).encode())
            async with _beside(runner.run()), _beside(keep_expiring(resources)):
                await runner.wait_synced()
                yield api
        finally:
            await api.stop()
    finally:
        await store.close()


def controllers(registry: Registry, ca_text: str) -> Sequence[Controller]:
    """Every controller of the embedded world."""
    namespaced = [kind.resource for kind in registry if kind.namespaced]
    return (
        JobController(),
        WorkloadController(),
        AfterlifeController(),
        Binder(),
        ClusterQueueController(),
        LocalQueueController(),
        ResourceFlavorController(),
        DefaultsController(),
        FleetQuotaController(),
        GarbageCollector(registry),
        NamespaceController(namespaced),
        ServiceAccountController(ca_text),
        NodeLifecycleController(),
        PodGarbageController(),
    )


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` beside the body: its failure cancels the body, the body's end cancels it."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            task.cancel()


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """A node agent beside an embedded server: it speaks over the Unix socket and has its certificate from the same authority."""

    socket: Path
    pki: Path
    state: Path
    nodes: Sequence[NodeOptions]


def run_node(setup: AgentSetup, ready: Callable[[], None]) -> None:
    """Run a node agent until SIGTERM or SIGINT. The processes it started outlive it."""
    uvloop.run(_node(setup, ready))


async def _node(setup: AgentSetup, ready: Callable[[], None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    options = AgentOptions(
        state=setup.state, nodes=tuple(setup.nodes), tls=_agent_certificate(setup), on_ready=lambda port: ready()
    )
    cluster = RemoteCluster("http://localhost", uds=setup.socket)
    async with _beside(run_agent(cluster, options)):
        await stopping.wait()
        log.info("stopping; running processes go on")
    await cluster.close()


def _agent_certificate(setup: AgentSetup) -> Tls:
    authority = Authority.load_or_create(setup.pki)
    names = [*LOCAL_NAMES, *(node.name for node in setup.nodes)]
    pair = authority.issue_server("system:node", names, list(LOCAL_ADDRESSES))
    certificate, key = setup.pki / "node.crt", setup.pki / "node.key"
    pair.save(certificate, key)
    return Tls(certificate, key, authority.path)
