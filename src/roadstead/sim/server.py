"""The API server as a process: it can be killed at any moment and started again over what its disk holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

from roadstead.cluster.embedded.expiry import keep_expiring
from roadstead.cluster.embedded.history import Limits
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.controllers.defaults import BOOTSTRAP
from roadstead.kinds.object import Resource
from roadstead.kinds.registry import Registry
from roadstead.runtime.cluster import EVERYTHING, Outcome, Selector, WatchEvent, Write
from roadstead.sim.chance import Chance
from roadstead.sim.disk import Disk, DiskLog
from roadstead.sim.loop import VirtualLoop

T = TypeVar("T")

LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"


class Down(Exception):
    """The server is not there, or died before it answered."""

    def __init__(self, was_reached: bool) -> None:
        super().__init__("the server died before it answered" if was_reached else "connection refused")
        self.was_reached = was_reached
        """The request may have been carried out."""


class Server:
    """One API server over one disk."""

    def __init__(self, loop: VirtualLoop, disk: Disk, registry: Registry, chance: Chance, limits: Limits) -> None:
        self._loop = loop
        self.disk = disk
        self._registry = registry
        self._chance = chance
        self._limits = limits
        self._uids = 0
        self._log: DiskLog | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.cluster: EmbeddedCluster | None = None
        """The port, while the server is up."""
        self.resources: Resources | None = None
        self.starts = 0
        self.on_crash: list[Callable[[], None]] = []
        """Called when it dies: connections break."""

    @property
    def is_up(self) -> bool:
        return self.cluster is not None

    async def start(self) -> None:
        """Load what the disk holds and serve."""
        assert self.cluster is None, "the server runs already"
        self._log = self.disk.open()
        store = Store(self._log, self._limits, self._loop.time)
        resources = Resources(
            store,
            self._registry,
            default_plugins(),
            clock=self._loop.now,
            new_uid=self._new_uid,
            name_suffix=lambda: "".join(self._chance.choices(LETTERS, k=5)),
        )
        self.starts += 1
        self.resources, self.cluster = resources, EmbeddedCluster(resources)
        self._spawn(keep_expiring(resources, self._loop.now))
        for write in BOOTSTRAP:
            await self.call(partial(_write, write))

    def crash(self) -> None:
        """Die now: whatever is not on the disk is lost, and nobody is told what became of it."""
        if self._log is not None:
            self._log.is_dead = True
        self.cluster = self.resources = self._log = None
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        for connection in self.on_crash:
            connection()

    def forget_history(self) -> None:
        """From now on watches of older versions expire (410)."""
        if self.resources is not None:
            self.resources.store.forget_history()

    async def call(self, request: Callable[[EmbeddedCluster], Awaitable[T]]) -> T:
        """Carry out a request in the server's process; it goes on there if the caller goes away. Raises Down."""
        cluster = self.cluster
        if cluster is None:
            raise Down(was_reached=False)
        task = self._spawn(request(cluster))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if task.cancelled() and not (caller is not None and caller.cancelling()):
                raise Down(was_reached=True) from None
            raise  # the caller itself is cancelled

    async def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncGenerator[WatchEvent, None]:
        """The watch of the server that is up now. Raises Down if none is; ends when the caller closes it."""
        cluster = self.cluster
        if cluster is None:
            raise Down(was_reached=False)
        async for event in cluster.watch(resource, since, namespace, selector):
            yield event

    def _spawn(self, work: Awaitable[T]) -> asyncio.Task[T]:
        async def serve() -> T:
            return await work

        task = self._loop.create_task(serve())
        self._tasks.add(task)
        task.add_done_callback(self._served)
        return task

    def _served(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may be dead by now: then nobody else looks

    def _new_uid(self) -> str:
        self._uids += 1
        return f"{self._chance.getrandbits(32):08x}-0000-4000-8000-{self._uids:012d}"


async def _write(write: Write, cluster: EmbeddedCluster) -> Outcome:
    return await cluster.write(write)
