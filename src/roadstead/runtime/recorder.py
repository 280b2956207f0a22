"""Notes -> Events. Best effort and off the main path: an Event that cannot be written is dropped, never waited for.

Equal notes about one object share one Event whose count grows (names are derived from what they say).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict

from roadstead.kinds.names import EVENTS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import format_time
from roadstead.runtime.clock import Clock
from roadstead.runtime.cluster import Cluster, Create, Result, Update
from roadstead.runtime.step import Note

log = logging.getLogger(__name__)

QUEUE_LIMIT = 10_000
KNOWN_LIMIT = 4096


class Recorder:
    def __init__(self, cluster: Cluster, clock: Clock, component: str) -> None:
        self._cluster = cluster
        self._clock = clock
        self._component = component
        self._queue: asyncio.Queue[tuple[Note, int]] = asyncio.Queue(QUEUE_LIMIT)
        self._known: OrderedDict[tuple[str, str], Object] = OrderedDict()

    def record(self, note: Note) -> None:
        """Queue a note. When too many wait, it is dropped."""
        try:
            self._queue.put_nowait((note, self._clock.now()))
        except asyncio.QueueFull:
            log.warning("dropped event %s about %s: %d events wait already", note.reason, note.about, QUEUE_LIMIT)

    async def run(self) -> None:
        while True:
            note, when = await self._queue.get()
            try:
                await self._write(note, when)
            except Exception:
                log.exception("could not record %s about %s", note.reason, note.about)

    async def _write(self, note: Note, when: int) -> None:
        namespace = note.about.meta.namespace or "default"
        digest = hashlib.sha256(
            "\n".join((note.about.meta.uid, note.type, note.reason, note.message, self._component)).encode()
        ).hexdigest()[:16]
        name = f"{note.about.meta.name[:200]}.{digest}"
        known = self._known.get((namespace, name))
        if known is None:
            outcome = await self._cluster.write(Create(EVENTS, self._event(note, namespace, name, when)))
            if outcome.result is Result.EXISTS:
                known = await self._cluster.get(
                    Create(EVENTS, {"metadata": {"namespace": namespace, "name": name}}).ref
                )
        if known is not None:
            value = known.decode()
            value["count"] = value.get("count", 1) + 1
            value["lastTimestamp"] = format_time(when)
            outcome = await self._cluster.write(Update(EVENTS, value))
        if outcome.is_done and outcome.object is not None:
            self._known[(namespace, name)] = outcome.object
            self._known.move_to_end((namespace, name))
            if len(self._known) > KNOWN_LIMIT:
                self._known.popitem(last=False)
        else:
            self._known.pop((namespace, name), None)
            log.debug("event %s about %s not written: %s", note.reason, note.about, outcome.message)

    def _event(self, note: Note, namespace: str, name: str, when: int) -> Json:
        about = note.about
        reference = {
            "apiVersion": about.resource.api_version,
            "kind": about.kind,
            "name": about.meta.name,
            "uid": about.meta.uid,
            "resourceVersion": about.meta.resource_version,
        }
        if about.meta.namespace:
            reference["namespace"] = about.meta.namespace
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": namespace, "name": name},
            "involvedObject": reference,
            "type": note.type,
            "reason": note.reason,
            "message": note.message[:1024],
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "firstTimestamp": format_time(when),
            "lastTimestamp": format_time(when),
            "count": 1,
        }
