"""API server, store and the controllers of queues, as Kueue's `minimalkueue` has them: `python -m
benchmarks._kueue_server DIRECTORY`.

The embedded server with what decides about Workloads and no more (no Jobs, pods, nodes' lifecycle, garbage): quota
decides, and only flavors with a topology are placed. Storage is durable, Events are written. Ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import uvloop

from roadstead.apiserver.serve import ApiServer
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.compose.running import beside, stopped
from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.queues import (
    AdmissionCheckController,
    ClusterQueueController,
    LocalQueueController,
    ResourceFlavorController,
    TopologyController,
)
from roadstead.controllers.workload import AdmissionChecksController, AfterlifeController
from roadstead.core.rules import Rules
from roadstead.kinds.served import default_registry
from roadstead.runtime import collector
from roadstead.runtime.runner import Runner

RULES = Rules(place_all=False)


async def _serve(directory: Path) -> None:
    stopping = stopped()
    store, registry = Store.open(directory / "data", "full"), default_registry()
    resources = Resources(store, registry, default_plugins())
    api = ApiServer(resources, registry, state_dir=directory / "pki", unix_socket=directory / "api.sock")
    controllers = (
        AfterlifeController(),
        AdmissionChecksController(),
        ClusterQueueController(),
        LocalQueueController(),
        ResourceFlavorController(),
        TopologyController(),
        AdmissionCheckController(),
    )
    decider = AdmissionDecider(RULES, served=[kind.resource for kind in registry])
    runner = Runner(EmbeddedCluster(resources), controllers, [decider])
    await api.start()
    try:
        async with beside(runner.run()), beside(collector.keep_collecting()):
            await runner.wait_synced()
            collector.begin()
            print(json.dumps({"socket": str(directory / "api.sock"), "pid": os.getpid()}), flush=True)
            await stopping.wait()
    finally:
        await api.stop()
        await store.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as asyncio_runner:
        asyncio_runner.run(_serve(Path(sys.argv[1])))
