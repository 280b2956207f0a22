"""A server that says exactly what a test wants on a real socket, well-formed or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.object import Json

Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]
"""Gets the request's first line and writes whatever it likes."""


@asynccontextmanager
async def answering(directory: Path, *answers: Answer, idle_seconds: float = 5.0) -> AsyncIterator[RemoteCluster]:
    """A RemoteCluster whose server gives these answers, one to each request; the last again and again. Connections
    close after each."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
        answer = left.pop(0) if len(left) > 1 else left[0]
        await answer(head.decode().split("\r\n")[0], writer)
        writer.close()

    socket = directory / "s"
    server = await asyncio.start_unix_server(serve, socket)
    cluster = RemoteCluster("http://localhost", uds=socket, timeout_seconds=5, idle_seconds=idle_seconds)
    try:
        yield cluster
    finally:
        await cluster.close()
        server.close()


def reply(code: int, body: Json | bytes = b"", **headers: str) -> Answer:
    """A whole answer."""

    async def answer(request: str, writer: asyncio.StreamWriter) -> None:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        lines = [f"HTTP/1.1 {code} Something", f"content-length: {len(content)}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        await writer.drain()

    return answer


def stream(*lines: bytes, then: str = "end") -> Answer:
    """A chunked answer: `then` it ends well ("end"), breaks off ("break") or falls silent ("silence")."""

    async def answer(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for line in lines:
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            await writer.drain()
        if then == "end":
            writer.write(b"0\r\n\r\n")
        elif then == "silence":
            await asyncio.sleep(5)

    return answer


async def hang_up(request: str, writer: asyncio.StreamWriter) -> None:
    """Take the request and close: nobody knows whether it was carried out."""


def status(code: int, reason: str = "", message: str = "so it is", **details: object) -> Json:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }
