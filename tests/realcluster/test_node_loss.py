"""Machines that fall silent and come back, under the real node life cycle controller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import JOBS, NODES, PODS
from roadstead.kinds.object import Json, Ref
from roadstead.kinds.times import SECOND
from roadstead.node.agent.options import NodeOptions
from roadstead.runtime.cluster import Create
from tests.node.agent.world import World, stop_everything, until
from tests.realcluster.machine import is_alive, job
from tests.realcluster.server import RealServer

pytestmark = pytest.mark.realcluster

UNREACHABLE = "node.kubernetes.io/unreachable"


@pytest.fixture
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A control plane that waits three seconds for a heartbeat."""
    server = RealServer(tmp_path_factory.mktemp("impatient"))
    server.start()
    try:
        server.start_controllers(node_grace="3s", node_look="200ms")
        yield server
    finally:
        server.stop()


def test_pods_leave_a_silent_machine_and_end_there_when_it_is_back(impatient: RealServer, tmp_path: Path) -> None:
    gate = tmp_path / "go"

    async def story() -> None:
        cluster = RemoteCluster(impatient.url, token=impatient.token, ca_file=impatient.ca_file)
        machines = {name: World(cluster, tmp_path / name) for name in ("a", "b")}

        async def start(name: str) -> None:
            node = NodeOptions(name, labels=(("group", "pair"),))
            await machines[name].start_agent(node, is_guest=True, lease_interval=SECOND // 2)

        async def pods() -> dict[str, Json]:
            return {item.meta.name: item.decode() for item in (await cluster.list(PODS, "default")).items}

        async def is_ready(name: str) -> bool:
            node = await cluster.get(Ref(NODES, "", name))
            assert node is not None
            conditions = {one["type"]: one["status"] for one in node.decode()["status"]["conditions"]}
            taints = {taint["key"] for taint in node.decode()["spec"].get("taints", ())}
            return conditions["Ready"] == "True" and UNREACHABLE not in taints

        async def is_running() -> bool:
            return [pod["status"].get("phase") for pod in (await pods()).values()] == ["Running"]

        try:
            await asyncio.gather(start("a"), start("b"))
            manifest = job("train", f"echo $$$$ >> {tmp_path}/pids; until [ -e {gate} ]; do sleep 0.02; done", "pair")
            spec = manifest["spec"]["template"]["spec"]
            spec["tolerations"] = [
                {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}
            ]
            manifest["metadata"]["namespace"] = "default"
            assert (await cluster.write(Create(JOBS, manifest))).is_done
            await until(is_running, 20)
            ((first, pod),) = (await pods()).items()
            lost = pod["spec"]["nodeName"]
            other = "b" if lost == "a" else "a"

            await machines[lost].stop_agent()

            async def has_moved() -> bool:
                found = await pods()
                new = [pod for name, pod in found.items() if name != first]
                return bool(
                    found[first]["metadata"].get("deletionTimestamp")
                    and new
                    and new[0]["status"].get("phase") == "Running"
                )

            await until(has_moved, 30)
            assert not await is_ready(lost)
            assert await is_ready(other)
            (new,) = (pod for name, pod in (await pods()).items() if name != first)
            assert new["spec"]["nodeName"] == other

            await start(lost)

            async def is_gone() -> bool:
                return first not in await pods() and await is_ready(lost)

            await until(is_gone, 30)
            old, _ = (int(pid) for pid in (tmp_path / "pids").read_text().split())
            assert not is_alive(old)
            gate.touch()

            async def is_complete() -> bool:
                found = await cluster.get(Ref(JOBS, "default", "train"))
                return found is not None and found.decode()["status"].get("succeeded") == 1

            await until(is_complete, 20)
            assert len((tmp_path / "pids").read_text().split()) == 2
        finally:
            for machine in machines.values():
                await machine.stop_agent()
            await cluster.close()
            await asyncio.get_running_loop().shutdown_default_executor()
            for machine in machines.values():
                stop_everything(machine.state)

    asyncio.run(asyncio.wait_for(story(), 100))
