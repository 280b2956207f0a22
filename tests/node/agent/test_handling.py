"""One probe against real sockets: what passes, what fails and in which words, what says nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from roadstead.auth.certificates import Authority
from roadstead.node.agent.handling import SUCCESS, Outcome, Target, carry_out, port_of
from roadstead.node.agent.probe_state import Result
from roadstead.node.agent.probe_views import Handler, HttpGet, HttpHeader, SleepAction, TcpSocket
from roadstead.node.agent.views import Container
from tests.cluster.loop import in_loop
from tests.node.agent.build import pod

HOST = "127.0.0.1"


class Server:
    """Answers every connection with `answer` (None: not at all) and remembers what it was asked."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.asked = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked = await reader.readuntil(b"\r\n\r\n")
            if self.answer is None:
                await reader.read()
                return
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    made = Server(answer)
    server = await asyncio.start_server(made.serve, HOST, 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def status(code: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {code} Word", *headers, "Content-Length: 0", "", ""]).encode()


def target(**container: Any) -> Target:
    return Target("/nowhere", "uid/a/0", pod({"name": "a", **container}).spec.containers[0], HOST)


async def get(port: int, timeout: float = 5, **more: Any) -> Outcome:
    return await carry_out(Handler(http_get=HttpGet(port=port, **{"path": "/healthz", **more})), target(), timeout)


@pytest.mark.parametrize(
    ("code", "passes"), [(200, True), (204, True), (399, True), (400, False), (404, False), (500, False), (101, False)]
)
def test_which_answers_pass(code: int, passes: bool) -> None:
    @in_loop
    async def story() -> None:
        async with serving(status(code)) as server:
            text = f"HTTP probe failed with statuscode: {code}"
            expected = SUCCESS if passes else Outcome(Result.FAILURE, text, was_answered=True)
            assert await get(server.port) == expected

    story()


@in_loop
async def test_what_is_sent() -> None:
    async with serving(status(200)) as server:
        headers = (HttpHeader("X-Mine", "1"), HttpHeader("Host", "boat.example"), HttpHeader("user-agent", "me"))
        await get(server.port, path="deep?x=1", http_headers=headers)
        lines = server.asked.decode().split("\r\n")
        assert lines[0] == "GET /deep?x=1 HTTP/1.1"
        assert set(lines[1:-2]) == {
            "Accept: */*",
            "X-Mine: 1",
            "Host: boat.example",
            "user-agent: me",
            "Connection: close",
        }


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "EOF"),
        (b"hello", 'malformed HTTP response "hello"'),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 'malformed HTTP response "SSH-2.0-OpenSSH"'),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "the head of the response is longer than 65536 bytes"),
    ],
)
def test_answers_that_are_no_http(answer: bytes, text: str) -> None:
    @in_loop
    async def story() -> None:
        async with serving(answer) as server:
            outcome = await get(server.port)
            assert outcome == Outcome(Result.FAILURE, f'Get "http://{HOST}:{server.port}/healthz": {text}')

    story()


@in_loop
async def test_a_server_that_does_not_answer_in_time() -> None:
    async with serving(None) as server:
        outcome = await get(server.port, timeout=0.1)
        text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        assert outcome == Outcome(Result.FAILURE, f'Get "http://{HOST}:{server.port}/healthz": {text}')


@in_loop
async def test_nobody_listens() -> None:
    async with serving(None) as server:
        port = server.port
    text = f"dial tcp {HOST}:{port}: connect: connection refused"
    assert await get(port) == Outcome(Result.FAILURE, f'Get "http://{HOST}:{port}/healthz": {text}')
    assert await carry_out(Handler(tcp_socket=TcpSocket(port=port)), target(), 5) == Outcome(Result.FAILURE, text)


@in_loop
async def test_redirects_on_the_host_are_followed_others_are_a_warning() -> None:
    async with (
        serving(status(200)) as there,
        serving(status(302, f"Location: http://{HOST}:{there.port}/other")) as server,
    ):
        assert await get(server.port) == SUCCESS
        assert there.asked.startswith(b"GET /other ")
    async with serving(status(302, "Location: http://elsewhere.example/")) as server:
        outcome = await get(server.port)
        assert outcome == Outcome(
            Result.SUCCESS, "Probe terminated redirects, it was sent to http://elsewhere.example/"
        )
    async with serving(status(302, "Location: /again")) as server:
        assert (await get(server.port)).text.endswith("stopped after 10 redirects")


@in_loop
async def test_certificates_are_not_verified(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("tls")
    Authority.load_or_create(directory).issue_server("somebody").save(directory / "crt", directory / "key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "crt", directory / "key")
    async with serving(status(200), context) as server:
        assert await get(server.port, scheme="HTTPS") == SUCCESS
        assert (await get(server.port)).result is Result.FAILURE


@contextmanager
def rude_tls(directory: Path, answer: bytes) -> Iterator[int]:
    """A TLS server that reads a request, sends `answer`, and then neither reads nor ends the connection; its port."""
    Authority.load_or_create(directory).issue_server("somebody").save(directory / "crt", directory / "key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "crt", directory / "key")
    is_over = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(answer)
            is_over.wait(60)

    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            is_over.set()
            thread.join(10)


@pytest.mark.parametrize(
    ("answer", "result"),
    [(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", Result.SUCCESS), (b"", Result.FAILURE)],
)
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_nobody_waits_for_a_polite_end_of_a_tls_connection(
    tmp_path: Path, run: Callable[[Coroutine[Any, Any, Outcome]], Outcome], answer: bytes, result: Result
) -> None:
    async def story(port: int) -> Outcome:
        async with asyncio.timeout(10):
            return await get(port, timeout=0.5, scheme="HTTPS")

    with rude_tls(tmp_path, answer) as port:
        assert run(story(port)).result is result


@in_loop
async def test_tcp_passes_when_somebody_listens() -> None:
    async with serving(None) as server:
        assert await carry_out(Handler(tcp_socket=TcpSocket(port=server.port)), target(), 5) == SUCCESS


@in_loop
async def test_a_pause_passes() -> None:
    assert await carry_out(Handler(sleep=SleepAction(seconds=0)), target(), None) == SUCCESS


@pytest.mark.parametrize(("port", "number"), [(80, 80), ("web", 8080), ("81", 81)])
def test_ports(port: int | str, number: int) -> None:
    assert port_of(port, target(ports=[{"name": "web", "containerPort": 8080}]).container) == number


@pytest.mark.parametrize(
    ("port", "text"),
    [
        ("metrics", "couldn't find port: metrics in container a"),
        (0, "invalid port number: 0"),
        (70000, "invalid port number: 70000"),
    ],
)
def test_ports_that_are_none_say_nothing_about_the_container(port: int | str, text: str) -> None:
    @in_loop
    async def story() -> None:
        assert await carry_out(Handler(tcp_socket=TcpSocket(port=port)), target(), 1) == Outcome(Result.UNKNOWN, text)

    story()


def test_a_container_without_the_run_says_nothing(tmp_path: Path) -> None:
    from roadstead.node.agent.probe_views import ExecAction

    @in_loop
    async def story() -> None:
        at = Target(str(tmp_path), "uid/a/0", Container("a"), HOST)
        outcome = await carry_out(Handler(exec=ExecAction(("true",))), at, 1)
        assert outcome.result is Result.UNKNOWN
        assert "does not run" in outcome.text

    story()
