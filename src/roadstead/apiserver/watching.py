"""Watches: events to bytes, encoded once per object, type and format and shared by everybody who watches."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
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
DEFAULT_TIMEOUT_SECONDS: Final = (1800, 3600)
CACHE_SIZE: Final = 4096
CHUNK_BYTES: Final = 256 * 1024


def default_timeout() -> int:
    """How long a watch lasts that names no time: random, so that clients do not come back all at once."""
    return random.randint(*DEFAULT_TIMEOUT_SECONDS)


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
    events: AsyncIterator[Event],
    line_of: Callable[[Event, bool], bytes],
    stopping: asyncio.Event,
) -> None:
    """Send events until they end, the client leaves or the server stops.

    A refusal before the first event is raised (it becomes an ordinary answer), except 410, which the real server sends inside
    the stream. A slow client holds up nobody: only its own position in the history waits.
    """
    following = asyncio.ensure_future(anext(events, None))
    leaving = asyncio.ensure_future(_left(exchange))
    ending = asyncio.ensure_future(stopping.wait())
    try:
        # Let the source look at the request before headers are sent: what it refuses, it refuses at once.
        await asyncio.wait((following,), timeout=0)
        for _ in range(3):
            if following.done():
                break
            await asyncio.sleep(0)
        if following.done() and following.exception() is not None:
            error = following.exception()
            if not (isinstance(error, StatusError) and error.code == 410):
                following.result()
        await exchange.start_stream(JSON)
        is_first = True
        while True:
            if not following.done():
                await asyncio.wait((following, leaving, ending), return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                return
            if not following.done():  # the server stops
                break
            try:
                event = following.result()
            except StatusError as error:
                await exchange.chunk(error_line(error))
                break
            if event is None:
                break
            lines = [line_of(event, is_first)]
            is_first = is_first and event[1] is None
            size = len(lines[0])
            following = asyncio.ensure_future(anext(events, None))
            # What is there already goes into the same chunk.
            while size < CHUNK_BYTES:
                await asyncio.sleep(0)
                if not following.done() or following.exception() is not None:
                    break
                event = following.result()
                if event is None:
                    break
                lines.append(line_of(event, is_first))
                is_first = is_first and event[1] is None
                size += len(lines[-1])
                following = asyncio.ensure_future(anext(events, None))
            await exchange.chunk(b"".join(lines))
        await exchange.end_stream()
    finally:
        for task in (following, leaving, ending):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, StatusError):
            await following
        aclose = getattr(events, "aclose", None)
        if aclose is not None:
            await aclose()


async def _left(exchange: Exchange) -> None:
    """Return when the client hangs up."""
    while (await exchange.receive())["type"] != "http.disconnect":
        pass
