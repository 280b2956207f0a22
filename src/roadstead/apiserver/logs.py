"""pods/log: the node agent keeps the logs; the API server finds it and passes the bytes on as they come.

The agent listens with its own certificate and takes only client certificates of our authority
(`/containerLogs/NAMESPACE/POD/CONTAINER`, the kubelet's path and parameters).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import httpx2
import msgspec

from roadstead.apiserver.bodies import ClientGone
from roadstead.apiserver.query import Query, flag, integer
from roadstead.apiserver.responses import Exchange
from roadstead.cluster.embedded.resources import Resources
from roadstead.kinds.errors import FieldError, StatusError, bad_request, internal_error, invalid, invalid_object
from roadstead.kinds.names import NODES, PODS
from roadstead.kinds.registry import Kind, Registry

log = logging.getLogger(__name__)

PASSED_ON: Final = (
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "stream",
    "fromByte",  # our own: a follower that was cut off goes on where it was
)
CONNECT_SECONDS: Final = 10.0
ADDRESS_ORDER: Final = ("InternalIP", "Hostname", "InternalDNS", "ExternalDNS", "ExternalIP")


class _Named(msgspec.Struct, frozen=True):
    name: str = ""


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    containers: tuple[_Named, ...] = ()
    init_containers: tuple[_Named, ...] = ()
    ephemeral_containers: tuple[_Named, ...] = ()
    node_name: str = ""


class _Waiting(msgspec.Struct, frozen=True):
    reason: str = ""


class _State(msgspec.Struct, frozen=True):
    waiting: _Waiting | None = None


class _ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    state: _State = _State()


class _PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    container_statuses: tuple[_ContainerStatus, ...] = ()
    init_container_statuses: tuple[_ContainerStatus, ...] = ()


class _Pod(msgspec.Struct, frozen=True):
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()


class _Address(msgspec.Struct, frozen=True):
    type: str = ""
    address: str = ""


class _Port(msgspec.Struct, frozen=True, rename="pascal"):
    port: int = 0


class _Endpoints(msgspec.Struct, frozen=True, rename="camel"):
    kubelet_endpoint: _Port = _Port()


class _NodeStatus(msgspec.Struct, frozen=True, rename="camel"):
    addresses: tuple[_Address, ...] = ()
    daemon_endpoints: _Endpoints = _Endpoints()


class _Node(msgspec.Struct, frozen=True):
    status: _NodeStatus = _NodeStatus()


class Agents(Protocol):
    """How node agents are asked."""

    def stream(self, url: str) -> contextlib.AbstractAsyncContextManager[httpx2.Response]: ...


class AgentClient:
    """HTTPS to node agents, as a client of our own authority. One pool for all agents."""

    def __init__(self, context: ssl.SSLContext) -> None:
        timeout = httpx2.Timeout(CONNECT_SECONDS, read=None)
        self._client = httpx2.AsyncClient(verify=context, timeout=timeout, trust_env=False)

    def stream(self, url: str) -> contextlib.AbstractAsyncContextManager[httpx2.Response]:
        return self._client.stream("GET", url)

    async def close(self) -> None:
        await self._client.aclose()


class PodLogs:
    """Serves GET pods/NAME/log."""

    def __init__(self, resources: Resources, registry: Registry, agents: Agents) -> None:
        self._resources = resources
        self._registry = registry
        self._agents = agents

    async def serve(self, exchange: Exchange, namespace: str, name: str, query: Query, stopping: asyncio.Event) -> None:
        """Answer with the log, flushed as it comes; ends when the agent ends, the client leaves, or the server
        stops."""
        check_options(query)
        pod = (await self._resources.get(self._kind(PODS), namespace, name)).view(_Pod)
        container = choose_container(name, pod, query.get("container", ""))
        if not pod.spec.node_name:
            await exchange.reply_text(200, "")  # nothing ran yet, so nothing was written
            return
        url = await self._url(pod.spec.node_name, namespace, name, container, query)
        try:
            async with self._agents.stream(url) as response:
                if response.status_code == 404 and (waiting := waiting_reason(pod, container)):
                    raise _not_started(container, name, waiting)  # the agent has not heard of the pod yet
                if response.status_code != 200:
                    raise _refused(response.status_code, (await response.aread()).decode("utf-8", "replace"))
                await _relay(exchange, response.aiter_raw(), stopping)
        except httpx2.TransportError as err:
            if exchange.is_started:
                log.warning("The log of %s/%s broke off: %s", namespace, name, err)
                raise ClientGone from err  # nothing more can be said in the middle of a stream: it ends unfinished
            waiting = waiting_reason(pod, container)
            if waiting:
                raise _not_started(container, name, waiting) from err
            why = f"the agent of node {pod.spec.node_name} does not answer: {type(err).__name__} {err}".rstrip()
            raise internal_error(why) from err

    async def _url(self, node_name: str, namespace: str, pod: str, container: str, query: Query) -> str:
        node = (await self._resources.get(self._kind(NODES), "", node_name)).view(_Node)
        port = node.status.daemon_endpoints.kubelet_endpoint.port
        host = _address(node)
        if not host or not port:
            raise internal_error(
                f"node {node_name} announces {'no address' if not host else 'no agent port'} in its status; "
                "is its agent running?"
            )
        if ":" in host:
            host = f"[{host}]"
        path = "/".join(quote(part, safe="") for part in (namespace, pod, container))
        passed = {key: query[key] for key in PASSED_ON if query.get(key)}
        return f"https://{host}:{port}/containerLogs/{path}?{urlencode(passed)}"

    def _kind(self, resource: Any) -> Kind:
        kind = self._registry.get(resource)
        if kind is None:
            raise internal_error(f"{resource} are not served")
        return kind


def check_options(query: Mapping[str, str]) -> None:
    """The rules of PodLogOptions. Raises StatusError 400 or 422."""
    errors: list[FieldError] = []
    numbers = {name: integer(query, name) for name in ("sinceSeconds", "tailLines", "limitBytes")}
    if numbers["tailLines"] is not None and numbers["tailLines"] < 0:
        errors.append(invalid("tailLines", numbers["tailLines"], "must be greater than or equal to 0"))
    if numbers["limitBytes"] is not None and numbers["limitBytes"] < 1:
        errors.append(invalid("limitBytes", numbers["limitBytes"], "must be greater than 0"))
    if numbers["sinceSeconds"] is not None and query.get("sinceTime"):
        errors.append(
            FieldError(
                "FieldValueForbidden", "", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
            )
        )
    elif numbers["sinceSeconds"] is not None and numbers["sinceSeconds"] < 1:
        errors.append(invalid("sinceSeconds", numbers["sinceSeconds"], "must be greater than 0"))
    stream = query.get("stream")
    if stream and stream not in ("All", "Stdout", "Stderr"):
        supported = '"All", "Stderr", "Stdout"'
        errors.append(
            FieldError(
                "FieldValueNotSupported", "stream", f'Unsupported value: "{stream}": supported values: {supported}'
            )
        )
    if errors:
        raise invalid_object("", "PodLogOptions", "", errors)
    flag(query, "follow")


def choose_container(pod_name: str, pod: _Pod, wanted: str) -> str:
    """The container meant: the one named, or the only one. Raises StatusError 400 in the real server's words."""
    containers = [container.name for container in pod.spec.containers]
    inits = [container.name for container in pod.spec.init_containers]
    ephemerals = [container.name for container in pod.spec.ephemeral_containers]
    if wanted:
        if wanted not in (*containers, *inits, *ephemerals):
            raise bad_request(f"container {wanted} is not valid for pod {pod_name}")
        return wanted
    if len(containers) == 1 and not inits and not ephemerals:
        return containers[0]
    if not containers:
        raise bad_request(f"a container name must be specified for pod {pod_name}")
    message = f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(containers)}]"
    if inits:
        message += f" or one of the init containers: [{' '.join(inits)}]"
    if ephemerals:
        message += f" or one of the ephemeral containers: [{' '.join(ephemerals)}]"
    raise bad_request(message)


def waiting_reason(pod: _Pod, container: str) -> str:
    """Why a container has not started, "" if it has."""
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        if status.name == container:
            return status.state.waiting.reason if status.state.waiting else ""
    return "ContainerCreating"


def _not_started(container: str, pod: str, reason: str) -> StatusError:
    return bad_request(f'container "{container}" in pod "{pod}" is waiting to start: {reason}')


def _refused(code: int, text: str) -> StatusError:
    """The agent's refusal, passed on: its 400s are meant for the client, the rest is an internal matter."""
    text = text.strip()
    if code in (400, 404):
        return bad_request(text)
    return internal_error(f"the node agent answered {code}: {text}")


def _address(node: _Node) -> str:
    by_type = {address.type: address.address for address in reversed(node.status.addresses)}
    return next((by_type[type_] for type_ in ADDRESS_ORDER if by_type.get(type_)), "")


async def _relay(exchange: Exchange, source: AsyncIterator[bytes], stopping: asyncio.Event) -> None:
    """Pass chunks on as they come."""
    leaving = asyncio.ensure_future(_left(exchange))
    ending = asyncio.ensure_future(stopping.wait())
    following: asyncio.Future[bytes | None] = asyncio.ensure_future(_next(source))
    try:
        await exchange.start_stream("text/plain")
        while True:
            await asyncio.wait((following, leaving, ending), return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                return
            if not following.done():
                break
            chunk = following.result()
            if chunk is None:
                break
            await exchange.chunk(chunk)
            following = asyncio.ensure_future(_next(source))
        await exchange.end_stream()
    finally:
        for task in (following, leaving, ending):
            task.cancel()
        await asyncio.gather(following, leaving, ending, return_exceptions=True)


async def _next(source: AsyncIterator[bytes]) -> bytes | None:
    return await anext(source, None)


async def _left(exchange: Exchange) -> None:
    while (await exchange.receive())["type"] != "http.disconnect":
        pass
