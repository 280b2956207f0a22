"""The connection of a command to its cluster: the Cluster port, plus the few raw requests that it does not cover (logs, answers)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home
from roadstead.cli.kubeconfig import require_up
from roadstead.cluster.remote import RemoteCluster

TIMEOUT = httpx2.Timeout(30.0, connect=5.0)


class Client:
    """Talks to the embedded cluster over its Unix socket (peer credentials: no secret leaves the machine)."""

    def __init__(self, home: Home) -> None:
        require_up(home)
        self.cluster = RemoteCluster("http://localhost", uds=home.socket)
        self._http = httpx2.AsyncClient(
            base_url="http://localhost", transport=httpx2.AsyncHTTPTransport(uds=str(home.socket)), timeout=TIMEOUT
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.aclose()
        await self.cluster.close()

    async def ask(self, path: str) -> Any:
        """GET a JSON answer; a Status becomes a Failure with its message."""
        try:
            response = await self._http.get(path)
        except httpx2.HTTPError as error:
            raise Failure(
                f"the server does not answer: {error or type(error).__name__}.", "See: roadstead status"
            ) from error
        value = orjson.loads(response.content) if response.content else None
        if response.status_code >= 400:
            message = value.get("message", "") if isinstance(value, dict) else response.text
            raise Failure(f"{message or response.reason_phrase} ({response.status_code}).")
        return value

    @contextlib.asynccontextmanager
    async def log(
        self, namespace: str, pod: str, container: str, *, follow: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Chunks of a container's output; with `follow` until it ends."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        parameters = {"container": container, "follow": "true" if follow else "false"}
        async with self._http.stream(
            "GET", path, params=parameters, timeout=httpx2.Timeout(None, connect=5.0)
        ) as response:
            if response.status_code >= 400:
                body = orjson.loads(await response.aread())
                raise Failure(body.get("message", f"cannot read the log of {pod}"))
            yield response.aiter_raw()
