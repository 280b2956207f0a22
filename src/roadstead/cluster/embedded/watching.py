"""WATCH: the changes of one resource as events for one client (kubernetes-api section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TypeAlias

import orjson

from roadstead.cluster.embedded.history import Change, Lagging
from roadstead.cluster.embedded.listing import parse_version
from roadstead.cluster.embedded.requests import WatchOptions
from roadstead.cluster.embedded.selection import Selection
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import StatusError, expired, forbidden, invalid_object
from roadstead.kinds.object import Object
from roadstead.kinds.registry import Kind

Event: TypeAlias = tuple[str, Object | None, str]
"""(ADDED | MODIFIED | DELETED | BOOKMARK, object, resourceVersion to resume from). A bookmark has no object; the one
that ends the initial events is marked by `INITIAL_EVENTS_END` after its version."""

INITIAL_EVENTS_END = "+initial-events-end"

BOOKMARK_SECONDS = 60.0
LAST_BOOKMARK_SECONDS = 2.0  # before the end of a watch with a timeout


class Watch:
    """One watch request: what it selects and where it starts. Requests with equal `key` see the same changes alike."""

    def __init__(self, store: Store, kind: Kind, namespace: str, options: WatchOptions, name: str = "") -> None:
        """Raises StatusError 400, 422 and 500 for a request that makes no sense."""
        self.store = store
        self.kind = kind
        self.namespace = namespace
        self.options = options
        self.selection = Selection(kind, options.label_selector, options.field_selector, name)
        self.key = (kind.resource, namespace, options.label_selector, options.field_selector, name)
        _check(options)
        self._since = parse_version(options.resource_version)

    @property
    def anchor(self) -> tuple[str, str] | None:
        """A (field, value) that everything watched has: only changes of such objects concern this watch."""
        return self.selection.anchor or (("metadata.namespace", self.namespace) if self.namespace else None)

    def begin(self) -> tuple[Sequence[Object], str, int]:
        """(objects to send as ADDED, the bookmark that ends them or "", version after which changes follow). Raises StatusError
        410. O(objects of the resource) if there are initial events."""
        options, store = self.options, self.store
        if options.send_initial_events or self._since == 0:
            # The newest state is at least as new as any version asked for, except one from the future.
            current = store.revision
            stored = store.list(self.kind.stored, self.namespace)
            found = [self.kind.read(obj) for obj in stored if self.selection.matches(obj)]
            return found, f"{current}{INITIAL_EVENTS_END}" if options.bookmarks else "", max(self._since, current)
        floor = store.feed(self.kind.stored).floor
        if self._since < floor:
            raise _expired(self._since, store.revision)
        return (), "", self._since

    def event(self, change: Change) -> Event | None:
        """What this watch sees of a change, if anything. Raises StatusError 410 if that is no longer known."""
        if self.namespace and change.object.meta.namespace != self.namespace:
            return None
        event = event_for(change, self.selection)
        if self.kind.storage is None or event is None or event[1] is None:
            return event
        return event[0], self.kind.read(event[1]), event[2]


def open_watch(
    store: Store, kind: Kind, namespace: str, options: WatchOptions, name: str = ""
) -> AsyncGenerator[Event, None]:
    """Events from now on or since a version. Raises StatusError 400 and 422 at once; 410 comes out of the iterator."""
    return _events(Watch(store, kind, namespace, options, name))


def _check(options: WatchOptions) -> None:
    match = options.resource_version_match
    if options.send_initial_events and match != "NotOlderThan":
        problem = forbidden(
            "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    elif match and not options.send_initial_events:
        problem = forbidden(
            "resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        )
    else:
        return
    raise invalid_object("meta.k8s.io", "ListOptions", "", [problem])


async def _events(watch: Watch) -> AsyncGenerator[Event, None]:
    store, options = watch.store, watch.options
    loop = asyncio.get_running_loop()
    deadline = None if options.timeout_seconds is None else loop.time() + options.timeout_seconds
    initial, end, since = watch.begin()
    # Nothing can come between: from here on the subscription holds the place.
    subscription = store.subscribe(watch.kind.stored, min(since, store.revision))
    for found in initial:
        yield "ADDED", found, found.meta.resource_version
    if end:
        yield "BOOKMARK", None, end
    next_bookmark = loop.time() + BOOKMARK_SECONDS
    if deadline is not None:
        next_bookmark = max(loop.time(), min(next_bookmark, deadline - LAST_BOOKMARK_SECONDS))
    while True:
        try:
            changes = subscription.take()
        except Lagging:
            return  # a slow consumer is dropped; it resumes, or hears 410
        for change in changes:
            event = watch.event(change) if change.rv > since else None
            if event is not None:
                yield event
        if changes:
            continue
        if subscription.is_closed:
            return
        now = loop.time()
        if deadline is not None and now >= deadline:
            return
        if options.bookmarks and now >= next_bookmark:
            next_bookmark = now + BOOKMARK_SECONDS
            if deadline is not None and now < deadline - LAST_BOOKMARK_SECONDS:
                next_bookmark = min(next_bookmark, deadline - LAST_BOOKMARK_SECONDS)
            yield "BOOKMARK", None, str(max(store.revision, since))
            continue  # changes may have come while the consumer held the bookmark
        await subscription.wait(_until(now, deadline, next_bookmark if options.bookmarks else None))


def _until(now: float, *times: float | None) -> float | None:
    ahead = [time - now for time in times if time is not None]
    return max(min(ahead), 0.0) if ahead else None


def event_for(change: Change, selection: Selection) -> Event | None:
    """What a watcher with this selection sees of a change. Raises StatusError 410 if that is no longer known."""
    version = str(change.rv)
    if selection.everything:
        return change.type, change.object, version
    matches = selection.matches_side(change, change.object)
    if change.type == "ADDED":
        return ("ADDED", change.object, version) if matches else None
    if change.previous is None:
        if change.type == "DELETED":
            return ("DELETED", change.object, version) if matches else None
        raise _expired(change.rv - 1, change.rv)  # after a restart: whether it matched before is not known
    matched = selection.matches_side(change, change.previous)
    if change.type == "DELETED":
        return ("DELETED", change.object, version) if matched else None
    if matches:
        return ("MODIFIED" if matched else "ADDED"), change.object, version
    if matched:
        return "DELETED", _at_version(change.previous, version), version
    return None


def _at_version(found: Object, version: str) -> Object:
    value = found.decode()
    value["metadata"]["resourceVersion"] = version
    return Object(found.resource, orjson.dumps(value))


def _expired(asked: int, oldest: int) -> StatusError:
    return expired(f"too old resource version: {asked} ({oldest})")
