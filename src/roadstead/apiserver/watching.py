"""Watches: events to bytes, encoded once per object, type and format and shared by everybody who watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import orjson

from roadstead.apiserver import encode, tables
from roadstead.apiserver.channel import SLICE_BYTES
from roadstead.apiserver.encode import error_line
from roadstead.apiserver.fanout import Fanout
from roadstead.apiserver.negotiate import JSON, Form, Format
from roadstead.apiserver.openapi import empty_body
from roadstead.apiserver.responses import Exchange
from roadstead.cluster.embedded.watching import INITIAL_EVENTS_END, Event, Watch
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


async def stream(
    exchange: Exchange, watch: Watch, fanout: Fanout, encoder: EventEncoder, format: Format, include: str
) -> None:
    """Send what `watch` selects until its time is over, the client leaves, falls behind the history kept, or the server
    stops.

    What is wrong with the request has been said by whoever made `watch`; expired history (410) is an event of its own
    inside the stream, as in the real server.
    """
    exchange.is_watch = True
    await exchange.start_stream(JSON)
    outlet = exchange.outlet()

    def line(event: Event, is_first: bool) -> bytes:
        return encoder.encode(watch.kind, event, format, include, is_first=is_first)

    try:
        initial, end, seen = watch.begin()
    except StatusError as error:
        await exchange.chunk(error_line(error))
        await exchange.end_stream()
        return
    is_first = format.form is Form.TABLE
    gathered: list[bytes] = []
    size = 0
    for found in initial:
        gathered.append(line(("ADDED", found, found.meta.resource_version), is_first))
        is_first = False
        size += len(gathered[-1])
        if size > SLICE_BYTES:
            await exchange.chunk(b"".join(gathered))
            gathered, size = [], 0
    if end:
        gathered.append(line(("BOOKMARK", None, end), is_first))
    if gathered:
        await exchange.chunk(b"".join(gathered))
    del initial, gathered  # a stream lives long: it must not keep versions that nobody else does
    member = fanout.join(watch, (format, include), line, outlet, seen, is_first=is_first)
    try:
        await member.done
    finally:
        fanout.leave(member)
    await exchange.end_stream()
