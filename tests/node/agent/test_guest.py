"""An agent in a cluster that others run: it looks at no more than its own pods, and is told in words what it may
not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from roadstead.auth.access_reviews import SELF_REVIEWS
from roadstead.kinds.names import NODES
from roadstead.kinds.object import Object, Ref, Resource
from roadstead.node.agent.options import CannotJoin, NodeOptions
from roadstead.runtime.cluster import (
    EVERYTHING,
    Cluster,
    Create,
    Listing,
    Outcome,
    Result,
    Selector,
    Unavailable,
    Update,
    WatchEvent,
    Write,
)
from tests.cluster.loop import in_loop
from tests.node.agent.world import pod, until, world


class AsNode:
    """A cluster as the identity of a node sees it: pods of its nodes alone, unless `sees_all`. Notes what is listed."""

    def __init__(self, cluster: Cluster, *nodes: str, sees_all: bool = False) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._sees_all = sees_all
        self.listed: list[tuple[str, str]] = []
        self.refused: dict[type[Write], str] = {}

    async def get(self, ref: Ref) -> Object | None:
        return await self._cluster.get(ref)

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        self.listed.append((namespace, selector.fields))
        if not self._sees_all and selector.fields not in {f"spec.nodeName={name}" for name in self._nodes}:
            raise Unavailable("pods is forbidden")
        return await self._cluster.list(resource, namespace, selector)

    def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        return self._cluster.watch(resource, since, namespace, selector)

    async def write(self, write: Write) -> Outcome:
        if write.resource == SELF_REVIEWS and isinstance(write, Create):
            answer = {**write.value, "status": {"allowed": self._sees_all}}
            return Outcome(Result.DONE, Object(write.resource, orjson.dumps(answer)))
        if write.resource == NODES and type(write) in self.refused:
            return Outcome(Result.INVALID, message=self.refused[type(write)])
        return await self._cluster.write(write)


def member(name: str, **more: Any) -> dict[str, Any]:
    return pod(name, "true", hostname=name, subdomain="gang", **more)


@pytest.mark.parametrize("sees_all", [False, True])
def test_a_guest_lists_its_own_pods_and_those_of_peers_only_if_it_may(tmp_path: Path, sees_all: bool) -> None:
    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            cluster = AsNode(it.cluster, "a", "b", sees_all=sees_all)
            it.cluster = cluster
            await it.start_agent(NodeOptions("a"), NodeOptions("b"), is_guest=True)
            assert sorted(cluster.listed) == [("", "spec.nodeName=a"), ("", "spec.nodeName=b")]
            for name, node in (("p", "a"), ("q", "b")):
                await it.create(member(name, node=node))
            for name in ("p", "q"):
                await it.until_phase(name, "Succeeded")

            async def has_looked() -> bool:
                return len(cluster.listed) == 3

            if sees_all:
                await until(has_looked)
                assert cluster.listed[2:] == [("default", "")]
            assert it.agent is not None
            assert cluster.listed[2:] == ([("default", "")] if sees_all else [])

    story()


@pytest.mark.parametrize("write", [Create, Update])
def test_a_node_that_is_refused_is_no_node(tmp_path: Path, write: type[Write]) -> None:
    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            if write is Update:
                await it.cluster.write(Create(NODES, {"metadata": {"name": "n1"}}))
            cluster = AsNode(it.cluster, "n1")
            cluster.refused[write] = "is not allowed to modify labels: node-role.kubernetes.io/x"
            it.cluster = cluster
            with pytest.raises(CannotJoin, match="Node n1 is refused: is not allowed to modify labels") as caught:
                await it.start_agent(NodeOptions("n1", labels=(("node-role.kubernetes.io/x", ""),)), is_guest=True)
            assert caught.value.hint == "Change its name, labels or taints."

    story()


@in_loop
async def test_amounts_are_written_as_servers_store_them(tmp_path: Path) -> None:
    """Else every heartbeat would find the node changed by somebody."""
    async with world(tmp_path) as it:
        await it.start_agent(NodeOptions("n1", cpu="2000m", memory="8192Mi"))
        node = await it.cluster.get(Ref(NODES, "", "n1"))
        assert node is not None
        offered = node.decode()["status"]["allocatable"]
        assert (offered["cpu"], offered["memory"]) == ("2", "8Gi")
