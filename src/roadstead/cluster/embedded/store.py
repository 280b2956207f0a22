"""The versioned object store: everything in memory, every write in the log before anybody learns of it.

One writer, one counter: each change of any object gets the next integer resourceVersion. There are two views. Writers
work on the *head*, which includes writes that wait for the disk, so that a batch may hold several changes of one
object. Readers and watchers see the *committed* state only, so nothing that was ever shown can be lost. A write is
acknowledged, and watchers hear of it, after its batch is on the disk; the next batch gathers meanwhile. When a batch
fails, it and everything that was built upon it is refused and the head falls back to what is committed.

All methods belong to one event loop; only `Log.commit` runs in a thread (one, so batches keep their order).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import orjson

from roadstead.cluster.embedded.collection import Collection
from roadstead.cluster.embedded.failures import CommitFailed, CorruptStore, StoreError
from roadstead.cluster.embedded.history import Change, Feed, History, Limits, Subscription
from roadstead.cluster.embedded.log import Durability, Log, MemoryLog, Row, SqliteLog, Stored, Upgrader
from roadstead.kinds.object import Json, Object, Resource
from roadstead.runtime.counters import Histogram

log = logging.getLogger(__name__)


class Pending(NamedTuple):
    """A write on its way to the disk: the object as it will be, and when it is there (or why not)."""

    object: Object
    committed: asyncio.Future[None]


@dataclass(slots=True)
class _Batch:
    changes: list[Change]
    rows: list[Row]
    futures: list[asyncio.Future[None]]


class TooOld(Exception):
    """A version asked for is older than the history kept: (asked, oldest kept)."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")
        self.asked = asked
        self.oldest = oldest


class Store:
    """See the module. Open with `Store.open(directory)` or `Store.in_memory()`."""

    def __init__(self, log: Log, limits: Limits | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Loads everything: O(objects + history). Raises StoreError."""
        self._log = log
        self._monotonic = monotonic
        contents = log.load()
        self.uid = contents.uid
        """Names this cluster, for good."""
        self.revision = contents.last_rv
        """The newest committed resourceVersion: what lists and bookmarks carry."""
        self._last_issued = contents.last_rv
        self._collections: dict[Resource, Collection] = {}
        self._dependents: dict[str, dict[tuple[Resource, str], None]] = {}
        limits = limits or Limits()
        floor = max(contents.floor, _newest_beyond(contents.rows, limits))
        self._history = History(floor, limits)
        self._head: dict[tuple[Resource, str], Object | None] = {}
        self._gathering = _Batch([], [], [])
        self._is_flushing = False
        self._is_closed = False
        self.commit_seconds = Histogram()
        """How long batches took to reach the disk."""
        self.writes = 0
        """Writes stored so far."""
        self.problem: str | None = None
        """Why the last batch could not be stored; None if it was."""
        self._idle: asyncio.Future[None] | None = None
        self._dead: list[int] = []  # rows to erase with the next batch
        self._executor = ThreadPoolExecutor(1, "roadstead-store") if log.in_thread else None
        with _collector_at_rest():
            self._load(contents.rows, floor)

    @classmethod
    def open(
        cls,
        directory: Path,
        durability: Durability = "full",
        limits: Limits | None = None,
        upgrade: Upgrader | None = None,
    ) -> Store:
        """The store kept in `directory` (made if missing), older objects brought to today's versions by `upgrade`
        (log.py). Raises StoreError with a message for people."""
        opened = SqliteLog(directory, durability, upgrade)
        try:
            return cls(opened, limits)
        except BaseException:
            opened.close()
            raise

    @classmethod
    def in_memory(cls, limits: Limits | None = None) -> Store:
        """A store that forgets. Commits at once, without a thread."""
        return cls(MemoryLog(), limits)

    def _load(self, rows: Iterable[Stored], floor: int) -> None:
        resources: dict[tuple[str, str], Resource] = {}
        for rv, op, key, api_version, value in rows:
            group_and_plural, path = _split(key)
            resource = resources.get((group_and_plural, api_version))
            if resource is None:
                group, _, plural = group_and_plural.rpartition("/")
                resource = Resource(group, api_version.rpartition("/")[2], plural)
                resources[group_and_plural, api_version] = resource
            try:
                found = Object(resource, value)
            except msgspec.MsgspecError as error:
                raise CorruptStore(
                    f"The stored object {key} (resourceVersion {rv}) cannot be decoded: {error}. "
                    "Restore the data directory from a backup, or move it away to start empty."
                ) from error
            collection = self._collection(resource)
            previous = collection.get(path)
            if rv > floor:
                self._history.append(Change(rv, op, found, previous, previous is not None or op == "ADDED"))
            elif op == "DELETED":
                self._dead.append(rv)
            if previous is not None and int(previous.meta.resource_version) <= floor:
                self._dead.append(int(previous.meta.resource_version))
            self._place(collection, path, previous, None if op == "DELETED" else found)
        self._trim()

    # --- reading: committed state

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The committed object. Sees every write acknowledged before."""
        collection = self._collections.get(resource)
        return collection.get(f"{namespace}/{name}" if namespace else name) if collection else None

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        """All committed objects, in byte order of `namespace/name`. O(result), plus O(all) after creations or
        deletions."""
        collection = self._collections.get(resource)
        return collection.within(namespace) if collection else ()

    def list_at(self, resource: Resource, namespace: str, rv: int) -> Sequence[Object]:
        """The same as it was at version `rv`: undoes newer changes. Raises TooOld. O(result + changes since)."""
        if rv >= self.revision:
            return self.list(resource, namespace)
        feed = self._history.feed(resource)
        if rv < feed.floor:
            raise TooOld(rv, feed.floor)
        undone: dict[str, Object | None] = {}
        for change in feed.newest_first(down_to=rv):
            if namespace and change.object.meta.namespace != namespace:
                continue
            if not change.is_previous_known:
                raise TooOld(rv, change.rv)
            undone[path_of(change.object)] = change.previous
        if not undone:
            return self.list(resource, namespace)
        then = {path_of(found): found for found in self.list(resource, namespace)}
        for path, found in undone.items():
            if found is None:
                then.pop(path, None)
            else:
                then[path] = found
        return [then[path] for path in sorted(then)]

    def dependents(self, uid: str) -> Sequence[Object]:
        """Committed objects with an ownerReference to `uid`. O(result)."""
        found = []
        for resource, path in self._dependents.get(uid, ()):
            dependent = self._collections[resource].get(path)
            if dependent is not None:
                found.append(dependent)
        return found

    def count(self, resource: Resource) -> int:
        """How many objects are committed."""
        collection = self._collections.get(resource)
        return len(collection) if collection else 0

    def counts(self) -> Mapping[Resource, int]:
        """How many objects of each resource are committed."""
        return {resource: len(collection) for resource, collection in self._collections.items()}

    def subscribe(self, resource: Resource, since: int) -> Subscription:
        """Every change of `resource` after version `since`. Raises TooOld if some are no longer kept."""
        feed = self.feed(resource)
        if since < feed.floor:
            raise TooOld(since, self.revision)
        return Subscription(feed, feed.position_after(since))

    def feed(self, resource: Resource) -> Feed:
        """The changes of `resource` that are still kept, for those who serve many subscribers at once."""
        feed = self._history.feed(resource)
        if self._is_closed and not feed.is_closed:
            feed.close()
        return feed

    def end_watches(self, resource: Resource) -> None:
        """End all watches on `resource`, which is served no longer. When it is again, its history begins then."""
        self._history.retire(resource)

    # --- writing: the head

    def head(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object with all writes accepted so far, also those not yet on the disk. For deciding about a write, which
        waits for everything before it; never for showing."""
        path = f"{namespace}/{name}" if namespace else name
        if self._head:
            key = (resource, path)
            if key in self._head:
                return self._head[key]
        collection = self._collections.get(resource)
        return collection.get(path) if collection else None

    def put(self, resource: Resource, value: Json, expected: Object | None) -> Pending:
        """Store `value` in place of `expected` (None: a new object), which must be the head. Sets
        metadata.resourceVersion in `value` and encodes it; the dict is not kept."""
        rv = self._issue()
        value["metadata"]["resourceVersion"] = str(rv)
        written = Object(resource, orjson.dumps(value))
        return self._accept(Change(rv, "ADDED" if expected is None else "MODIFIED", written, expected))

    def remove(self, resource: Resource, value: Json, expected: Object) -> Pending:
        """Remove `expected`, which must be the head; `value` is its last state."""
        rv = self._issue()
        value["metadata"]["resourceVersion"] = str(rv)
        return self._accept(Change(rv, "DELETED", Object(resource, orjson.dumps(value)), expected))

    async def settled(self) -> None:
        """Wait until all writes accepted so far are on the disk. Raises CommitFailed if they could not be written: what
        was concluded from the head may not hold then."""
        if self._is_flushing or self._gathering.changes:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._gathering.futures.append(future)
            self._schedule()
            await future

    def _issue(self) -> int:
        if self._is_closed:
            raise StoreError("The store is closed: the server is stopping. Try again when it is back.")
        self._last_issued += 1
        return self._last_issued

    def _accept(self, change: Change) -> Pending:
        written = change.object
        path = path_of(written)
        key = (written.resource, path)
        head = self._head[key] if key in self._head else self._collection(written.resource).get(path)
        if head is not change.previous:
            raise AssertionError(f"{change} replaces {change.previous}, but the head is {head}")
        self._head[key] = None if change.type == "DELETED" else written
        resource = written.resource
        stored_key = f"{resource.group}/{resource.plural}:{path}"
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gathering.changes.append(change)
        self._gathering.rows.append(Row(change.rv, change.type, stored_key, resource.api_version, written.raw))
        self._gathering.futures.append(future)
        self._schedule()
        return Pending(written, future)

    # --- committing

    def _schedule(self) -> None:
        """Commit what gathers until the loop comes round; a batch on its way schedules the next itself."""
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        batch, self._gathering = self._gathering, _Batch([], [], [])
        dead, self._dead = self._dead, []
        if not batch.rows:  # only waiters
            self._dead = dead
            self._conclude(batch, None)
        elif self._executor is None:
            try:
                self._log.commit(batch.rows, dead, self._history.floor)
            except CommitFailed as error:
                self._dead = [*dead, *self._dead]
                self._conclude(batch, error)
            else:
                self._conclude(batch, None)
        else:
            began = self._monotonic()
            done = asyncio.get_running_loop().run_in_executor(
                self._executor, self._log.commit, batch.rows, dead, self._history.floor
            )
            done.add_done_callback(lambda finished: self._returned(batch, dead, finished, began))

    def _returned(self, batch: _Batch, dead: Sequence[int], finished: asyncio.Future[None], began: float) -> None:
        self.commit_seconds.observe(self._monotonic() - began)
        error = finished.exception()
        if error is not None:
            self._dead = [*dead, *self._dead]
            if not isinstance(error, CommitFailed):
                log.error("a batch of %d writes failed unexpectedly", len(batch.rows), exc_info=error)
                error = CommitFailed(f"{len(batch.rows)} writes could not be stored: {error}")
        self._conclude(batch, error)

    def _conclude(self, batch: _Batch, error: BaseException | None) -> None:
        if batch.rows:
            self.problem = None if error is None else str(error)
        if error is None:
            self.writes += len(batch.rows)
            self._publish(batch.changes)
            for future in batch.futures:
                if not future.done():
                    future.set_result(None)
        else:
            # What gathered meanwhile was decided upon writes that are now lost: refused as well.
            later, self._gathering = self._gathering, _Batch([], [], [])
            self._head.clear()
            for future in batch.futures + later.futures:
                if not future.done():
                    future.set_exception(error)
        if self._gathering.futures:
            asyncio.get_running_loop().call_soon(self._flush)
        else:
            self._is_flushing = False
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)

    def _publish(self, changes: Sequence[Change]) -> None:
        """Make committed changes visible, then wake watchers."""
        floor = self._history.floor
        feeds = {}
        for change in changes:
            written, previous = change.object, change.previous
            path = path_of(written)
            after = None if change.type == "DELETED" else written
            self._place(self._collection(written.resource), path, previous, after)
            key = (written.resource, path)
            if self._head.get(key, change) is after:
                del self._head[key]
            if previous is not None:
                replaced = int(previous.meta.resource_version)
                if replaced <= floor:
                    self._dead.append(replaced)
            feeds[written.resource] = self._history.append(change)
        if changes:
            self.revision = changes[-1].rv
            self._trim()
        for feed in feeds.values():
            feed.wake()

    def forget_history(self) -> None:
        """Drop the history kept so far: watches and lists of older versions expire."""
        self._note_dead(self._history.forget())

    def _trim(self) -> None:
        self._note_dead(self._history.trim(self._monotonic()))

    def _note_dead(self, changes: Sequence[Change]) -> None:
        for dropped in changes:
            if self.get(dropped.object.resource, *dropped.object.key) is not dropped.object:
                self._dead.append(dropped.rv)

    def _collection(self, resource: Resource) -> Collection:
        found = self._collections.get(resource)
        if found is None:
            found = self._collections[resource] = Collection()
        return found

    def _place(self, collection: Collection, path: str, before: Object | None, after: Object | None) -> None:
        """Put the new state of one object into the committed view and its indexes."""
        if before is not None and (after is None or before.meta.owner_references != after.meta.owner_references):
            for owner in before.meta.owner_references:
                held = self._dependents.get(owner.uid)
                if held is not None:
                    held.pop((before.resource, path), None)
                    if not held:
                        del self._dependents[owner.uid]
        if after is None:
            collection.remove(path)
            return
        collection.put(path, after)
        for owner in after.meta.owner_references:
            self._dependents.setdefault(owner.uid, {})[after.resource, path] = None

    async def close(self) -> None:
        """Finish the writes accepted, end all watches, mark a clean stop. Harmless when called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._is_flushing:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._history.close()
        if self._executor is not None:
            self._executor.shutdown()
        self._log.close()


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Hundreds of thousands of objects come to stay: looking through them for garbage, over and over, would double the
    time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def path_of(found: Object) -> str:
    """`namespace/name`, or `name` for cluster-scoped objects: the key within a resource, whose byte order is the list
    order."""
    meta = found.meta
    return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name


def _newest_beyond(rows: Sequence[Stored], limits: Limits) -> int:
    """rv of the newest row that is too much for the history, 0 if none is: of a large store most need not be made
    changes of."""
    size = 0
    for kept, row in enumerate(reversed(rows)):
        size += len(row[4])
        if kept and (kept >= limits.changes or size > limits.bytes):
            return row[0]
    return 0


def _split(key: str) -> tuple[str, str]:
    resource, _, path = key.partition(":")
    return resource, path
