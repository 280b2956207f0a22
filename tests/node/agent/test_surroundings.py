"""What a container finds around it: configuration, volumes, other members of its job, devices."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest

from roadstead.kinds.object import Json
from roadstead.node.agent import isolation
from roadstead.node.agent.options import NodeOptions
from roadstead.node.keeper import runs
from tests.cluster.loop import in_loop
from tests.node.agent.world import (
    NODE,
    main_status,
    pod,
    world,
)


@in_loop
async def test_a_missing_config_map_is_waited_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        source = {"envFrom": [{"configMapRef": {"name": "settings"}}]}
        await it.create(pod("p", "echo $A", container=source))
        waiting = await it.until_pod("p", lambda seen: main_status(seen)["state"].get("waiting"))
        assert main_status(waiting)["state"]["waiting"] == {
            "reason": "CreateContainerConfigError",
            "message": 'configmap "settings" not found',
        }
        await it.create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "settings", "namespace": "default"},
                "data": {"A": "hello"},
            }
        )
        ended = await it.until_phase("p", "Succeeded")
        assert it.log(ended) == "hello\n"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"container": {"command": []}}, "process mode runs commands on this machine and pulls no images"),
        ({"container": {"readinessProbe": {"grpc": {"port": 1}}}}, "a grpc probe is not supported by this node: remove it"),
        ({"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]}, 'volume "v" is of a kind that this node does not have'),
    ],
)  # fmt: skip
def test_what_the_node_does_not_do_is_said(tmp_path: Path, spec: Json, text: str) -> None:
    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            await it.start_agent()
            await it.create(pod("p", "true", **spec))
            waiting = await it.until_pod("p", lambda seen: main_status(seen)["state"].get("waiting", {}).get("message"))
            state = main_status(waiting)["state"]["waiting"]
            assert state["reason"] == "CreateContainerError"
            assert text in state["message"]
            await it.delete("p")
            await it.until_gone("p")

    story()


@in_loop
async def test_environment_volumes_and_message_of_a_real_container(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent(isolation="bare")
        secret = {"token": base64.b64encode(b"s3cret").decode()}
        await it.create(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "default"}, "data": secret}
        )
        container = {
            "env": [
                {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "HELLO", "value": "hello $(WHO)"},
            ],
            "args": ["x", "$(HELLO)"],
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}, {"name": "tmp-dir", "mountPath": "/scratch"}],
            "workingDir": "/",
        }
        command = 'pwd; echo "$1"; cat $ROADSTEAD_VOLUME_KEYS/token; echo $HOSTNAME $ROADSTEAD_POD_IP; echo said > $ROADSTEAD_TERMINATION_LOG; exit 2'
        volumes = [{"name": "keys", "secret": {"secretName": "keys"}}, {"name": "tmp-dir", "emptyDir": {}}]
        await it.create(pod("p", command, container=container, volumes=volumes))
        ended = await it.until_phase("p", "Failed")
        ip = ended["status"]["podIP"]
        assert it.log(ended).split("\n") == ["/", "hello p", f"s3cretp {ip}", ""]
        assert main_status(ended)["state"]["terminated"]["message"] == "said\n"


@in_loop
async def test_volumes_are_at_their_mount_paths_where_the_machine_allows_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp_path = tmp_path_factory.mktemp("world")
    if isolation.find_tier(tmp_path) == isolation.BARE:
        pytest.skip("this machine allows no mount name spaces")
    async with world(tmp_path) as it:
        await it.start_agent()
        mounts = {"volumeMounts": [{"name": "shared", "mountPath": "/shared-of-a-test"}]}
        writer = {
            "name": "w",
            "image": "none",
            "command": ["/bin/sh", "-c", "echo from-init > /shared-of-a-test/x"],
            **mounts,
        }
        volumes = [{"name": "shared", "emptyDir": {}}]
        await it.create(
            pod("p", "cat /shared-of-a-test/x; uname -n", container=mounts, initContainers=[writer], volumes=volumes)
        )
        ended = await it.until_phase("p", "Succeeded", "Failed")
        assert it.log(ended) == "from-init\np\n"


LISTEN = (
    "import os,socket\n"
    "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
    "s.bind((os.environ['ROADSTEAD_POD_IP'], 7717)); s.listen()\n"
    "c, peer = s.accept(); print('from', peer[0], c.recv(100).decode())"
)


CONNECT = (
    "import os,socket,time\n"
    "for _ in range(2000):\n"
    "    try:\n"
    "        s = socket.create_connection((ADDRESS, 7717), source_address=(os.environ['ROADSTEAD_POD_IP'], 0)); break\n"
    "    except OSError: time.sleep(0.005)\n"
    "s.sendall(b'hello'); s.close(); print('sent')"
)


@pytest.mark.parametrize("tier", ["auto", "bare"])
def test_two_members_of_a_job_find_each_other(tmp_path: Path, tier: str) -> None:
    """By name where a hosts file can be mounted, else by the addresses in ROADSTEAD_PEERS."""

    @in_loop
    async def story() -> None:
        by_name = tier == "auto" and isolation.find_tier(tmp_path) != isolation.BARE
        async with world(tmp_path) as it:
            await it.start_agent(isolation=tier)
            address = (
                "'j-0.svc'"
                if by_name
                else "dict(p.split('=') for p in os.environ['ROADSTEAD_PEERS'].split(','))['j-0']"
            )
            # The connecting one is there first: in the bare tier it must know an address that nobody has written down
            # yet.
            listener = pod(
                "j-0-aaa",
                sys.executable,
                "-u",
                "-c",
                LISTEN,
                hostname="j-0",
                subdomain="svc",
                node="later" if by_name else NODE,
            )
            connect = pod(
                "j-1-bbb",
                sys.executable,
                "-u",
                "-c",
                CONNECT.replace("ADDRESS", address),
                hostname="j-1",
                subdomain="svc",
            )
            await it.create(listener)
            await it.create(connect)
            if by_name:
                await it.until_phase("j-1-bbb", "Running")
                await it.delete("j-0-aaa", 0)
                await it.create({**listener, "spec": {**listener["spec"], "nodeName": NODE}})
            first = await it.until_phase("j-0-aaa", "Succeeded", "Failed")
            second = await it.until_phase("j-1-bbb", "Succeeded", "Failed")
            assert it.log(second) == "sent\n"
            assert it.log(first) == f"from {second['status']['podIP']} hello\n"
            assert first["status"]["podIP"] != second["status"]["podIP"]

    story()


GPU = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}


def with_devices(name: str, command: str, devices: str) -> Json:
    return pod(name, command, container=GPU, metadata={"annotations": {"roadstead.dev/devices": devices}})


@in_loop
async def test_a_pod_sees_its_devices_and_no_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent(NodeOptions(NODE, "h100x8"))
        await it.create(with_devices("p", "echo [$CUDA_VISIBLE_DEVICES]", "gpu-0,gpu-3"))
        await it.create(pod("none", "echo [$CUDA_VISIBLE_DEVICES]"))
        await it.create(pod("greedy", "true", container=GPU))
        assert it.log(await it.until_phase("p", "Succeeded")) == "[0,3]\n"
        assert it.log(await it.until_phase("none", "Succeeded")) == "[]\n"
        refused = await it.until_phase("greedy", "Failed")
        assert refused["status"]["reason"] == "UnexpectedAdmissionError"


@in_loop
async def test_a_device_is_not_used_by_two_pods_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("world")
    async with world(tmp_path) as it:
        await it.start_agent(NodeOptions(NODE, "h100x8"))
        await it.create(with_devices("first", f"until [ -e {tmp_path}/go ]; do sleep 0.01; done", "gpu-0,gpu-1"))
        await it.until_phase("first", "Running")
        await it.create(with_devices("second", f"test -e {tmp_path}/go", "gpu-1,gpu-2"))
        held = await it.until_pod("second", lambda seen: main_status(seen)["state"].get("waiting", {}).get("message"))
        assert main_status(held)["state"]["waiting"]["message"].startswith("waiting for pod first to end")
        (tmp_path / "go").touch()
        await it.until_phase("second", "Succeeded")


@in_loop
async def test_a_pod_that_cannot_be_taken_on_is_tried_again(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadstead.node.agent.agent._LOOK_SECONDS", 0.02)
    replace_json, failures = runs.replace_json, iter([OSError(28, "No space left on device")] * 2)

    def full(path: str, value: Json) -> None:
        for failure in failures:
            raise failure
        replace_json(path, value)

    monkeypatch.setattr("roadstead.node.agent.worker.runs.replace_json", full)
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        await it.create(pod("p", "true"))
        await it.until_phase("p", "Succeeded")
