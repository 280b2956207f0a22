"""Starting and stopping the API server: TLS on TCP and peer credentials on a Unix socket, at once, over the same
application."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import logging
import os
import socket
import ssl
import stat
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Final

import uvicorn
from uvicorn.server import ServerState

from roadstead.apiserver.app import Answers, App, Planner
from roadstead.apiserver.discovery import Discovery
from roadstead.apiserver.documents import Documents
from roadstead.apiserver.grants import StoredPolicy
from roadstead.apiserver.health import Check
from roadstead.apiserver.logs import AgentClient, PodLogs
from roadstead.apiserver.metrics import Exposition, RequestCounts, Source, server_families
from roadstead.apiserver.objects import ObjectApi
from roadstead.apiserver.openapi import OpenApi
from roadstead.apiserver.protocol import ApiProtocol
from roadstead.apiserver.visibility import SERVED, Lists
from roadstead.auth.account_tokens import AccountTokens
from roadstead.auth.authenticator import Authenticator
from roadstead.auth.authorizer import Authorizer
from roadstead.auth.certificates import LOCAL_ADDRESSES, LOCAL_NAMES, Authority
from roadstead.auth.identity import MASTERS
from roadstead.auth.tokens import Tokens
from roadstead.cluster.embedded.resources import Resources
from roadstead.kinds.object import Json, ObjectMeta, Resource
from roadstead.kinds.registry import Registry

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 180
"""How long an idle connection stays open: longer than clients keep theirs, so that they do not meet a closed one."""
STOP_SECONDS: Final = 5.0
BACKLOG: Final = 1024
AGENT_CLIENT: Final = "kube-apiserver-kubelet-client"


class CannotListen(Exception):
    """An address is taken or not ours: which, and what to do."""


class ApiServer:
    """The HTTP surface over `resources`. Keeps its authority, certificate and tokens in `state_dir` (mode 0700, files
    0600).

    `port` 0 takes a free one. `host_names` are further names under which clients reach it (beside localhost and
    addresses). `answers` serves questions beyond objects; see `app.Answers` and `app.Planner`. `pending` says who waits
    in which queue, for Kueue's visibility API. `metrics` are shown at /metrics beside the server's own; `checks` are
    health checks beside its own.
    """

    def __init__(
        self,
        resources: Resources,
        registry: Registry,
        *,
        state_dir: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        unix_socket: Path | None = None,
        host_names: Sequence[str] = (),
        answers: Answers | None = None,
        planner: Planner | None = None,
        pending: Callable[[], Lists] | None = None,
        metrics: Sequence[Source] = (),
        checks: Mapping[str, Check] | None = None,
    ) -> None:
        self._answers = answers
        self._planner = planner
        self._pending = pending
        self._metrics = metrics
        self._checks = checks or {}
        self._resources = resources
        self._registry = registry
        self._host = host
        self._port = port
        self._unix_socket = unix_socket
        self._host_names = tuple(host_names)
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.authority = Authority.load_or_create(state_dir)
        self._tokens = Tokens.load_or_create(state_dir / "tokens.csv")
        self._state_dir = state_dir
        self._agents = AgentClient(self._agent_context())
        self._objects = ObjectApi(resources, registry, PodLogs(resources, registry, self._agents))
        self._state = ServerState()
        self._servers: list[asyncio.AbstractServer] = []
        self._ticking: asyncio.Task[None] | None = None
        self._unix_identity: tuple[int, int] | None = None

    @property
    def url(self) -> str:
        """Where clients on this machine reach it over TCP."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"https://[{host}]:{self._port}" if ":" in host else f"https://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The TCP port, once started."""
        return self._port

    @property
    def ca_file(self) -> Path:
        """The authority's certificate, for clients to trust."""
        return self.authority.path

    @property
    def token(self) -> str:
        """The administrator's bearer token."""
        token = self._tokens.administrator
        if token is None:
            raise ValueError(
                f"The tokens file in {self._state_dir} has no line of an administrator (group {MASTERS}); add one or remove the file."
            )
        return token

    def kubeconfig(self, namespace: str = "default") -> Json:
        """A kubeconfig for the administrator."""
        authority = base64.b64encode(self.authority.certificate).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "roadstead",
            "clusters": [
                {"name": "roadstead", "cluster": {"server": self.url, "certificate-authority-data": authority}}
            ],
            "users": [{"name": "roadstead-admin", "user": {"token": self.token}}],
            "contexts": [
                {
                    "name": "roadstead",
                    "context": {"cluster": "roadstead", "user": "roadstead-admin", "namespace": namespace},
                }
            ],
        }

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        loop = asyncio.get_running_loop()
        tcp = self._listen_tcp()
        unix = None
        try:
            unix = self._listen_unix() if self._unix_socket is not None else None
            self._port = tcp.getsockname()[1]
            config = self._config(f"{self._host}:{self._port}")

            def connection() -> ApiProtocol:
                return ApiProtocol(config=config, server_state=self._state, app_state={})

            self._tick()
            self._servers.append(
                await loop.create_server(connection, sock=tcp, ssl=self._server_context(), backlog=BACKLOG)
            )
            if unix is not None:
                self._servers.append(await loop.create_unix_server(connection, sock=unix, backlog=BACKLOG))
        except BaseException:
            tcp.close()
            if unix is not None:
                unix.close()
            raise
        self._ticking = asyncio.create_task(self._keep_ticking())
        log.info("API server listens on %s%s", self.url, f" and {self._unix_socket}" if self._unix_socket else "")

    async def stop(self) -> None:
        """Close listeners, end watches, let running requests finish (a few seconds), close connections."""
        for server in self._servers:
            server.close()
        self._objects.stop()
        for connection in list(self._state.connections):
            connection.shutdown()
        running = [task for task in self._state.tasks if not task.done()]
        if running:
            await asyncio.wait(running, timeout=STOP_SECONDS)
        for connection in list(self._state.connections):
            connection.transport.abort()
        self._servers.clear()
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        await self._agents.close()
        self._remove_unix_socket()

    # --- the application

    def _config(self, address: str) -> uvicorn.Config:
        discovery = Discovery(self._registry, address, SERVED if self._pending is not None else ())
        issuer = self._resources.issuer
        requests = RequestCounts()
        store = self._resources.store
        own: tuple[Source, ...] = (requests.families, lambda: server_families(store, self._objects.fanout))
        checks = {"storage": lambda: store.problem, **self._checks, "shutdown": self._stopping_problem}
        documents = Documents(
            OpenApi(self._registry),
            checks,
            discovery.paths,
            issuer,
            self.url,
            Exposition((*own, *self._metrics)),
        )
        authenticator = Authenticator(self._tokens, accounts=AccountTokens(issuer, self._metadata_of))
        authorizer = Authorizer(StoredPolicy(store))
        names = {*self._host_names, socket.gethostname(), socket.getfqdn()}
        app = App(
            self._objects, self._registry, discovery, documents, authenticator, authorizer, names, self._answers, requests,
            self._planner, self._pending,
        )  # fmt: skip
        config = uvicorn.Config(
            app,
            http=ApiProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        config.load()
        return config

    def _metadata_of(self, resource: Resource, namespace: str, name: str) -> ObjectMeta | None:
        found = self._resources.store.get(resource, namespace, name)
        return None if found is None else found.meta

    def _stopping_problem(self) -> str | None:
        return "the server is stopping" if self._objects.stopping.is_set() else None

    # --- listening

    def _listen_tcp(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # The protocol is named because asyncio turns Nagle's algorithm off only then: with it, every answer takes 40
        # ms.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        try:
            sock.bind((self._host, self._port))
        except OSError as err:
            sock.close()
            if err.errno == errno.EADDRINUSE:
                raise CannotListen(
                    f"Port {self._port} on {self._host} is already in use. Stop the program that listens there "
                    f"(`ss -ltnp 'sport = :{self._port}'` names it), or choose another port; 0 takes a free one."
                ) from err
            raise CannotListen(
                f"Cannot listen on {self._host} port {self._port}: {err.strerror}. Choose another."
            ) from err
        return sock

    def _listen_unix(self) -> socket.socket:
        path = self._unix_socket
        assert path is not None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale_socket(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        old_mask = os.umask(0o177)
        try:
            sock.bind(str(path))
        except OSError as err:
            sock.close()
            raise CannotListen(
                f"Cannot create the socket {path}: {err.strerror or err}. Choose a shorter or writable path."
            ) from err
        finally:
            os.umask(old_mask)
        found = path.stat()
        self._unix_identity = (found.st_dev, found.st_ino)
        return sock

    def _remove_unix_socket(self) -> None:
        """Remove our socket file, unless somebody else has put one there since."""
        if self._unix_socket is None or self._unix_identity is None:
            return
        with contextlib.suppress(OSError):
            found = self._unix_socket.stat()
            if (found.st_dev, found.st_ino) == self._unix_identity:
                self._unix_socket.unlink()

    # --- certificates

    def _server_context(self) -> ssl.SSLContext:
        names = [*LOCAL_NAMES, socket.gethostname(), *self._host_names]
        addresses = [*LOCAL_ADDRESSES, *([self._host] if self._host not in (*LOCAL_ADDRESSES, "0.0.0.0", "::") else [])]
        addresses = [text for text in addresses if _is_address(text)]
        pair = self.authority.issue_server("kube-apiserver", list(dict.fromkeys(names)), addresses)
        certificate, key = self._state_dir / "server.crt", self._state_dir / "server.key"
        pair.save(certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(self.authority.path)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _agent_context(self) -> ssl.SSLContext:
        """How we speak to node agents: trusting our own authority, showing a certificate of it."""
        pair = self.authority.issue_client(AGENT_CLIENT, [MASTERS])
        certificate, key = self._state_dir / "agent-client.crt", self._state_dir / "agent-client.key"
        pair.save(certificate, key)
        context = ssl.create_default_context(cafile=str(self.authority.path))
        context.load_cert_chain(certificate, key)
        return context

    # --- the Date header

    def _tick(self) -> None:
        self._state.default_headers[:] = [(b"date", formatdate(usegmt=True).encode())]

    async def _keep_ticking(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._tick()


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, text)
            return True
    return False


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket that nobody listens on any more. Raises CannotListen if somebody does, or if it is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotListen(f"{path} exists and is not a socket. Move it away, or choose another path.")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except OSError:
        path.unlink(missing_ok=True)
    else:
        raise CannotListen(
            f"Another server already listens on {path}. Stop it first (`roadstead down`), or choose another path."
        )
    finally:
        probe.close()
