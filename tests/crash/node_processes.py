"""An API server and a node agent as processes of their own, to be killed.

python -m tests.crash.node_processes server DIRECTORY
python -m tests.crash.node_processes agent DIRECTORY
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import roadstead
from roadstead.apiserver.serve import ApiServer
from roadstead.auth.service_accounts import KEY_FILE, Issuer
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.served import default_registry
from roadstead.node.agent.pod_state import Backoff
from roadstead.node.main import AgentOptions, NodeOptions, run_agent
from roadstead.runtime.cluster import Create, Unavailable

NODE = "n1"
REPOSITORY = Path(__file__).parent.parent.parent
SOURCE = Path(roadstead.__file__).parent.parent


class Processes:
    """Starts them, and starts them again when they died."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.state = directory / "agent"
        self.socket = directory / "api.sock"
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def cluster(self) -> RemoteCluster:
        return RemoteCluster("http://localhost", uds=self.socket)

    async def keep_up(self, role: str, crash_at: str = "") -> None:
        """Start the process unless it runs; wait until it does what it is for."""
        process = self.running.get(role)
        if process is not None and process.poll() is None:
            return
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([os.fspath(SOURCE), os.fspath(REPOSITORY)]),
            "ROADSTEAD_CRASH_AT": crash_at,
        }
        self._spawn(role, environment)
        if role == "server":
            await self._until_served()

    def _spawn(self, role: str, environment: dict[str, str]) -> None:
        with (self.directory / f"{role}.log").open("ab") as log:
            self.running[role] = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.node_processes", role, os.fspath(self.directory)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def _until_served(self) -> None:
        cluster = self.cluster()
        deadline = asyncio.get_running_loop().time() + 100
        while True:
            try:
                await cluster.list(NAMESPACES)
                break
            except Unavailable:
                is_late = asyncio.get_running_loop().time() > deadline or self.running["server"].poll() is not None
                assert not is_late, (self.directory / "server.log").read_text()
                await asyncio.sleep(0.02)
        await cluster.close()

    def kill(self, role: str) -> None:
        process = self.running.get(role)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        for role in list(self.running):
            self.kill(role)


async def _agent(directory: Path) -> None:
    cluster = RemoteCluster("http://localhost", uds=directory / "api.sock")
    options = AgentOptions(
        directory / "agent", (NodeOptions(NODE),), isolation="bare", backoff=Backoff(50_000_000, 400_000_000)
    )
    await run_agent(cluster, options)


BORN: tuple[tuple[Resource, Json], ...] = (
    (NAMESPACES, {"metadata": {"name": "default"}}),
    (SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}}),
    (CONFIG_MAPS, {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}, "data": {"ca.crt": "PEM"}}),
)
"""What controllers make in every namespace: pods mount it."""


async def _server(directory: Path) -> None:
    registry = default_registry()
    issuer = Issuer(directory / "pki" / KEY_FILE)
    resources = Resources(Store.open(directory / "data"), registry, default_plugins(), issuer=issuer)
    cluster = EmbeddedCluster(resources)
    for resource, value in BORN:
        await cluster.write(Create(resource, value))  # EXISTS from the second start on
    server = ApiServer(resources, registry, state_dir=directory / "pki", unix_socket=directory / "api.sock")
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    role, where = sys.argv[1], Path(sys.argv[2])
    asyncio.run(_server(where) if role == "server" else _agent(where))
