"""A client that costs little: raw HTTP/1.1 over a Unix socket, kept connections, one request at a time on each; and a
watch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import orjson

_LENGTH = b"content-length: "


class Refused(Exception):
    """An answer that is no success: (status, body)."""


class _Lane(asyncio.Protocol):
    """One connection; `answer` gets (status, body)."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._buffer = b""
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.find(_LENGTH, 0, head) + len(_LENGTH)
        length = int(self._buffer[at : self._buffer.find(b"\r", at)])
        if len(self._buffer) < head + 4 + length:
            return
        status, body = int(self._buffer[9:12]), self._buffer[head + 4 :]
        self._buffer = b""
        answer, self.answer = self.answer, None
        assert answer is not None
        answer.set_result((status, body))
        self._pool.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError("the server closed the connection"))


class Pool:
    """So many connections; requests beyond wait their turn."""

    def __init__(self) -> None:
        self._idle: deque[_Lane] = deque()
        self._lanes: list[_Lane] = []
        self._waiting: deque[tuple[bytes, asyncio.Future[tuple[int, bytes]]]] = deque()
        self._loop = asyncio.get_running_loop()

    async def open(self, socket: str, connections: int) -> Pool:
        for _ in range(connections):
            _, lane = await self._loop.create_unix_connection(lambda: _Lane(self), socket)
            self._lanes.append(lane)
            self._idle.append(lane)
        return self

    def close(self) -> None:
        for lane in self._lanes:
            lane.transport.close()

    def free(self, lane: _Lane) -> None:
        if self._waiting:
            self._send(lane, *self._waiting.popleft())
        else:
            self._idle.append(lane)

    @staticmethod
    def _send(lane: _Lane, request: bytes, answer: asyncio.Future[tuple[int, bytes]]) -> None:
        lane.answer = answer
        lane.transport.write(request)

    def request(self, method: str, path: str, value: Any = None) -> asyncio.Future[tuple[int, bytes]]:
        """(status, body), once there."""
        body = b"" if value is None else orjson.dumps(value)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        answer: asyncio.Future[tuple[int, bytes]] = self._loop.create_future()
        request = head.encode() + b"\r\n" + body
        if self._idle:
            self._send(self._idle.popleft(), request, answer)
        else:
            self._waiting.append((request, answer))
        return answer

    async def ask(self, method: str, path: str, value: Any = None) -> Any:
        """The decoded body. Raises Refused."""
        status, body = await self.request(method, path, value)
        if status >= 300:
            raise Refused(status, body.decode(errors="replace"))
        return orjson.loads(body)


class Watch(asyncio.Protocol):
    """A watch that hands every line to `hear`. The answer is chunked."""

    def __init__(self, path: str, hear: Callable[[bytes], None]) -> None:
        self._path = path
        self._hear = hear
        self._buffer = bytearray()
        self._is_open = False
        self._line = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            if self._buffer[9:12] != b"200":
                self.ended.set_exception(Refused(bytes(self._buffer)))
                return
            self._is_open = True
            del self._buffer[: head + 4]
        at = 0
        while True:
            end = self._buffer.find(b"\r\n", at)
            if end < 0:
                break
            size = int(self._buffer[at:end], 16)
            if len(self._buffer) < end + 4 + size:
                break
            self._take(bytes(self._buffer[end + 2 : end + 2 + size]))
            at = end + 4 + size
        del self._buffer[:at]

    def _take(self, chunk: bytes) -> None:
        lines = (self._line + chunk).split(b"\n")
        self._line = lines.pop()
        for line in lines:
            if line:
                self._hear(line)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        self._transport.close()
