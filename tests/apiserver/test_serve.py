"""The server on real sockets: TLS with token or certificate, the Unix socket, starting, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roadstead.apiserver import protocol
from roadstead.apiserver.channel import SLICE_BYTES
from roadstead.apiserver.protocol import HEAD_LIMIT, WRITE_LIMIT
from roadstead.apiserver.serve import ApiServer, CannotListen
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds import names
from roadstead.kinds.names import CONFIG_MAPS
from roadstead.kinds.object import Resource
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create

NAMESPACES = "/api/v1/namespaces"


@contextlib.asynccontextmanager
async def running(directory: Path, **options: Any) -> AsyncIterator[ApiServer]:
    store = Store.in_memory()
    registry = default_registry()
    server = ApiServer(Resources(store, registry), registry, state_dir=directory / "state", **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await store.close()


def client(server: ApiServer, **options: Any) -> httpx2.AsyncClient:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    return httpx2.AsyncClient(base_url=server.url, verify=context, trust_env=False, **options)


def bearer(server: ApiServer) -> dict[str, str]:
    return {"authorization": f"Bearer {server.token}"}


def test_tls_and_token(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as server, client(server) as http:
            assert (await http.get(NAMESPACES)).status_code == 403
            assert (await http.get(NAMESPACES, headers={"authorization": "Bearer no"})).status_code == 401
            answer = await http.get(NAMESPACES, headers=bearer(server))
            assert answer.status_code == 200
            assert answer.headers["date"].endswith("GMT")
            created = await http.post(NAMESPACES, headers=bearer(server), json={"metadata": {"name": "a"}})
            assert created.status_code == 201

    asyncio.run(check())


def test_client_certificates_name_the_user(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as server:
            pair = server.authority.issue_client("alice", ["team"])
            pair.save(tmp_path / "c.crt", tmp_path / "c.key")
            context = ssl.create_default_context(cafile=str(server.ca_file))
            context.load_cert_chain(tmp_path / "c.crt", tmp_path / "c.key")
            async with httpx2.AsyncClient(base_url=server.url, verify=context, trust_env=False) as http:
                refused = await http.get(NAMESPACES)
                assert refused.status_code == 403
                assert refused.json()["message"].startswith('namespaces is forbidden: User "alice" cannot list')

    asyncio.run(check())


def test_certificates_of_others_are_refused(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path / "a") as server, running(tmp_path / "b") as other:
            other.authority.issue_client("mallory", ["system:masters"]).save(tmp_path / "c.crt", tmp_path / "c.key")
            context = ssl.create_default_context(cafile=str(server.ca_file))
            context.load_cert_chain(tmp_path / "c.crt", tmp_path / "c.key")
            async with httpx2.AsyncClient(base_url=server.url, verify=context, trust_env=False) as http:
                with pytest.raises(httpx2.TransportError):
                    await http.get(NAMESPACES)

    asyncio.run(check())


def test_the_unix_socket_knows_its_peer(tmp_path: Path) -> None:
    async def check() -> None:
        path = tmp_path / "run" / "api.sock"
        async with running(tmp_path, unix_socket=path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            transport = httpx2.AsyncHTTPTransport(uds=str(path))
            async with httpx2.AsyncClient(base_url="http://any.name", transport=transport) as http:
                assert (await http.get(NAMESPACES)).status_code == 200
                assert (await http.get(NAMESPACES, headers={"authorization": "Bearer no"})).status_code == 401
        assert not path.exists()

    asyncio.run(check())


def test_a_client_may_do_with_fewer_rights_than_it_has(tmp_path: Path) -> None:
    async def check() -> None:
        path = tmp_path / "run" / "api.sock"
        async with running(tmp_path, unix_socket=path):
            for user, is_let in (("", True), ("bob", False)):
                cluster = RemoteCluster("http://localhost", uds=path, act_as=user)
                outcome = await cluster.write(Create(names.NAMESPACES, {"metadata": {"name": "a"}}))
                assert outcome.is_done is is_let
                assert is_let or 'User "bob" cannot create resource "namespaces"' in outcome.message
                await cluster.close()

    asyncio.run(check())


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    async def check() -> None:
        path = tmp_path / "api.sock"
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(path))
        stale.close()
        async with running(tmp_path / "one", unix_socket=path):
            with pytest.raises(CannotListen, match="Another server already listens"):
                async with running(tmp_path / "two", unix_socket=path):
                    pass
            assert path.exists()
        path.write_text("mine")
        with pytest.raises(CannotListen, match="exists and is not a socket"):
            async with running(tmp_path / "three", unix_socket=path):
                pass
        assert path.read_text() == "mine"

    asyncio.run(check())


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path / "one") as server:
            with pytest.raises(
                CannotListen, match=rf"Port {server.port} on 127.0.0.1 is already in use\. Stop the program"
            ):
                async with running(tmp_path / "two", port=server.port):
                    pass

    asyncio.run(check())


def test_secrets_are_private_and_survive_a_restart(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as server:
            token, authority = server.token, server.authority.certificate
            config = server.kubeconfig()
        async with running(tmp_path) as again:
            assert (again.token, again.authority.certificate) == (token, authority)
        assert config["users"][0]["user"]["token"] == token
        state = tmp_path / "state"
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert {stat.S_IMODE((state / name).stat().st_mode) for name in os.listdir(state)} == {0o600}

    asyncio.run(check())


def test_stopping_ends_watches_and_lets_requests_finish(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as server, client(server, headers=bearer(server)) as http:
            async with http.stream("GET", f"{NAMESPACES}?watch=true&resourceVersion=1", timeout=20) as watch:
                assert watch.status_code == 200
                assert watch.headers["transfer-encoding"] == "chunked"
                stopping = asyncio.create_task(server.stop())
                assert [chunk async for chunk in watch.aiter_raw()] == []
            await stopping

    asyncio.run(check())


def test_clients_that_leave_in_the_middle_leave_nothing_behind(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as server, client(server, headers=bearer(server)) as http:
            for _ in range(3):
                async with http.stream("GET", f"{NAMESPACES}?watch=true&resourceVersion=1"):
                    pass
            deadline = asyncio.get_running_loop().time() + 10
            while server._state.tasks and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.01)
            assert not server._state.tasks

    asyncio.run(check())


async def _raw(server: ApiServer, data: bytes) -> bytes:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        await writer.drain()
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(65536), 10)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("data", "begins"),
    [
        (b"FOO /api/v1/pods HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 405 "),
        (b"rubbish\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (HEAD_LIMIT + 10) + b"\r\n\r\n", b"HTTP/1.1 431 "),
        (
            b"GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 403 ",
        ),
        (
            b"POST /api/v1/namespaces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 403 ",
        ),
    ],
)
def test_strange_requests(tmp_path: Path, data: bytes, begins: bytes) -> None:
    async def check() -> None:
        async with running(tmp_path) as server:
            answer = await _raw(server, data)
            assert answer.startswith(begins) or not answer
            async with client(server, headers=bearer(server)) as http:
                assert (await http.get(NAMESPACES)).status_code == 200

    asyncio.run(check())


def test_a_watcher_that_does_not_read_costs_bounded_memory_and_nobody_else_anything(tmp_path: Path) -> None:
    async def check() -> None:
        path = tmp_path / "api.sock"
        async with running(tmp_path, unix_socket=path) as server:
            resources, kind = server._resources, server._registry.get(CONFIG_MAPS)
            assert kind is not None
            namespace = server._registry.get(Resource("", "v1", "namespaces"))
            assert namespace is not None
            await resources.create(namespace, "", {"metadata": {"name": "a"}})
            request = b"GET /api/v1/configmaps?watch=1&resourceVersion=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
            slow, slow_writer = await asyncio.open_unix_connection(path)
            fast, fast_writer = await asyncio.open_unix_connection(path)
            for reader, writer in ((slow, slow_writer), (fast, fast_writer)):
                writer.write(request)
                await reader.readuntil(b"\r\n\r\n")
            slow_writer.transport.pause_reading()  # type: ignore[attr-defined]  # a StreamWriter's transport reads too
            count, size = 2000, 2000
            for number in range(count):
                value = {"metadata": {"name": f"n{number}"}, "data": {"a": "x" * size}}
                await resources.create(kind, "a", value)
            seen = 0
            while seen < count:
                seen += (await fast.readline()).startswith(b'{"type":"ADDED"')
            held = [connection.transport.get_write_buffer_size() for connection in server._state.connections]
            assert max(held) <= WRITE_LIMIT + SLICE_BYTES + 2 * size
            slow_writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
            seen = 0
            while seen < count:  # it was slow, not cut off: nothing is missing
                seen += (await slow.readline()).startswith(b'{"type":"ADDED"')
            slow_writer.close()
            fast_writer.close()

    asyncio.run(asyncio.wait_for(check(), 30))


ODD_TARGETS = {
    b"/%zz": b"400",
    b"/api/v1/namespaces/a%z": b"400",
    b"/api/v1/namespaces/a%": b"400",
    b"/api/v1/namespaces/a%25b": b"404",
    b"/api/v1/namespaces/%ff": b"404",
    b"/api/v1/namespaces/%00": b"404",
    b"/api/v1/namespaces/\xff": b"400",
    b"//": b"200",
    b"/api//v1": b"404",
    b"*": b"404",
    b"api": b"400",
    b"/" + b"x" * 5000: b"404",
    b"/" + b"x" * 70_000: b"414",
    b"/api/v1/pods?limit=%zz": b"400",
    b"/api?x=%zz": b"200",
}


def test_odd_urls_get_clear_answers_and_leave_no_trace(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        path = tmp_path / "api.sock"
        async with running(tmp_path, unix_socket=path):
            for target, status in ODD_TARGETS.items():
                reader, writer = await asyncio.open_unix_connection(path)
                writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = await asyncio.wait_for(reader.read(), 10)
                writer.close()
                assert (target[:40], answer[9:12]) == (target[:40], status)
                assert answer.partition(b"\r\n\r\n")[2]

    asyncio.run(check())
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]


def test_who_asks_for_a_websocket_is_answered_without_a_word_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As kubectl exec does before it takes what there is."""

    async def check() -> None:
        path = tmp_path / "api.sock"
        async with running(tmp_path, unix_socket=path):
            reader, writer = await asyncio.open_unix_connection(path)
            asks = b"GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            writer.write(asks)
            assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"200"
            writer.close()

    asyncio.run(check())
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("sent", [b"", b"GET /version HTTP/1.1\r\nHost: local"])
def test_nobody_holds_a_connection_without_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    async def check() -> None:
        path = tmp_path / "s"
        async with running(tmp_path, unix_socket=path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(sent)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            whole = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
            reader, writer = await asyncio.open_unix_connection(path)
            for request in (whole, whole[:20], whole[20:]):  # parts of a head may come one by one
                writer.write(request)
            for _ in range(2):
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
                await reader.readuntil(b"}")
            writer.write(whole[:20])
            assert await asyncio.wait_for(reader.read(), 10) == b"", "the second half of a head never came"
            writer.close()

    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    asyncio.run(check())
