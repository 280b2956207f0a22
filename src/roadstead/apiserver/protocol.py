"""uvicorn's HTTP protocol, extended by what a connection proves: the peer's user id on a Unix socket, the subject of
the client certificate on TLS. The application finds it as `scope["state"]["connection"]`."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from typing import Final

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from roadstead.apiserver.errors import method_not_allowed
from roadstead.auth.identity import Connection, certificate_identity

HEAD_LIMIT: Final = 1 << 20
"""Bytes of request line and headers together; Go's limit."""

HEAD_SECONDS: Final = 32.0
"""How long request line and headers may take to come, from the first byte or from connecting (kube-apiserver's
ReadHeaderTimeout): whoever sends them slowly, or nothing at all, holds no connection for good."""

URL_LIMIT: Final = 65_535
"""Bytes; the parser's limit."""
WRITE_LIMIT: Final = 64 << 10
"""Bytes waiting in a connection beyond which nothing more is written to it. TLS would allow eight times as much."""

_PEER_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: Linux struct ucred
_REQUEST_LINE: Final = re.compile(rb"[A-Z][A-Z0-9-]* \S+ HTTP/1\.[01]\r?\n")


class ConnectionOutlet:
    """The sending side of a connection; see `watchers.Outlet`."""

    __slots__ = ("_on_lost", "_on_writable", "_transport", "is_paused", "write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_paused = False
        self.write: Callable[[bytes], None] = transport.write
        self._transport = transport
        self._on_writable: Callable[[], None] | None = None
        self._on_lost: Callable[[], None] | None = None

    def listen(self, on_writable: Callable[[], None] | None, on_lost: Callable[[], None] | None) -> None:
        """Whom to call from now on. A client that is gone already is reported at once."""
        self._on_writable, self._on_lost = on_writable, on_lost
        if on_lost is not None and self._transport.is_closing():
            on_lost()

    def resumed(self) -> None:
        """The transport takes more again."""
        self.is_paused = False
        if self._on_writable is not None:
            self._on_writable()

    def lost(self) -> None:
        """The connection is over."""
        if self._on_lost is not None:
            self._on_lost()


class ApiProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._outlet = ConnectionOutlet(transport)
        self.app_state = {**self.app_state, "connection": _connection(transport), "outlet": self._outlet}
        self._is_head_due = True
        self._head_timer: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_head_timer()
        self._outlet.lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._outlet.is_paused = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self._outlet.resumed()

    def _unsupported_upgrade_warning(self) -> None:
        """Silence: kubectl asks for a websocket with every exec and takes the answer. The base class would advise to
        install one."""

    _refusal = ""

    def data_received(self, data: bytes) -> None:
        self._newest = data
        super().data_received(data)
        if self._is_head_due and self._head_timer is None:  # rarely: most heads come whole
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def on_headers_complete(self) -> None:
        self._is_head_due = False
        self._stop_head_timer()
        super().on_headers_complete()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        """The head did not come in time."""
        self._head_timer = None
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_size = 0
        self._is_head_due = True
        self._refusal = ""

    def on_url(self, url: bytes) -> None:
        self._grow_head(len(url))
        super().on_url(url)
        if len(self.url) > URL_LIMIT:
            self._refuse(f"414 URI Too Long: at most {URL_LIMIT} bytes; send long selectors in fewer requests")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow_head(len(name) + len(value))
        super().on_header(name, value)

    def _grow_head(self, size: int) -> None:
        """Request line and headers are read before anybody is authenticated: they may not grow without end."""
        self._head_size += size
        if self._head_size > HEAD_LIMIT:
            self._refuse(f"431 Request Header Fields Too Large: at most {HEAD_LIMIT} bytes with the request line")

    def _refuse(self, status_and_why: str) -> None:
        """Stop reading this request and answer it so; the connection ends with it."""
        self._refusal = status_and_why
        raise httptools.HttpParserError(status_and_why)

    def send_400_response(self, msg: str) -> None:
        """What the parser does not understand. A method it has never heard of is not a malformed request: 405, as the
        real server answers."""
        if self._refusal:
            status = self._refusal.partition(":")[0]
            body = f"{self._refusal}\n".encode()
            head = b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(head % (status.encode(), len(body)) + body)
            self.transport.close()
            return
        if not _REQUEST_LINE.match(self._newest) or _method_of(self._newest) in _KNOWN_METHODS:
            super().send_400_response(msg)
            return
        body = orjson.dumps(method_not_allowed().status)
        head = b"HTTP/1.1 405 Method Not Allowed\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % len(body) + body)
        self.transport.close()


_KNOWN_METHODS: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")


def _method_of(data: bytes) -> bytes:
    return data.partition(b" ")[0]


def _connection(transport: asyncio.Transport) -> Connection:
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        _, uid, _ = _PEER_CREDENTIALS.unpack(credentials)
        return Connection(peer_uid=uid)
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert() if tls is not None else None
    return Connection(certificate=certificate_identity(certificate.get("subject", ())) if certificate else None)
