"""An agent that comes after another, and nodes: what runs is adopted, what is lost is said, the Node and its Lease are
kept."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import pytest

from roadstead.kinds.names import LEASES, NODES
from roadstead.kinds.object import Json, Object, Ref
from roadstead.node.agent import isolation
from roadstead.node.agent.options import CannotJoin, NodeOptions
from roadstead.node.keeper import client, runs, tree
from roadstead.runtime.cluster import Delete, Update
from tests.cluster.loop import in_loop
from tests.node.agent.world import (
    KEPT,
    NODE,
    World,
    done,
    main_status,
    pod,
    until,
    world,
)
from tests.node.keeper.box import poll


@in_loop
async def test_a_simulated_node_runs_timers_and_no_processes(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent(NodeOptions(NODE, "h100x8", simulate=True), NodeOptions("n2", "a100x4", simulate=True))
        await it.create(pod("quick", "no-such-program", metadata={"annotations": {"roadstead.dev/run-for": "0.05"}}))
        await it.create(
            pod(
                "slow",
                "no-such-program",
                node="n2",
                metadata={"annotations": {"roadstead.dev/run-for": "1000"}, **KEPT},
            )
        )
        await it.until_phase("quick", "Succeeded")
        await it.until_phase("slow", "Running")
        await it.stop_agent()
        await it.start_agent(NodeOptions(NODE, "h100x8", simulate=True), NodeOptions("n2", "a100x4", simulate=True))
        await it.delete("slow", 30)
        ended = await it.until_phase("slow", "Failed")
        assert main_status(ended)["state"]["terminated"]["exitCode"] == 143
        assert main_status(ended)["restartCount"] == 0
        assert runs.scan(os.fspath(it.state)) == []
        assert not client.is_alive(os.fspath(it.state))


@in_loop
async def test_a_new_agent_adopts_what_runs_and_starts_nothing_twice(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("world")
    ledger = tmp_path / "ledger"
    async with world(tmp_path) as it:
        await it.start_agent()
        wait = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done; exit 6"
        for name in ("a", "b", "c"):
            await it.create(pod(name, f"echo {name} >> {ledger}; {wait}"))
            await it.until_phase(name, "Running")
        await it.stop_agent()
        await it.delete("c", 0)
        os.kill(client.ask(os.fspath(it.state), {"op": "ping"})["pid"], signal.SIGKILL)
        (tmp_path / "go").touch()
        await it.create(pod("d", f"echo d >> {ledger}"))
        await it.start_agent()
        for name in ("a", "b"):
            ended = await it.until_phase(name, "Failed")
            assert main_status(ended)["state"]["terminated"]["exitCode"] == 6
        await it.until_phase("d", "Succeeded")
        assert Counter(ledger.read_text().split()) == {"a": 1, "b": 1, "c": 1, "d": 1}


@in_loop
async def test_a_run_that_only_the_api_remembers_is_lost_and_said_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        await it.create(pod("p", "sleep 100"))
        running = await it.until_phase("p", "Running")
        await it.stop_agent()
        uid = running["metadata"]["uid"]
        runs.request_stop(os.fspath(it.state), f"{uid}/main/0", signal.SIGKILL, 0)
        poll(lambda: runs.remove_pod(os.fspath(it.state), uid), "the run is gone from the disk")
        await it.start_agent()
        ended = main_status(await it.until_phase("p", "Failed"))["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "ContainerStatusUnknown")


@in_loop
async def test_a_killed_shim_is_reported(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        await it.create(pod("p", "sleep 100"))
        running = await it.until_phase("p", "Running")
        root, run_id = os.fspath(it.state), f"{running['metadata']['uid']}/main/0"
        os.kill(client.ask(root, {"op": "ping"})["pid"], signal.SIGKILL)  # so that nobody tells the agent
        run = runs.look(root, run_id)
        assert run is not None
        about = tree.stat(run.pid)
        assert about is not None
        os.kill(about[1], signal.SIGKILL)
        ended = main_status(await it.until_phase("p", "Failed"))["state"]["terminated"]
        assert (ended["exitCode"], ended["signal"], ended["reason"]) == (137, 9, "ShimLost")


@in_loop
async def test_the_node_and_its_lease(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent(NodeOptions(NODE, "h100x8", "4", "8Gi", 10), NodeOptions("n2"), lease_interval=20_000_000)
        node = whole(await it.cluster.get(Ref(NODES, "", NODE)))
        labels, status = node["metadata"]["labels"], node["status"]
        assert labels["kubernetes.io/hostname"] == NODE
        assert labels["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
        assert labels["nvidia.com/gpu.count"] == "8"
        assert labels["roadstead.dev/simulated"] == "devices"
        assert labels["roadstead.dev/isolation"] in isolation.TIERS
        assert status["allocatable"] == {"cpu": "4", "memory": "8Gi", "pods": "10", "nvidia.com/gpu": "8"}
        assert {one["type"]: one["status"] for one in status["conditions"]}["Ready"] == "True"
        devices = json.loads(node["metadata"]["annotations"]["roadstead.dev/node-devices"])
        assert devices[7] == {"name": "gpu-7", "resource": "nvidia.com/gpu", "index": 7, "healthy": True}
        first = whole(await it.cluster.get(Ref(LEASES, "kube-node-lease", NODE)))["spec"]["renewTime"]

        async def renewed() -> bool:
            return bool(whole(await it.cluster.get(Ref(LEASES, "kube-node-lease", NODE)))["spec"]["renewTime"] > first)

        await until(renewed)


def whole(obj: Object | None) -> Json:
    assert obj is not None
    return obj.decode()


@in_loop
async def test_a_node_keeps_what_others_wrote_on_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        obj = await it.cluster.get(Ref(NODES, "", NODE))
        assert obj is not None
        value = obj.decode()
        value["metadata"]["labels"]["team"] = "x"
        value["spec"]["unschedulable"] = True
        done(await it.cluster.write(Update(NODES, value)))
        await it.stop_agent()
        await it.start_agent(NodeOptions(NODE, "l4x1"))
        after = whole(await it.cluster.get(Ref(NODES, "", NODE)))
        assert after["metadata"]["labels"]["team"] == "x"
        assert after["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-L4"
        assert after["spec"]["unschedulable"] is True
        assert after["status"]["allocatable"]["nvidia.com/gpu"] == "1"


@in_loop
async def test_two_agents_on_one_state_directory(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        other = World(it.cluster, it.state.parent)
        with pytest.raises(CannotJoin, match="Another node agent uses"):
            await other.start_agent()


@in_loop
async def test_a_node_that_was_thought_dead_says_that_it_lives(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent(lease_interval=20_000_000)
        value = whole(await it.cluster.get(Ref(NODES, "", NODE)))
        for one in value["status"]["conditions"]:
            one.update(status="Unknown", reason="NodeStatusUnknown")
        done(await it.cluster.write(Update(NODES, value, "status")))

        async def is_ready() -> bool:
            seen = whole(await it.cluster.get(Ref(NODES, "", NODE)))["status"]["conditions"]
            return any(one["type"] == "Ready" and one["status"] == "True" for one in seen)

        await until(is_ready)


@in_loop
async def test_a_node_that_was_deleted_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent(lease_interval=20_000_000)
        obj = await it.cluster.get(Ref(NODES, "", NODE))
        assert obj is not None
        assert (await it.cluster.write(Delete(obj.ref, obj.meta.uid))).is_done

        async def is_back() -> bool:
            found = await it.cluster.get(Ref(NODES, "", NODE))
            return found is not None and found.meta.uid != obj.meta.uid

        await until(is_back)
