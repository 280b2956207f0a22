"""The agent's HTTPS port: logs, for the API server and whoever else may read them.

Every request needs a client certificate of the cluster's authority. One that names the API server or an administrator
may ask; about others a guest asks the server of its cluster (access.py). 401 without a certificate, 403 for who may
not. Paths and answers are the kubelet's (`pkg/kubelet/server`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httptools

from roadstead.auth.identity import certificate_identity
from roadstead.kinds.times import SECOND, parse_time
from roadstead.node.agent.access import Access
from roadstead.node.agent.log_choice import NoLog, choose_run
from roadstead.node.agent.logs import LogRequest, read_log
from roadstead.node.agent.options import AgentOptions, CannotJoin, Tls
from roadstead.node.agent.views import Pod
from roadstead.node.agent.worker import Worker
from roadstead.node.keeper import runs
from roadstead.runtime.cluster import Unavailable

log = logging.getLogger(__name__)

_HEAD_LIMIT = 64 * 1024
_IDLE_SECONDS = 90
_LOOK_SECONDS = 5.0


class Refusal(Exception):
    """An answer other than 200, in words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class _Head:
    """One request's line, as httptools tells it."""

    def __init__(self) -> None:
        self.url = b""
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_message_complete(self) -> None:
        self.is_complete = True


class LogServer:
    def __init__(
        self, worker_of: Callable[[str, str], Worker | None], options: AgentOptions, access: Access | None = None
    ) -> None:
        """`worker_of` finds the worker of a pod by namespace and name. `access`: who else than those in the options may
        ask."""
        self._worker_of = worker_of
        self.options = options
        self._access = access
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._served: list[tuple[int, int]] = []
        """The versions of the files by which the first connections are served."""
        self.connections: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen; the port (0 without TLS files: then nothing is served). Raises CannotJoin if the port cannot be
        had."""
        if self.options.tls is None:
            return 0
        family = socket.AF_INET6 if ":" in self.options.host else socket.AF_INET
        try:
            self._socket = socket.create_server((self.options.host, self.options.port), family=family)
        except OSError as error:
            raise CannotJoin(
                f"The log port {self.options.host}:{self.options.port} cannot be opened: {os.strerror(error.errno or 0)}.",
                "Name an address of this machine, or another port.",
            ) from error
        self._served = _versions(self.options.tls)
        self._server = await self._listen(self._socket, self.options.tls)
        port: int = self._socket.getsockname()[1]
        return port

    async def _listen(self, listening: socket.socket, tls: Tls) -> asyncio.Server:
        return await asyncio.start_server(
            self._serve,
            sock=listening.dup(),
            ssl=server_context(tls),
            limit=_HEAD_LIMIT,
            ssl_shutdown_timeout=1.0,  # uvloop's default lets a reader that went away hold up the end for 30 s
        )

    async def renew(self) -> None:
        """Until cancelled: serve new connections by the files as they are now. The socket stays, so nobody is turned
        away meanwhile. Returns at once where nothing is served."""
        listening, tls = self._socket, self.options.tls
        if listening is None or tls is None:
            return
        known = self._served
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            found = _versions(tls)
            if found == known:
                continue
            try:
                fresh = await self._listen(listening, tls)
            except (OSError, ssl.SSLError) as error:  # half of a pair is new, say
                log.debug("log port: the files cannot be used yet: %s", error)
                continue
            known = found
            old, self._server = self._server, fresh
            if old is not None:
                old.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
        for task in list(self.connections):
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            pass  # by `stop` alone; asyncio's streams make a traceback of a task that ends cancelled
        except httptools.HttpParserError as error:
            log.debug("log port: %s", error)
        except Exception:
            log.exception("log port: a request failed")
        finally:
            self.connections.discard(task)
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; False if the connection is over."""
        head = _Head()
        parser = httptools.HttpRequestParser(head)
        async with asyncio.timeout(_IDLE_SECONDS):
            try:
                parser.feed_data(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.IncompleteReadError:
                return False
        try:
            await self._authorize(writer, head.url.decode())
            if parser.get_method() != b"GET" or not head.is_complete:
                raise Refusal(405, "only GET without a body is served here")
            content = self._route(head.url.decode())
        except Refusal as refusal:
            body = (refusal.text + "\n").encode()
            writer.write(_head(refusal.code, {"Content-Length": str(len(body))}) + body)
            await writer.drain()
            return refusal.code not in (401, 405)
        writer.write(_head(200, {"Transfer-Encoding": "chunked"}))
        await self._send(reader, writer, content)
        return bool(parser.should_keep_alive())

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: AsyncIterator[bytes]
    ) -> None:
        """Stream `content`; stop as soon as the other side leaves, also while there is nothing to send."""

        async def pump() -> None:
            async for piece in content:
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()

        sending = asyncio.ensure_future(pump())
        leaving = asyncio.ensure_future(_left(reader))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise ConnectionResetError("the other side left")
            sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    # --- who and what

    async def _authorize(self, writer: asyncio.StreamWriter, url: str) -> None:
        certificate: Mapping[str, Any] | None = writer.get_extra_info("peercert")
        if not certificate:
            raise Refusal(401, "Unauthorized: a client certificate of the cluster's authority is needed")
        tls = self.options.tls
        assert tls is not None
        who = certificate_identity(certificate.get("subject", ()))
        if who is not None and (who.name in tls.allowed_names or set(who.groups) & set(tls.allowed_groups)):
            return
        path = _parts(url)
        subresources = ["healthz", "proxy"] if path == ["healthz"] else ["proxy"]
        name = who.name if who is not None else ""
        asked = f"(user={name}, verb=get, resource=nodes, subresource(s)=[{' '.join(subresources)}])"
        try:
            if who is None or self._access is None:
                raise Refusal(403, f"Forbidden {asked}")
            if not await self._access.allows(who, self._node_of(path), subresources):
                raise Refusal(403, f"Forbidden {asked}")
        except Unavailable as error:
            log.warning("log port: whether %s may ask is not known: %s", name, error)
            raise Refusal(500, f"Authorization error {asked}") from error

    def _node_of(self, path: Sequence[str]) -> str:
        """The node that is asked: that of the pod, if it is one's of several."""
        worker = self._worker_of(path[1], path[2]) if len(path) == 4 else None
        return worker.host.name if worker is not None else self.options.nodes[0].name

    def _route(self, url: str) -> AsyncIterator[bytes]:
        path = _parts(url)
        if path == ["healthz"]:
            return _text(b"ok")
        if len(path) == 4 and path[0] == "containerLogs":
            query = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
            return self._log(path[1], path[2], path[3], parse_request(query, self.options.now()))
        raise Refusal(404, "404 page not found")

    def _log(self, namespace: str, name: str, container: str, request: LogRequest) -> AsyncIterator[bytes]:
        worker = self._worker_of(namespace, name)
        if worker is None or worker.current is None:
            raise Refusal(404, f'pod "{name}" not found')
        pod = worker.current.view(Pod)
        if container not in {one.name for one in pod.spec.all_containers}:
            raise Refusal(400, f"container {container} is not valid for pod {name}")
        if worker.host.is_simulated:
            return _text(b"")
        root = str(self.options.state)
        try:
            run = choose_run(pod, worker.host.runtime.attempts(pod), container, request.previous)
        except NoLog as none:
            raise Refusal(400, str(none)) from None

        def is_over() -> bool:
            found = runs.look(root, run)
            return found is None or found.state == runs.EXITED  # not when LOST: the keeper may still move output

        return read_log(f"{runs.directory(root, run)}/log", request, is_over)


def _parts(url: str) -> list[str]:
    return [unquote(part) for part in urlsplit(url).path.strip("/").split("/")]


def _versions(tls: Tls) -> list[tuple[int, int]]:
    """What tells whether one of the files has changed."""
    found = []
    for path in (tls.certificate, tls.key, tls.client_authority):
        try:
            stat = os.stat(path)
            found.append((stat.st_mtime_ns, stat.st_ino))
        except OSError:  # being replaced, say: looked at again soon
            found.append((0, 0))
    return found


async def _text(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _left(reader: asyncio.StreamReader) -> None:
    """Until the other side closes (what it sends meanwhile would be a pipelined request: the connection is dropped)."""
    await reader.read(1)


def _head(code: int, headers: Mapping[str, str]) -> bytes:
    words = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Not Allowed"}
    words[500] = "Internal Server Error"
    lines = [f"HTTP/1.1 {code} {words[code]}", "Content-Type: text/plain; charset=utf-8"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def server_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer with our own certificate; client certificates are asked for and checked against the
    authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    context.load_verify_locations(tls.client_authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def parse_request(query: Mapping[str, str], now: int) -> LogRequest:
    """The log options of a URL; Refusal(400) says which is wrong."""

    def number(name: str, least: int) -> int | None:
        text = query.get(name)
        if text is None:
            return None
        try:
            value = int(text)
        except ValueError:
            raise Refusal(400, f"{name}={text!r} is not a whole number") from None
        if value < least:
            raise Refusal(400, f"{name}={value}: must be greater than or equal to {least}")
        return value

    def flag(name: str) -> bool:
        text = query.get(name, "false").lower()
        if text not in ("true", "1", "t", "false", "0", "f", ""):
            raise Refusal(400, f"{name}={text!r} is neither true nor false")
        return text in ("true", "1", "t")

    stream = query.get("stream", "All")
    if stream != "All":
        raise Refusal(400, f"stream={stream}: this node keeps stdout and stderr in one log: ask for stream=All")
    seconds, since = number("sinceSeconds", 1), None
    if seconds is not None and "sinceTime" in query:
        raise Refusal(400, "at most one of sinceTime or sinceSeconds may be specified")
    if seconds is not None:
        since = now - seconds * SECOND
    if "sinceTime" in query:
        try:
            since = parse_time(query["sinceTime"])
        except ValueError as error:
            raise Refusal(400, f"sinceTime: {error}") from None
    return LogRequest(
        flag("follow"),
        flag("previous"),
        flag("timestamps"),
        number("tailLines", 0),
        since,
        number("limitBytes", 1),
        number("fromByte", 0) or 0,
    )
