"""An API server over a store, to be killed under load that comes over its socket.

python -m tests.crash.store_server_child DIRECTORY [MUTANT]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from roadstead.apiserver.serve import ApiServer
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.resources import Resources
from roadstead.kinds.served import default_registry
from tests.crash.store_child import open_store

SOCKET = "api.sock"


async def main(directory: Path, mutant: str) -> None:
    registry = default_registry()
    resources = Resources(open_store(directory / "data", mutant), registry, default_plugins())
    server = ApiServer(resources, registry, state_dir=directory / "pki", unix_socket=directory / SOCKET)
    await server.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), "".join(sys.argv[2:])))
