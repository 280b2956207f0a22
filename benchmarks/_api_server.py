"""The API server alone, durable, in a process of its own; what the servers of the HTTP and the watch benchmark have in
common."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from roadstead.apiserver.serve import ApiServer
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[Resources]:
    """Serve a store in `directory` that holds namespace `default`, and print one line of JSON that says where, and with
    which token."""
    store, registry = Store.open(directory / "data", "full"), default_registry()
    resources = Resources(store, registry, default_plugins())
    await EmbeddedCluster(resources).write(Create(NAMESPACES, {"metadata": {"name": "default"}}))
    server = ApiServer(resources, registry, state_dir=directory / "state", unix_socket=directory / "api.sock")
    await server.start()
    gc.collect()
    gc.freeze()
    where = {
        "port": server.port,
        "token": server.token,
        "ca": str(server.ca_file),
        "socket": str(directory / "api.sock"),
    }
    print(json.dumps(where), flush=True)
    yield resources
    await server.stop()
    await store.close()
