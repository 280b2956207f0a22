"""Notes -> Events. Best effort and off the main path: an Event that cannot be written is dropped, never waited for.

Equal notes about one object share one Event whose count grows (names are derived from what they say). Notes that wait
meanwhile are counted together before anything is written; when very many wait, notes about one object with one reason
become one, with the newest message (as client-go's event correlator says it: "combined from similar events").
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import zlib
from collections import OrderedDict
from dataclasses import dataclass

from roadstead.kinds.names import EVENTS
from roadstead.kinds.object import Json, Object, Ref
from roadstead.kinds.times import format_time
from roadstead.runtime.clock import Clock
from roadstead.runtime.cluster import Cluster, Create, Outcome, Result, Unavailable, Update
from roadstead.runtime.step import Note

log = logging.getLogger(__name__)

QUEUE_LIMIT = 10_000
COMBINE_ABOVE = 1_000
"""Notes that wait, beyond which those that differ in their message alone are combined."""
COMBINED = "(combined from similar events): "
LANES = 8
"""Events being written side by side. All of one name go through one lane, one after another."""
KNOWN_LIMIT = 4096
_NOT_AS_KNOWN = (Result.MISSING, Result.CONFLICT)
"""Answers to an Update of an Event that has expired (which a Kubernetes server calls a conflict, of its uid), or was
changed."""


@dataclass(slots=True)
class _Waiting:
    """Notes that will become one Event: the newest, how many they are, when the first and the last was made.
    `is_combined`: their messages may differ."""

    note: Note
    count: int
    first: int
    last: int
    is_combined: bool

    @property
    def message(self) -> str:
        return COMBINED + self.note.message if self.is_combined and self.count > 1 else self.note.message


_Same = tuple[str, str, str, str]
"""Uid of the object, type, reason, message ("" when combined): what makes notes one."""


class _Lane:
    """Notes on their way, oldest first."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[_Same, _Waiting] = OrderedDict()
        self.has_more = asyncio.Event()


class Recorder:
    """Records notes as Events while `run` runs."""

    def __init__(self, cluster: Cluster, clock: Clock, component: str) -> None:
        self._cluster = cluster
        self._clock = clock
        self._component = component
        self._lanes = [_Lane() for _ in range(LANES)]
        self._waiting = 0
        self.dropped = 0
        """Notes lost because too many waited."""
        self._known: OrderedDict[tuple[str, str], Object] = OrderedDict()

    def record(self, note: Note) -> None:
        """Queue a note. When too many wait, it is dropped."""
        now = self._clock.now()
        about = note.about.meta.uid
        # One object's notes of one reason share a lane: they may become one Event, and come in order if they do not.
        lane = self._lanes[zlib.crc32(f"{about} {note.reason}".encode()) % LANES]
        same: _Same = (about, note.type, note.reason, note.message)
        combined: _Same = (about, note.type, note.reason, "")
        if same not in lane.waiting and (combined in lane.waiting or self._waiting >= COMBINE_ABOVE):
            same = combined
        found = lane.waiting.get(same)
        if found is not None:
            found.note, found.count, found.last = note, found.count + 1, now
        elif self._waiting >= QUEUE_LIMIT:
            self.dropped += 1
            if self.dropped.bit_count() == 1:  # 1, 2, 4, 8, ...: said, and not said too often
                log.warning(
                    "dropped event %s about %s: %d wait already; %d dropped so far",
                    note.reason,
                    note.about,
                    QUEUE_LIMIT,
                    self.dropped,
                )
        else:
            lane.waiting[same] = _Waiting(note, 1, now, now, same is combined)
            self._waiting += 1
            lane.has_more.set()

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._drain(lane))

    async def _drain(self, lane: _Lane) -> None:
        while True:
            if not lane.waiting:
                lane.has_more.clear()
                await lane.has_more.wait()
            _, waiting = lane.waiting.popitem(last=False)
            self._waiting -= 1
            note = waiting.note
            try:
                await self._write(waiting)
            except Unavailable as error:
                log.debug("event %s about %s not written: %s", note.reason, note.about, error)
            except Exception:
                log.exception("could not record %s about %s", note.reason, note.about)

    async def _write(self, waiting: _Waiting) -> None:
        note = waiting.note
        namespace = note.about.meta.namespace or "default"
        said = COMBINED if waiting.is_combined else note.message
        digest = hashlib.sha256(
            "\n".join((note.about.meta.uid, note.type, note.reason, said, self._component)).encode()
        ).hexdigest()[:16]
        name = f"{note.about.meta.name[:200]}.{digest}"
        known = self._known.get((namespace, name))
        outcome = None if known is None else await self._count(known, waiting)
        if outcome is None or outcome.result in _NOT_AS_KNOWN:
            outcome = await self._cluster.write(Create(EVENTS, self._event(waiting, namespace, name)))
            if outcome.result is Result.EXISTS:
                known = await self._cluster.get(Ref(EVENTS, namespace, name))
                outcome = outcome if known is None else await self._count(known, waiting)
        if outcome.is_done and outcome.object is not None:
            self._known[(namespace, name)] = outcome.object
            self._known.move_to_end((namespace, name))
            if len(self._known) > KNOWN_LIMIT:
                self._known.popitem(last=False)
        else:
            self._known.pop((namespace, name), None)
            log.debug("event %s about %s not written: %s", note.reason, note.about, outcome.message)

    async def _count(self, known: Object, waiting: _Waiting) -> Outcome:
        """What was said before was said again."""
        value = known.decode()
        value["count"] = value.get("count", 1) + waiting.count
        value["lastTimestamp"] = format_time(waiting.last)
        value["message"] = waiting.message[:1024]
        return await self._cluster.write(Update(EVENTS, value))

    def _event(self, waiting: _Waiting, namespace: str, name: str) -> Json:
        note = waiting.note
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
            "message": waiting.message[:1024],
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "firstTimestamp": format_time(waiting.first),
            "lastTimestamp": format_time(waiting.last),
            "count": waiting.count,
        }
