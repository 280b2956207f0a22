"""The log port: who may ask, what is answered, following, leaving."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from roadstead.auth.access_reviews import SUBJECT_REVIEWS
from roadstead.auth.certificates import Authority, KeyPair
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.node.agent import server
from roadstead.node.agent.logs import LogRequest
from roadstead.node.agent.options import CannotJoin, Tls
from roadstead.node.agent.server import Refusal, parse_request
from roadstead.runtime.cluster import Cluster, Create, Outcome, Result, Write
from tests.cluster.loop import in_loop
from tests.node.agent.world import World, main_status, pod, until, world

NOW = 1_800_000_000 * SECOND


class Client:
    """A TLS client with one certificate, or none."""

    def __init__(self, authority: Authority, directory: Path, port: int, pair: KeyPair | None) -> None:
        self.context = ssl.create_default_context(cafile=str(authority.path))
        if pair is not None:
            pair.save(directory / "client.crt", directory / "client.key")
            self.context.load_cert_chain(directory / "client.crt", directory / "client.key")
        self.port = port

    async def open(self, path: str) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        code = int(head.split()[1])
        return code, reader, writer

    async def get(self, path: str) -> tuple[int, str]:
        code, reader, writer = await self.open(path)
        try:
            if code != 200:
                return code, (await reader.readline()).decode()
            return code, "".join([piece async for piece in chunks(reader)])
        finally:
            writer.close()


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    while size := int(await reader.readline(), 16):
        yield (await reader.readexactly(size)).decode()
        await reader.readexactly(2)


class Port:
    def __init__(self, it: World, authority: Authority, directory: Path) -> None:
        self.it, self.authority, self.directory = it, authority, directory

    def client(self, user: str | None = "kube-apiserver-kubelet-client", groups: Sequence[str] = ()) -> Client:
        pair = None if user is None else self.authority.issue_client(user, groups)
        return Client(self.authority, self.directory, self.it.port, pair)


@asynccontextmanager
async def served(factory: pytest.TempPathFactory, judge: str = "", **options: Any) -> AsyncIterator[Port]:
    directory = factory.mktemp("world")
    authority = Authority.load_or_create(directory)
    authority.issue_server("system:node").save(directory / "node.crt", directory / "node.key")
    async with world(directory) as it:
        if judge:
            it.cluster = Judged(it.cluster, judge)
        await it.start_agent(tls=Tls(directory / "node.crt", directory / "node.key", authority.path), **options)
        yield Port(it, authority, directory)


@in_loop
async def test_logs_of_a_pod(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with served(tmp_path_factory) as port:
        await port.it.create(pod("p", "for i in 1 2 3; do echo line $i; done; exit 1"))
        await port.it.until_phase("p", "Failed")
        client = port.client()
        assert await client.get("/containerLogs/default/p/main") == (200, "line 1\nline 2\nline 3\n")
        assert await client.get("/containerLogs/default/p/main?tailLines=1") == (200, "line 3\n")
        _, stamped = await client.get("/containerLogs/default/p/main?timestamps=true&limitBytes=300")
        assert [line.split(" ", 1)[1] for line in stamped.splitlines()] == ["line 1", "line 2", "line 3"]
        assert await client.get("/healthz") == (200, "ok")


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/containerLogs/default/nobody/main", 404, 'pod "nobody" not found'),
        ("/containerLogs/default/p/other", 400, "container other is not valid for pod p"),
        ("/containerLogs/default/p/main", 400, 'container "main" in pod "p" is waiting to start: CreateContainerError'),
        (
            "/containerLogs/default/p/main?stream=Stderr",
            400,
            "stream=Stderr: this node keeps stdout and stderr in one log: ask for stream=All",
        ),
        (
            "/containerLogs/default/p/main?previous=true",
            400,
            'previous terminated container "main" in pod "p" not found',
        ),
        ("/containerLogs/default/p/main?tailLines=x", 400, "tailLines='x' is not a whole number"),
        ("/pods", 404, "404 page not found"),
    ],
)
def test_what_cannot_be_answered(tmp_path_factory: pytest.TempPathFactory, path: str, code: int, text: str) -> None:
    @in_loop
    async def story() -> None:
        async with served(tmp_path_factory) as port:
            await port.it.create(pod("p", "true", container={"command": []}))
            await port.it.until_pod(
                "p", lambda seen: main_status(seen)["state"].get("waiting", {}).get("reason") == "CreateContainerError"
            )
            assert await port.client().get(path) == (code, text + "\n")

    story()


@pytest.mark.parametrize(
    ("user", "groups", "code"),
    [
        (None, (), 401),
        ("alice", (), 403),
        ("alice", ("system:masters",), 200),
        ("kube-apiserver-kubelet-client", (), 200),
    ],
)
def test_who_may_ask(
    tmp_path_factory: pytest.TempPathFactory, user: str | None, groups: Sequence[str], code: int
) -> None:
    @in_loop
    async def story() -> None:
        async with served(tmp_path_factory) as port:
            assert (await port.client(user, groups).get("/healthz"))[0] == code

    story()


@in_loop
async def test_a_certificate_of_another_authority_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with served(tmp_path_factory) as port:
        stranger = Authority.load_or_create(tmp_path_factory.mktemp("other")).issue_client(
            "kube-apiserver-kubelet-client"
        )
        client = Client(port.authority, port.directory, port.it.port, stranger)
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await client.get("/healthz")


class Judged:
    """A cluster that says yes to access reviews about one user, no to others, and nothing about `nobody`."""

    def __init__(self, cluster: Cluster, user: str) -> None:
        self._cluster, self._user = cluster, user

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def write(self, write: Write) -> Outcome:
        if not isinstance(write, Create) or write.resource != SUBJECT_REVIEWS:
            return await self._cluster.write(write)
        user = write.value["spec"]["user"]
        if user == "nobody":
            return Outcome(Result.UNKNOWN, message="no answer")
        answer = {**write.value, "status": {"allowed": user == self._user}}
        return Outcome(Result.DONE, Object(write.resource, orjson.dumps(answer)))


@in_loop
async def test_a_guest_asks_the_server_of_its_cluster(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with served(tmp_path_factory, judge="alice", is_guest=True) as port:
        asked = "resource=nodes, subresource(s)=[healthz proxy])"
        assert await port.client("alice").get("/healthz") == (200, "ok")
        assert await port.client("bob").get("/healthz") == (403, f"Forbidden (user=bob, verb=get, {asked}\n")
        assert await port.client("nobody").get("/healthz") == (
            500,
            f"Authorization error (user=nobody, verb=get, {asked}\n",
        )
        assert (await port.client(None).get("/healthz"))[0] == 401


@in_loop
async def test_a_port_that_cannot_be_had_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(
        CannotJoin, match=r"The log port 192\.0\.2\.1:0 cannot be opened: Cannot assign requested address"
    ):
        async with served(tmp_path_factory, host="192.0.2.1"):
            pytest.fail("it listens on an address of nobody")


@in_loop
async def test_renewed_files_count_at_once_and_disturb_nobody(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.01)
    async with served(tmp_path_factory) as port:
        gate = port.directory / "go"
        await port.it.create(pod("p", f"echo begin; until [ -e {gate} ]; do sleep 0.01; done; echo end"))
        await port.it.until_phase("p", "Running")
        _, reader, writer = await port.client().open("/containerLogs/default/p/main?follow=true")
        pieces = chunks(reader)
        assert await anext(pieces) == "begin\n"
        fresh = Authority.load_or_create(port.directory / "fresh")
        before = port.client()
        fresh.issue_server("system:node").save(port.directory / "node.crt", port.directory / "node.key")
        port.authority.path.write_bytes(fresh.certificate)
        after = Client(fresh, port.directory, port.it.port, fresh.issue_client("kube-apiserver-kubelet-client"))

        async def is_taken() -> bool:
            try:
                return await after.get("/healthz") == (200, "ok")
            except (OSError, asyncio.IncompleteReadError):
                return False

        await until(is_taken)
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await before.get("/healthz")
        gate.touch()
        assert "".join([piece async for piece in pieces]) == "end\n"
        writer.close()


@in_loop
async def test_following_a_running_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with served(tmp_path_factory) as port:
        gate = port.directory / "go"
        await port.it.create(pod("p", f"echo begin; until [ -e {gate} ]; do sleep 0.01; done; echo end"))
        await port.it.until_phase("p", "Running")
        code, reader, writer = await port.client().open("/containerLogs/default/p/main?follow=true")
        assert code == 200
        pieces = chunks(reader)
        assert await anext(pieces) == "begin\n"
        gate.touch()
        assert "".join([piece async for piece in pieces]) == "end\n"
        writer.close()


@in_loop
async def test_a_follower_that_leaves_is_let_go(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with served(tmp_path_factory) as port:
        await port.it.create(pod("p", "echo begin; sleep 100"))
        await port.it.until_phase("p", "Running")
        _, reader, writer = await port.client().open("/containerLogs/default/p/main?follow=true")
        await anext(chunks(reader))
        writer.close()
        agent = port.it.agent
        assert agent is not None
        deadline = asyncio.get_running_loop().time() + 10
        while agent.server.connections:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.005)


@in_loop
async def test_the_log_of_the_attempt_before(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with served(tmp_path_factory) as port:
        seen = port.directory / "seen"
        command = f"if [ -e {seen} ]; then echo second; sleep 100; fi; touch {seen}; echo first; exit 1"
        await port.it.create(pod("p", command, policy="Always"))
        await port.it.until_pod("p", lambda seen: main_status(seen)["restartCount"] == 1 and main_status(seen)["ready"])
        assert await port.client().get("/containerLogs/default/p/main?previous=true") == (200, "first\n")


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("Always", 'container "main" in pod "p" is waiting to start: CrashLoopBackOff'),
        (
            "Never",
            'container "main" in pod "p" is terminated, it could not start: exec: "/no/such": executable file not found',
        ),
    ],
)
def test_a_container_that_could_not_start_has_no_empty_log_but_a_reason(
    tmp_path_factory: pytest.TempPathFactory, policy: str, text: str
) -> None:
    @in_loop
    async def story() -> None:
        async with served(tmp_path_factory) as port:
            await port.it.create(pod("p", "/no/such", "program", policy=policy))

            def has_settled(seen: Json) -> bool:
                state = main_status(seen)["state"]
                return "terminated" in state or state.get("waiting", {}).get("reason") == "CrashLoopBackOff"

            await port.it.until_pod("p", has_settled)
            assert await port.client().get("/containerLogs/default/p/main") == (400, text + "\n")

    story()


@in_loop
async def test_a_line_has_the_time_at_which_it_was_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with served(tmp_path_factory) as port:
        command = "while [ $((n=n+1)) -le 3 ]; do date +%s%N; sleep 0.1; done"
        await port.it.create(pod("p", "/bin/bash", "-c", command))
        await port.it.until_phase("p", "Succeeded")
        _, stamped = await port.client().get("/containerLogs/default/p/main?timestamps=true")
        pairs = [line.split(" ") for line in stamped.splitlines()]
        late = [parse_nanoseconds(when) - int(written) for when, written in pairs]
        assert all(0 < one < 5 * SECOND for one in late), late
        assert len(late) == 3


def parse_nanoseconds(text: str) -> int:
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return parse_time(f"{seconds}Z") + int(fraction)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, LogRequest()),
        ({"follow": "true", "previous": "1", "timestamps": "false"}, LogRequest(follow=True, previous=True)),
        ({"sinceSeconds": "10"}, LogRequest(since=NOW - 10 * SECOND)),
        ({"sinceTime": format_time(NOW)}, LogRequest(since=NOW)),
        ({"tailLines": "0", "limitBytes": "7"}, LogRequest(tail_lines=0, limit_bytes=7)),
    ],
)
def test_log_options(query: dict[str, str], expected: LogRequest) -> None:
    assert parse_request(query, NOW) == expected


@pytest.mark.parametrize(
    "query",
    [
        {"follow": "maybe"},
        {"tailLines": "-1"},
        {"limitBytes": "0"},
        {"sinceSeconds": "0"},
        {"sinceTime": "yesterday"},
        {"sinceTime": format_time(NOW), "sinceSeconds": "1"},
    ],
)
def test_log_options_that_are_none(query: dict[str, str]) -> None:
    with pytest.raises(Refusal) as caught:
        parse_request(query, NOW)
    assert caught.value.code == 400
