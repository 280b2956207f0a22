"""Probes and hooks on real processes: what becomes of a pod, which Events tell it, and how little is written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from roadstead.kinds.names import EVENTS
from roadstead.kinds.object import Json
from tests.cluster.loop import in_loop
from tests.node.agent.world import World, condition, main_status, pod, until, world

QUICK = {"periodSeconds": 1, "timeoutSeconds": 5}


def exec_probe(*words: str, **more: Any) -> Json:
    return {"exec": {"command": list(words)}, **QUICK, **more}


def shell(text: str) -> Json:
    return {"exec": {"command": ["/bin/sh", "-c", text]}}


async def events(it: World) -> list[tuple[str, str]]:
    listed = await it.cluster.list(EVENTS, "default")
    return [(value["reason"], value["message"]) for value in (one.decode() for one in listed.items)]


async def until_event(it: World, reason: str, message: str) -> None:
    async def check() -> bool:
        return (reason, message) in await events(it)

    try:
        await until(check)
    except AssertionError:
        raise AssertionError(f"no event {reason} {message!r} in {await events(it)}") from None


@in_loop
async def test_readiness_comes_and_goes_and_steady_probes_write_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        flag = tmp_path / "ready"
        probe = exec_probe("test", "-e", str(flag), failureThreshold=1)
        await it.create(pod("p", "sleep 100", container={"readinessProbe": probe}))
        waiting = await it.until_phase("p", "Running")
        assert (main_status(waiting)["ready"], main_status(waiting)["started"]) == (False, True)
        assert condition(waiting, "Ready")["reason"] == "ContainersNotReady"
        await until_event(it, "Unhealthy", "Readiness probe failed: ")
        flag.touch()
        ready = await it.until_pod("p", lambda seen: main_status(seen).get("ready"))
        assert (condition(ready, "Ready")["status"], condition(ready, "ContainersReady")["status"]) == ("True", "True")
        await asyncio.sleep(2.5)  # two more probes
        still = await it.pod("p")
        assert still is not None
        assert still.meta.resource_version == ready["metadata"]["resourceVersion"]
        flag.unlink()
        gone = await it.until_pod("p", lambda seen: not main_status(seen)["ready"])
        assert condition(gone, "Ready")["lastTransitionTime"] > condition(ready, "Ready")["lastTransitionTime"]
        assert main_status(gone)["restartCount"] == 0


@in_loop
async def test_a_failed_liveness_probe_restarts_the_container(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        sick = tmp_path / "sick"
        sick.touch()
        probe = {"livenessProbe": exec_probe("/bin/sh", "-c", f"echo ill; test ! -e {sick}", failureThreshold=2)}
        await it.create(
            pod("p", "trap 'exit 0' TERM; while :; do sleep 0.05; done", policy="OnFailure", container=probe)
        )
        await until_event(it, "Unhealthy", "Liveness probe failed: ill\n")
        await until_event(it, "Killing", "Container main failed liveness probe, will be restarted")
        sick.unlink()
        again = await it.until_pod(
            "p", lambda seen: main_status(seen)["restartCount"] == 1 and main_status(seen)["ready"]
        )
        assert main_status(again)["lastState"]["terminated"]["exitCode"] == 0, "restarted although it ended well"


@in_loop
async def test_a_startup_probe_holds_readiness_back(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        flag = tmp_path / "up"
        probes = {
            "startupProbe": exec_probe("test", "-e", str(flag), failureThreshold=60),
            "readinessProbe": exec_probe("true"),
        }
        await it.create(pod("p", "sleep 100", container=probes))
        starting = await it.until_phase("p", "Running")
        assert (main_status(starting)["started"], main_status(starting)["ready"]) == (False, False)
        flag.touch()
        up = await it.until_pod("p", lambda seen: main_status(seen).get("ready"))
        assert main_status(up)["started"] is True


@in_loop
async def test_a_side_car_is_waited_for_until_its_startup_probe_passes(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        flag = tmp_path / "up"
        side = {
            "name": "side",
            "image": "none",
            "restartPolicy": "Always",
            "command": ["sleep", "100"],
            "startupProbe": exec_probe("test", "-e", str(flag), failureThreshold=60),
        }
        await it.create(pod("p", "echo main", initContainers=[side]))
        waiting = await it.until_pod(
            "p", lambda seen: (seen["status"].get("initContainerStatuses") or [{}])[0].get("containerID")
        )
        assert waiting["status"]["phase"] == "Pending"
        flag.touch()
        assert it.log(await it.until_phase("p", "Succeeded")) == "main\n"


@in_loop
async def test_an_agent_that_starts_again_keeps_what_was_known(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        flag = tmp_path / "ready"
        flag.touch()
        probe = {"readinessProbe": exec_probe("test", "-e", str(flag), failureThreshold=1)}
        await it.create(pod("p", "sleep 100", container=probe))
        ready = await it.until_pod("p", lambda seen: main_status(seen).get("ready"))
        await it.stop_agent()
        await it.start_agent()
        await asyncio.sleep(1.5)
        same = await it.pod("p")
        assert same is not None
        assert same.meta.resource_version == ready["metadata"]["resourceVersion"]
        flag.unlink()
        await it.until_pod("p", lambda seen: not main_status(seen)["ready"])


@in_loop
async def test_http_and_tcp_probes_ask_at_the_pods_address(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        serve = "exec python3 -m http.server --bind $ROADSTEAD_POD_IP 8123"
        probes = {
            "ports": [{"name": "web", "containerPort": 8123}],
            "startupProbe": {"tcpSocket": {"port": "web"}, **QUICK, "failureThreshold": 60},
            "readinessProbe": {"httpGet": {"path": "/", "port": "web"}, **QUICK},
            "livenessProbe": {"httpGet": {"path": "/missing", "port": 8123}, **QUICK, "failureThreshold": 1},
        }
        await it.create(pod("p", serve, policy="Always", container=probes))
        await until_event(it, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404")
        await until_event(it, "Killing", "Container main failed liveness probe, will be restarted")


@in_loop
async def test_a_post_start_hook_holds_up_what_comes_after_and_runs_once(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        gate, ledger = tmp_path / "gate", tmp_path / "ledger"
        hook = shell(f"echo once >> {ledger}; until [ -e {gate} ]; do sleep 0.01; done")
        second = {"name": "second", "image": "none", "command": ["sleep", "100"]}
        made = pod("p", "sleep 100", container={"lifecycle": {"postStart": hook}})
        made["spec"]["containers"].append(second)
        await it.create(made)

        async def has_begun() -> bool:
            return ledger.exists()

        await until(has_begun)
        held = await it.pod("p")
        assert held is not None
        assert held.decode()["status"].get("phase") in (None, "Pending")
        assert not (it.state / "runs" / held.meta.uid / "second").exists()
        gate.touch()
        await it.until_phase("p", "Running")
        await it.stop_agent()
        await it.start_agent()
        await it.until_phase("p", "Running")
        assert ledger.read_text() == "once\n"


@in_loop
async def test_a_failed_post_start_hook_ends_the_container(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        await it.create(pod("p", "exec sleep 100", container={"lifecycle": {"postStart": shell("exit 1")}}))
        ended = await it.until_phase("p", "Failed")
        assert main_status(ended)["state"]["terminated"]["exitCode"] == 143
        await until_event(it, "FailedPostStartHook", "PostStartHook failed")
        await until_event(it, "Killing", "FailedPostStartHook")


@in_loop
async def test_a_pre_stop_hook_runs_before_term(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        ledger = tmp_path / "ledger"
        hook = {"preStop": shell(f"echo hook >> {ledger}")}
        command = f"trap 'echo term >> {ledger}; exit 0' TERM; while :; do sleep 0.01; done"
        await it.create(pod("p", command, container={"lifecycle": hook}))
        await it.until_phase("p", "Running")
        await it.delete("p")
        await it.until_gone("p")
        assert ledger.read_text() == "hook\nterm\n"
        assert [reason for reason, _ in await events(it) if reason == "Killing"] == ["Killing"]


@in_loop
async def test_a_pre_stop_hook_counts_against_the_grace(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent()
        hook = {"preStop": {"exec": {"command": ["sleep", "100"]}}}
        await it.create(pod("p", "exec sleep 100", container={"lifecycle": hook}, terminationGracePeriodSeconds=1))
        await it.until_phase("p", "Running")
        await it.delete("p")
        await it.until_gone("p")
        await until_event(it, "FailedPreStopHook", "PreStopHook failed")


@pytest.mark.parametrize("policy", ["Never", "Always"])
def test_deleted_pods_are_not_killed_for_their_health(tmp_path: Path, policy: str) -> None:
    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            await it.start_agent()
            probe = {"livenessProbe": exec_probe("false", failureThreshold=1, initialDelaySeconds=1)}
            command = f"trap 'sleep 2; touch {tmp_path}/whole; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.01; done"
            await it.create(pod("p", command, policy=policy, container=probe))

            async def is_up() -> bool:
                return (tmp_path / "up").exists()

            await until(is_up)
            await it.delete("p", grace=20)
            await it.until_gone("p")
            assert (tmp_path / "whole").exists()
            assert not [message for _, message in await events(it) if "liveness" in message]

    story()
