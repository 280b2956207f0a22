"""Pods on a real agent: the embedded API in this loop, real processes below a temporary directory."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from roadstead.kinds.names import LEASES, NODES, PODS
from roadstead.kinds.object import Json, Object, Ref
from roadstead.node.agent import isolation
from roadstead.node.agent.agent import Narrowed
from roadstead.node.agent.options import CannotJoin, NodeOptions
from roadstead.node.keeper import client, runs, tree
from roadstead.runtime.cluster import EVERYTHING, Cluster, Delete, Outcome, Result, Update, Write
from tests.cluster.loop import in_loop
from tests.node.agent.world import NODE, World, condition, done, main_status, pod, until, world
from tests.node.keeper.box import poll


class Counting(Narrowed):
    """Remembers the phases that were written."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "", EVERYTHING)
        self.phases: list[str] = []

    async def write(self, write: Write) -> Outcome:
        if isinstance(write, Update) and write.resource == PODS:
            self.phases.append(write.value["status"]["phase"])
        return await super().write(write)


KEPT = {"finalizers": ["example.com/kept"]}


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


async def until_file(path: Path) -> None:
    async def exists() -> bool:
        return path.exists()

    await until(exists)


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
        await _until_no_traces(it, uid)


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


async def _until_no_traces(it: World, uid: str) -> None:
    async def check() -> bool:
        return not (it.state / "runs" / uid).exists() and not (it.state / "pods" / uid).exists()

    await until(check)


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
        await _until_no_traces(it, running["metadata"]["uid"])


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
            # The connecting one is there first: in the bare tier it must know an address that nobody has written down yet.
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
