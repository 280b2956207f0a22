"""The API server alone, durable, for the HTTP benchmark: `python -m benchmarks._http_server DIRECTORY`. Ends when stdin closes."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path

import uvloop

from roadstead.apiserver.serve import ApiServer
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.served import default_registry


async def _serve(directory: Path) -> None:
    store, registry = Store.open(directory / "data", "full"), default_registry()
    resources = Resources(store, registry, default_plugins())
    namespaces = registry.get(NAMESPACES)
    assert namespaces is not None
    await resources.create(namespaces, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
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
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()
    await store.close()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
