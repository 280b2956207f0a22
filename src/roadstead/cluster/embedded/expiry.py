"""Events live for an hour after they were last seen, as on the real server (kube-apiserver `--event-ttl`); nothing else
expires.

The server process runs `keep_expiring` beside the store.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec

from roadstead.cluster.embedded.requests import DeleteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import EVENTS
from roadstead.kinds.object import Object
from roadstead.kinds.times import SECOND, parse_time

log = logging.getLogger(__name__)

EVENT_LIFE_SECONDS: Final = 3600
SWEEP_SECONDS: Final = 60.0
SWEEP_LIMIT: Final = 2_000
"""Events removed in one sweep: the rest waits for the next, so that no sweep holds up the loop."""


class _Series(msgspec.Struct, frozen=True, rename="camel"):
    last_observed_time: str | None = None


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    last_timestamp: str | None = None
    event_time: str | None = None
    series: _Series | None = None


def last_seen(event: Object) -> int:
    """The newest of the times an Event bears, in nanoseconds since the epoch."""
    said = event.view(_Event)
    series = said.series.last_observed_time if said.series else None
    times = (event.meta.creation_timestamp, said.last_timestamp, said.event_time, series)
    return max((parse_time(text) for text in times if text), default=0)


async def expire_events(resources: Resources, now: int) -> int:
    """Remove Events last seen more than an hour before `now`; gives how many. O(Events)."""
    kind = resources.registry.get(EVENTS)
    if kind is None:
        return 0
    too_old = now - EVENT_LIFE_SECONDS * SECOND
    old = [event for event in resources.store.list(EVENTS) if last_seen(event) < too_old][:SWEEP_LIMIT]
    removals = [
        resources.delete(kind, event.meta.namespace, event.meta.name, DeleteOptions(uid=event.meta.uid))
        for event in old
    ]
    removed = 0
    for outcome in await asyncio.gather(*removals, return_exceptions=True):
        if isinstance(outcome, StatusError):
            log.debug("an old event stays for now: %s", outcome.message)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            removed += 1
    return removed


async def keep_expiring(resources: Resources, clock: Callable[[], int] = time.time_ns) -> None:
    """Sweep every minute until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await expire_events(resources, clock())
