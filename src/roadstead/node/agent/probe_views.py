"""Probes and lifecycle hooks as the agent reads them from a pod."""

from __future__ import annotations

from typing import Any

import msgspec


class HttpHeader(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    value: str = ""


class HttpGet(msgspec.Struct, frozen=True, rename="camel"):
    path: str = ""
    port: int | str = 0
    host: str = ""
    scheme: str = ""
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocket(msgspec.Struct, frozen=True, rename="camel"):
    port: int | str = 0
    host: str = ""


class ExecAction(msgspec.Struct, frozen=True, rename="camel"):
    command: tuple[str, ...] = ()


class SleepAction(msgspec.Struct, frozen=True, rename="camel"):
    seconds: int = 0


class Handler(msgspec.Struct, frozen=True, rename="camel"):
    """Exactly one of these is set (validation sees to it)."""

    exec: ExecAction | None = None
    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    grpc: Any = None
    sleep: SleepAction | None = None


class Probe(Handler, frozen=True, rename="camel"):
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class Lifecycle(msgspec.Struct, frozen=True, rename="camel"):
    post_start: Handler | None = None
    pre_stop: Handler | None = None
    stop_signal: str = ""


class ContainerPort(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    container_port: int = 0


def unsupported(*probes: Probe | None) -> list[tuple[str, Any]]:
    """What of these probes no node of ours carries out: its name, and what was given."""
    return [("a grpc probe", probe.grpc) for probe in probes if probe is not None]
