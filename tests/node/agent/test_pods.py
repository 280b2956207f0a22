"""Pods on a real agent: the embedded API in this loop, real processes below a temporary directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json
from roadstead.node.agent.agent import Narrowed
from roadstead.node.keeper import runs, tree
from roadstead.runtime.cluster import EVERYTHING, Cluster, Delete, Outcome, Result, Update, Write
from tests.cluster.loop import in_loop
from tests.node.agent.world import (
    KEPT,
    condition,
    main_status,
    pod,
    until_file,
    until_no_traces,
    world,
)


class Counting(Narrowed):
    """Remembers the phases that were written."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "", EVERYTHING)
        self.phases: list[str] = []

    async def write(self, write: Write) -> Outcome:
        if isinstance(write, Update) and write.resource == PODS:
            self.phases.append(write.value["status"]["phase"])
        return await super().write(write)


@pytest.mark.parametrize(
    ("policy", "command", "phase", "code", "number", "reason"),
    [
        ("Never", "exit 0", "Succeeded", 0, None, "Completed"),
        ("Never", "exit 3", "Failed", 3, None, "Error"),
        ("Never", "kill -KILL $$$$", "Failed", 137, 9, "Error"),
        ("Never", "no-such-program", "Failed", 127, None, "Error"),
        ("OnFailure", "exit 0", "Succeeded", 0, None, "Completed"),
    ],
)
def test_how_pods_end(
    tmp_path: Path, policy: str, command: str, phase: str, code: int, number: int | None, reason: str
) -> None:
    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            await it.start_agent()
            await it.create(pod("p", command, policy=policy))
            ended = await it.until_phase("p", "Succeeded", "Failed")
            terminated = main_status(ended)["state"]["terminated"]
            assert ended["status"]["phase"] == phase
            assert (terminated["exitCode"], terminated.get("signal"), terminated["reason"]) == (code, number, reason)
            assert terminated["startedAt"] <= terminated["finishedAt"]
            assert main_status(ended)["restartCount"] == 0

    story()


@pytest.mark.parametrize(("policy", "command"), [("Always", "exit 0"), ("OnFailure", "exit 1")])
def test_crash_loops_wait_longer_each_time_and_keep_the_last_end(tmp_path: Path, policy: str, command: str) -> None:
    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            await it.start_agent()
            await it.create(pod("p", command, policy=policy))
            waiting = await it.until_pod(
                "p",
                lambda seen: (
                    main_status(seen)["restartCount"] >= 2
                    and main_status(seen)["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
                ),
            )
            assert waiting["status"]["phase"] == "Running"
            assert (
                "back-off 100ms restarting failed container=main" in main_status(waiting)["state"]["waiting"]["message"]
            )
            assert "terminated" in main_status(waiting)["lastState"]
            later = await it.until_pod("p", lambda seen: main_status(seen)["restartCount"] >= 4)
            assert main_status(later)["lastState"]["terminated"]["exitCode"] == int(command[-1])
            kept = sorted(int(path.name) for path in (it.state / "runs" / later["metadata"]["uid"] / "main").iterdir())
            assert len(kept) <= 3

    story()


@in_loop
async def test_one_write_when_it_runs_and_one_when_it_is_done(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("world")
    async with world(tmp_path) as it:
        it.cluster = counted = Counting(it.cluster)
        await it.start_agent()
        await it.create(pod("p", f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"))
        await it.until_phase("p", "Running")
        (tmp_path / "go").touch()
        await it.until_phase("p", "Succeeded")
        assert counted.phases == ["Running", "Succeeded"]


@in_loop
async def test_deletion_waits_for_the_process_and_the_final_phase_is_seen(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp_path = tmp_path_factory.mktemp("world")
    async with world(tmp_path) as it:
        await it.start_agent()
        gate = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"
        await it.create(pod("p", f"trap '{gate}; exit 4' TERM; touch {tmp_path}/trap; sleep 100 & wait", metadata=KEPT))
        running = await it.until_phase("p", "Running")
        await until_file(tmp_path / "trap")
        assert condition(running, "Ready")["status"] == "True"
        await it.delete("p", 30)
        uid = running["metadata"]["uid"]
        run = runs.look(os.fspath(it.state), f"{uid}/main/0")
        assert run is not None
        (tmp_path / "go").touch()
        ended = await it.until_phase("p", "Failed")  # the finalizer holds it
        assert main_status(ended)["state"]["terminated"]["exitCode"] == 4
        await it.until_pod("p", lambda seen: seen["metadata"]["deletionGracePeriodSeconds"] == 0)
        assert tree.stat(run.pid) is None
        obj = await it.pod("p")
        assert obj is not None
        value = obj.decode()
        value["metadata"]["finalizers"] = []
        assert (await it.cluster.write(Update(PODS, value))).is_done
        await it.until_gone("p")
        await until_no_traces(it, uid)


class LosesDeletions(Narrowed):
    """The first last word about a pod is not carried out."""

    def __init__(self, cluster: Cluster, lost: Result) -> None:
        super().__init__(cluster, "", EVERYTHING)
        self.lost: Result | None = lost

    async def write(self, write: Write) -> Outcome:
        if self.lost is not None and isinstance(write, Delete) and write.grace_seconds == 0:
            outcome, self.lost = Outcome(self.lost, message="lost on purpose"), None
            return outcome
        return await super().write(write)


@pytest.mark.parametrize("lost", [Result.THROTTLED, Result.UNKNOWN])
def test_a_last_word_that_was_not_heard_is_said_again(tmp_path: Path, lost: Result) -> None:
    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            it.cluster, inner = LosesDeletions(it.cluster, lost), it.cluster
            await it.start_agent()
            it.cluster = inner
            await it.create(pod("p", "sleep 100"))
            await it.until_phase("p", "Running")
            await it.delete("p", 30)
            await it.until_gone("p")

    story()


@in_loop
async def test_a_process_that_ignores_term_is_killed_at_the_grace(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("world")
    async with world(tmp_path) as it:
        await it.start_agent()
        await it.create(pod("p", f"trap '' TERM; touch {tmp_path}/trap; while :; do sleep 100; done", metadata=KEPT))
        await it.until_phase("p", "Running")
        await until_file(tmp_path / "trap")
        await it.delete("p", 1)
        ended = await it.until_phase("p", "Failed")
        assert main_status(ended)["state"]["terminated"]["exitCode"] == 137


@in_loop
async def test_a_pod_whose_object_was_forced_away_is_stopped_and_cleared(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        await it.create(pod("p", "sleep 100"))
        running = await it.until_phase("p", "Running")
        await it.delete("p", 0)
        await it.until_gone("p")
        await until_no_traces(it, running["metadata"]["uid"])


@in_loop
async def test_memory_beyond_the_limit_is_oom_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        program = "x = b'x' * 200_000_000; import time; time.sleep(100)"
        limited = {"resources": {"limits": {"memory": "50Mi"}}}
        await it.create(pod("p", sys.executable, "-S", "-c", program, container=limited))
        ended = main_status(await it.until_phase("p", "Failed"))["state"]["terminated"]
        assert (ended["exitCode"], ended["signal"], ended["reason"]) == (137, 9, "OOMKilled")
        assert "the limit is 52428800" in ended["message"]


@in_loop
async def test_init_containers_run_in_order_before_the_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("world")
    async with world(tmp_path) as it:
        await it.start_agent()
        steps = tmp_path / "steps"

        def step(name: str) -> Json:
            return {"name": name, "image": "none", "command": ["/bin/sh", "-c", f"echo {name} >> {steps}"]}

        await it.create(pod("p", f"echo main >> {steps}", initContainers=[step("i1"), step("i2")]))
        ended = await it.until_phase("p", "Succeeded")
        assert steps.read_text().split() == ["i1", "i2", "main"]
        assert [one["ready"] for one in ended["status"]["initContainerStatuses"]] == [True, True]


@in_loop
async def test_a_failed_init_container_fails_a_pod_that_never_restarts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        failing = {"name": "i", "image": "none", "command": ["false"]}
        await it.create(pod("p", "true", initContainers=[failing]))
        ended = await it.until_phase("p", "Failed")
        assert condition(ended, "Initialized")["status"] == "False"
        assert main_status(ended)["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
