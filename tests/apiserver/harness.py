"""The application without sockets: a request goes in as ASGI messages, an answer comes out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

from roadstead.apiserver.app import App
from roadstead.apiserver.discovery import Discovery
from roadstead.apiserver.documents import Documents
from roadstead.apiserver.grants import StoredPolicy
from roadstead.apiserver.logs import Agents, PodLogs
from roadstead.apiserver.objects import ObjectApi
from roadstead.apiserver.openapi import OpenApi
from roadstead.auth.account_tokens import AccountTokens
from roadstead.auth.authenticator import Authenticator
from roadstead.auth.authorizer import Authorizer
from roadstead.auth.identity import Connection
from roadstead.auth.service_accounts import Issuer
from roadstead.auth.tokens import Tokens
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.controllers.roles import bootstrap_writes
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.object import ObjectMeta, Resource
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create

OWNER = Connection(peer_uid=0)
TOKEN = "secret-token"
ISSUER = Issuer()
"""One for all tests: a key takes a tenth of a second."""

RBAC = "/apis/rbac.authorization.k8s.io/v1"

Headers = Mapping[str, str]


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def type(self) -> str:
        return self.header("content-type")

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    @property
    def warnings(self) -> list[str]:
        return [value for key, value in self.headers if key == "warning"]


class NoAgents:
    """No node agent anywhere."""

    def stream(self, url: str) -> contextlib.AbstractAsyncContextManager[httpx2.Response]:
        raise httpx2.ConnectError(f"nobody listens at {url}")


@dataclass
class Stream:
    """A response that is still coming."""

    status: int = 0
    chunks: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    buffer: bytes = b""
    is_paused: bool = False
    on_writable: Callable[[], None] | None = None
    on_lost: Callable[[], None] | None = None

    def write(self, framed: bytes) -> None:
        """What a connection gets that is framed already: each chunk loses its frame again."""
        while framed:
            size, _, framed = framed.partition(b"\r\n")
            length = int(size, 16)
            self.chunks.put_nowait(framed[:length])
            framed = framed[length + 2 :]

    def listen(self, on_writable: Callable[[], None] | None, on_lost: Callable[[], None] | None) -> None:
        self.on_writable, self.on_lost = on_writable, on_lost
        if self.leave.is_set() and on_lost is not None:
            on_lost()

    def hang_up(self) -> None:
        """Leave."""
        self.leave.set()
        if self.on_lost is not None:
            self.on_lost()

    async def line(self) -> Any:
        """The next event; None at the end of the stream."""
        while b"\n" not in self.buffer:
            chunk = await asyncio.wait_for(self.chunks.get(), 10)
            if chunk is None:
                return None
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return orjson.loads(line)


class Api:
    """An application over a store in memory, with the namespace `default`."""

    def __init__(self, agents: Agents | None = None, connection: Connection = OWNER) -> None:
        registry = default_registry()
        self.store = Store.in_memory()
        self.now = time.time_ns()
        """What the clock of tokens shows."""
        self.resources = Resources(self.store, registry, issuer=ISSUER, clock=lambda: self.now)
        self.objects = ObjectApi(self.resources, registry, PodLogs(self.resources, registry, agents or NoAgents()))
        discovery = Discovery(registry, "127.0.0.1:6443")
        issuer = self.resources.issuer
        address = "https://127.0.0.1:6443"
        documents = Documents(OpenApi(registry), {"storage": lambda: None}, discovery.paths, issuer, address)
        tokens = Tokens([[TOKEN, "alice", "1", "system:masters"]])
        accounts = AccountTokens(issuer, self._metadata_of, lambda: self.now)
        authenticator = Authenticator(tokens, owner_uid=0, accounts=accounts)
        self.app = App(
            self.objects, registry, discovery, documents, authenticator, Authorizer(StoredPolicy(self.store))
        )
        self.connection = connection
        self._granted = 0

    async def prepare(self) -> None:
        namespaces = self.resources.registry.get(NAMESPACES)
        assert namespaces is not None
        value = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        await self.resources.create(namespaces, "", value)

    async def make_policy(self) -> None:
        """The roles and bindings that a server has from its start."""
        cluster = EmbeddedCluster(self.resources)
        for name in ("kube-system", "kube-public"):
            await cluster.write(Create(NAMESPACES, {"metadata": {"name": name}}))
        await asyncio.gather(*map(cluster.write, bootstrap_writes(self.store.get)))

    async def grant(self, user: str, namespace: str = "", **rule: Sequence[str]) -> None:
        """Let a user do what one rule allows, in a namespace or everywhere."""
        kind, where = ("Role", f"/namespaces/{namespace}") if namespace else ("ClusterRole", "")
        self._granted += 1
        name = f"granted-{self._granted}"
        role = {"metadata": {"name": name}, "rules": [rule]}
        made = await self.ask("POST", f"{RBAC}{where}/{kind.lower()}s", role)
        assert made.status == 201, made.body
        binding = {
            "metadata": {"name": name},
            "roleRef": {"kind": kind, "name": name},
            "subjects": [{"kind": "User", "name": user}],
        }
        made = await self.ask("POST", f"{RBAC}{where}/{kind.lower()}bindings", binding)
        assert made.status == 201, made.body

    async def ask_as(
        self, user: str, method: str, url: str, body: object = None, content_type: str = "", **more: str
    ) -> Answer:
        """One request of a user without groups, as an administrator may make it. `more`: further headers."""
        headers = {"impersonate-user": user, **{name.replace("_", "-"): value for name, value in more.items()}}
        return await self.ask(method, url, body, headers, content_type)

    def _metadata_of(self, resource: Resource, namespace: str, name: str) -> ObjectMeta | None:
        found = self.store.get(resource, namespace, name)
        return None if found is None else found.meta

    def _scope(self, method: str, url: str, headers: Headers, outlet: Stream | None = None) -> dict[str, Any]:
        parts = urlsplit(url)
        raw = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
        if "host" not in {key.lower() for key in headers}:
            raw.append((b"host", b"localhost"))
        return {
            "type": "http",
            "method": method,
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": raw,
            "state": {"connection": self.connection, "outlet": outlet},
        }

    async def ask(
        self, method: str, url: str, body: object = None, headers: Headers | None = None, content_type: str = ""
    ) -> Answer:
        """One request. `body`: bytes as they are, anything else as JSON."""
        sent = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        all_headers = {**({"content-type": content_type} if content_type else {}), **(headers or {})}
        messages = iter([{"type": "http.request", "body": sent, "more_body": False}])
        answer = Answer(0, [], b"")

        async def receive() -> dict[str, Any]:
            return next(messages, {"type": "http.disconnect"})

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = [(key.decode(), value.decode("latin-1")) for key, value in message["headers"]]
            else:
                answer.body += message.get("body", b"")

        await self.app(self._scope(method, url, all_headers), receive, send)
        return answer

    @contextlib.asynccontextmanager
    async def stream(self, url: str, headers: Headers | None = None) -> AsyncIterator[Stream]:
        """A GET whose answer streams; leaving the context hangs up."""
        stream = Stream()

        async def receive() -> dict[str, Any]:
            await stream.leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                stream.status = message["status"]
            elif message.get("body"):
                await stream.chunks.put(message["body"])
            if not message.get("more_body", message["type"] == "http.response.start"):
                await stream.chunks.put(None)

        task = asyncio.create_task(self.app(self._scope("GET", url, headers or {}, stream), receive, send))
        try:
            yield stream
        finally:
            stream.hang_up()
            await asyncio.wait_for(task, 10)


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """A pod with one container."""
    containers = [{"name": "main", "image": "none"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    metadata: dict[str, Any] = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
