"""Starting and stopping, and everything that keeps a cluster from starting: three beats, exit code 1, nothing left
running."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.cli.home import Home
from tests.acceptance.cluster import Cluster

pytestmark = [pytest.mark.timeout(180)]
NODE = "gpu=h100x8,cpu=8,memory=16Gi"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A home where nothing is up yet; afterwards nothing of it may be left."""
    found = Cluster(tmp_path / "home")
    yield found
    found.roadstead("down", check=False)
    found.until(lambda: not found.processes(), "no process of it is left")


def refused(cluster: Cluster, *words: str) -> str:
    """Run a verb that must fail with code 1; what it said, which is never a traceback and always says what to do."""
    done = cluster.roadstead(*words, check=False)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) >= 2
    return done.stderr


def test_up_status_down(own: Cluster) -> None:
    said = own.roadstead("up", "--port", "0", "--node", NODE).stdout
    assert f"(state: {own.home})" in said
    assert f"export KUBECONFIG={own.home}/kubeconfig" in said
    status = own.roadstead("status").stdout
    assert f"pid {own.pid('server')}" in status
    assert re.search(r"gpu +Ready +cpu=8 memory=16Gi nvidia.com/gpu=8", status)
    again = refused(own, "up", "--port", "0")
    assert f"already up (pid {own.pid('server')}" in again
    assert "roadstead down" in again
    assert f"already (pid {own.pid('node')})" in refused(own, "node")
    doctor = own.roadstead("doctor").stdout
    assert "up at https://127.0.0.1:" in doctor
    assert "CPU limits, securityContext and images are not enforced" in doctor
    assert "a server runs" in refused(own, "server")
    assert own.roadstead("run", "--detach", "--", "sleep", "600").returncode == 0
    own.until(lambda: "Running" in own.roadstead("queue").stdout, "the job runs")
    said = own.roadstead("down").stdout
    assert said == "1 job yielded: back in the queue until the next `roadstead up`\nstopped node and server\n"
    assert own.processes() == []
    assert own.roadstead("down").stdout == "nothing was running\n"
    assert "no cluster is up" in refused(own, "status")


@pytest.mark.slow
def test_objects_and_nodes_outlive_a_stop_and_a_kill(own: Cluster) -> None:
    own.roadstead("up", "--port", "0", "--node", NODE)
    own.roadstead("run", "--name", "kept", "--", "true")
    os.kill(own.pid("server"), signal.SIGKILL)
    own.until(lambda: "no cluster is up" in own.roadstead("status", check=False).stderr, "the kill is seen")
    own.roadstead("up", "--port", "0")
    status, job = own.ask("GET", "/apis/batch/v1/namespaces/default/jobs/kept")
    assert (status, job["status"]["succeeded"]) == (200, 1)
    own.roadstead("down")
    own.roadstead("up", "--port", "0")
    assert own.ask("GET", "/apis/batch/v1/namespaces/default/jobs/kept")[1]["metadata"]["uid"] == job["metadata"]["uid"]
    assert own.roadstead("run", "--gpus", "8", "--", "echo", "eight").stdout == "eight\n", "the same node as before"
    own.roadstead("down", "--delete-data")
    assert not own.home.exists()


@pytest.mark.slow
def test_what_this_machine_was_before_gets_no_work_any_more(own: Cluster) -> None:
    own.roadstead("up", "--port", "0", "--node", "vm=cpu")
    own.roadstead("down")
    own.roadstead("up", "--port", "0", "--node", NODE)

    def names() -> list[str]:
        return [node["metadata"]["name"] for node in own.ask("GET", "/api/v1/nodes")[1]["items"]]

    own.until(lambda: names() == [NODE.partition("=")[0]], "the other one is gone")
    record = own.home / "run" / "nodes.json"
    own.until(lambda: "gone" not in record.read_text(), "that is done with")
    own.roadstead("down")
    record.write_text("{")
    assert "does not say which nodes this machine was" in refused(own, "up", "--port", "0")
    assert record.read_text() == "{"


@pytest.mark.slow
def test_work_yields_to_a_stop_and_goes_on_after_it(own: Cluster, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    own.roadstead("up", "--port", "0", "--node", NODE)
    script = f"echo begun >> {begun}; [ $(wc -l < {begun}) = 2 ] || exec sleep 600"
    own.roadstead("run", "--detach", "--name", "kept", "--", "sh", "-c", script)
    own.until(begun.exists, "it runs")
    assert "1 job yielded" in own.roadstead("down").stdout
    own.roadstead("up", "--port", "0")

    def status() -> dict[str, object]:
        found: dict[str, object] = own.ask("GET", "/apis/batch/v1/namespaces/default/jobs/kept")[1]["status"]
        return found

    own.until(lambda: status().get("succeeded") == 1, "it ran again, to its end")
    assert not status().get("failed"), "a stop of the cluster is no failure of the job"
    assert begun.read_text() == "begun\nbegun\n"
    (node,) = own.ask("GET", "/api/v1/nodes")[1]["items"]
    assert not node["spec"].get("taints")


def hears_interrupts() -> None:
    """As in a terminal: who was started in the background of a script ignores them, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_a_stop_that_is_interrupted_leaves_a_cluster_that_works(own: Cluster) -> None:
    def taints() -> list[object]:
        (node,) = own.ask("GET", "/api/v1/nodes")[1]["items"]
        found: list[object] = node["spec"].get("taints") or []
        return found

    own.roadstead("up", "--port", "0", "--node", NODE)
    stubborn = "trap '' TERM; echo begun; while :; do sleep 0.1; done"
    own.roadstead("run", "--detach", "--name", "stubborn", "--", "sh", "-c", stubborn)
    own.until(lambda: own.roadstead("logs", "stubborn", check=False).stdout == "begun\n", "it runs")
    stopping = subprocess.Popen(
        [sys.executable, "-m", "roadstead.cli", "down"], env=own.environment, stdin=subprocess.DEVNULL,
        preexec_fn=hears_interrupts,
    )  # fmt: skip
    own.until(lambda: taints() != [], "jobs are told to yield")
    stopping.send_signal(signal.SIGINT)
    assert stopping.wait(30) == 130
    assert taints() == []
    assert own.roadstead("run", "--", "echo", "still here").stdout == "still here\n"


@pytest.mark.slow
def test_the_node_alone_is_started_again(own: Cluster) -> None:
    own.roadstead("up", "--port", "0", "--node", NODE)
    own.roadstead("run", "--detach", "--name", "through", "--", "sh", "-c", "sleep 2; echo through")
    own.until(
        lambda: own.ask("GET", "/api/v1/namespaces/default/pods")[1]["items"][0]["status"]["phase"] == "Running",
        "it runs",
    )
    server = own.pid("server")
    os.kill(own.pid("node"), signal.SIGKILL)
    own.until(lambda: "node agent  down; start it again with" in own.roadstead("status").stdout, "the kill is seen")
    own.roadstead("up")
    assert own.pid("server") == server
    own.until(lambda: "through" in own.roadstead("logs", "through").stdout, "its process went on")
    own.until(
        lambda: own.ask("GET", "/apis/batch/v1/namespaces/default/jobs/through")[1]["status"].get("succeeded") == 1,
        "and its end was not missed",
    )  # fmt: skip


@pytest.mark.slow
def test_following_outlives_the_server(own: Cluster) -> None:
    own.roadstead("up", "--port", "0", "--node", NODE)
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; sleep 0.5; done; exit 7"
    following = subprocess.Popen(
        [sys.executable, "-m", "roadstead.cli", "run", "--", "sh", "-c", script],
        env=own.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert following.stdout is not None
    assert following.stdout.readline() == "line 1\n"
    os.kill(own.pid("server"), signal.SIGKILL)
    own.until(lambda: "no cluster" in own.roadstead("status", check=False).stderr, "the kill is seen")
    own.roadstead("up", "--port", "0")
    out, err = following.communicate(timeout=60)
    assert out.splitlines() == [f"line {i}" for i in range(2, 13)], "each line once"
    assert following.returncode == 7
    assert "the server does not answer; still trying" in err


@pytest.mark.slow
def test_two_clusters_at_once(own: Cluster, tmp_path: Path) -> None:
    other = Cluster(tmp_path / "other")
    try:
        for cluster, name in ((own, "a"), (other, "b")):
            cluster.roadstead("up", "--port", "0", "--node", f"{name}=h100x4,cpu=4,memory=8Gi")
        for cluster, name in ((own, "a"), (other, "b")):
            assert cluster.roadstead("run", "--gpus", "4", "--", "echo", name).stdout == f"{name}\n"
            assert [node["metadata"]["name"] for node in cluster.ask("GET", "/api/v1/nodes")[1]["items"]] == [name]
        assert own.roadstead("run", "--home", str(other.home), "--", "echo", "over there").stdout == "over there\n"
        other.roadstead("down")
        assert own.roadstead("run", "--", "echo", "still here").stdout == "still here\n"
    finally:
        other.roadstead("down", check=False)
    assert other.processes() == []


@pytest.mark.slow
def test_two_that_start_the_same_cluster_at_once(own: Cluster) -> None:
    words = [sys.executable, "-m", "roadstead.cli", "up", "--port", "0", "--node", NODE]
    both = [subprocess.Popen(words, env=own.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)]  # fmt: skip
    ended = [(process.communicate(timeout=60), process.returncode) for process in both]
    assert sorted(code for _, code in ended) == [0, 1]
    assert "already up" in next(said[1] for said, code in ended if code)
    assert own.roadstead("run", "--", "echo", "works").stdout == "works\n"


def test_up_that_is_interrupted_leaves_nothing(own: Cluster) -> None:
    words = [sys.executable, "-m", "roadstead.cli", "up", "--port", "0", "--node", NODE]
    starting = subprocess.Popen(words, env=own.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    own.until((own.home / "run" / "server-starting.json").exists, "it has begun")
    starting.terminate()
    assert starting.wait(30) == 130
    own.until(lambda: own.processes() == [], "nothing is left")


def test_a_port_in_use(own: Cluster) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(own, "up", "--port", str(port))
    assert f"Port {port} on 127.0.0.1 is already in use." in said
    assert "choose another port; 0 takes a free one" in said
    assert own.processes() == []
    own.roadstead("up", "--port", "0", "--node", NODE)


def test_data_of_a_newer_version(own: Cluster) -> None:
    database = data_of(own)
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    before = database.read_bytes()
    said = refused(own, "up", "--port", "0")
    assert f"The data in {database} has format 99; this version of roadstead reads up to format " in said
    assert "or another data directory" in said
    assert own.processes() == []
    assert database.read_bytes() == before


def test_data_that_is_corrupt(own: Cluster) -> None:
    database = data_of(own)
    damaged = b"not a database" * 1000
    database.write_bytes(damaged)
    said = refused(own, "up", "--port", "0")
    assert str(database) in said
    assert "backup" in said
    assert own.processes() == []
    assert database.read_bytes() == damaged, "left for whoever can repair it"


def test_data_that_another_server_holds(own: Cluster) -> None:
    """Its record is lost, the process is not: the directory's lock still tells."""
    own.roadstead("up", "--port", "0", "--node", NODE)
    pid = own.pid("server")
    record = Home(own.home).record("server")
    record.rename(record.with_suffix(".aside"))
    said = refused(own, "up", "--port", "0")
    assert f"{own.home}/data" in said
    assert str(pid) in said
    record.with_suffix(".aside").rename(record)
    assert own.pid("server") == pid, "the first one was left alone"
    assert own.roadstead("run", "--", "echo", "works").stdout == "works\n"


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is read-only to root")
def test_a_home_that_is_not_writable(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    said = refused(Cluster(closed / "home"), "up", "--port", "0")
    assert f"cannot use {closed}/home: Permission denied." in said
    assert "Set ROADSTEAD_HOME" in said


def data_of(cluster: Cluster) -> Path:
    """The database of a cluster that ran and was stopped."""
    cluster.roadstead("up", "--port", "0", "--node", NODE)
    cluster.roadstead("down")
    database = cluster.home / "data" / "store.db"
    assert database.exists()
    return database


@pytest.mark.slow
def test_a_full_disk(own: Cluster) -> None:
    """The server may write no file beyond what its database needs now (RLIMIT_FSIZE stands for the full disk): reads go
    on, writes are refused in words and change nothing, and go on once there is room."""
    import resource

    own.roadstead("up", "--port", "0", "--node", NODE)
    path = "/api/v1/namespaces/default/configmaps"
    assert own.ask("POST", path, config_map("before", 1))[0] == 201
    pid = own.pid("server")
    size = max(file.stat().st_size for file in (own.home / "data").glob("store.db*"))
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 4096, resource.RLIM_INFINITY))
    try:
        refusal = None
        for number in range(64):
            status, answer = own.ask("POST", path, config_map(f"fill-{number}", 100_000))
            if status != 201:
                refusal = status, answer, number
                break
        assert refusal is not None, "the limit was never reached"
        status, answer, number = refusal
        assert status in (500, 507), answer
        assert answer["kind"] == "Status"
        assert str(own.home) in answer["message"]
        assert own.ask("GET", f"{path}/before")[0] == 200, "reads go on"
        assert own.ask("GET", f"{path}/fill-{number}")[0] == 404, "nothing is half-applied"
        assert own.pid("server") == pid
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    deadline = time.monotonic() + 30
    while (answer := own.ask("POST", path, config_map("after", 1)))[0] != 201:
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    own.roadstead("down")
    own.roadstead("up", "--port", "0")
    assert own.ask("GET", f"{path}/after")[0] == 200
    assert own.ask("GET", f"{path}/fill-{number}")[0] == 404


def config_map(name: str, size: int) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"x": "x" * size}}
