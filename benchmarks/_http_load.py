"""A load generator that does as little as possible: raw requests over kept connections, one at a time on each.

It is Python and shares the machine with the server, so what it measures is a lower bound.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

LENGTH = b"content-length: "


@dataclass
class Result:
    """Answers within the time, by status, and the time each took (seconds)."""

    seconds: float
    statuses: dict[bytes, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, request: Callable[[], bytes], result: Result, ends: float) -> None:
        self._request = request
        self._result = result
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        self._sent = self._loop.time()
        if self._sent >= self._ends:
            self._transport.close()
            return
        self._transport.write(self._request())

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        start = self._buffer.find(LENGTH, 0, head) + len(LENGTH)
        length = int(self._buffer[start : self._buffer.find(b"\r", start)])
        if len(self._buffer) < head + 4 + length:
            return
        status = self._buffer[9:12]
        self._result.statuses[status] = self._result.statuses.get(status, 0) + 1
        self._result.latencies.append(self._loop.time() - self._sent)
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def load(
    request: Callable[[], bytes],
    *,
    connections: int,
    seconds: float,
    unix: str = "",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Result:
    """Send requests for `seconds` over `connections` connections."""
    loop = asyncio.get_running_loop()
    result = Result(seconds)
    ends = loop.time() + seconds

    def made() -> _Connection:
        return _Connection(request, result, ends)

    opened = []
    for _ in range(connections):
        if unix:
            _, protocol = await loop.create_unix_connection(made, unix)
        else:
            _, protocol = await loop.create_connection(
                made, "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
            )
        opened.append(protocol.done)
    await asyncio.gather(*opened)
    return result
