"""Informers: list, then watch; keep a cache; tell listeners every change in order.

An informer lags behind the server, always: also in the embedded world it is fed by the same watch as everybody else.
What may be relied on is order within one resource, and that everything acknowledged before a list began is in that
list.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from roadstead.kinds.object import Object, Resource
from roadstead.runtime.cluster import Cluster, EventType, Expired, Listing, Unavailable, WatchEvent
from roadstead.runtime.step import Key
from roadstead.runtime.view import Cache

log = logging.getLogger(__name__)

Listener = Callable[[Key, Object | None, Object | None], None]
"""(key, old version, new version); new is None when the object is gone."""

BACKOFF_FIRST_SECONDS = 0.05
BACKOFF_MAX_SECONDS = 5.0


class Informer:
    """Keeps `cache` in step with one resource for as long as `run` runs."""

    def __init__(self, cluster: Cluster, resource: Resource, cache: Cache, turn: asyncio.Lock | None = None) -> None:
        """`turn`: informers that share it take in their lists one at a time, and others get to run between two of
        them."""
        self._cluster = cluster
        self._turn = turn or asyncio.Lock()
        self.resource = resource
        self.cache = cache
        self.listeners: list[Listener] = []
        self.around_list: list[Callable[[], Callable[[], None]]] = []
        """Called right before a list is asked for; what they return is called when it has been taken in."""
        self.synced = asyncio.Event()
        self._version = ""
        self._has_heard = False
        self._relist = asyncio.Event()

    def relist(self) -> None:
        """Start over with a list now (used when a view seems stuck)."""
        self._relist.set()

    async def run(self) -> None:
        """List and watch until cancelled. Survives an unavailable server by waiting, and 410 by listing again.

        The wait doubles with every attempt on which nothing is heard. One on which something was heard starts the waits
        over, and so does one that outlasted its wait: its server was there and is gone since.
        """
        delay = BACKOFF_FIRST_SECONDS
        clock = asyncio.get_running_loop().time
        while True:
            begun, self._has_heard = clock(), False
            try:
                if not self._version or self._relist.is_set():
                    await self._list()
                await self._watch()
                delay = BACKOFF_FIRST_SECONDS
            except Expired:
                self._version = ""
            except Unavailable as error:
                if self._has_heard or clock() - begun > delay:
                    delay = BACKOFF_FIRST_SECONDS
                log.debug("%s: %s; trying again in %.2f s", self.resource, error, delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, BACKOFF_MAX_SECONDS)

    async def _list(self) -> None:
        self._relist.clear()
        endings = [begin() for begin in self.around_list]
        listing = await self._cluster.list(self.resource)
        self._has_heard = True
        async with self._turn:
            self._take(listing)
            for end in endings:
                end()
            self.synced.set()
            await asyncio.sleep(0)

    def _take(self, listing: Listing) -> None:
        if not len(self.cache):
            for key, obj in self.cache.fill(listing.items):
                self._tell(key, None, obj)
            self._version = listing.resource_version
            return
        present = {obj.key for obj in listing.items}
        for key in self.cache.all_keys():
            if key not in present:
                self._changed(key, None)
        for obj in listing.items:
            known = self.cache.get(obj.key)
            if known is None or known.version != obj.version:
                self._changed(obj.key, obj)
        self._version = listing.resource_version

    async def _watch(self) -> None:
        consuming = asyncio.ensure_future(self._consume())
        asked = asyncio.ensure_future(self._relist.wait())
        try:
            await asyncio.wait((consuming, asked), return_when=asyncio.FIRST_COMPLETED)
            if consuming.done():
                consuming.result()
        finally:
            for task in (consuming, asked):
                task.cancel()
            await asyncio.gather(consuming, asked, return_exceptions=True)

    async def _consume(self) -> None:
        async for event in self._cluster.watch(self.resource, self._version):
            self._take_event(event)

    def _take_event(self, event: WatchEvent) -> None:
        self._version = event.resource_version
        self._has_heard = True
        if event.object is None:
            return
        gone = event.type is EventType.DELETED
        self._changed(event.object.key, None if gone else event.object)

    def _changed(self, key: Key, new: Object | None) -> None:
        old = self.cache.remove(key) if new is None else self.cache.put(new)
        if old is not None or new is not None:
            self._tell(key, old, new)

    def _tell(self, key: Key, old: Object | None, new: Object | None) -> None:
        for listener in self.listeners:
            try:
                listener(key, old, new)
            except Exception:
                # One object that a listener stumbles over must not make everybody blind to all others.
                log.exception("a listener failed on %s %s", self.resource, "/".join(key))
