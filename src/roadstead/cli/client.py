"""The connection of a command to its cluster: the Cluster port, plus the few raw requests that it does not cover (logs,
answers)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, read_record
from roadstead.cli.kubeconfig import require_up
from roadstead.cluster.remote import RemoteCluster
from roadstead.runtime.cluster import Unavailable

TIMEOUT = httpx2.Timeout(30.0, connect=5.0)


class LogRefused(Failure):
    """The server answered a request for output with an error. `status` is its HTTP status: 404 no such pod, 5xx the
    node is silent."""

    def __init__(self, what: str, hint: str, status: int) -> None:
        super().__init__(what, hint)
        self.status = status


class Client:
    """Talks to the embedded cluster over its Unix socket (peer credentials: no secret leaves the machine).

    As a context manager it turns a server that cannot be asked into a Failure that says so.
    """

    def __init__(self, home: Home) -> None:
        require_up(home)
        self._home = home
        self.cluster = RemoteCluster("http://localhost", uds=home.socket)
        self._http = httpx2.AsyncClient(
            base_url="http://localhost", transport=httpx2.AsyncHTTPTransport(uds=str(home.socket)), timeout=TIMEOUT
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._http.aclose()
        await self.cluster.close()
        if isinstance(error, (Unavailable, httpx2.HTTPError)):
            why = str(error).rstrip(".") or type(error).__name__
            raise Failure(f"the server does not answer: {why}.", "See: roadstead status") from error

    @property
    def was_stopped(self) -> bool:
        """True if no server has said that it is ready: `down` takes that record away, a kill leaves it behind."""
        return read_record(self._home.record("server")) is None

    async def ask(self, path: str, body: Any = None) -> Any:
        """GET a JSON answer, or POST a question with a body; a Status becomes a Failure with its message."""
        if body is None:
            response = await self._http.get(path)
        else:
            headers = {"content-type": "application/json"}
            response = await self._http.post(path, content=orjson.dumps(body), headers=headers)
        value = orjson.loads(response.content) if response.content else None
        if response.status_code >= 400:
            message = value.get("message", "") if isinstance(value, dict) else response.text
            raise Failure(message or f"the server answered {response.status_code} {response.reason_phrase}.")
        return value

    @contextlib.asynccontextmanager
    async def log(
        self, namespace: str, pod: str, container: str, *, follow: bool, options: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Chunks of a container's output; with `follow` until it ends. `options`: more of PodLogOptions. Raises
        LogRefused."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        parameters = {"container": container, "follow": "true" if follow else "false", **(options or {})}
        async with self._http.stream(
            "GET", path, params=parameters, timeout=httpx2.Timeout(None, connect=5.0)
        ) as response:
            if response.status_code >= 400:
                message = _message_of(await response.aread()) or f"cannot read the output of pod {pod}"
                raise LogRefused(f"{message.rstrip('.')}.", "See: roadstead status", response.status_code)
            yield response.aiter_raw()


def _message_of(body: bytes) -> str:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace").strip()
    return str(value.get("message", "")) if isinstance(value, dict) else ""
