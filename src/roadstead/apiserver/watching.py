"""Watches: events to bytes, encoded once per object, type and format and shared by everybody who watches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final

import orjson

from roadstead.apiserver import encode, tables
from roadstead.apiserver.negotiate import JSON, Form, Format
from roadstead.apiserver.openapi import empty_body
from roadstead.apiserver.responses import Exchange
from roadstead.cluster.embedded.watching import INITIAL_EVENTS_END, Event
from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

INITIAL_EVENTS_END_ANNOTATION: Final = "k8s.io/initial-events-end"
CACHE_SIZE: Final = 4096


class EventEncoder:
    """Encodes events and remembers the newest ones. One per server; memory is bounded by CACHE_SIZE events."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._encoded: dict[tuple[object, ...], bytes] = {}

    def encode(self, kind: Kind, event: Event, format: Format, include: str, *, is_first: bool) -> bytes:
        """One line of the stream."""
        type_, found, version = event
        if found is None:
            return self._bookmark(kind, version, format)
        if format.form is Form.OBJECT:
            # Cheaper than looking it up: one concatenation.
            return b'{"type":"%s","object":%s}\n' % (type_.encode(), found.raw)
        key = (type_, id(found), found.meta.uid, found.meta.resource_version, format, include, is_first)
        line = self._encoded.get(key)
        if line is None:
            if format.form is Form.TABLE:
                shown = tables.of_object(kind, found, format.version, include, self._wall_clock(), columns=is_first)
            else:
                shown = encode.partial(found, format.version)
            line = b'{"type":"%s","object":%s}\n' % (type_.encode(), shown)
            if len(self._encoded) >= CACHE_SIZE:
                for old in list(self._encoded)[: CACHE_SIZE // 4]:
                    del self._encoded[old]
            self._encoded[key] = line
        return line

    def _bookmark(self, kind: Kind, marked: str, format: Format) -> bytes:
        """A bookmark has only kind, apiVersion and metadata (and the empty spec that a Go struct cannot leave out)."""
        version = marked.removesuffix(INITIAL_EVENTS_END)
        metadata: Json = {"resourceVersion": version}
        if version != marked:
            metadata["annotations"] = {INITIAL_EVENTS_END_ANNOTATION: "true"}
        if format.form is Form.TABLE:
            shown: Json = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{format.version}",
                "metadata": {"resourceVersion": version},
                "columnDefinitions": None,
                "rows": [],
            }
            return orjson.dumps({"type": "BOOKMARK", "object": shown}) + b"\n"
        if format.form in (Form.PARTIAL, Form.PARTIAL_LIST):
            shown = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{format.version}",
                "metadata": metadata,
            }
        else:
            shown = {
                "kind": kind.kind,
                "apiVersion": kind.resource.api_version,
                "metadata": metadata,
                **empty_body(kind),
            }
        return orjson.dumps({"type": "BOOKMARK", "object": shown}) + b"\n"


def error_line(error: StatusError) -> bytes:
    """An ERROR event that ends a stream."""
    return orjson.dumps({"type": "ERROR", "object": error.status}) + b"\n"


async def stream(
    exchange: Exchange,
    events: AsyncGenerator[Event, None],
    line_of: Callable[[Event, bool], bytes],
    stopping: asyncio.Event,
) -> None:
    """Send events until they end, the client leaves or the server stops.

    What is wrong with the request has been said by whoever made `events`; expired history (410) is an event of its own inside the
    stream, as in the real server. A slow client holds up nobody: only its own position in the history waits. No task is made
    per event: a thousand watchers of one change cost a thousand writes and nothing else.
    """
    await exchange.start_stream(JSON)
    pumping = asyncio.create_task(_pump(exchange, events, line_of))
    leaving = asyncio.create_task(_left(exchange))
    ending = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((pumping, leaving, ending), return_when=asyncio.FIRST_COMPLETED)
        if pumping.done():
            pumping.result()
    finally:
        for task in (pumping, leaving, ending):
            task.cancel()
        await asyncio.gather(pumping, leaving, ending, return_exceptions=True)
        await events.aclose()
    if not leaving.done() or leaving.cancelled():
        await exchange.end_stream()


async def _pump(
    exchange: Exchange, events: AsyncGenerator[Event, None], line_of: Callable[[Event, bool], bytes]
) -> None:
    is_first = True
    try:
        async for event in events:
            await exchange.chunk(line_of(event, is_first))
            is_first = is_first and event[1] is None
    except StatusError as error:
        await exchange.chunk(error_line(error))


async def _left(exchange: Exchange) -> None:
    """Return when the client hangs up."""
    while (await exchange.receive())["type"] != "http.disconnect":
        pass
