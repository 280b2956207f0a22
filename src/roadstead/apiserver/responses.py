"""Answers on the wire: the ASGI messages of one exchange, and the headers every answer carries."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from roadstead.apiserver import encode
from roadstead.apiserver.negotiate import JSON, YAML
from roadstead.apiserver.paths import ResourcePath
from roadstead.apiserver.watchers import Outlet
from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Json

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

NO_CACHE: Final = (b"cache-control", b"no-cache, private")
TEXT: Final = "text/plain; charset=utf-8"
_WARNING_TOTAL: Final = 4096
_WARNING_CUT: Final = 256
_BROWSERS: Final = (b"curl", b"Wget", b"Mozilla/5.0")


class Exchange:
    """One request and the way to answer it. Created per request: keep it light."""

    __slots__ = (
        "_audit_id",
        "headers",
        "is_started",
        "is_watch",
        "method",
        "path",
        "query_string",
        "receive",
        "said",
        "scope",
        "send",
        "status",
        "target",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query_string: bytes = scope["query_string"]
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.is_started = False
        self.status = 0
        """Of the answer, once it is started."""
        self.target: ResourcePath | None = None
        """The resource that is asked for, once it is known to be served."""
        self.is_watch = False
        self.said: Headers = ()
        """Warnings that go with any answer."""
        self._audit_id = self.headers.get(b"audit-id") or str(uuid.uuid4()).encode()

    def header(self, name: bytes) -> str:
        """A request header, "" if absent."""
        return self.headers.get(name, b"").decode("latin-1")

    async def reply(
        self, status: int, content_type: str, body: bytes, extra: Headers = (), cache: bytes = b"no-cache, private"
    ) -> None:
        """Send a whole answer."""
        self.is_started = True
        self.status = status
        headers = [
            (b"audit-id", self._audit_id),
            (b"cache-control", cache),
            (b"content-type", content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(body)),
            *self.said,
            *extra,
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def reply_json(self, status: int, body: bytes, extra: Headers = (), media: str = JSON) -> None:
        """Send JSON, as YAML or indented where the client wants that."""
        if media == YAML:
            body = encode.as_yaml(body)
        elif self._wants_indent():
            body = encode.indented(body)
        await self.reply(status, media, body, extra)

    async def reply_status(self, error: StatusError) -> None:
        """Send a refusal."""
        extra = list(warning_headers(error.warnings))
        retry = error.details.get("retryAfterSeconds")
        if retry:
            extra.append((b"retry-after", str(retry).encode()))
        await self.reply_json(error.code, orjson.dumps(error.status), extra)

    async def reply_text(self, status: int, text: str, extra: Headers = ()) -> None:
        await self.reply(status, TEXT, text.encode(), extra)

    async def start_stream(self, content_type: str) -> None:
        """Send headers at once; the body follows in chunks."""
        self.is_started = True
        self.status = 200
        headers = [
            (b"audit-id", self._audit_id),
            NO_CACHE,
            (b"content-type", content_type.encode("latin-1")),
            *self.said,
        ]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def chunk(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    def outlet(self) -> Outlet:
        """The connection itself, for bytes that many exchanges share. Only after `start_stream`."""
        found: Outlet = self.scope["state"]["outlet"]
        return found

    async def end_stream(self) -> None:
        await self.send({"type": "http.response.body", "body": b""})

    def _wants_indent(self) -> bool:
        if b"pretty=" in self.query_string:
            value = self.query_string.partition(b"pretty=")[2].partition(b"&")[0]
            return value not in (b"false", b"0")
        return self.headers.get(b"user-agent", b"").startswith(_BROWSERS)


def warning_headers(texts: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Warning headers (RFC 7234) for these texts; repeated ones once. When they are long together, each is cut."""
    unique = list(dict.fromkeys(texts))
    if sum(len(text) for text in unique) > _WARNING_TOTAL:
        unique = [text[:_WARNING_CUT] for text in unique]
    headers = []
    for text in unique:
        clean = "".join(character if character.isprintable() else " " for character in text)
        escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
        headers.append((b"warning", f'299 - "{escaped}"'.encode()))
    return headers


def success(kind_plural: str, group: str, name: str, uid: str) -> Json:
    """The Status of a delete that left nothing."""
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = kind_plural
    if uid:
        details["uid"] = uid
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
