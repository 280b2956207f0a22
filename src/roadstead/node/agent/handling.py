"""Carrying out one probe or hook: a command in the container, an HTTP request, a TCP connection, a pause.

Texts are the kubelet's (k8s `pkg/probe`, `pkg/kubelet/lifecycle`), so they read in Events as people know them.
Certificates are not verified, redirects are followed on the same host only, at most ten times; bodies are not read. A
host that is not named is the pod's address.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import urljoin, urlsplit

from roadstead.node.agent.executions import run_command
from roadstead.node.agent.probe_state import Result
from roadstead.node.agent.probe_views import Handler, HttpGet, TcpSocket
from roadstead.node.agent.views import Container

_HEAD_LIMIT: Final = 64 * 1024
_REDIRECTS: Final = 10
_OUTPUT_SHOWN: Final = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """The run that is meant. `root`: the agent's state directory."""

    root: str
    run_id: str
    container: Container
    pod_ip: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """`text` says why it failed; with SUCCESS it is a warning, if there is one. `was_answered`: a request failed by the
    status of its answer, which is no failure of a hook (kubelet: runHTTPHandler looks at errors only)."""

    result: Result
    text: str = ""
    was_answered: bool = False


SUCCESS: Final = Outcome(Result.SUCCESS)


async def carry_out(handler: Handler, target: Target, timeout_seconds: float | None) -> Outcome:
    """One probe. UNKNOWN if it could not be carried out, which says nothing about the container."""
    if handler.exec is not None:
        return await _command(handler.exec.command, target, timeout_seconds)
    try:
        if handler.http_get is not None:
            return await _http(handler.http_get, target, timeout_seconds)
        if handler.tcp_socket is not None:
            return await _tcp(handler.tcp_socket, target, timeout_seconds)
    except ValueError as error:
        return Outcome(Result.UNKNOWN, str(error))
    if handler.sleep is not None:
        await asyncio.sleep(handler.sleep.seconds)
        return SUCCESS
    return Outcome(Result.UNKNOWN, "missing probe handler")


async def _command(command: tuple[str, ...], target: Target, timeout_seconds: float | None) -> Outcome:
    end, output = await run_command(target.root, target.run_id, command, timeout_seconds)
    text = output.decode(errors="replace")[:_OUTPUT_SHOWN]
    match end.reason:
        case "Completed":
            return SUCCESS
        case "Error":
            return Outcome(Result.FAILURE, text)
        case "Timeout":
            return Outcome(Result.FAILURE, f'command "{" ".join(command)}" timed out')
        case _:
            return Outcome(Result.UNKNOWN, end.message)


def port_of(port: int | str, container: Container) -> int:
    """The number of a port given by number or by the name of a container port; ValueError."""
    number = port
    if isinstance(port, str):
        named = next((one.container_port for one in container.ports if one.name == port), None)
        if named is None and not port.isdigit():
            raise ValueError(f"couldn't find port: {port} in container {container.name}")
        number = int(port) if named is None else named
    assert isinstance(number, int)
    if not 0 < number < 65536:
        raise ValueError(f"invalid port number: {number}")
    return number


async def _tcp(action: TcpSocket, target: Target, timeout_seconds: float | None) -> Outcome:
    host, port = action.host or target.pod_ip, port_of(action.port, target.container)
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(Result.FAILURE, f"dial tcp {_address(host, port)}: i/o timeout")
    except OSError as error:
        return Outcome(Result.FAILURE, _dial_error(host, port, error))
    writer.close()
    return SUCCESS


async def _http(action: HttpGet, target: Target, timeout_seconds: float | None) -> Outcome:
    scheme = (action.scheme or "HTTP").lower()
    host, port = action.host or target.pod_ip, port_of(action.port, target.container)
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    url = f"{scheme}://{_address(host, port)}{path}"
    headers = {"User-Agent": "kube-probe/roadstead", "Accept": "*/*"}
    for header in action.http_headers:
        headers = {name: value for name, value in headers.items() if name.lower() != header.name.lower()}
        headers[header.name] = header.value
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _get(url, headers)
    except TimeoutError:
        text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome(Result.FAILURE, f'Get "{url}": {text}')


async def _get(url: str, headers: dict[str, str]) -> Outcome:
    first = urlsplit(url).hostname
    for _ in range(_REDIRECTS):
        try:
            status, location = await _request(url, headers)
        except OSError as error:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            return Outcome(Result.FAILURE, f'Get "{url}": {_dial_error(parts.hostname or "", port, error)}')
        except EOFError:
            return Outcome(Result.FAILURE, f'Get "{url}": EOF')
        except ValueError as error:
            return Outcome(Result.FAILURE, f'Get "{url}": {error}')
        if status in (301, 302, 303, 307, 308) and location:
            url = urljoin(url, location)
            if urlsplit(url).hostname != first:
                return Outcome(Result.SUCCESS, f"Probe terminated redirects, it was sent to {url}")
            continue
        if 200 <= status < 400:
            return SUCCESS
        return Outcome(Result.FAILURE, f"HTTP probe failed with statuscode: {status}", was_answered=True)
    return Outcome(Result.FAILURE, f'Get "{url}": stopped after {_REDIRECTS} redirects')


async def _request(url: str, headers: dict[str, str]) -> tuple[int, str]:
    """(status code, Location) of a GET. ValueError if the answer is no HTTP."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = _unverified() if secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context, limit=_HEAD_LIMIT)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        given = {name.lower() for name in headers}
        lines = [f"GET {path} HTTP/1.1"]
        if "host" not in given:
            lines.append(f"Host: {parts.netloc}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        await writer.drain()
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                raise EOFError from None
            raise ValueError(f'malformed HTTP response "{error.partial[:80].decode(errors="replace")}"') from None
        except asyncio.LimitOverrunError:
            raise ValueError(f"the head of the response is longer than {_HEAD_LIMIT} bytes") from None
    finally:
        # No polite end: a TLS connection would wait for the other side's, half a minute, and the probe's time is up
        # long before.
        writer.transport.abort()
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise ValueError(f'malformed HTTP response "{first[:80]}"')
    fields = (line.partition(":") for line in rest)
    location = next((value.strip() for name, _, value in fields if name.lower() == "location"), "")
    return int(words[1]), location


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _dial_error(host: str, port: int, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"tls: {error.reason or error}"
    if error.errno == errno.ECONNRESET:
        return f"read tcp {_address(host, port)}: read: connection reset by peer"
    number = error.errno if error.errno is not None and error.errno > 0 else 0
    text = os.strerror(number).lower() if number else str(error)
    return f"dial tcp {_address(host, port)}: connect: {text}"
