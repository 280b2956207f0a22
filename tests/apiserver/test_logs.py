"""pods/log: which container, which agent, and the bytes as they come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from roadstead.kinds.names import NODES
from tests.apiserver.harness import PODS, Api, pod
from tests.apiserver.loop import with_api


class FakeAgents:
    """Answers as a node agent would, and remembers what it was asked."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[str] = []
        self.status = status
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.is_closed = False

    @contextlib.asynccontextmanager
    async def stream(self, url: str) -> AsyncIterator[httpx2.Response]:
        self.asked.append(url)
        try:
            yield httpx2.Response(self.status, content=self._content())
        finally:
            self.is_closed = True

    async def _content(self) -> AsyncIterator[bytes]:
        while (line := await self.lines.get()) is not None:
            yield line


async def node(api: Api, name: str, host: str = "127.0.0.1", port: int = 10250) -> None:
    kind = api.resources.registry.get(NODES)
    assert kind is not None
    status: dict[str, Any] = {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    if host:
        status["addresses"] = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": host}]
    await api.ask("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    patch = {"status": status}
    await api.ask("PATCH", f"/api/v1/nodes/{name}/status", patch, content_type="application/merge-patch+json")


def agents_of(api: Api) -> FakeAgents:
    agents = FakeAgents()
    api.objects._logs._agents = agents
    return agents


@with_api
async def test_lines_come_as_the_agent_sends_them(api: Api) -> None:
    agents = agents_of(api)
    await node(api, "n1")
    await api.ask("POST", PODS, pod("p", nodeName="n1"))
    async with api.stream(f"{PODS}/p/log?follow=true&tailLines=5&timestamps=true&other=x") as stream:
        await agents.lines.put(b"one\n")
        assert await asyncio.wait_for(stream.chunks.get(), 5) == b"one\n"
        await agents.lines.put(b"two\n")
        assert await asyncio.wait_for(stream.chunks.get(), 5) == b"two\n"
        await agents.lines.put(None)
        assert await asyncio.wait_for(stream.chunks.get(), 5) is None
    assert agents.asked == [
        "https://127.0.0.1:10250/containerLogs/default/p/main?follow=true&timestamps=true&tailLines=5"
    ]


@with_api
async def test_a_client_that_leaves_ends_the_agents_work(api: Api) -> None:
    agents = agents_of(api)
    await node(api, "n1")
    await api.ask("POST", PODS, pod("p", nodeName="n1"))
    async with api.stream(f"{PODS}/p/log?follow=true") as stream:
        await agents.lines.put(b"one\n")
        await asyncio.wait_for(stream.chunks.get(), 5)
    assert agents.is_closed


@with_api
async def test_a_pod_without_a_node_has_written_nothing(api: Api) -> None:
    await api.ask("POST", PODS, pod("p"))
    answer = await api.ask("GET", f"{PODS}/p/log")
    assert (answer.status, answer.body, answer.type) == (200, b"", "text/plain; charset=utf-8")


@with_api
async def test_which_container_is_meant(api: Api) -> None:
    agents = agents_of(api)
    await agents.lines.put(None)
    await node(api, "n1")
    two = pod("two", nodeName="n1")
    two["spec"]["containers"] = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
    with_init = pod("init", nodeName="n1", initContainers=[{"name": "i", "image": "i"}])
    for body in (two, with_init):
        assert (await api.ask("POST", PODS, body)).status == 201
    for path, message in (
        (f"{PODS}/two/log", "a container name must be specified for pod two, choose one of: [a b]"),
        (
            f"{PODS}/init/log",
            "a container name must be specified for pod init, choose one of: [main] or one of the init containers: [i]",
        ),
        (f"{PODS}/two/log?container=c", "container c is not valid for pod two"),
    ):
        answer = await api.ask("GET", path)
        assert (answer.status, answer.json["message"]) == (400, message)
    missing = await api.ask("GET", f"{PODS}/nope/log")
    assert missing.json["message"] == 'pods "nope" not found'


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=1&sinceTime=2024-01-01T00:00:00Z", 422, "at most one of `sinceTime` or `sinceSeconds`"),
        ("tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("stream=Both", 422, 'stream: Unsupported value: "Both"'),
    ],
)
def test_options(query: str, status: int, message: str) -> None:
    @with_api
    async def check(api: Api) -> None:
        await api.ask("POST", PODS, pod("p"))
        answer = await api.ask("GET", f"{PODS}/p/log?{query}")
        assert answer.status == status
        assert message in answer.json["message"]

    check()


@with_api
async def test_what_the_agent_refuses_is_passed_on(api: Api) -> None:
    agents = agents_of(api)
    agents.status = 400
    await node(api, "n1")
    await api.ask("POST", PODS, pod("p", nodeName="n1"))
    text = 'previous terminated container "main" in pod "p" not found'
    await agents.lines.put(text.encode())
    await agents.lines.put(None)
    answer = await api.ask("GET", f"{PODS}/p/log?previous=true")
    assert (answer.status, answer.json["message"]) == (400, text)


@with_api
async def test_a_pod_that_its_agent_has_not_heard_of_yet_is_waiting_to_start(api: Api) -> None:
    agents = agents_of(api)
    agents.status = 404
    await node(api, "n1")
    await api.ask("POST", PODS, pod("p", nodeName="n1"))
    await agents.lines.put(b'pod "p" not found')
    await agents.lines.put(None)
    answer = await api.ask("GET", f"{PODS}/p/log")
    text = 'container "main" in pod "p" is waiting to start: ContainerCreating'
    assert (answer.status, answer.json["message"]) == (400, text)


@with_api
async def test_an_agent_that_does_not_answer(api: Api) -> None:
    await node(api, "n1")
    await api.ask("POST", PODS, pod("p", nodeName="n1"))
    waiting = await api.ask("GET", f"{PODS}/p/log")
    assert (waiting.status, waiting.json["message"]) == (
        400,
        'container "main" in pod "p" is waiting to start: ContainerCreating',
    )
    status = {
        "status": {
            "containerStatuses": [
                {"name": "main", "state": {"running": {}}, "image": "", "imageID": "", "ready": True, "restartCount": 0}
            ]
        }
    }
    await api.ask("PATCH", f"{PODS}/p/status", status, content_type="application/merge-patch+json")
    broken = await api.ask("GET", f"{PODS}/p/log")
    assert broken.status == 500
    assert "the agent of node n1 does not answer" in broken.json["message"]


@with_api
async def test_a_node_without_an_agent(api: Api) -> None:
    await node(api, "n1", host="")
    await api.ask("POST", PODS, pod("p", nodeName="n1"))
    await api.ask("POST", PODS, pod("q", nodeName="gone"))
    assert "announces no address in its status" in (await api.ask("GET", f"{PODS}/p/log")).json["message"]
    assert (await api.ask("GET", f"{PODS}/q/log")).json["message"] == 'nodes "gone" not found'
