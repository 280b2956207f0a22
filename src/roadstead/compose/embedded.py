"""The embedded world: API server, controllers and admission over our own store, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from roadstead.apiserver.serve import ApiServer, CannotListen
from roadstead.auth.files import write_private
from roadstead.auth.service_accounts import KEY_FILE, Issuer
from roadstead.cluster.embedded.definitions import Definitions
from roadstead.cluster.embedded.expiry import keep_expiring
from roadstead.cluster.embedded.failures import StoreError
from roadstead.cluster.embedded.log import Durability
from roadstead.cluster.embedded.plugins import QueueHold, default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.compose.configuration import PLAINLY, Configured
from roadstead.compose.planning import Planner, dry_run
from roadstead.compose.running import Refused, beside, stopped
from roadstead.controllers.admission import PLACE_ALL, AdmissionDecider
from roadstead.controllers.admission.decider import Journal as Recorder
from roadstead.controllers.binder import Binder
from roadstead.controllers.claims import DeviceTaintController, PodClaimsController, ResourceClaimController
from roadstead.controllers.defaults import BOOTSTRAP, DefaultsController
from roadstead.controllers.deployment import DeploymentController
from roadstead.controllers.disruption import DisruptionController
from roadstead.controllers.endpointslice import EndpointSliceController
from roadstead.controllers.fleet_quota import FleetQuotaController
from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.job import JobController
from roadstead.controllers.namespace import NamespaceController
from roadstead.controllers.node_lifecycle import NodeLifecycleController
from roadstead.controllers.pod_garbage import PodGarbageController
from roadstead.controllers.queues import (
    AdmissionCheckController,
    ClusterQueueController,
    LocalQueueController,
    ResourceFlavorController,
    TopologyController,
    usage_controllers,
)
from roadstead.controllers.replicaset import ReplicaSetController
from roadstead.controllers.roles import ClusterRoleAggregation, bootstrap_writes
from roadstead.controllers.service_account import ServiceAccountController
from roadstead.controllers.workload import AdmissionChecksController, AfterlifeController, WorkloadController
from roadstead.controllers.workload.policy import NO_POLICY, Policy
from roadstead.core.given import Given
from roadstead.core.plan import Plan
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.history.journal import DEFAULT_SIZE, Journal
from roadstead.kinds.names import WORKLOADS
from roadstead.kinds.object import Resource
from roadstead.kinds.registry import Registry
from roadstead.kinds.served import default_registry
from roadstead.runtime import collector
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import Controller
from roadstead.views.answers import Answers
from roadstead.views.metrics import queue_families
from roadstead.views.pending import PendingWorkloads
from roadstead.views.workload_counts import WorkloadCounts

log = logging.getLogger(__name__)


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
    journal_size: int = DEFAULT_SIZE
    """Bytes on the disk for the journal of decisions, in `data`/journal; 0: none is kept."""
    configured: Configured = PLAINLY


def serve_forever(options: ServerOptions, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` gets the URL once everything listens. Raises Refused."""
    uvloop.run(_serve(options, ready))


async def _serve(options: ServerOptions, ready: Callable[[str], None]) -> None:
    stopping = stopped()
    for sentence in options.configured.in_vain:
        log.warning("configuration: %s", sentence)
    gc.disable()  # until everything is loaded: there is no garbage in it, and looking for some takes as long as loading
    async with serving(options) as api, beside(collector.keep_collecting()):
        collector.begin()
        ready(api.url)
        stop = asyncio.create_task(stopping.wait())
        await stop
        log.info("stopping")


@contextlib.asynccontextmanager
async def serving(options: ServerOptions) -> AsyncIterator[ApiServer]:
    """The whole server, for as long as the context lasts. A part that dies ends it all: better restarted than half
    alive."""
    registry = default_registry().fork()
    try:
        store = Store.open(options.data, options.durability, upgrade=registry.upgraded)
    except StoreError as error:
        raise Refused(str(error)) from error
    journal = contextlib.ExitStack()
    try:
        issuer = Issuer(options.pki / KEY_FILE)
        policy, rules = options.configured.policy, options.configured.rules(PLACE_ALL)
        hold = QueueHold(manage_all=policy.manage_all, namespaces=policy.namespaces)
        resources = Resources(
            store, registry, default_plugins(hold=hold, priority_boost=rules.priority_boost), issuer=issuer
        )
        definitions = Definitions(resources)
        definitions.load()  # before anything of theirs is listed
        cluster = EmbeddedCluster(resources)
        for write in BOOTSTRAP:
            await cluster.write(write)  # EXISTS from the second start on
        await asyncio.gather(*map(cluster.write, bootstrap_writes(store.get)))  # one commit
        world = World()
        record = journal.enter_context(_recording(options, world, rules))
        counts = WorkloadCounts()
        decider = AdmissionDecider(rules, _counting(counts, record), [kind.resource for kind in registry], world)
        api = ApiServer(
            resources,
            registry,
            state_dir=options.pki,
            host=options.host,
            port=options.port,
            unix_socket=options.socket,
            answers=lambda path, viewer: answers(path, viewer),
            planner=lambda body, viewer: planner(body, viewer),
            pending=lambda: pending,
            metrics=(lambda: runner.families(), lambda: queue_families(runner.view, counts)),
            checks={"informer-sync": lambda: _unsynced(runner)},
        )
        running = controllers(registry, api.authority.certificate.decode(), policy)
        runner = Runner(cluster, running, [decider])
        definitions.changed.append(lambda: refit(runner, running, registry))
        runner.informers[WORKLOADS].listeners.append(counts.changed)
        answers = Answers(runner.view, decider.explain, runner.clock.now)
        pending = PendingWorkloads(runner.view, decider.line, runner.clock.now)
        planner = Planner(registry, dry_run(resources), runner.view, decider.foresee, runner.clock.now)
        try:
            await api.start()
        except CannotListen as error:
            raise Refused(str(error)) from error
        try:
            if options.kubeconfig is not None:
                write_private(options.kubeconfig, json.dumps(api.kubeconfig(), indent=2).encode())
            async with beside(definitions.run()), beside(runner.run()), beside(keep_expiring(resources)):
                await runner.wait_synced()
                yield api
        finally:
            await api.stop()
    finally:
        journal.close()
        await store.close()


@contextlib.contextmanager
def _recording(options: ServerOptions, world: World, rules: Rules) -> Iterator[Recorder | None]:
    """A journal of all decisions on this world, in the data directory, which is locked; None if none is wanted."""
    if not options.journal_size:
        yield None
        return
    journal = Journal(options.data / "journal", world, rules, options.journal_size)
    try:
        yield journal.record
    finally:
        journal.close()


def _counting(counts: WorkloadCounts, record: Recorder | None) -> Recorder:
    """A journal that counts, and passes on."""

    def heard(given: Sequence[Given], now: int, plans: Sequence[Plan]) -> None:
        counts.decided(plans)
        if record is not None:
            record(given, now, plans)

    return heard


def _unsynced(runner: Runner) -> str | None:
    waiting = ", ".join(str(resource) for resource in runner.unsynced())
    return f"not listed yet: {waiting}" if waiting else None


def controllers(registry: Registry, ca_text: str, policy: Policy = NO_POLICY) -> Sequence[Controller]:
    """Every controller of the embedded world."""
    return (
        JobController(),
        DeploymentController(),
        ReplicaSetController(),
        DisruptionController(),
        EndpointSliceController(),
        WorkloadController(policy=policy),
        AfterlifeController(policy),
        AdmissionChecksController(),
        Binder(),
        PodClaimsController(),
        ResourceClaimController(),
        DeviceTaintController(),
        ClusterQueueController(),
        LocalQueueController(),
        *usage_controllers(policy.admission_sharing),
        ResourceFlavorController(),
        TopologyController(),
        AdmissionCheckController(),
        DefaultsController(),
        ClusterRoleAggregation(),
        FleetQuotaController(),
        GarbageCollector(registry),
        NamespaceController(namespaced(registry)),
        ServiceAccountController(ca_text),
        NodeLifecycleController(),
        PodGarbageController(),
    )


def namespaced(registry: Registry) -> list[Resource]:
    """Where the objects are kept that live in namespaces."""
    return [kind.stored for kind in registry.by_storage() if kind.namespaced]


def refit(runner: Runner, running: Sequence[Controller], registry: Registry) -> None:
    """Tell those who look after objects of all kinds that there are others now."""
    for controller in running:
        if isinstance(controller, GarbageCollector):
            controller.renew()
        elif isinstance(controller, NamespaceController):
            controller.renew(namespaced(registry))
    runner.refit()
