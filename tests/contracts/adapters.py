"""The worlds that the Cluster contract is run against. A world is a running server and a way to open a Cluster on it.

A further one joins by one more World in WORLDS; nothing in the suite knows which it runs on. Those in REAL need a
kube-apiserver and run under the mark `realcluster`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import yaml

from roadstead.apiserver.serve import ApiServer
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.remote import RemoteCluster, from_kubeconfig
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Cluster, Create
from tests.realcluster.server import shared


class World(Protocol):
    """A server for the whole test session."""

    expired_version: str
    """A resourceVersion that a client may hold and that is older than the history kept."""

    def start(self, directory: Path) -> None: ...

    def open(self) -> AbstractAsyncContextManager[Cluster]:
        """A Cluster for the running event loop."""
        ...

    def stop(self) -> None: ...


async def _age(resources: Resources) -> None:
    """Let some versions pass and be forgotten."""
    cluster = EmbeddedCluster(resources)
    for index in range(3):
        assert (await cluster.write(Create(NAMESPACES, {"metadata": {"name": f"old-{index}"}}))).is_done
    resources.store.forget_history()


class Embedded:
    """The store in this process and this loop: each test has its own."""

    expired_version = "1"

    def start(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Cluster]:
        self._count += 1
        store = Store.open(self._directory / str(self._count))
        resources = Resources(store, default_registry(), default_plugins())
        await _age(resources)
        try:
            yield EmbeddedCluster(resources)
        finally:
            await store.close()

    def stop(self) -> None:
        """Nothing runs between tests."""


class _Server:
    """Our API server in a thread with a loop of its own."""

    expired_version = "1"

    def start(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "api.sock"
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(30), "the server did not start"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        registry = default_registry()
        store = Store.open(self.directory / "data")
        resources = Resources(store, registry, default_plugins())
        await _age(resources)
        self.server = ApiServer(resources, registry, state_dir=self.directory / "pki", unix_socket=self.socket)
        await self.server.start()
        self._started.set()
        await self._stopping.wait()
        await self.server.stop()
        await store.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server did not stop"


class OverTls(_Server):
    """HTTPS with a bearer token, as a kubeconfig says."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Cluster]:
        path = self.directory / "kubeconfig"
        path.write_text(yaml.safe_dump(self.server.kubeconfig()))
        cluster = from_kubeconfig(path)
        try:
            yield cluster
        finally:
            await cluster.close()


class OverUnixSocket(_Server):
    """HTTP over a Unix socket with peer credentials."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Cluster]:
        cluster = RemoteCluster("http://localhost", uds=self.socket)
        try:
            yield cluster
        finally:
            await cluster.close()


class RealWithToken:
    """A real kube-apiserver, by address, authority and bearer token."""

    expired_version = "1"

    def start(self, directory: Path) -> None:
        self.server = shared()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Cluster]:
        cluster = RemoteCluster(self.server.url, token=self.server.token, ca_file=self.server.ca_file)
        try:
            yield cluster
        finally:
            await cluster.close()

    def stop(self) -> None:
        """The server ends with the session."""


class RealWithCertificate(RealWithToken):
    """The same server with a client certificate out of a kubeconfig."""

    def start(self, directory: Path) -> None:
        super().start(directory)
        self._kubeconfig = self.server.kubeconfig()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Cluster]:
        cluster = from_kubeconfig(self._kubeconfig)
        try:
            yield cluster
        finally:
            await cluster.close()


WORLDS: dict[str, Callable[[], World]] = {"embedded": Embedded, "tls": OverTls, "unix": OverUnixSocket}
REAL: dict[str, Callable[[], World]] = {"real-token": RealWithToken, "real-certificate": RealWithCertificate}
