"""The Cluster port over HTTP or HTTPS.

Objects stay as the bytes that came, so that fields unknown here survive a read and a write. Reads raise Unavailable for
whatever keeps a server from answering; writes always give an Outcome. The caller (an informer) lists again after
Expired and watches again after the stream ends.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import orjson

from roadstead import __version__
from roadstead.cluster.remote.outcomes import LOGIN_RETRY_SECONDS, outcome_of_answer, outcome_of_silence, status_of
from roadstead.cluster.remote.wire import EventLine, ListBody, delete_body, is_addressable, items_of, path_of, remains
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.runtime.cluster import (
    EVERYTHING,
    Create,
    Delete,
    EventType,
    Expired,
    Listing,
    Outcome,
    Result,
    Selector,
    Unavailable,
    Update,
    WatchEvent,
    Write,
)

PAGE_SIZE: Final = 2_000
_LIST_ATTEMPTS: Final = 4
WATCH_SECONDS: Final = (300, 600)
IDLE_SECONDS: Final = 150.0
"""A watch that is silent for so long is broken: servers send a bookmark about every minute."""
_TOKEN_AGE_SECONDS: Final = 60.0
_ABOUT_TO_SEND: Final = ("send_request_headers.started", "send_request_body.started")


class _HeldBack(Exception):
    """A write was ready to go when it might not go any more."""


class Answered(Unavailable):
    """The server answered, and not with what was asked for. `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class RemoteCluster:
    """`runtime.cluster.Cluster` of a server at `base_url`. Close it with `await cluster.close()`."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str = "",
        token_file: Path | None = None,
        ca_file: Path | None = None,
        uds: Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
        server_name: str = "",
        timeout_seconds: float = 30.0,
        idle_seconds: float = IDLE_SECONDS,
        write_timeout_seconds: float | None = None,
        may_send: Callable[[], bool] | None = None,
        act_as: str = "",
    ) -> None:
        """`act_as`: ask as this user, and so with no more rights than it has (impersonation). `uds`: a Unix socket to
        connect to instead of base_url's host. `token_file` is read again every minute. `ssl_context` (client
        certificates, ready made) goes before `ca_file`; `server_name` is the name that the certificate must bear if it
        is not the host. `write_timeout_seconds`: a write ends by then, here and (the `timeout` of its URL) at the
        server. `may_send` is asked when a write has its connection and is about to go: on no, it is THROTTLED and
        nothing was carried out."""
        if ssl_context is None:
            if base_url.startswith("https:"):
                ssl_context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
            else:
                ssl_context = ssl.SSLContext(
                    ssl.PROTOCOL_TLS_CLIENT
                )  # not used; reading the system's authorities is slow
        limits = httpx2.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=30.0)
        transport = httpx2.AsyncHTTPTransport(verify=ssl_context, uds=str(uds) if uds else None, limits=limits)
        self.url = base_url
        self._timeout_seconds = timeout_seconds
        self._write_timeout_seconds = write_timeout_seconds
        self._may_send = may_send
        self._idle_seconds = idle_seconds
        self._token = token
        self._token_file = token_file
        self._token_read_at = float("-inf")
        self._extensions: dict[str, Any] = {"sni_hostname": server_name} if server_name else {}
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            transport=transport,
            timeout=timeout_seconds,
            trust_env=False,
            headers={
                "accept": "application/json",
                "user-agent": f"roadstead/{__version__}",
                **({"impersonate-user": act_as} if act_as else {}),
            },
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    # --- reads

    async def ask(self, path: str, question: Json | None = None) -> tuple[int, Json]:
        """What a GET of any path (discovery, say), or a POST of a question, answers: status, and the JSON object in its
        body ({} if it is none)."""
        response = await self._read(path, {}) if question is None else await self._put(path, question)
        try:
            body = orjson.loads(response.content)
        except ValueError:
            body = None
        return response.status_code, body if isinstance(body, dict) else {}

    async def get(self, ref: Ref) -> Object | None:
        if not is_addressable(ref.namespace, ref.name):
            return None
        response = await self._read(path_of(ref.resource, ref.namespace, ref.name), {})
        if response.status_code == 404:
            return None
        self._must_be_ok(response)
        return _object(ref.resource, response.content)

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        for _ in range(_LIST_ATTEMPTS):
            listing = await self._list(resource, namespace, selector, PAGE_SIZE)
            if listing is not None:
                return listing
        listing = await self._list(resource, namespace, selector, 0)  # the pages expired again and again: all at once
        if listing is None:
            raise Unavailable(f"the server could not give a consistent list of {resource}")
        return listing

    async def _list(self, resource: Resource, namespace: str, selector: Selector, limit: int) -> Listing | None:
        """None if the pages expired on the way."""
        path = _path_of_many(resource, namespace)
        params = _selection(selector)
        if limit:
            params["limit"] = str(limit)
        items: list[Object] = []
        while True:
            response = await self._read(path, params)
            if response.status_code == 410:
                return None
            self._must_be_ok(response)
            try:
                body = msgspec.json.decode(response.content, type=ListBody)
                items += items_of(resource, body)
            except msgspec.MsgspecError as error:
                raise Unavailable(f"the server's list of {resource} cannot be read: {error}") from error
            if not body.metadata.continue_:
                return Listing(tuple(items), body.metadata.resource_version)
            params["continue"] = body.metadata.continue_

    async def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        params = _selection(selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),
        }
        timeout = httpx2.Timeout(self._timeout_seconds, read=self._idle_seconds)
        request = self._client.build_request(
            "GET",
            _path_of_many(resource, namespace),
            params=params,
            headers=self._headers(),
            timeout=timeout,
            extensions=self._extensions,
        )
        try:
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code != 200:
                    await response.aread()
                    if response.status_code == 410:
                        raise Expired(status_of(response).get("message", ""))
                    self._must_be_ok(response)
                async for line in _lines(response):
                    yield _event(resource, line)
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error

    async def _read(self, path: str, params: dict[str, str]) -> httpx2.Response:
        try:
            return await self._client.get(path, params=params, headers=self._headers(), extensions=self._extensions)
        except httpx2.HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error

    async def _put(self, path: str, question: Json) -> httpx2.Response:
        """A POST that changes nothing: a question with a body."""
        headers = {"content-type": "application/json", **self._headers()}
        try:
            return await self._client.post(
                path, content=orjson.dumps(question), headers=headers, extensions=self._extensions
            )
        except httpx2.HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error

    @staticmethod
    def _must_be_ok(response: httpx2.Response) -> None:
        if response.status_code != 200:
            raise Answered(response.status_code, str(status_of(response).get("message", response.status_code)))

    # --- writes

    async def write(self, write: Write) -> Outcome:
        ref = write.ref
        subresource = "" if isinstance(write, Delete) else write.subresource
        named = isinstance(write, Update | Delete) or bool(subresource)
        if not is_addressable(ref.namespace, ref.name):
            return Outcome(Result.INVALID, message=f'no object is called "{ref.name}" in namespace "{ref.namespace}"')
        path = path_of(ref.resource, ref.namespace, ref.name if named else "", subresource)
        match write:
            case Create():
                method, body = "POST", write.value
            case Update():
                method, body = "PUT", write.value
            case Delete():
                method, body = "DELETE", delete_body(write)
        try:
            headers = {"content-type": "application/json", **self._headers()}
        except Unavailable as error:
            return Outcome(Result.THROTTLED, message=str(error), retry_after=LOGIN_RETRY_SECONDS)
        try:
            response = await self._send(method, path, orjson.dumps(body), headers)
        except _HeldBack:
            return Outcome(Result.THROTTLED, message="held back: nothing was carried out", retry_after=1.0)
        except TimeoutError:
            return Outcome(Result.UNKNOWN, message=f"no answer within {self._write_timeout_seconds} s")
        except httpx2.HTTPError as error:
            return outcome_of_silence(error)
        if not response.is_success:
            return outcome_of_answer(write, response)
        try:
            return Outcome(Result.DONE, _left(write, response.content))
        except (msgspec.MsgspecError, ValueError) as error:
            return Outcome(Result.UNKNOWN, message=f"the answer ({response.status_code}) cannot be read: {error}")

    async def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        extensions, params = self._extensions, {}
        if self._may_send is not None:
            extensions = extensions | {"trace": self._hold_back}
        if self._write_timeout_seconds is not None:
            params["timeout"] = f"{self._write_timeout_seconds * 1000:.0f}ms"
        async with asyncio.timeout(self._write_timeout_seconds):
            return await self._client.request(
                method, path, content=body, params=params, headers=headers, extensions=extensions
            )

    async def _hold_back(self, event: str, info: dict[str, Any]) -> None:
        """httpcore's trace: the last moment before bytes leave, after all waiting for a connection."""
        if event.endswith(_ABOUT_TO_SEND) and self._may_send is not None and not self._may_send():
            raise _HeldBack

    def _headers(self) -> dict[str, str]:
        if self._token_file is not None and time.monotonic() - self._token_read_at > _TOKEN_AGE_SECONDS:
            try:
                self._token = self._token_file.read_text().strip()
            except OSError as error:
                raise Unavailable(f"the token file {self._token_file} cannot be read: {error.strerror}") from error
            self._token_read_at = time.monotonic()
        return {"authorization": f"Bearer {self._token}"} if self._token else {}


def _path_of_many(resource: Resource, namespace: str) -> str:
    if not is_addressable(namespace):
        raise Unavailable(f'no namespace is called "{namespace}"')
    return path_of(resource, namespace)


def _selection(selector: Selector) -> dict[str, str]:
    params = {}
    if selector.labels:
        params["labelSelector"] = selector.labels
    if selector.fields:
        params["fieldSelector"] = selector.fields
    return params


def _object(resource: Resource, raw: bytes) -> Object:
    try:
        return Object(resource, raw)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"the server's answer is not an object: {error}") from error


def _left(write: Write, raw: bytes) -> Object | None:
    """The object after a write that was done, where the answer holds it."""
    if not isinstance(write, Create):
        return remains(write.resource, raw, is_delete=isinstance(write, Delete))
    found = Object(write.resource, raw)
    return None if found.kind == "Status" else found


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
        for line in lines:
            if line:
                yield line
    if rest.strip():
        yield rest


def _event(resource: Resource, line: bytes) -> WatchEvent:
    try:
        event = msgspec.json.decode(line, type=EventLine)
        raw = bytes(event.object)
        if event.type == "ERROR":
            status = orjson.loads(raw)
            message = str(status.get("message", "the watch failed"))
            raise Expired(message) if status.get("code") == 410 else Unavailable(message)
        found = Object(resource, raw)
        version = found.meta.resource_version
        if event.type == "BOOKMARK":
            return WatchEvent(EventType.BOOKMARK, None, version)
        return WatchEvent(EventType(event.type), found, version)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Unavailable(f"the server's watch of {resource} cannot be read: {error}") from error
